"""Functions as modules of LLVM: those that take time, and those that only call others.

The second kind is compiled by LLVM's quick code generator: it takes a fifth of the time, and what
stands between two calls of kernels need not be good code. Such functions name functions of the
first kind, never the other way round.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from graphc.backends.llvm.jit import FAST, PLAIN, Module
from graphc.backends.llvm.text import FunctionText, module_text

_HEAD = re.compile(r"^define (?:internal )?([^@\n]*@([\w.]+)\([^\n]*\)[^\n)]*) \{$", re.MULTILINE)
_INTERNAL = re.compile(r"^define internal [^@\n]*@([\w.]+)\(", re.MULTILINE)
_NAME = re.compile(r"@([\w.$]+)")


def heads(functions: Iterable[FunctionText]) -> dict[str, str]:
    """The names that functions define, and how others declare them."""
    return {name: f"declare {head}" for one in functions for head, name in _HEAD.findall(one.text)}


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
    may ask for, beside those that are not internal."""
    fast = [one for one in functions if not one.plain]
    plain = [one for one in functions if one.plain]
    used = names_in(plain)
    visible = {*exported, *(heads(fast).keys() & used)}
    modules = []
    if fast:
        needed = _declared(outside, names_in(fast)) if outside else []
        modules.append(Module(_text(fast, visible, needed), FAST))
    if plain:
        needed = _declared({**outside, **heads(fast)}, used)
        modules.append(Module(_text(plain, visible, needed), PLAIN))
    return modules


def _declared(heads: Mapping[str, str], used: set[str]) -> list[str]:
    return [heads[name] for name in sorted(heads.keys() & used)]


def _text(functions: Sequence[FunctionText], visible: set[str], declared: Sequence[str]) -> str:
    def exposed(found: re.Match[str]) -> str:
        return found[0].replace("define internal", "define") if found[1] in visible else found[0]

    return "\n".join([*declared, _INTERNAL.sub(exposed, module_text(functions))])
