"""Records behave as the standard library's dataclasses do."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from graphc.records import dataclass


def define(decorator: Any) -> dict[str, Any]:
    """Classes with all that definitions use, made by one decorator."""

    @decorator(frozen=True, slots=True)
    class Point:
        x: int
        y: str = "y"
        tags: tuple[int, ...] = dataclasses.field(default=(), compare=False)

    @decorator(frozen=True, slots=True)
    class Point3(Point):
        """With one more."""

        z: float = 0.0

    @decorator
    class Plain:
        names: list[str] = dataclasses.field(default_factory=list)
        count: int = dataclasses.field(default=3, init=False, repr=False)

        def __post_init__(self) -> None:
            self.count += len(self.names)

    @decorator(frozen=True, kw_only=True)
    class Named:
        a: int
        b: int = 2

    @decorator(eq=False)
    class Alone:
        x: int

    @decorator(frozen=True)
    class Own:
        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    @decorator(frozen=True, slots=True)
    class Empty:
        pass

    every = (Point, Point3, Plain, Named, Alone, Own, Empty)
    return {one.__name__: one for one in every}


OURS, THEIRS = define(dataclass), define(dataclasses.dataclass)
SAMPLES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Point", (1,), {}),
    ("Point", (1, "z"), {"tags": (4,)}),
    ("Point3", (1, "z", (), 2.5), {}),
    ("Plain", (), {}),
    ("Plain", (["a"],), {}),
    ("Named", (), {"a": 1}),
    ("Alone", (1,), {}),
    ("Own", (1,), {}),
    ("Empty", (), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), SAMPLES)
def test_as_in_the_standard_library(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    ours, theirs = OURS[name](*args, **kwargs), THEIRS[name](*args, **kwargs)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert ours.__match_args__ == theirs.__match_args__
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")
    same, same_of_theirs = OURS[name](*args, **kwargs), THEIRS[name](*args, **kwargs)
    assert (ours == same) == (theirs == same_of_theirs)
    assert ours != theirs or name == "Own"
    if THEIRS[name].__hash__ is None:
        assert OURS[name].__hash__ is None
    else:
        assert (hash(ours) == hash(same)) == (hash(theirs) == hash(same_of_theirs))
    signature, expected = inspect.signature(OURS[name]), inspect.signature(THEIRS[name])
    assert list(signature.parameters) == list(expected.parameters)
    assert [p.kind for p in signature.parameters.values()] == [
        p.kind for p in expected.parameters.values()
    ]
    assert repr(copy.copy(ours)) == repr(copy.deepcopy(ours)) == repr(ours)


@pytest.mark.parametrize("name", ["Point", "Point3", "Named", "Own"])
def test_frozen(name: str) -> None:
    made = OURS[name](x=1) if name != "Named" else OURS[name](a=1)
    field = dataclasses.fields(made)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"assign to field '{field}'"):
        setattr(made, field, 2)
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"delete field '{field}'"):
        delattr(made, field)
    assert getattr(made, field) == 1


def test_equality_is_of_one_class_and_of_compared_fields() -> None:
    Point, Point3 = OURS["Point"], OURS["Point3"]
    assert Point(1) == Point(1, tags=(9,)) != Point(2)
    assert Point(1) != Point3(1)
    assert len({Point(1), Point(1, tags=(3,)), Point(1, "x")}) == 2


def test_replace_makes_another() -> None:
    made = OURS["Point3"](1)
    assert dataclasses.replace(made, z=1.0) == OURS["Point3"](1, z=1.0)
    with pytest.raises(TypeError, match="unexpected keyword"):
        dataclasses.replace(made, other=1)


def test_missing_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        OURS["Point"]()


@dataclass(frozen=True, slots=True)
class AtModuleLevel:
    x: int
    y: list[int]


def test_pickled() -> None:
    made = AtModuleLevel(1, [2])
    assert pickle.loads(pickle.dumps(made)) == made
