"""verify_grad passes what is right and reports what is wrong."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import OPS

VALUES = np.array([[0.5, -1.2, 2.0], [0.1, 0.9, -0.3]])


def test_right_derivatives_pass() -> None:
    gc.verify_grad(lambda x: gc.tanh(x).sum(axis=0), [VALUES])
    gc.verify_grad(lambda x, y: [x @ y, gc.exp(x)], [VALUES, VALUES.T], rng=1)
    gc.verify_grad(lambda x: x * 2, [3.0])
    gc.verify_grad(lambda x: x * 2, [np.zeros((0, 3))])


def test_integers_are_passed_as_they_are() -> None:
    gc.verify_grad(lambda x, n: x * n.astype("float64"), [VALUES, np.array([1, 2, 3])])


def test_large_inputs() -> None:
    gc.verify_grad(lambda x: gc.log(x), [np.array([1e-3, 1.0, 1e3])], epsilon=1e-7)


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_other_backends(backend: str) -> None:
    gc.verify_grad(lambda x, y: gc.tanh(x @ y).sum(axis=0), [VALUES, VALUES.T], backend=backend)
    wrong = gc.custom_gradient(lambda x: (gc.sin(x), lambda dy: dy * x))
    with pytest.raises(gc.GradientError, match="differs from finite differences"):
        gc.verify_grad(wrong, [VALUES], backend=backend)


def broken(**changes: Any) -> Callable[[Any], Any]:
    return dataclasses.replace(OPS["sin"], name="broken", **changes)


def test_a_wrong_gradient_rule_is_located() -> None:
    def vjp(b: Any, application: Any, gradients: Any) -> Any:
        weights = np.ones((2, 3))
        weights[1, 2] = 2
        return [gradients[0] * b.cos(application.inputs[0]) * weights]

    op = broken(vjp=vjp)
    with pytest.raises(gc.GradientError) as caught:
        gc.verify_grad(lambda x: op(x), [VALUES])
    text = str(caught.value)
    assert "[E308] vjp differs from finite differences" in text
    first = text.splitlines()[1]
    assert first.strip().startswith("input 0 [1, 2]: analytic")
    assert "test_gradient_check.py:" in text


def test_a_wrong_forward_rule_is_located() -> None:
    op = broken(jvp=lambda b, application, tangents: [tangents[0]])
    with pytest.raises(gc.GradientError, match=r"jvp differs") as caught:
        gc.verify_grad(lambda x: op(x), [VALUES])
    assert "output 0 [" in str(caught.value)


def test_nan_is_a_mismatch() -> None:
    with pytest.raises(gc.GradientError, match=r"\[E308\]"):
        gc.verify_grad(lambda x: gc.sqrt(x), [np.array([0.0])])


def test_nothing_to_differentiate() -> None:
    with pytest.raises(gc.GradientError, match=r"\[E306\]"):
        gc.verify_grad(lambda n: n * 2, [np.array([1, 2])])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rng", value) for value in (-1, "a", 1.5)),
        *(("rtol", value) for value in (1j, -1.0, float("nan"), True)),
        *(("atol", value) for value in (1j, -1.0, float("nan"))),
        *(("epsilon", value) for value in (1j, 0.0, -1e-3, float("nan"), float("inf"))),
        *(("directions", value) for value in (0, -1, 1.5)),
    ],
)
def test_odd_options(name: str, value: Any) -> None:
    with pytest.raises(gc.ParameterError, match=f"verify_grad: {name}=") as caught:
        gc.verify_grad(lambda x: x * 2, [VALUES], **{name: value})
    assert caught.value.code == "E404" and caught.value.fix
    assert caught.value.source is not None


def test_generators_of_all_kinds() -> None:
    for rng in (np.random.default_rng(1), np.random.SeedSequence(2), [1, 2], 2**70, None):
        gc.verify_grad(lambda x: x * 2, [VALUES], rng=rng)  # type: ignore[arg-type]
