"""The frame of a page: one file that loads nothing, in light and dark, on screen and on paper.

The page allows its own style and its own script, by their hashes, and nothing else: whatever else
stood in it would not run, and nothing is fetched.
"""

import base64
import hashlib
from collections.abc import Mapping

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #59636e; --line: #d5dbe1;
  --paper: #ffffff; --pane: #f5f7f9; --mark: #ffe58a; --first: #ffc94d; --link: #0a5fb4;
  --block: #b9d4f1; --over: #cfe6c4; --edge: #5b7fa6; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5eb; --soft: #97a3af; --line: #39424c;
  --paper: #14181d; --pane: #1c2229; --mark: #6a5511; --first: #94701a; --link: #74b3f2;
  --block: #2c4f74; --over: #385b33; --edge: #7fa3c9; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --pane: #fff;
  --mark: #eee; --first: #ddd; --link: #000; --block: #ddd; --over: #eee; --edge: #444; }
  nav, #bar { display: none !important; } pre { white-space: pre-wrap; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem 1.5rem 5rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .3rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem;
  border-bottom: 1px solid var(--line); }
a { color: var(--link); } nav { position: sticky; top: 0; padding: .4rem 0;
  background: var(--paper); z-index: 1; } nav a { margin-right: 1.1rem; }
pre, code, td.code { font: 12.5px/1.45 ui-monospace, Menlo, Consolas, monospace; }
pre { margin: .3rem 0; padding: .6rem .8rem; background: var(--pane); overflow-x: auto;
  border: 1px solid var(--line); border-radius: 4px; }
section { scroll-margin-top: 2.5rem; } summary { cursor: pointer; margin: .3rem 0; }
.soft, figcaption { color: var(--soft); }
table { border-collapse: collapse; } td, th { text-align: left; vertical-align: top;
  padding: .1rem 1.2rem .1rem 0; } td.number { text-align: right; } th { font-weight: 600; }
.scroll { overflow-x: auto; } figure { margin: .5rem 0; overflow-x: auto; }
i[data-v], u[data-s] { font-style: normal; text-decoration: none; cursor: pointer; }
u[data-s] { color: var(--soft); } i[data-v]:hover, u[data-s]:hover { text-decoration: underline; }
.on { background: var(--mark); } .on.first { background: var(--first); }
#bar { position: fixed; bottom: 0; left: 0; right: 0; padding: .4rem 1.5rem;
  background: var(--pane); border-top: 1px solid var(--line); }
button { font: inherit; } svg { display: block; } svg.bar { display: inline-block; }
svg text { font: 10px ui-monospace, Menlo, Consolas, monospace; fill: var(--ink); }
svg .axis { fill: var(--soft); } svg .grid { stroke: var(--line); }
svg .block { fill: var(--block); fill-opacity: .85; stroke: var(--edge); stroke-width: .5; }
svg .over { fill: var(--over); }
g[data-v] { cursor: pointer; } g.on .block { fill: var(--mark); stroke-width: 1.5; }
svg .peak { stroke: var(--ink); }
svg .bound { stroke: var(--link); stroke-dasharray: 5 3; }
svg .alive { fill: var(--block); stroke: var(--edge); } svg.bar rect { fill: var(--edge); }
"""

# A value is marked wherever it stands, a line of the user's in every stage.
SCRIPT = """
const bar = document.getElementById("bar");
let found = [], at = 0;
function clear() {
  for (const one of found) one.classList.remove("on", "first");
  found = [];
  bar.hidden = true;
}
function show(step) {
  at = (at + step + found.length) % found.length;
  for (let d = found[at].closest("details"); d; d = d.parentElement.closest("details"))
    d.open = true;
  if (step) found[at].scrollIntoView({ block: "center" });
  bar.querySelector("output").textContent = `${at + 1} of ${found.length}`;
}
document.addEventListener("click", event => {
  const one = event.target.closest("[data-v], [data-s]");
  if (!one) return;
  const kind = "v" in one.dataset ? "v" : "s", key = one.dataset[kind];
  const again = one.classList.contains("on");
  clear();
  if (again) return;
  found = [...document.querySelectorAll(`[data-${kind}]`)].filter(o => o.dataset[kind] === key);
  for (const other of found) other.classList.add("on");
  if (kind === "v") found[0].classList.add("first");
  at = found.indexOf(one);
  bar.querySelector("code").textContent = kind === "v" ? key.replace(/^[^.]*[.]/, "") : key;
  bar.hidden = false;
  show(0);
});
document.addEventListener("keydown", event => { if (event.key === "Escape") clear(); });
for (const button of bar.querySelectorAll("button"))
  button.addEventListener("click", () => button.value ? show(+button.value) : clear());
for (const button of document.querySelectorAll("nav button"))
  button.addEventListener("click", () => {
    const all = [...document.querySelectorAll("details")], open = !all.every(one => one.open);
    for (const one of all) one.open = open;
  });
"""

BAR = """<div id="bar" hidden><code></code> <output></output>
<button value="-1">previous</button> <button value="1">next</button>
<button value="">clear</button></div>"""


def page(title: str, head: str, sections: Mapping[str, str]) -> str:
    """The whole file. title, head, and sections by their names: HTML."""
    ids = {name: name.lower().replace(" ", "-") for name in sections}
    links = "".join(f'<a href="#{ids[name]}">{name}</a>' for name in sections)
    parts = [
        f'<section id="{ids[name]}"><h2>{name}</h2>\n{sections[name]}\n</section>'
        for name in sections
    ]
    allowed = f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{allowed}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style></head>\n<body>",
            head,
            f"<nav>{links}<button>fold or unfold all</button></nav>",
            *parts,
            BAR,
            f"<script>{SCRIPT}</script>\n</body></html>\n",
        ]
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
