"""graphc and graphc.eager have every function and method of the Array API 2024.12, with its
parameters. signatures.txt lists them as the standard does, one a line."""

import inspect
from pathlib import Path
from typing import Any

import pytest

import graphc as gc
from graphc import eager

LINES = (Path(__file__).parent / "signatures.txt").read_text(encoding="utf-8").splitlines()
STANDARD = [line for line in LINES if not line.startswith("#")]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "array_api.md"
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def signature_of(text: str) -> inspect.Signature:
    """`(x, /, *, axis=None)` as a signature."""
    scope: dict[str, Any] = {}
    exec(f"def stated{text}: ...", scope)
    return inspect.signature(scope["stated"])


def found(namespace: Any, name: str) -> Any:
    """What a line of the standard names, in a namespace."""
    owner, _, member = name.rpartition(".")
    if owner == "array":
        value = gc.placeholder("x", (3, 3), "int64") if namespace is gc else eager.ones((3, 3))
        assert hasattr(type(value), member)
        return value
    if owner == "info":
        return getattr(namespace.__array_namespace_info__(), member)
    return getattr(getattr(namespace, owner) if owner else namespace, member)


@pytest.mark.parametrize("namespace", [gc, eager], ids=["graphc", "eager"])
@pytest.mark.parametrize("line", STANDARD)
def test_signature(line: str, namespace: Any) -> None:
    name, bracket, rest = line.partition("(")
    value = found(namespace, name)
    if not bracket:
        assert not callable(getattr(type(value), name.removeprefix("array.")))
        return
    if name.startswith("array."):
        value = getattr(value, name.removeprefix("array."))
    ours = list(inspect.signature(value).parameters.values())
    by_name = {parameter.name: parameter for parameter in ours}
    for position, wanted in enumerate(signature_of("(" + rest).parameters.values()):
        if wanted.kind is inspect.Parameter.VAR_POSITIONAL:
            assert ours[position].kind is wanted.kind
            continue
        if wanted.kind is inspect.Parameter.KEYWORD_ONLY:
            own = by_name[wanted.name]
            assert own.kind in NAMED
        else:
            own = ours[position]
            assert own.kind in POSITIONAL
        if wanted.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            assert (own.name, own.kind) == (wanted.name, wanted.kind)
        if wanted.default is not inspect.Parameter.empty:
            assert own.default == wanted.default


def test_extra_parameters_are_optional() -> None:
    """Code that is written to the standard never has to pass them."""
    for line in STANDARD:
        name, _, rest = line.partition("(")
        if "." in name:
            continue
        known = {p.name for p in signature_of("(" + rest).parameters.values()}
        count = len(known)
        for parameter in list(inspect.signature(getattr(gc, name)).parameters.values())[count:]:
            variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            assert variadic or parameter.default is not inspect.Parameter.empty, name


def test_the_page_lists_every_name() -> None:
    table: dict[str, list[str]] = {}
    for line in LINES:
        if line.startswith("# "):
            names = table.setdefault(line.removeprefix("# "), [])
        else:
            names.append(line.partition("(")[0].rpartition(".")[2])
    text = PAGE.read_text(encoding="utf-8")
    for part, names in table.items():
        assert f"| {part} | {' '.join(f'`{name}`' for name in names)} |" in text


def test_every_skip_of_the_suite_has_a_reason() -> None:
    """Skips come in groups, each below its comment."""
    text = (Path(__file__).parent / "skips.txt").read_text(encoding="utf-8")
    _, *groups = text.strip().split("\n\n")
    for group in groups:
        comments = [line for line in group.splitlines() if line.startswith("# ")]
        tests = [line for line in group.splitlines() if line.startswith("array_api_tests/")]
        assert comments and tests
        assert len(comments) + len(tests) == len(group.splitlines())
