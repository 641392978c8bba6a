"""The catalogue has every code of the source, and its examples raise what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.error_catalog import CATALOG, FAMILIES
from graphc.errors import GraphcError

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r'"(E[1-6][0-9]{2})"')


def codes_in_source() -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in ("graphc", "backends", "layers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent.name != "error_catalog":
                text = path.read_text(encoding="utf-8")
                found |= {code: str(path.relative_to(ROOT)) for code in CODE.findall(text)}
    return found


def test_every_code_is_explained() -> None:
    missing = {code: path for code, path in codes_in_source().items() if code not in CATALOG}
    assert not missing


def test_every_explained_code_occurs() -> None:
    assert set(CATALOG) <= set(codes_in_source())


@pytest.mark.parametrize("code", CATALOG)
def test_explanation(code: str) -> None:
    entry = CATALOG[code]
    assert code[:2] in FAMILIES
    assert entry.title and not entry.title.endswith(".")
    assert entry.text.endswith(".")
    assert bool(entry.example) == bool(entry.fixed)


@pytest.mark.parametrize("code", [code for code, entry in CATALOG.items() if entry.example])
def test_example_raises_and_its_repair_does_not(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    entry = CATALOG[code]
    with pytest.raises(GraphcError) as caught:
        exec(entry.example, {"gc": gc, "np": np})
    assert caught.value.code == code
    exec(entry.fixed, {"gc": gc, "np": np})
