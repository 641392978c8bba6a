"""An op of your own, in one registration; every backend, pass and derivative then knows it.

squareplus(x) = (x + sqrt(x * x + 4)) / 2 is a smooth relu (Barron, 2021). Its lowering is a scalar
expression, so it fuses with its neighbours and becomes native code like any built-in op.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Inference, OpDef
from graphc.ir.registry import Builder, register
from graphc.scalar import expr as s


def infer(call: Inference) -> TensorType:
    """Types in, type out."""
    return call.types[0]


def reference(attrs: Attributes, x: np.ndarray) -> Any:
    """The meaning, in numpy."""
    return (x + np.sqrt(x * x + 4)) / 2


def vjp(b: Builder, op: Application, gradients: Sequence[Any]) -> list[gc.Tensor]:
    """The gradient of the input, from the gradient of the output."""
    (x,), (gradient,) = op.inputs, gradients
    return [gradient * (1 + x / b.sqrt(x * x + 4)) / 2]


def element(context: LoweringContext, x: s.Expr) -> s.Expr:
    """One element of the output as a scalar expression."""
    root = s.sqrt(s.add(s.mul(x, x), s.like(x, 4)))
    return s.mul(s.like(x, 0.5), s.add(x, root))


squareplus = register(
    OpDef(
        "squareplus",
        infer=infer,
        reference=reference,
        lower=Elementwise(element),
        vjp=vjp,
        traits=frozenset({"elementwise"}),
    )
)

x = gc.placeholder("x", ("n",))
cost = gc.sum(gc.exp(-squareplus(2 * x)))
f = gc.function([x], [cost, gc.grad(cost, x)])
f.dprint()
print(f.kernels())

points = np.linspace(-3, 3, 1001, dtype="float32")
value, slope = f(points)
oracle = gc.function([x], [cost, gc.grad(cost, x)], backend="reference")
np.testing.assert_allclose(value, oracle(points)[0], rtol=1e-5)
np.testing.assert_allclose(slope, oracle(points)[1], rtol=1e-4, atol=1e-6)
gc.verify_grad(lambda t: squareplus(t), [np.linspace(-3.0, 3.0, 7)])
