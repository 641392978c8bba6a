"""`jit`: a Python function of tensors becomes one of arrays."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MethodType
from typing import Any, overload

import numpy as np

from graphc.conversion import SURE, as_array, is_weak_value, loss, shown
from graphc.dtypes import DType, as_dtype, default_complex, default_float, default_int, kind_of
from graphc.errors import ArgumentError, DTypeError, FeedTypeError
from graphc.function import Function, function
from graphc.ir.leaf import placeholder
from graphc.ir.source import current_source
from graphc.ir.storage import ProcessLock
from graphc.ir.tensor import Tensor
from graphc.structure import Structure, flatten
from graphc.surface import surface

__all__ = ["jit"]

Signature = tuple[Structure, tuple[type, ...], tuple[tuple[DType, tuple[bool, ...]], ...]]


MOST_RECENT = 256  # kinds of arguments whose function is remembered


class Jitted:
    """What `jit` returns. `functions` holds what was compiled so far, one per signature."""

    __name__: str

    def __init__(self, traced: Callable[..., Any], backend: str) -> None:
        functools.update_wrapper(self, traced)
        self.__wrapped__ = traced
        self.backend = backend
        self.parameters = _signature_of(traced)
        self._compiled: dict[Signature, Function] = {}
        self._recent: dict[tuple[Any, ...], tuple[Function, list[int] | None]] = {}
        self._compiling = ProcessLock()

    @property
    def functions(self) -> list[Function]:
        return list(self._compiled.values())

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        leaves: list[Any] = []
        seen: list[Any] = [*kwargs]
        clear = _survey(args, leaves, seen) and _survey(kwargs.values(), leaves, seen)
        key = tuple(seen)
        found = self._recent.get(key) if clear else None
        if found is not None:
            compiled, order = found
            return compiled(*(leaves if order is None else map(leaves.__getitem__, order)))
        answer, used = self._call(args, kwargs)
        if clear and used is not None:
            if len(self._recent) >= MOST_RECENT:
                self._recent = {}
            self._recent[key] = used, self._order(args, kwargs) if kwargs else None
        return answer

    def _order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int]:
        """Where the leaves of the parameters are among those of the arguments as they are given."""
        leaves, structure = flatten((args, kwargs))
        by_position, by_name = structure.pack(range(len(leaves)))
        return flatten(self.parameters.bind(*by_position, **by_name).arguments)[0]

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Function | None]:
        """The answer, and the function that gave it."""
        given = self.parameters.bind(*args, **kwargs)
        leaves, structure = flatten(given.arguments)
        if any(isinstance(leaf, Tensor) for leaf in leaves):  # inside another function
            return self.__wrapped__(*args, **kwargs), None
        arrays = _arrays(leaves, structure)
        keys = tuple(type(part) for path in structure.paths() for part in path)  # 1, True, 1.0
        key = (structure, keys, tuple((a.dtype, tuple(n == 1 for n in a.shape)) for a in arrays))
        compiled = self._compiled.get(key)
        if compiled is None:
            with self._compiling.current():
                compiled = self._compiled.get(key)
                if compiled is None:
                    compiled = self._compiled[key] = self._compile(structure, arrays)
        return compiled(*arrays), compiled

    def _compile(self, structure: Structure, arrays: Sequence[np.ndarray]) -> Function:
        inputs = [
            placeholder(name, [1 if size == 1 else None for size in array.shape], array.dtype)
            for name, array in zip(_names(structure.paths()), arrays, strict=True)
        ]
        given = inspect.BoundArguments(self.parameters, structure.pack(inputs))
        name = getattr(self.__wrapped__, "__name__", "")
        return function(
            inputs,
            self.__wrapped__(*given.args, **given.kwargs),
            backend=self.backend,
            name=name if name.isidentifier() else "jitted",
            on_unused_input="ignore",
        )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        name = getattr(self.__wrapped__, "__qualname__", "function")
        return f"<graphc jit of {name}, compiled for {len(self._compiled)} signatures>"


class JittedByValues:
    """What `jit` returns for functions with static arguments: a `Jitted` for their every value."""

    __name__: str

    def __init__(
        self, traced: Callable[..., Any], backend: str, static: Sequence[int | str]
    ) -> None:
        functools.update_wrapper(self, traced)
        self.__wrapped__ = traced
        self.backend = backend
        self.parameters = _signature_of(traced)
        self.static = [_parameter_name(self.parameters, one) for one in static]
        dynamic = [p for p in self.parameters.parameters.values() if p.name not in self.static]
        self._dynamic = self.parameters.replace(parameters=dynamic)
        self._by_values: dict[tuple[Any, ...], Jitted] = {}

    @property
    def functions(self) -> list[Function]:
        return [one for jitted in self._by_values.values() for one in jitted.functions]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        given = self.parameters.bind(*args, **kwargs).arguments
        defaults = self.parameters.parameters
        values = {name: given.pop(name, defaults[name].default) for name in self.static}
        key = tuple((type(value), value) for value in values.values())  # 1, True, 1.0
        try:
            jitted = self._by_values.get(key)
        except TypeError:
            raise _unhashable(self.__name__, values) from None
        if jitted is None:
            jitted = self._by_values.setdefault(key, Jitted(self._bound(values), self.backend))
        rest = inspect.BoundArguments(self._dynamic, given)
        return jitted(*rest.args, **rest.kwargs)

    def _bound(self, values: dict[str, Any]) -> Callable[..., Any]:
        """The traced function of the arguments that are not static."""

        def traced(*args: Any, **kwargs: Any) -> Any:
            found = self._dynamic.bind(*args, **kwargs).arguments | values
            ordered = {name: found[name] for name in self.parameters.parameters if name in found}
            every = inspect.BoundArguments(self.parameters, ordered)
            return self.__wrapped__(*every.args, **every.kwargs)

        functools.update_wrapper(traced, self.__wrapped__)
        traced.__signature__ = self._dynamic  # type: ignore[attr-defined]
        return traced

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        name = getattr(self.__wrapped__, "__qualname__", "function")
        return f"<graphc jit of {name}, for {len(self._by_values)} values of {self.static}>"


def _parameter_name(signature: inspect.Signature, static: int | str) -> str:
    """The parameter that a number or name of a static argument stands for."""
    names = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if isinstance(static, str) and static in names:
        return static
    if isinstance(static, int) and -len(names) <= static < len(names):
        return names[static]
    raise ArgumentError(
        f"jit: no parameter {static!r} that can be static",
        details=[f"the function is {signature}"],
        fix=f"name one of {', '.join(names)}" if names else "give it named parameters",
    )


def _unhashable(function: str, values: dict[str, Any]) -> ArgumentError:
    without = [name for name, value in values.items() if not _has_hash(value)]
    kinds = ", ".join(type(values[name]).__name__ for name in without)
    return ArgumentError(
        f"{function}: static {', '.join(without)} of type {kinds} without a hash",
        fix="pass a tuple for a list; arrays are no static arguments",
    )


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


Static = int | str | Sequence[int | str] | None


@overload
def jit(traced: Callable[..., Any], *, backend: str = "auto") -> Jitted: ...
@overload
def jit(
    traced: None = None, *, backend: str = "auto"
) -> Callable[[Callable[..., Any]], Jitted]: ...
@overload
def jit(
    traced: Callable[..., Any],
    *,
    backend: str = "auto",
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> JittedByValues: ...
@overload
def jit(
    traced: None = None,
    *,
    backend: str = "auto",
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], JittedByValues]: ...
@surface
def jit(
    traced: Callable[..., Any] | None = None,
    *,
    backend: str = "auto",
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Any:
    """Compile a Python function of tensors at its first call; usable as a decorator.

    Arguments are arrays and numbers, also in lists, tuples and dicts, by position or by name; the
    result is any such structure of tensors. The function is traced once per combination of
    structures, dtypes, ranks and axes of size 1 (which broadcast); all other sizes are symbolic,
    so no call recompiles for another size. Python's numbers take the widest dtype of their kind
    among the arrays, else float32 and int64. Arguments that are left out keep their default, which
    is part of the traced function.

    static_argnums, static_argnames: arguments, by position or name, that the function gets as they
    are: sizes, options, functions, `self`. It is traced again for every other value of theirs,
    which must have a hash. ArgumentError for others, and for parameters that the function lacks.

    >>> power = gc.jit(lambda x, n: x if n == 1 else x * x, static_argnums=1)
    """
    if traced is None:
        given = {"static_argnums": static_argnums, "static_argnames": static_argnames}
        return functools.partial(jit, backend=backend, **given)
    static = [*_several(static_argnums), *_several(static_argnames)]
    return JittedByValues(traced, backend, static) if static else Jitted(traced, backend)


def _several(static: Static) -> Sequence[int | str]:
    return () if static is None else (static,) if isinstance(static, int | str) else static


def _survey(values: Iterable[Any], leaves: list[Any], seen: list[Any]) -> bool:
    """Adds the leaves, and what decides which function they go to: how they are nested, dtypes and
    shapes, types and ranges of numbers. False if some have to be looked at every time."""
    for value in values:
        kind = type(value)
        if kind is np.ndarray:
            seen += (value.dtype.type, value.shape)
        elif kind is int:
            seen += (kind, (value if value >= 0 else ~value).bit_length(), value < 0)
        elif kind is float or kind is complex:
            if not abs(value) <= SURE:
                return False
            seen.append(kind)
        elif kind is bool or isinstance(value, np.generic):
            seen.append(kind)
        elif kind is dict:
            seen += (kind, tuple(value), *map(type, value))
            if not _survey(value.values(), leaves, seen):
                return False
            continue
        elif kind is list or kind is tuple:
            seen += (kind, len(value))
            if not _survey(value, leaves, seen):
                return False
            continue
        else:
            return False
        leaves.append(value)
    return True


def _signature_of(traced: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(traced)
    except (TypeError, ValueError):  # some builtins have none
        return inspect.Signature([inspect.Parameter("x", inspect.Parameter.VAR_POSITIONAL)])


def _arrays(leaves: Sequence[Any], structure: Structure) -> list[np.ndarray]:
    """Every leaf as an array of a dtype that graphc knows."""
    arrays: list[np.ndarray] = []
    for position, leaf in enumerate(leaves):
        try:
            array = as_array(leaf)
            arrays.append(array.astype(as_dtype(array.dtype), copy=False))
        except (TypeError, ValueError) as error:
            name = _names(structure.paths())[position]
            raise FeedTypeError(
                f"jit: argument {name} is no array of numbers: {shown(leaf)}",
                code="E202",
                details=[error.message if isinstance(error, DTypeError) else str(error)],
                source=current_source(),
                fix="pass arrays and numbers; other values belong into the function itself",
            ) from None
    weak = [is_weak_value(leaf) for leaf in leaves]
    strong = [a.dtype for a, is_weak in zip(arrays, weak, strict=True) if not is_weak]
    for position, array in enumerate(arrays):
        if weak[position]:
            wanted = _weak_dtype(array, strong)
            arrays[position] = array.astype(wanted, copy=False)
    return arrays


def _weak_dtype(array: np.ndarray, strong: Sequence[DType]) -> DType:
    """The widest dtype of the number's kind among the arrays, if the number is in its range."""
    kinds = {"f": "f", "i": "iu", "u": "iu"}.get(kind_of(array.dtype), "")
    usual = {"f": default_float, "c": default_complex, "i": default_int}.get(
        kind_of(array.dtype), array.dtype
    )
    same = [dtype for dtype in strong if kind_of(dtype) in kinds]
    widest = max(same, key=lambda dtype: dtype.itemsize, default=usual)
    return widest if loss(array, widest, weak=True) is None else usual


def _names(paths: Iterator[tuple[Any, ...]]) -> list[str]:
    """Names of the placeholders: `x` for a parameter, `layers_0_w` for a part of one."""
    names: dict[str, None] = {}
    for path in paths:
        text = "_".join(map(str, path))
        name = "".join(c if c.isidentifier() or c.isdecimal() else "_" for c in text).lstrip("_")
        name = name if name.isidentifier() else f"x_{name}"
        while name in names:
            name += "_"
        names[name] = None
    return list(names)
