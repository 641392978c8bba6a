"""What the documents show is true: code runs, output is what it prints, links lead to files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import listed_files, source_files

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


def test_architecture_has_one_line_per_file() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = {folder: list(rows) for folder, rows in listed_files(text).items()}
    hint = "python tests/documents.py --update docs/architecture.md"
    assert listed == source_files(), hint


def test_first_model_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    model = text.split("```python\n", 1)[1].split("```", 1)[0]
    assert len([line for line in model.splitlines() if line.strip()]) <= 20
