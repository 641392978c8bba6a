"""Objects with a name and plain settings, such as initializers and losses; and their names

Each can be given as an object, as a class, as a name ("he_normal", "HeNormal") or as the dict that
describes it in a saved model.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar, cast

import numpy as np

import graphc as gc
from graphc.errors import Location

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def written() -> Location | None:
    """The user's line, for an error that is raised now."""
    sources = gc.constant(0).sources
    return sources[0] if sources else None


def parameter_error(message: str, fix: str, code: str = "E404") -> gc.ParameterError:
    """An argument outside what is allowed, with the user's line."""
    return gc.ParameterError(message, code=code, source=written(), fix=fix)


def undefined(owner: object, signature: str) -> gc.FunctionError:
    """The error of a class that lacks the method which makes it what it is."""
    return gc.FunctionError(
        f"{type(owner).__name__} does not define {signature}",
        code="E249",
        source=written(),
        fix=f"add def {signature} to class {type(owner).__name__}",
    )


def plain_number(value: Any) -> Any:
    """A number of numpy, or an array of one without axes, as a number of Python.

    float64 of numpy would make float64 of the weights that it meets, and no file holds it.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    return float(value) if isinstance(value, np.floating) else value


def with_plain_numbers(function: F) -> F:
    """The function with `plain_number` of each argument."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        plain = {name: plain_number(value) for name, value in kwargs.items()}
        return function(*map(plain_number, args), **plain)

    return cast("F", call)


class Configured:
    """A dataclass whose fields are plain values, or objects of this kind."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        checks = vars(cls).get("__post_init__")
        if checks is not None:

            def checked(self: Any) -> None:
                Configured.__post_init__(self)
                checks(self)

            cls.__post_init__ = checked  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            given = getattr(self, field.name, None)
            plain = plain_number(given)
            if plain is not given:
                object.__setattr__(self, field.name, plain)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain values, for JSON."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: described(getattr(self, field.name)) for field in fields if field.init}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that get_config described."""
        return cls(**config)


def described(value: Any) -> Any:
    """A setting as a plain value: objects become their class name and their settings."""
    if isinstance(value, Configured):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    return plain_number(value)


def plain(name: str) -> str:
    """One spelling of he_normal, HeNormal and he-normal."""
    return name.replace("_", "").replace("-", "").lower()


class Names(Generic[T]):
    """The classes of one kind by their names.

    kind: what an error calls them ("loss"). base: what all of them inherit from. aliases: other
    names of classes. wrap: makes an object of a function that users pass instead.
    """

    def __init__(
        self,
        kind: str,
        base: type[T],
        classes: Sequence[type[T]],
        aliases: Mapping[str, type[T]] | None = None,
        wrap: Callable[[Callable[..., Any]], T] | None = None,
    ) -> None:
        self.kind = kind
        self.base = base
        self.wrap = wrap
        self.shown = {cls.__name__: cls for cls in classes} | dict(aliases or {})
        self.classes = {plain(name): cls for name, cls in self.shown.items()}

    def find(self, name: str) -> type[T]:
        """The class of a name; ParameterError [E231] for one that is not known."""
        found = self.classes.get(plain(name))
        if found is None:
            near = difflib.get_close_matches(plain(name), list(self.classes), 1)
            names = [shown for shown in self.shown if plain(shown) in near] or list(self.shown)
            raise parameter_error(
                f"there is no {self.kind} called {name!r}",
                ("did you mean " if near else "use one of ") + ", ".join(sorted(names)),
                code="E231",
            )
        return found

    def get(self, given: Any) -> T:
        """The object of a name, a class, a dict {"class_name": ..., "config": ...}, or itself."""
        if isinstance(given, str):
            return self.find(given)()
        if isinstance(given, self.base):
            return given
        if isinstance(given, type) and issubclass(given, self.base):
            return given()
        if isinstance(given, Mapping) and "class_name" in given:
            cls: Any = self.find(given["class_name"])
            built: T = cls.from_config(given.get("config", {}))
            return built
        if self.wrap is not None and callable(given) and not isinstance(given, type):
            return self.wrap(given)
        raise parameter_error(
            f"{given!r} is no {self.kind}",
            f"pass a name, such as {next(iter(self.shown))!r}, or an object of a class with it",
            code="E231",
        )
