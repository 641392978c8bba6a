"""Every registered op on its own examples: types, dtypes, lowering and derivatives.

A new op is tested here as soon as it is registered; its examples say where.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import graphc as gc
import graphc.nn  # registers its functions
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.dtypes import is_complex, is_inexact
from graphc.errors import DTypeError
from graphc.gradient_check import verify_grad
from graphc.ir.lowering import Composite, Elementwise, LoweringContext
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Example, OpDef
from graphc.ir.registry import BUILDER, OPS
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.scalar.evaluate import evaluate_expr
from graphc.scalar.expr import Local
from graphc.shapes import Dim, Size

LEAVES = {"placeholder", "variable", "constant", "dim"}
# These make float64 of their own accord: the dtype is an argument.
DTYPE_IS_ARGUMENT = {"astype", "bitcast", "one_hot"}
DTYPES = ("float64", "float32", "int32", "int64", "bool")
NAMES = sorted(set(OPS) - LEAVES)


def examples_of(name: str) -> list[Example]:
    make = OPS[name].examples
    assert make is not None
    return make(np.random.default_rng(zlib.crc32(name.encode())))


def in_dtype(array: np.ndarray, dtype: str) -> np.ndarray:
    """Floating-point inputs in another dtype; indices and conditions stay."""
    if array.dtype.kind == "c":
        return array.astype("complex64" if dtype == "float32" else "complex128")
    return array if array.dtype.kind != "f" else array.astype(dtype)


def symbolic_shape(array: np.ndarray) -> tuple[Size, ...]:
    """Equal sizes are one symbol; 1 stays, for only a static 1 broadcasts."""
    return tuple(size if size == 1 else Dim.symbol(f"n{size}") for size in array.shape)


def build(example: Example, arrays: list[np.ndarray], symbolic: bool) -> Any:
    """The outputs of an example, and the feeds for its inputs."""
    feeds = {
        gc.placeholder(f"x{number}", symbolic_shape(a) if symbolic else a.shape, a.dtype): a
        for number, a in enumerate(arrays)
    }
    built = example.build(*feeds)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    return [output for output in outputs if isinstance(output, Tensor)], feeds


def test_every_op_has_examples() -> None:
    assert [name for name in NAMES if OPS[name].examples is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_examples_use_the_op(name: str) -> None:
    used = set()
    for example in examples_of(name):
        outputs, _ = build(example, list(example.inputs), symbolic=False)
        used |= {node.op.name for node in topological_order(outputs)}
    assert name in used


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_types_are_those_of_the_reference(name: str, dtype: str) -> None:
    """The interpreter compares every node with what inference promised."""
    for example in examples_of(name):
        arrays = [in_dtype(array, dtype) for array in example.inputs]
        try:
            static, feeds = build(example, arrays, symbolic=False)
        except DTypeError:
            assert not dtype.startswith("float"), f"{name} does not take {dtype}"
            continue
        expected = evaluate_tensors(static, feeds)
        symbolic, other_feeds = build(example, arrays, symbolic=True)
        found = evaluate_tensors(symbolic, other_feeds)
        for one, two in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, two)
        if dtype == "float32" and name not in DTYPE_IS_ARGUMENT:
            assert all(result.dtype not in ("float64", "complex128") for result in expected)


# --- lowering ----------------------------------------------------------------------------------


class Elements:
    """An environment in which local `i` is input i, as a whole array."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays

    @property
    def symbols(self) -> Mapping[str, int]:
        return {}

    def local(self, name: str) -> np.ndarray:
        return self.arrays[int(name)]

    def load(self, buffer: str, index: tuple[int, ...]) -> Any:
        raise AssertionError("an elementwise op reads its own elements alone")


def elementwise_value(node: Node, arrays: list[np.ndarray]) -> np.ndarray:
    """The op's scalar expression on all elements at once."""
    lower = node.op.lower
    assert isinstance(lower, Elementwise)
    types = tuple(TensorType(array.dtype, array.shape) for array in arrays)
    context = LoweringContext(node.attrs, types, node.types)
    elements = [Local(str(number), array.dtype) for number, array in enumerate(arrays)]
    with np.errstate(all="ignore"):
        value = evaluate_expr(lower.expr(context, *elements), Elements(arrays))
    return np.broadcast_to(value, np.broadcast_shapes(*(array.shape for array in arrays)))


def composite_value(node: Node, arrays: list[np.ndarray]) -> np.ndarray:
    """The op's simpler graph, by the reference of each part."""
    lower = node.op.lower
    assert isinstance(lower, Composite)
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]
    built = lower.build(BUILDER, *inputs, **node.attrs)
    outputs = list(built) if isinstance(built, tuple) else [built]
    return evaluate_tensors(outputs, dict(zip(inputs, arrays, strict=True)))[0]


def applications(op: OpDef, example: Example, dtype: str) -> list[tuple[Node, list[np.ndarray]]]:
    """The nodes of the op in an example, with the values of their inputs."""
    arrays = [in_dtype(array, dtype) for array in example.inputs]
    outputs, feeds = build(example, arrays, symbolic=False)
    nodes = [node for node in topological_order(outputs) if node.op is op and node.inputs]
    return [(node, evaluate_tensors(node.inputs, feeds)) for node in nodes]


LOWERED = [n for n in NAMES if isinstance(OPS[n].lower, Elementwise | Composite)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("name", LOWERED)
def test_lowering_is_the_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    value = elementwise_value if isinstance(op.lower, Elementwise) else composite_value
    for example in examples_of(name):
        try:
            found = applications(op, example, dtype)
        except DTypeError:
            continue
        for node, arrays in found:
            with np.errstate(all="ignore"):
                expected = op.reference(node.attrs, *arrays)
            expected = expected[0] if isinstance(expected, tuple) else np.asarray(expected)
            actual = value(node, arrays)
            assert actual.dtype == expected.dtype == node.types[0].dtype
            precision = 2e-6 if expected.real.dtype == np.float32 else 1e-13
            np.testing.assert_allclose(actual, expected, rtol=precision, atol=precision)


# --- derivatives -------------------------------------------------------------------------------


def differentiable_examples(name: str) -> list[Example]:
    return [example for example in examples_of(name) if example.differentiable]


DIFFERENTIABLE = [
    name
    for name in NAMES
    if "nondifferentiable" not in OPS[name].traits and differentiable_examples(name)
]


def test_an_op_without_derivative_says_so() -> None:
    silent = [
        name
        for name in NAMES
        if OPS[name].vjp is None
        and not isinstance(OPS[name].lower, Composite)
        and "nondifferentiable" not in OPS[name].traits
    ]
    assert silent == []


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_are_finite_differences(name: str) -> None:
    for example in differentiable_examples(name):
        verify_grad(example.build, example.inputs, directions=1)


# Of a row with several zeros, second derivatives are not known.
SECOND_UNKNOWN = {"cumulative_prod": 2}


def slopes(example: Example) -> Callable[..., list[Tensor]]:
    """The gradients of a smooth cost with another weight for each output, of size 1."""

    def build(*inputs: Tensor) -> list[Tensor]:
        built = example.build(*inputs)
        several = list(built) if isinstance(built, tuple | list) else [built]
        outputs = [output for output in several if is_inexact(output.dtype)]
        arrays = dict(zip(inputs, example.inputs, strict=True))
        cost: Any = 0.0
        for number, output in enumerate(outputs):
            (value,) = evaluate_tensors([output], arrays)
            scale = float(np.abs(value).max(initial=1.0))
            parts = [gc.real(output), gc.imag(output)] if is_complex(output.dtype) else [output]
            for part in parts:
                cost = cost + gc.sum(gc.sin(part * (1 / scale) + 0.3 * (number + 1)))
        wrt = [tensor for tensor in inputs if is_inexact(tensor.dtype)]
        found: list[Tensor] = gc.grad(cost, wrt, disconnected="zero")
        return found

    return build


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_second_derivatives_are_finite_differences(name: str) -> None:
    found = differentiable_examples(name)
    for example in found[: len(found) - SECOND_UNKNOWN.get(name, 0)]:
        verify_grad(slopes(example), example.inputs, directions=1, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_vjp_and_jvp_are_adjoint(name: str) -> None:
    """<u, J t> = <J' u, t>, in float32 too, with gradients of the dtypes and shapes of inputs."""
    rng = np.random.default_rng(0)
    for dtype in ("float64", "float32"):
        for example in differentiable_examples(name):
            arrays = [in_dtype(array, dtype) for array in example.inputs]
            outputs, feeds = build(example, arrays, symbolic=dtype == "float64")
            outputs = [output for output in outputs if output.dtype.kind == "f"]
            moving = [x for x in feeds if x.dtype.kind == "f"]
            values = evaluate_tensors(outputs, feeds)
            t = [rng.normal(size=feeds[x].shape).astype(x.dtype) for x in moving]
            u = [rng.normal(size=value.shape).astype(value.dtype) for value in values]
            forward = gc.jvp(outputs, moving, [gc.constant(a) for a in t], disconnected="zero")
            reverse = gc.vjp(outputs, moving, [gc.constant(a) for a in u], disconnected="zero")
            pushed, pulled = evaluate_tensors(forward, feeds), evaluate_tensors(reverse, feeds)
            assert [(a.dtype, a.shape) for a in pushed] == [(a.dtype, a.shape) for a in values]
            assert [(a.dtype, a.shape) for a in pulled] == [(a.dtype, a.shape) for a in t]
            left = [np.float64(a) * b for a, b in zip(u, pushed, strict=True)]
            right = [np.float64(a) * b for a, b in zip(pulled, t, strict=True)]
            size = sum(np.abs(a).sum() for a in (*left, *right))
            difference = sum(a.sum() for a in left) - sum(a.sum() for a in right)
            assert abs(difference) <= (1e-12 if dtype == "float64" else 2e-5) * (size + 1)
