"""What users call: an argument of a kind that its annotation does not allow is told by its name.

`gc.sum(x, dim=1)`, `gc.concat(3)`, `gc.sum(x, 0, "float64")`. A call that succeeds pays nothing for
it but a look at switches and functions.
"""

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from graphc.errors import ArgumentError, GraphcError

F = TypeVar("F", bound=Callable[..., Any])

# What Python itself raises where an argument is not of the kind that the code was written for.
RAISED = (TypeError, ValueError, AttributeError, LookupError, OverflowError, AssertionError)
# Names in other libraries.
RENAMED = {
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "keep_dims": "keepdims",
    "size": "shape",
    "target": "cost",
    "argnums": "wrt",
    "stop_gradients": "consider_constant",
    "value": "fill_value",
    "ddof": "correction",
    "lam": "rate",
    "low": "minval",
    "high": "maxval",
    "avg": "loc",
    "mu": "loc",
    "std": "scale",
    "sigma": "scale",
    "pvals": "p",
    "probs": "p",
    "data_format": "layout",
}
# What to write for calls that other libraries take with one argument alone.
ALONE = {
    "where": "gc.nonzero(condition) has the places where it holds, as numpy.where(condition) has; "
    "else pass what to take there, and elsewhere: gc.where(condition, x1, x2)",
}
# What to write for arguments that functions here do not have.
INSTEAD = {
    "where": "take out before what does not count: gc.sum(gc.where(mask, x, 0)), "
    "gc.max(gc.where(mask, x, -gc.inf)), gc.average(x, weights=mask)",
    "decimals": "x.round(decimals) rounds to so many digits",
}
NOWHERE = 1 << 30  # the position of what is passed by name alone
KINDS: dict[Any, tuple[tuple[type, ...], str, str]] = {
    int: ((int, np.integer), "an integer", "integers"),
    np.integer: ((np.integer,), "an integer", "integers"),
    float: ((int, float, np.integer, np.floating), "a number", "numbers"),
    complex: ((int, float, complex, np.number), "a number", "numbers"),
    str: ((str,), "a string", "strings"),
    NoneType: ((NoneType,), "None", "None"),
    Callable: ((Callable,), "a function", "functions"),  # type: ignore[dict-item]
    Mapping: ((Mapping,), "a dict", "dicts"),
}


def surface(function: F, always: bool = False) -> F:
    """The function with errors for arguments that do not fit its annotations.

    always: all arguments are looked at, after the function itself had nothing to say of them: for
    constructors, which keep what would go wrong later.
    """
    code = inspect.unwrap(function).__code__
    places = {name: place for place, name in enumerate(code.co_varnames[: code.co_argcount])}
    kinds = [
        (places.get(name, NOWHERE), name, kind)
        for name, kind in function.__annotations__.items()
        if name != "return"
    ]
    at_once = tuple(one for one in kinds if _means_otherwise(one[2]))
    at_last = tuple(kinds) if always else ()

    def look(checked: Sequence[tuple[int, str, Any]], args: Any, kwargs: Any) -> None:
        for place, name, kind in checked:
            if place < len(args) or name in kwargs:
                value = args[place] if place < len(args) else kwargs[name]
                if not _fits(kind, value):
                    raise _unfit(function, _called(function, args), name, kind, value)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if at_once:
            look(at_once, args, kwargs)
        try:
            result = function(*args, **kwargs)
            if at_last:
                look(at_last, args, kwargs)
            return result
        except GraphcError:
            raise
        except RAISED:
            error = _explained(function, args, kwargs)
            if error is None:
                raise
            raise error from None

    return cast("F", call)


def check_fields(record: Any) -> None:
    """ArgumentError for a field of a dataclass that does not fit its annotation."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.init and not _fits(field.type, value):
            raise _unfit(type(record), type(record).__name__, field.name, field.type, value)


def _means_otherwise(kind: Any) -> bool:
    """Whether a wrong value would pass: "no" is true, and what is no function fails when called."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return all(part in (bool, NoneType) or get_origin(part) is Callable for part in parts)


def _explained(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ArgumentError | None:
    """What is wrong with the arguments, if they are what is wrong."""
    signature, called = inspect.signature(function), _called(function, args)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        return _unbound(called, signature, args, kwargs, str(error))
    for name, value in given.items():
        parameter = signature.parameters[name]
        several = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        for one in value if several else (value,):
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD and not _fits(
                parameter.annotation, one
            ):
                return _unfit(function, called, name, parameter.annotation, one)
    return None


def _unbound(
    called: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    text: str,
) -> ArgumentError:
    """Missing, superfluous and unknown arguments."""
    names = list(signature.parameters)
    fix = "pass the arguments that are named above"
    if len(args) == 1 and not kwargs:
        fix = ALONE.get(called, fix)
    first = next(iter(signature.parameters.values()))
    if args and isinstance(args[0], FunctionType) and not _fits(first.annotation, args[0]):
        fix = f"{called} takes what a function returns: gc.{called}(f(x), x), not gc.{called}(f)"
        return ArgumentError(f"{called}: {text}", details=[_shown(called, signature)], fix=fix)
    unknown = [name for name in kwargs if name not in names]
    if unknown:
        meant = difflib.get_close_matches(unknown[0], names, 1)
        if RENAMED.get(unknown[0]) in names:
            meant = [RENAMED[unknown[0]]]
        fix = f"use {meant[0]}=" if meant else INSTEAD.get(unknown[0], "use the names above")
    return ArgumentError(f"{called}: {text}", details=[_shown(called, signature)], fix=fix)


def _unfit(
    function: Callable[..., Any], called: str, name: str, kind: Any, value: Any
) -> ArgumentError:
    allowed = _words(kind)
    hint = ": f, not f(x)" if "a function" in allowed else ""
    return ArgumentError(
        f"{called}: {name}={' '.join(repr(value).split()):.60} is not {allowed}",
        details=[f"got {type(value).__name__}", _shown(called, inspect.signature(function))],
        fix=f"pass {allowed}{hint}",
    )


def _called(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """`sum`, and of a constructor `Dense`."""
    name = function.__name__
    return type(args[0]).__name__ if name == "__init__" and args else name


def _shown(called: str, signature: inspect.Signature) -> str:
    """`concat(arrays, axis=0)`"""
    empty = inspect.Parameter.empty
    shown = (one for one in signature.parameters.values() if one.name != "self")
    plain = [one.replace(annotation=empty) for one in shown]
    return f"{called}{inspect.Signature(plain)}"


def _fits(kind: Any, value: Any) -> bool:
    """Whether an annotation allows a value; what is not known here allows all."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(one, value) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if kind is bool:
        return isinstance(value, bool | np.bool_) or (type(value) is int and value in (0, 1))
    if origin is Sequence:
        fits = isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)
        fits = fits or (isinstance(value, np.ndarray) and value.ndim > 0)
        return fits and all(_fits(inner[0], one) for one in value)
    if isinstance(value, bool | np.bool_) and kind in (int, float, complex):
        return False
    if origin in KINDS:
        return isinstance(value, KINDS[origin][0])
    known = isinstance(origin, type) and kind not in (Any, inspect.Parameter.empty)
    return not known or isinstance(value, origin)


def _words(kind: Any) -> str:
    """`an integer or a list of integers`"""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    words = list(dict.fromkeys(map(_word, parts)))
    if "a size" in words:
        words = [word for word in words if word != "an integer"]
    return " or ".join(sorted(words, key=lambda word: word == "None"))


def _word(kind: Any) -> str:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if kind is bool:
        return "True or False"
    if origin is Sequence:
        names = [KINDS[one][2] for one in (get_origin(inner[0]) or inner[0],) if one in KINDS]
        return " of ".join(["a list", *names])
    if origin in KINDS:
        return KINDS[origin][1]
    name = getattr(origin, "__name__", "what it takes")
    return {"Dim": "a size", "PathLike": "a path"}.get(name, f"a {name}")
