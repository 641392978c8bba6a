"""Random compositions of transforms: cut and filled, of all norms, mapped and in loops, with
derivatives; beside numpy in double precision, and with the same bits on two threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

PROGRAMS = 12
NORMS = ("backward", "ortho", "forward")
Step = Callable[[Any, Any], Any]  # of a module fft and an array


def drawn_step(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> tuple[Step, str]:
    """A transform of an array of this shape, and its name."""
    real, axis = dtype[0] == "f", int(rng.integers(-len(shape), len(shape)))
    names = ["fft", "ifft", "irfft", "hfft", "fftn", "ifftn", "fftshift"]
    name = str(rng.choice([*names, "rfft", "ihfft", "rfftn"] if real else [*names, "irfftn"]))
    norm = str(rng.choice(NORMS))
    if name == "fftshift":
        return lambda module, x: module.fftshift(x, axes=axis), name
    if name.endswith("n"):
        axes = [int(one) for one in rng.permutation(len(shape))[: int(rng.integers(1, 3))]]
        sizes = [max(2, shape[one] + int(rng.integers(-2, 3))) for one in axes]
        return lambda m, x: getattr(m, name)(x, s=sizes, axes=axes, norm=norm), f"{name} {sizes}"
    points = max(2, shape[axis] + int(rng.integers(-3, 4)))
    return lambda m, x: getattr(m, name)(x, n=points, axis=axis, norm=norm), f"{name} {points}"


def drawn_program(rng: np.random.Generator, x: np.ndarray) -> tuple[Step, str]:
    steps: list[Step] = []
    names: list[str] = []
    for _ in range(int(rng.integers(1, 4))):
        step, name = drawn_step(rng, x.shape, x.dtype.name)
        x = step(np.fft, x)
        steps.append(step)
        names.append(name)

    def program(module: Any, value: Any) -> Any:
        for step in steps:
            value = step(module, value)
        return value

    return program, " ".join(names)


def agrees(found: Any, expected: Any, single: bool, label: str) -> None:
    expected = np.asarray(expected)
    scale = max(float(np.abs(expected).max(initial=0)), 1e-20)
    assert found.shape == expected.shape, label
    assert np.abs(found - expected).max(initial=0) <= (1e-5 if single else 1e-12) * scale, label


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_compositions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    single, kind = seed % 3 == 0, ("plain", "mapped", "scanned", "gradient")[seed % 4]
    sizes = [int(rng.choice([1, 2, 3, 5, 8, 12, 16, 17, 25, 64, 90])) for _ in range(2)]
    rows = int(rng.choice([0, 1, 2, 9]))
    wide = rng.normal(size=(rows, *sizes))
    program, label = drawn_program(rng, np.zeros(sizes))
    label = f"{kind} {rows} {sizes}: {label}"
    dtype = "float32" if single else "float64"
    arrays = wide.astype(dtype)
    x = gc.placeholder("x", ("rows", *sizes), dtype)
    expected = [program(np.fft, one.astype("float64")) for one in arrays]
    outputs: list[gc.Tensor] = [gc.vmap(lambda one: program(gc.fft, one))(x)]
    if kind == "scanned":
        outputs.append(gc.scan(lambda c, one: (c, program(gc.fft, one)), 0, x)[1])
    if kind == "gradient":  # <J^T J v, v> = |J v|^2, as transforms are linear
        squares = gc.sum(gc.square(gc.real(outputs[0])) + gc.square(gc.imag(outputs[0])))
        if outputs[0].dtype.kind == "f":
            squares = gc.sum(gc.square(outputs[0]))
        outputs.append(gc.sum(gc.grad(squares, x) * x) / 2)
    bits = []
    for options in ({"threads": 1}, {"threads": 2}, {"backend": "reference"}):
        found = gc.function([x], outputs, cache=False, **options)(arrays)
        whole = np.stack(expected) if rows else np.zeros(found[0].shape)
        agrees(found[0], whole, single, label)
        if kind == "scanned":
            agrees(found[1], whole, single, label)
        if kind == "gradient":
            np.testing.assert_allclose(found[1], (np.abs(whole) ** 2).sum(), rtol=1e-4)
        bits.append([one.tobytes() for one in found])
    assert bits[0] == bits[1], label
