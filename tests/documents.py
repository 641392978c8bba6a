"""Runs the Python blocks of a Markdown file, in order and in one namespace.

A ```text block that directly follows a ```python block shows what that block prints.

    python tests/documents.py README.md             compare
    python tests/documents.py --update README.md    write what was printed into the file

The tables of files in docs/architecture.md are brought up to date as well: new files with the first
paragraph of their docstring, for a person to put into better words.
"""

import ast
import contextlib
import difflib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE_FOLDERS = ("graphc", "backends", "layers")
FOLDER = re.compile(r"^## `([\w/]+/)`.*$", re.MULTILINE)
FILE = re.compile(r"^\| `(\w+\.py)` \| (.+) \|$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS = {"README.md": "train.py"}  # what the lines of a file's blocks are said to come from


def run_blocks(text: str, script: str) -> list[tuple[re.Match[str], str]]:
    """For each block of expected output: its match, and what the block before it printed."""
    found = list(BLOCK.finditer(text))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    results: list[tuple[re.Match[str], str]] = []
    lines = 0
    whole = "\n".join(match[2] for match in found if match[1] == "python")
    folder = Path(tempfile.mkdtemp())
    (folder / script).write_text(whole, encoding="utf-8")
    os.chdir(folder)  # what the blocks write does not stay
    for number, match in enumerate(found):
        if match[1] != "python":
            continue
        printed = io.StringIO()
        padded = "\n" * lines + match[2]
        lines += match[2].count("\n") + 1
        with contextlib.redirect_stdout(printed):
            exec(compile(padded, str(folder / script), "exec"), namespace)
        following = found[number + 1] if number + 1 < len(found) else None
        if following is not None and following[1] == "text":
            between = text[match.end() : following.start()]
            if not between.strip():
                results.append((following, trimmed(printed.getvalue())))
    return results


def trimmed(text: str) -> str:
    """Without trailing spaces and empty lines at the ends."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


# --- the list of files ---------------------------------------------------------------------------


def source_files() -> dict[str, list[str]]:
    """Folder -> names of its source files; `graphc/ir/` -> node.py, ..."""
    found: dict[str, list[str]] = {}
    for top in SOURCE_FOLDERS:
        for parent, _, names in os.walk(ROOT / top):  # os.walk does not follow the links
            files = sorted(n for n in names if n.endswith(".py") and n != "__init__.py")
            if files:
                found[f"{Path(parent).relative_to(ROOT).as_posix()}/"] = files
    return found


def listed_files(text: str) -> dict[str, dict[str, str]]:
    """Folder -> file -> its line in the tables of docs/architecture.md."""
    headings = list(FOLDER.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    return {
        heading[1]: dict(FILE.findall(text[heading.end() : end]))
        for heading, end in zip(headings, ends, strict=True)
    }


def with_file_list(text: str) -> str:
    """The text of docs/architecture.md with tables that have every file."""
    headings = {match[1]: match[0] for match in FOLDER.finditer(text)}
    listed, files = listed_files(text), source_files()
    parts = [text[: FOLDER.search(text).start()].rstrip()]  # type: ignore[union-attr]
    for folder in [*(f for f in headings if f in files), *(f for f in files if f not in headings)]:
        known = listed.get(folder, {})
        rows = [
            f"| `{name}` | {known.get(name) or first_paragraph(ROOT / folder / name)} |"
            for name in files[folder]
        ]
        heading = headings.get(folder, f"## `{folder}`")
        parts.append("\n".join([heading, "", "| file | what it does |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def first_paragraph(path: Path) -> str:
    """Of the docstring, as the text of a table's cell."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    paragraph = (ast.get_docstring(tree) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".").replace("|", "\\|")


def main(arguments: list[str]) -> int:
    update = "--update" in arguments
    status = 0
    for path in [Path(name).resolve() for name in arguments if not name.startswith("--")]:
        text = path.read_text(encoding="utf-8")
        script = SCRIPTS.get(path.name, f"{path.stem}.py")
        for match, printed in reversed(run_blocks(text, script)):
            if printed == match[2]:
                continue
            if update:
                text = text[: match.start(2)] + printed + text[match.end(2) :]
            else:
                status = 1
                old, new = match[2].splitlines(), printed.splitlines()
                print(*difflib.unified_diff(old, new, path.name, "printed", lineterm=""), sep="\n")
        if update:
            text = with_file_list(text) if path.name == "architecture.md" else text
            path.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
