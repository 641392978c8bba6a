"""What the documents show is true: code runs, output is what it prints, links lead to files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_prints_what_stands_below_it(path: Path) -> None:
    runner = Path(__file__).parent / "documents.py"
    done = subprocess.run(
        [sys.executable, str(runner), str(path)], capture_output=True, text=True, check=False
    )
    hint = f"if the new output is right: python tests/documents.py --update {path.name}"
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{hint}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    missing = [
        link
        for link in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]
    assert not missing


def source_files() -> list[str]:
    found = []
    for folder in ("graphc", "backends", "layers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT)
            linked = len(name.parts) > 2 and name.parts[:2] in (
                ("graphc", "backends"),
                ("graphc", "layers"),
            )
            if path.name != "__init__.py" and not linked:
                found.append(str(name))
    return found


def listed_files() -> list[str]:
    """Paths of the tables in docs/architecture.md: `## ... folder/` headings and file rows."""
    folder, listed = "", []
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"#+ `([\w/]+/)`.*", line):
            folder = heading[1]
        elif row := re.match(r"\| `([\w/]+\.py)` \| \S", line):
            listed.append(folder + row[1])
    return listed


def test_architecture_has_one_line_per_file() -> None:
    listed = listed_files()
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(source_files())


def test_first_model_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    model = text.split("```python\n", 1)[1].split("```", 1)[0]
    assert len([line for line in model.splitlines() if line.strip()]) <= 20
