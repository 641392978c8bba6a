"""exp of what is known not to be positive: the bits of exp, with fewer instructions."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.expressions import never_positive
from graphc.dtypes import DType, bfloat16, float16, float32
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Const, Expr, Local, abs_, mul, neg

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "-|x|": lambda x: -gc.abs(x),
    "-x*x": lambda x: -gc.square(x),
    "x*x*c": lambda x: gc.square(x) * -0.3,
}


def arguments(dtype: str) -> np.ndarray:
    """All kinds of numbers, most of them where results are neither 1 nor 0."""
    random = np.random.default_rng(0)
    wide = np.uint32 if dtype == "float32" else np.uint64
    bits = random.integers(0, np.iinfo(wide).max, 200_000, dtype=wide, endpoint=True)
    limits = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, limits.tiny, limits.smallest_subnormal]
    # where results are subnormal, and where they end
    ends = [np.log(float(limits.tiny)), np.log(float(limits.smallest_subnormal))]
    near = [end + random.normal(size=20_000) for end in ends]
    usual = random.normal(size=200_000) * 20
    others = np.concatenate([special, *near, usual]).astype(dtype)
    return np.concatenate([bits.view(dtype), others])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_bits(form: str, dtype: str) -> None:
    x, y = gc.placeholder("x", ("n",), dtype), gc.placeholder("y", ("n",), dtype)
    argument, known = gc.function([x], FORMS[form](x)), gc.function([x], gc.exp(FORMS[form](x)))
    values = arguments(dtype)
    if form != "-|x|":
        with np.errstate(invalid="ignore"):
            values = np.sqrt(np.abs(values))
    np.testing.assert_array_equal(known(values), gc.function([y], gc.exp(y))(argument(values)))


@pytest.mark.parametrize("dtype", [float16, bfloat16], ids=str)
def test_half_precision(dtype: DType) -> None:
    x, y = gc.placeholder("x", ("n",), dtype), gc.placeholder("y", ("n",), dtype)
    values = np.linspace(-30, 30, 10_001).astype(dtype)
    wanted = gc.function([y], gc.exp(y))(-np.abs(values))
    np.testing.assert_array_equal(gc.function([x], gc.exp(-gc.abs(x)))(values), wanted)


def test_which() -> None:
    x, y = Local("x", float32), Local("y", float32)
    negative, positive = Const(-0.5, float32), Const(0.5, float32)
    found: list[Expr] = [neg(abs_(x)), neg(mul(x, x)), mul(mul(x, x), negative)]
    others: list[Expr] = [
        x,
        neg(x),
        abs_(x),
        neg(mul(x, y)),
        mul(mul(x, x), positive),
        mul(mul(x, y), negative),
        mul(x, negative),
    ]
    assert all(map(never_positive, found))
    assert not any(map(never_positive, others))
