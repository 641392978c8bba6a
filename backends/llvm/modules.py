"""Functions as modules of LLVM: those that take time, and those that only call others.

The second kind is compiled by LLVM's quick code generator: it takes a fifth of the time, and what
stands between two calls of kernels need not be good code. Such functions name functions of the
first kind, never the other way round. A few of them are compiled beside the first kind, as
functions that LLVM is told not to optimise: a module of their own would take longer.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from graphc.backends.llvm.jit import FAST, PLAIN, Module
from graphc.backends.llvm.text import FunctionText, module_text

PART = 40_000  # characters: a tenth of a second's work for LLVM
SHORT = 12_000  # characters from which there are two parts
FEW = 4_000  # characters of plain functions that are no module of their own
# Each begins with what is found fastest: a few letters, after a line.
_HEAD = re.compile(r"\ndefine (?:internal )?([^@\n]*@([\w.]+)\([^\n]*\)[^\n)]*) \{$", re.MULTILINE)
_INTERNAL = re.compile(r"\ndefine internal [^@\n]*@([\w.]+)\(")
_DEFINITION = re.compile(r"\n(define [^\n]*) \{$", re.MULTILINE)
_NAME = re.compile(r"@([\w.$]+)")


def heads(functions: Iterable[FunctionText]) -> dict[str, str]:
    """The names that functions define, and how others declare them."""
    return {
        name: f"declare {head}"
        for one in functions
        for head, name in _HEAD.findall(f"\n{one.text}")
    }


def names_in(functions: Iterable[FunctionText]) -> set[str]:
    """All names that functions define or use."""
    return {
        name
        for function in functions
        for text in (function.text, *function.definitions.values())
        for name in _NAME.findall(text)
    }


def modules_of(
    functions: Sequence[FunctionText],
    outside: Mapping[str, str],
    exported: Iterable[str] = (),
) -> list[Module]:
    """outside: declarations of functions that lie elsewhere, by name; exported: names that others
    may ask for, beside those that are not internal. Much text is several modules, for several
    cores; which they are follows from the text alone."""
    fast = [one for one in functions if not one.plain]
    plain = [one for one in functions if one.plain]
    parts = [(part, FAST) for part in _parts(fast)]
    if fast and sum(len(one.text) for one in plain) < FEW:
        parts[-1] = ([*parts[-1][0], *map(_unoptimised, plain)], FAST)
    elif plain:
        parts.append((plain, PLAIN))
    defined = [heads(part) for part, _ in parts]
    known = {**outside, **{name: head for own in defined for name, head in own.items()}}
    needed = [
        {name: known[name] for name in names_in(part) & (known.keys() - own.keys())}
        for (part, _), own in zip(parts, defined, strict=True)
    ]
    visible = {*exported, *(name for names in needed for name in names)}
    return [
        Module(_text(part, visible, [head for _, head in sorted(others.items())]), level)
        for (part, level), others in zip(parts, needed, strict=True)
    ]


def _unoptimised(function: FunctionText) -> FunctionText:
    text = _DEFINITION.sub(r"\n\1 noinline optnone {", f"\n{function.text}")
    return replace(function, text=text[1:])


def _parts(functions: Sequence[FunctionText]) -> list[Sequence[FunctionText]]:
    """Functions in their order, in parts of about equal length, none much longer than PART."""
    ends = list(accumulate(len(one.text) for one in functions))
    if not ends:
        return []
    count = max(-(-ends[-1] // PART), 2 if ends[-1] > SHORT else 1)
    parts: list[list[FunctionText]] = [[] for _ in range(count)]
    for one, end in zip(functions, ends, strict=True):
        middle = end - len(one.text) // 2
        parts[min(middle * count // ends[-1], count - 1)].append(one)
    return [part for part in parts if part]


def _text(functions: Sequence[FunctionText], visible: set[str], declared: Sequence[str]) -> str:
    def exposed(found: re.Match[str]) -> str:
        return found[0].replace("define internal", "define") if found[1] in visible else found[0]

    text = _INTERNAL.sub(exposed, f"\n{module_text(functions)}")
    return "\n".join(declared) + text if declared else text[1:]
