"""Every scalar operation on every dtype at its corners, against scalar.evaluate."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphc.dtypes import (
    DType,
    all_dtypes,
    bool_,
    finfo,
    is_bool,
    is_complex,
    is_floating,
    is_half,
    is_integer,
)
from graphc.loops.ir import For, Kernel, Parameter, Store
from graphc.scalar.evaluate import apply_op
from graphc.scalar.expr import Call, Expr, Index, Load
from graphc.shapes import Dim

Run = Callable[[Kernel, Mapping[str, np.ndarray], Mapping[str, int]], None]
Array = np.ndarray[Any, Any]
n, i = Dim.symbol("n"), Dim.symbol("i")

COMPARISON = ("eq", "ne", "lt", "le")
EXACT_UNARY = ("neg", "abs", "floor", "ceil", "trunc", "round", "not", "sqrt")
EXACT_BINARY = (
    *("add", "sub", "mul", "div", "floordiv", "mod", "maximum", "minimum"),
    *("and", "or", "xor", "shl", "shr", "copysign", "pow"),
    *COMPARISON,
)

STORED = [dtype for dtype in all_dtypes if not is_complex(dtype)]  # complex values are pairs


def corners(dtype: DType) -> Array:
    """Values where operations change their nature."""
    if is_bool(dtype):
        return np.array([False, True])
    if is_integer(dtype):
        limits, bits = np.iinfo(dtype), 8 * dtype.itemsize
        near = [0, 1, 2, 3, 5, 7, -1, -2, -3, -7, bits - 1, bits, bits + 1, 100]
        edges = [limits.min, limits.min + 1, limits.max, limits.max - 1]
        fitting = [v for v in near if limits.min <= v <= limits.max]
        return np.unique(np.array([*fitting, *edges], dtype))
    limits_f = finfo(dtype)
    values = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 7.25, 1e-3, 100.7, float(limits_f.max)]
    values += [float(limits_f.tiny), float(limits_f.smallest_subnormal), np.inf, 2.0**15, 255.9]
    return np.array([*values, *(-v for v in values), np.nan], dtype)


def applies(op: str, dtype: DType) -> bool:
    """Whether ops lower to the operation on this dtype."""
    if op in ("and", "or", "xor", "not"):
        return not is_floating(dtype)
    if op in ("shl", "shr"):
        return is_integer(dtype)
    if op in ("div", "sqrt", "copysign"):
        return is_floating(dtype)
    if op == "pow":
        return is_integer(dtype)
    if op in ("floor", "ceil", "trunc", "round"):
        return is_floating(dtype)
    if is_bool(dtype):
        return op in (*COMPARISON, "maximum", "minimum", "add", "mul")
    return True


def check(run: Run, call: Call, inputs: list[Array]) -> None:
    """At odd length: full vectors and the rest."""
    repeats = -(-37 // max(1, inputs[0].size))
    inputs = [np.tile(x, repeats + 1) for x in inputs]
    kernel = Kernel(
        "op",
        (
            *(Parameter(f"x{k}", x.dtype, (n,)) for k, x in enumerate(inputs)),
            Parameter("out", call.dtype, (n,), written=True),
        ),
        ("n",),
        (For("i", n, "vector", (Store("out", (Index(i),), call),)),),
    )
    out = np.empty(inputs[0].size, call.dtype)
    arrays = {f"x{k}": x for k, x in enumerate(inputs)} | {"out": out}
    run(kernel, arrays, {"n": out.size})
    wanted = apply_op(call.op, inputs, call.dtype)
    assert out.dtype == wanted.dtype
    if is_half(out.dtype):  # numpy's comparison does not know the NaN of bfloat16
        out, wanted = out.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(out, wanted)
    if is_floating(call.dtype) and call.op not in ("maximum", "minimum"):
        signs = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(out)[signs], np.signbit(wanted)[signs])


def loads(*dtypes: DType) -> tuple[Expr, ...]:
    return tuple(Load(f"x{k}", (Index(i),), dtype) for k, dtype in enumerate(dtypes))


@pytest.mark.parametrize("dtype", STORED, ids=str)
@pytest.mark.parametrize("op", EXACT_UNARY)
def test_unary(run: Run, op: str, dtype: DType) -> None:
    if not applies(op, dtype) or (op == "neg" and is_bool(dtype)):
        pytest.skip("not an operation of this dtype")
    check(run, Call(op, loads(dtype), dtype), [corners(dtype)])


@pytest.mark.parametrize("dtype", STORED, ids=str)
@pytest.mark.parametrize("op", EXACT_BINARY)
def test_binary(run: Run, op: str, dtype: DType) -> None:
    if not applies(op, dtype):
        pytest.skip("not an operation of this dtype")
    x, y = (a.ravel() for a in np.meshgrid(corners(dtype), corners(dtype)))
    if op in ("floordiv", "mod") and is_half(dtype):
        fine = np.abs(x.astype(float)) < 2000 * np.abs(y.astype(float))
        x, y = x[fine], y[fine]  # numpy divides halves in float32
    result = bool_ if op in COMPARISON else dtype
    check(run, Call(op, loads(dtype, dtype), result), [x, y])


@pytest.mark.parametrize("target", STORED, ids=str)
@pytest.mark.parametrize("source", STORED, ids=str)
def test_casts(run: Run, source: DType, target: DType) -> None:
    if source == target:
        pytest.skip("the same")
    check(run, Call("cast", loads(source), target), [corners(source)])


@pytest.mark.parametrize("dtype", STORED, ids=str)
def test_select(run: Run, dtype: DType) -> None:
    x = corners(dtype)
    condition = np.arange(x.size) % 3 == 0
    check(run, Call("select", loads(bool_, dtype, dtype), dtype), [condition, x, x[::-1].copy()])
