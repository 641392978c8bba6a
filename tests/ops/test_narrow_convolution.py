"""Convolutions in half precision: sums in float32, where processors can, of pairs of bfloat16."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import backend as llvm_backend
from graphc.ops import convolution
from graphc.ops.bfloat16_pairs import BFLOAT16_PAIRS
from tests.backends.llvm.targets import lesser_target

Settings = dict[str, Any]
CASES: list[tuple[tuple[int, ...], tuple[int, ...], Settings]] = [
    ((2, 6, 9, 19), (8, 6, 3, 3), {"padding": 1}),
    ((3, 5, 8, 17), (7, 5, 3, 2), {"padding": "same"}),  # an odd number of channels, and of images
    ((2, 16, 10, 9), (32, 16, 4, 4), {"stride": 2, "padding": 1}),
    ((2, 3, 12, 40), (20, 3, 3, 3), {"dilation": 2}),
    ((1, 4, 7, 8), (6, 1, 3, 3), {"groups": 4, "stride": 2}),
    ((2, 6, 7, 8), (6, 3, 3, 3), {"groups": 2}),
    ((2, 1, 6, 18), (4, 1, 3, 3), {}),
    ((2, 8, 5, 6), (9, 8, 1, 1), {}),
    ((2, 9, 7, 4), (3, 3, 4, 6), {"layout": "NHWC"}),
    ((2, 6, 21), (16, 6, 5), {"padding": 2, "stride": 3}),
]
TOLERANCES = {"bfloat16": 2**-8, "float16": 2**-11}


def results_of(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], settings: Settings, dtype: str
) -> tuple[list[gc.Tensor], list[gc.Tensor]]:
    """A convolution, and its gradients by both operands for a given one of the result."""
    if "groups" in settings:
        shapes = shapes[0], (settings["groups"] * shapes[1][0], *shapes[1][1:])
    x, w = gc.placeholder("x", shapes[0], dtype), gc.placeholder("w", shapes[1], dtype)
    y = gc.nn.conv(x, w, **settings)
    g = gc.placeholder("g", y.shape, dtype)
    gradients = gc.grad(gc.sum(y * g), [x, w]) if dtype == "float64" else _vjp(y, [x, w], g)
    return [x, w, g], [y, *gradients]


def _vjp(y: gc.Tensor, inputs: list[gc.Tensor], g: gc.Tensor) -> list[gc.Tensor]:
    return list(gc.vjp([y], inputs, [g]))


def arrays_of(inputs: list[gc.Tensor], dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    kind = np.dtype(gc.bfloat16 if dtype == "bfloat16" else dtype)
    return [rng.normal(size=tuple(map(int, one.shape))).astype(kind) for one in inputs]


def check(run: Any, case: int, dtype: str) -> None:
    """run: makes a function of inputs and results."""
    first, second, settings = CASES[case]
    inputs, results = results_of((first, second), settings, dtype)
    arrays = arrays_of(inputs, dtype)
    found = run(inputs, results)(*arrays)
    given, exact = results_of((first, second), settings, "float64")
    wanted = gc.function(given, exact)(*(one.astype("f8") for one in arrays))
    for one, other in zip(found, wanted, strict=True):
        scale = np.abs(other).max(initial=1e-3)
        np.testing.assert_allclose(
            one.astype("f8"), other, rtol=TOLERANCES[dtype], atol=1e-5 * scale
        )


@pytest.mark.parametrize("pairs", [False, True], ids=["widened", "pairs"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_sums_are_of_float32(case: int, pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "multiplies_pairs", lambda: pairs)
    check(lambda inputs, results: gc.function(inputs, results, backend="llvm"), case, "bfloat16")
    if not pairs:
        check(lambda inputs, results: gc.function(inputs, results), case, "float16")


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu", "reference"])
def test_all_backends_multiply_pairs(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "multiplies_pairs", lambda: True)
    x, w = (
        gc.placeholder("x", (1, 3, 4, 5), "bfloat16"),
        gc.placeholder("w", (2, 3, 2, 2), "bfloat16"),
    )
    arrays = arrays_of([x, w], "bfloat16")
    f = gc.function([x, w], gc.nn.conv(x, w), backend=backend)
    wanted = gc.function([x, w], gc.nn.conv(x, w), backend="llvm")(*arrays)
    np.testing.assert_allclose(f(*arrays).astype("f4"), wanted.astype("f4"), rtol=2**-7)


@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
def test_processors_without_the_instruction(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with pairs runs there as well."""
    monkeypatch.setattr(convolution, "multiplies_pairs", lambda: True)
    x, w = (
        gc.placeholder("x", (2, 5, 6, 37), "bfloat16"),
        gc.placeholder("w", (9, 5, 3, 3), "bfloat16"),
    )
    y = gc.nn.conv(x, w, padding=1)
    f = gc.function([x, w], y, backend="llvm")
    target = lesser_target(name)
    monkeypatch.setattr(llvm_backend, "host", lambda: target)
    lesser = gc.function([x, w], y, backend="llvm", cache=False)
    assert "pair_product" in str(f.loops())
    arrays = arrays_of([x, w], "bfloat16")
    found, wanted = (one(*arrays).astype("f4") for one in (lesser, f))
    np.testing.assert_allclose(found, wanted, rtol=2**-7, atol=1e-5)


def test_numbers_of_images_that_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "multiplies_pairs", lambda: True)
    x, w = (
        gc.placeholder("x", ("n", 4, 6, 9), "bfloat16"),
        gc.placeholder("w", (5, 4, 3, 3), "bfloat16"),
    )
    g = gc.placeholder("g", ("n", 5, 4, 7), "bfloat16")
    results = _vjp(gc.nn.conv(x, w), [w], g)
    slopes = gc.function([x, w, g], results, backend="llvm", on_unused_input="ignore")
    for count in (0, 1, 2, 5):
        rng = np.random.default_rng(count)
        a, b, c = (
            rng.normal(size=shape).astype(gc.bfloat16)
            for shape in ((count, 4, 6, 9), (5, 4, 3, 3), (count, 5, 4, 7))
        )
        wanted = np.zeros((5, 4, 3, 3))
        for p in range(3):
            for q in range(3):
                part = a[:, :, p : p + 4, q : q + 7].astype("f8")
                wanted[:, :, p, q] = np.einsum("ncyx,noyx->oc", part, c.astype("f8"))
        np.testing.assert_allclose(slopes(a, b, c)[0].astype("f8"), wanted, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("size", [6, 7])
def test_pairs(size: int) -> None:
    x = gc.placeholder("x", (3, size), "bfloat16")
    values = np.arange(3 * size, dtype="f4").reshape(3, size).astype(gc.bfloat16)
    f = gc.function([x], BFLOAT16_PAIRS(x, axis=1))
    found = f(values).view(np.uint16).view(gc.bfloat16)
    np.testing.assert_array_equal(found[:, :size], values)
    np.testing.assert_array_equal(found[:, size:], 0)
