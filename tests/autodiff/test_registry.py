"""Every registered op: its forward rule follows from its gradient rule.

`tests.ops.test_registry` compares both with finite differences, and their derivatives as well.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.autodiff.forward import transpose_twice
from graphc.dtypes import is_floating
from graphc.errors import GradientError
from graphc.ir.opdef import Example, OpDef
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor

Run = Callable[..., Any]

DIFFERENTIABLE = [
    op for op in OPS.values() if op.examples is not None and "nondifferentiable" not in op.traits
]
by_name = pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)


def examples_of(op: OpDef) -> Iterator[Example]:
    assert op.examples is not None
    for example in op.examples(np.random.default_rng(0)):
        floating = any(is_floating(np.asarray(array).dtype) for array in example.inputs)
        if example.differentiable and floating:
            yield example


def as_list(built: Any) -> list[Tensor]:
    return list(built) if isinstance(built, tuple | list) else [built]


@by_name
def test_the_forward_rule_follows_from_the_gradient_rule(
    op: OpDef, run: Run, rng: np.random.Generator
) -> None:
    if op.jvp is None or op.vjp is None:
        return
    for example in examples_of(op):
        inputs = [gc.placeholder(None, np.shape(a), np.asarray(a).dtype) for a in example.inputs]
        feeds = dict(zip(inputs, example.inputs, strict=True))
        for output in as_list(example.build(*inputs)):
            node = output.node
            if node.op is not op:
                continue
            tangents = [
                gc.constant(rng.normal(size=t.shape), t.dtype) if is_floating(t.dtype) else None
                for t in node.inputs
            ]
            starts = [
                t for t, tangent in zip(node.inputs, tangents, strict=True) if tangent is not None
            ]
            given = [tangent for tangent in tangents if tangent is not None]
            try:
                twice = transpose_twice(node, tangents)[output.index]
            except GradientError:
                # By its look the gradient rule is not linear (a loop saves what it met), or it
                # refuses an input: that is why the op has a rule of its own.
                continue
            once = gc.jvp(output, starts, given, disconnected="zero")
            if twice is None:  # flat, such as floor
                assert not np.any(run(once, feeds))
                continue
            np.testing.assert_allclose(run(twice, feeds), run(once, feeds), rtol=1e-9, atol=1e-12)
