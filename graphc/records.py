"""Dataclasses whose definition costs little: `import graphc` defines some two hundred of them.

The decorator of the standard library compiles six functions a class. Here one is compiled, the
constructor; equality and hashes when they are first asked for; the others are the same code for
every class. Fields, `replace`, `__post_init__`, `__match_args__`, slots and defaults are the
standard library's own.
"""

import dataclasses
from collections.abc import Callable
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

__all__: list[str] = []

MADE = f"{__file__} (constructor)"
EQUAL = """\
 if other.__class__ is not self.__class__:
  return NotImplemented
 return {}=={}"""

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        slots: bool = False,
        eq: bool = True,
        kw_only: bool = False,
    ) -> Any:
        """As `dataclasses.dataclass`; the options that it does not take are not used here."""

        def defined(cls: type) -> type:
            return _defined(cls, frozen, slots, eq, kw_only)

        return defined if cls is None else defined(cls)


def _defined(cls: type, frozen: bool, slots: bool, eq: bool, kw_only: bool) -> type:
    own = vars(cls)
    explicit = {name for name in ("__init__", "__repr__", "__eq__") if name in own}
    hashes = own.get("__hash__") is not None or ("__hash__" in own and "__eq__" not in own)
    if cls.__doc__ is None:  # else the signature would be written there, which takes long
        cls.__doc__ = cls.__name__
    cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
    fields = dataclasses.fields(cls)
    names = tuple(one.name for one in fields)
    made: dict[str, Any] = {}
    if "__init__" not in explicit:
        made["__init__"] = _constructor(cls, fields, frozen)
    if "__repr__" not in explicit:
        made["__repr__"] = _representation(tuple(one.name for one in fields if one.repr))
    if eq:
        values = _values(tuple(one.name for one in fields if one.compare))
        if "__eq__" not in explicit:
            made["__eq__"] = _late(cls, "__eq__", "self,other", EQUAL.format(*values))
        if not hashes:
            text = f" return hash({values[0]})"
            made["__hash__"] = _late(cls, "__hash__", "self", text) if frozen else None
    if frozen:
        made["__setattr__"], made["__delattr__"] = _refusals(cls, frozenset(names))
        if slots:
            made["__getstate__"], made["__setstate__"] = _states(names)
    for name, method in made.items():
        if callable(method):
            method.__name__ = name
            method.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, method)
    return cls


def _constructor(
    cls: type, fields: tuple[dataclasses.Field[Any], ...], frozen: bool
) -> Callable[..., None]:
    """`__init__` with a parameter per field."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
    positional: list[str] = []
    named: list[str] = []
    lines: list[str] = []
    for one in fields:
        value = one.name
        if one.default_factory is not dataclasses.MISSING:
            known[f"_make_{one.name}"] = one.default_factory
            value = f"_make_{one.name}()"
            if one.init:
                value += f" if {one.name} is _missing else {one.name}"
        elif one.default is not dataclasses.MISSING:
            known[f"_default_{one.name}"] = one.default
            if not one.init:
                value = f"_default_{one.name}"
        elif not one.init:
            continue
        if one.init:
            parameter = one.name
            if one.default_factory is not dataclasses.MISSING:
                parameter += "=_missing"
            elif one.default is not dataclasses.MISSING:
                parameter += f"=_default_{one.name}"
            (named if one.kw_only else positional).append(parameter)
        place = vars(cls).get(one.name)
        if not frozen:
            lines.append(f" self.{one.name}={value}")
        elif isinstance(place, MemberDescriptorType):
            known[f"_set_{one.name}"] = place.__set__
            lines.append(f" _set_{one.name}(self,{value})")
        else:
            lines.append(f" _set(self,{one.name!r},{value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    if named:
        positional += ["*", *named]
    scope: dict[str, Any] = {}
    head = f"def __init__({','.join(['self', *positional])}):\n"
    # The name of the file says that it is graphc's: errors name the line that calls it.
    exec(compile(head + "\n".join(lines or [" pass"]), MADE, "exec"), known, scope)
    made: Callable[..., None] = scope["__init__"]
    made.__annotations__ = {one.name: one.type for one in fields if one.init}
    return made


def _values(names: tuple[str, ...]) -> tuple[str, str]:
    """What stands for two objects where they are compared, as Python."""
    own = "".join(f"self.{name}," for name in names)
    return f"({own})", f"({own})".replace("self.", "other.")


def _late(cls: type, name: str, parameters: str, body: str) -> Callable[..., Any]:
    """A method that is compiled when it is first called."""

    def first(*arguments: Any) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def {name}({parameters}):\n{body}", {}, scope)
        method = scope[name]
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        if vars(cls).get(name) is first:
            setattr(cls, name, method)
        return method(*arguments)

    return first


def _representation(names: tuple[str, ...]) -> Callable[[Any], str]:
    def representation(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return representation


def _refusals(cls: type, names: frozenset[str]) -> tuple[Callable[..., None], Callable[..., None]]:
    """`__setattr__` and `__delattr__` of frozen objects."""

    def assign(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    return assign, delete


def _states(names: tuple[str, ...]) -> tuple[Callable[..., Any], Callable[..., None]]:
    """How frozen objects with slots are copied."""

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restored(self: Any, values: list[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    return state, restored
