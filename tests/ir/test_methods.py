"""Methods of tensors mean what numpy's mean; those of other libraries are told."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import ELSEWHERE

X = np.random.default_rng(0).normal(size=(3, 4, 2)).round(3)


@pytest.mark.parametrize(
    "method",
    [
        lambda x: x.ravel(),
        lambda x: x.flatten(),
        lambda x: x.copy(),
        lambda x: x.swapaxes(0, 2),
        lambda x: x.T,
        lambda x: x[:, 0].dot(x[0, 0]),
        lambda x: x.dot(x[0, 0]),
        lambda x: x.take([3, -1]),
        lambda x: x.take([1, 0, 0], axis=1),
        lambda x: x.repeat(2),
        lambda x: x.repeat(3, axis=1),
        lambda x: x.diagonal(),
        lambda x: x[0].trace(),
        lambda x: x.argsort(0),
        lambda x: x.cumsum(),
        lambda x: x.cumsum(axis=1),
        lambda x: x.cumprod(),
        lambda x: x.cumprod(-1),
        lambda x: x.round(),
        lambda x: x.round(2),
        lambda x: (x * 1000).round(-2),
        lambda x: round(x[0, 0, 0] * 1, 1),
        lambda x: divmod(x, 0.3)[0],
        lambda x: divmod(x, 0.3)[1],
        lambda x: divmod(2.0, x + 5)[1],
        lambda x: x.sum(1, dtype="float32"),
        lambda x: x.prod(dtype="float32"),
        lambda x: x.mean(dtype="float32"),
    ],
)
def test_methods_are_those_of_numpy(method: Callable[[Any], Any]) -> None:
    x = gc.placeholder("x", X.shape, "float64")
    wanted = np.asarray(method(X))
    found = gc.run(method(x), {x: X})
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if found.dtype == "float32" else 1e-12)


def test_flatten_keeps_axes_as_in_theano() -> None:
    x = gc.placeholder("x", ("n", 3, 4))
    assert x.flatten(2).shape == (gc.dim("n"), 12)
    assert x.flatten(3).shape == x.shape
    assert gc.constant(1.0).flatten().shape == (1,)
    for wrong in (0, 4, "F"):
        with pytest.raises(gc.ShapeError, match=r"flatten: .* axes of a tensor of 3"):
            x.flatten(wrong)  # type: ignore[arg-type]


def test_round_of_integers_keeps_them() -> None:
    x = gc.constant(np.array([15, 25, 149]))
    assert gc.run(x.round(-1)).tolist() == np.array([15, 25, 149]).round(-1).tolist()
    assert x.round(2).dtype == x.dtype


def test_deviations_have_a_correction() -> None:
    x = gc.constant(X)
    np.testing.assert_allclose(gc.run(x.std(0, correction=1)), X.std(0, ddof=1))
    np.testing.assert_allclose(gc.run(x.var(correction=2)), X.var(ddof=2))
    with pytest.raises(gc.ArgumentError, match="use correction="):
        gc.var(x, ddof=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_methods_of_other_libraries_are_told(name: str) -> None:
    x = gc.placeholder("x", ("n",))
    assert not hasattr(x, name)
    with pytest.raises(gc.SymbolicAttributeError, match=f"has no .{name}") as found:
        getattr(x, name)
    assert ELSEWHERE[name] in str(found.value)
    if ELSEWHERE[name].startswith("use gc."):
        place: Any = gc
        for part in ELSEWHERE[name][7:].split("(")[0].split(",")[0].split("."):
            place = getattr(place, part)
