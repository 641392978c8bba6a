"""The page of a function: whole, escaped, on every backend, and no larger than it may be."""

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.registry import backend_names
from graphc.errors import ArgumentError, BackendError, ParameterError
from graphc.inspect import html as view

VOID = {"meta", "br", "line", "rect", "path"}  # written without an end, or with their own
SECTIONS = ["graph", "rewrites", "kernels", "memory-plan", "profile"]


class Page(HTMLParser):
    """What a page holds; fails if its elements are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.ids: list[str] = []
        self.values: list[str] = []
        self.lines: list[str] = []
        self.attributes: set[str] = set()
        self.sections: dict[str, str] = {}
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        found = dict(attrs)
        self.attributes |= set(found)
        assert len(found) == len(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if "data-v" in found:
            self.values.append(str(found["data-v"]))
        if "data-s" in found:
            self.lines.append(str(found["data-s"]))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections[self.ids[-1]] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
        elif "section" in self.open:
            self.sections[list(self.sections)[-1]] += data


def page_of(function: gc.Function, **options: Any) -> Page:
    text = function.to_html(**options)
    assert isinstance(text, str) and text.startswith("<!DOCTYPE html>")
    page = Page(text)
    assert list(page.sections) == SECTIONS and len(set(page.ids)) == len(page.ids)
    assert page.count["script"] == page.count["style"] == 1
    # Nothing is fetched, and nothing runs but the page's own script.
    assert not {"src", "style", "onclick", "srcset", "data"} & page.attributes
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.count)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    return page


def trained(backend: str = "auto") -> gc.Function:
    x = gc.placeholder("x", ("n", 8))
    w = gc.variable(np.ones((8, 16), "float32"), name="w")
    h = gc.tanh(x @ w)
    cost = gc.mean(gc.log(1 + gc.exp(h @ gc.permute_dims(h, (1, 0)))))
    return gc.function([x], cost, updates={w: w - 0.1 * gc.grad(cost, w)}, backend=backend)


@pytest.mark.parametrize("backend", backend_names())
def test_every_backend_has_a_page(backend: str) -> None:
    function = trained(backend)
    page = page_of(function)
    assert "softplus" in page.sections["rewrites"]
    assert "log(1 + exp(x)) = softplus(x)" in page.sections["rewrites"]
    assert "t1 = x @ w" in " ".join(page.sections["graph"].split())
    assert any(line.startswith("test_html.py:") for line in page.lines)
    if backend == "reference":
        assert "interprets the graph" in page.sections["kernels"]
        assert "svg" not in page.count or "rect" in page.count  # the bars of the head
        return
    assert function.kernels().splitlines()[0].split()[1] in page.sections["kernels"]
    assert "peak" in page.sections["memory-plan"] and "Drawn for n = 256" in str(page.sections)
    if backend == "llvm":
        assert "define internal void" in page.sections["kernels"]
    if backend == "numba_cpu":
        assert "for i in range(" in page.sections["kernels"]
    assert ("generated code" in page.sections["kernels"]) == (backend != "interpreter")


def test_all_texts_stand_on_the_page() -> None:
    function = trained()
    page = page_of(function)
    assert function.graph_text("before").strip() in page.sections["graph"]
    assert function.graph_text().strip() in page.sections["graph"]
    assert function.kernels().strip() in page.sections["kernels"]
    assert function.memory_plan().strip() in page.sections["memory-plan"]
    for part in function.loops().split("\n\n")[1:]:
        assert part.strip() in page.sections["kernels"]
    for entry in function.stages.log:
        assert entry.before in page.sections["rewrites"] and entry.equation.strip()


def test_uses_of_a_value_carry_its_mark() -> None:
    x = gc.placeholder("x", (3,))
    y = gc.exp(x)
    function = gc.function([x], y * y + x, name="f", optimize=False)
    page = page_of(function)
    # Both graphs have x at its head and in two rows, and t1 in three places.
    assert [page.values.count(f"{scope}.x") for scope in (0, 1)] == [3, 3]
    assert [page.values.count(f"{scope}.t1") for scope in (0, 1)] == [3, 3]
    assert "optimize=False" in page.sections["rewrites"]


NAMES = [
    "<script>alert(1)</script>",
    "</pre></section>",
    '" onclick="x',
    "&lt;b&gt;",
    "a\x00b\u202e",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["llvm", "numba_cpu", "reference"])
def test_names_are_only_text(name: str, backend: str, tmp_path: Path) -> None:
    """Names of files, of results, strings in the user's lines, and names that the graph has."""
    file = tmp_path / f"{name.replace('/', '_')}.py".replace("\x00", "")
    file.write_text(
        "import graphc as gc\n"
        "x = gc.placeholder('x', ('n',))\n"
        "function = lambda name, backend: gc.function(\n"
        "    [x], {name: gc.tanh(x), 'z': x * 2}, backend=backend)  # " + ascii(name) + "\n",
        encoding="utf-8",
    )
    names: dict[str, Any] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    function = names["function"](name, backend)
    page = page_of(function)
    text = function.to_html()
    assert "<script>alert" not in text and "onclick" not in page.attributes
    assert "\x00" not in text and "\u202e" not in text
    assert page.lines and (name.isprintable() is (name in page.sections["graph"]))
    # What the surface does not let in: a graph that something else made.
    for graph in (function.stages.user_graph, function.stages.graph):
        object.__setattr__(graph, "name", name)
        object.__setattr__(graph, "output_names", (name, name))
    assert "<script>alert" not in str(function.to_html())
    page_of(function)


def test_the_page_allows_itself_alone() -> None:
    text = str(trained("reference").to_html())
    allowed = re.findall(r"'sha256-([^']+)'", text)
    for tag, digest in zip(("style", "script"), allowed, strict=True):
        inner = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inner is not None
        found = hashlib.sha256(inner[1].encode()).digest()
        assert base64.b64encode(found).decode() == digest
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_script_is_javascript(tmp_path: Path) -> None:
    script = Page(str(trained("reference").to_html())).scripts[-1]
    (tmp_path / "page.js").write_text(script, encoding="utf-8")
    subprocess.run(["node", "--check", str(tmp_path / "page.js")], check=True)


def test_functions_without_work() -> None:
    constant = gc.function([], gc.constant(np.ones(3, "float32")), name="one")
    x = gc.placeholder("x", ("n",))
    for function in (
        constant,
        gc.function([x], x),
        gc.function([], None, updates={gc.variable(np.zeros(2), name="v"): gc.zeros(2, "float64")}),
        gc.function([x], [], on_unused_input="ignore"),
    ):
        page = page_of(function)
        assert "No temporaries" in page.sections["memory-plan"]
        function.to_html()


def test_loops_branches_complex_numbers_and_python() -> None:
    x = gc.placeholder("x", ("n", 3))
    total, steps = gc.scan(lambda s, row: (s + gc.tanh(row), gc.sum(s)), gc.zeros(3), x)
    count = gc.while_loop(lambda k: k < gc.sum(x), lambda k: k * 2 + 1, gc.sum(x) * 0)
    chosen = gc.cond(gc.sum(x) > 0, lambda: gc.exp(x), lambda: -x)
    spectrum = gc.fft.fft(gc.astype(x, "complex64"))
    for backend in backend_names():
        function = gc.function(
            [x],
            [total, steps, count, chosen, gc.linalg.inv(gc.eye(3) + gc.sum(x))],
            backend=backend,
        )
        page = page_of(function)
        assert "body1:" in page.sections["graph"]
        page_of(gc.function([x], spectrum * 2, backend=backend))


def test_loaded_and_cached_functions(tmp_path: Path) -> None:
    function = trained()
    function.save(tmp_path / "f.safetensors")
    loaded = gc.load_function(tmp_path / "f.safetensors")
    page = page_of(loaded)
    assert function.graph_text("before").strip() in page.sections["graph"]
    assert any(line.startswith("test_html.py:") for line in page.lines)
    again = trained()
    assert again.stats()["program"] in ("found", "not looked for")
    page = page_of(again)
    assert "define internal void" in page.sections["kernels"]


def test_a_profile_is_shown_once_it_was_taken() -> None:
    function = trained()
    assert "None was taken" in page_of(function).sections["profile"]
    told = function.profile(np.ones((4, 8), "float32"), seconds=0.01)
    shown = page_of(function).sections["profile"]
    assert all(row.strip() in shown for row in told.splitlines())


def test_sizes_of_the_picture() -> None:
    function = trained()
    assert "Drawn for n = 7" in page_of(function, sizes={"n": 7}).sections["memory-plan"]
    assert "No temporaries" in page_of(function, sizes={"n": 0}).sections["memory-plan"]
    with pytest.raises(ParameterError, match="E404"):
        function.to_html(sizes={"m": 7})
    with pytest.raises(BackendError, match="E501"):
        trained("reference").to_html(sizes={"n": 7})
    with pytest.raises(ArgumentError, match="sizes"):
        function.to_html(sizes=7)  # type: ignore[arg-type]


def test_what_is_too_long_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    function = trained()
    whole = len(str(function.to_html()))
    monkeypatch.setattr(view, "MOST_ROWS", 8)
    monkeypatch.setattr(view, "MOST_SOURCE", 100)
    monkeypatch.setattr(view, "MOST_BLOCKS", 2)
    text = str(function.to_html())
    page = Page(text)
    assert len(text) < whole / 2
    assert re.search(r"\.\.\. \d+ more lines: f\.graph_text\(\"before\"\)", page.sections["graph"])
    assert "more rewrites: f.rewrites()" in page.sections["rewrites"]
    assert re.search(r"generated code, [\d,]+ characters: f\.source\(0\)", page.sections["kernels"])
    assert "more kernels: f.loops()" in page.sections["kernels"]


def test_files(tmp_path: Path) -> None:
    function = trained()
    target = tmp_path / "page.html"
    assert function.to_html(target) is None
    assert target.read_text(encoding="utf-8") == function.to_html()
    function.to_html(str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(FileNotFoundError):
        function.to_html(tmp_path / "none" / "page.html")
    with pytest.raises(IsADirectoryError):
        function.to_html(tmp_path)
    with pytest.raises(ArgumentError, match="path"):
        function.to_html(3)  # type: ignore[arg-type]
