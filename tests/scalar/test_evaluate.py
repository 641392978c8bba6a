"""The meaning of scalar operations: dtypes, corner values, casts."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from graphc.dtypes import (
    DType,
    bool_,
    float16,
    float32,
    float64,
    floating_dtypes,
    int8,
    int64,
    integer_dtypes,
    is_floating,
    real_dtypes,
    uint8,
    uint32,
    uint64,
)
from graphc.errors import VerificationError
from graphc.scalar import expr as s
from graphc.scalar.evaluate import Value, apply_op, cast_value, evaluate_expr
from graphc.scalar.expr import (
    ARITHMETIC,
    BITWISE,
    COMPARISON,
    OTHER,
    SCALAR_OPS,
    Const,
    Index,
    Load,
    Local,
    Read,
)
from graphc.scalar.types import ACCEPTS, type_error
from graphc.shapes import Dim

BINARY = frozenset((*ARITHMETIC, *COMPARISON, *BITWISE, "atan2", "pow", "copysign"))
UNARY = SCALAR_OPS - {"select", "cast", "bits", "from_bits"} - BINARY | {"neg", "abs", "not"}


def operands(op: str, dtype: DType) -> list[Value]:
    return [dtype.type(1)] if op in UNARY else [dtype.type(1), dtype.type(0)]


@pytest.mark.parametrize("dtype", real_dtypes, ids=lambda dtype: dtype.name)
def test_results_keep_the_dtype(dtype: DType) -> None:
    for op, accepts in ACCEPTS.items():
        if not accepts(dtype):
            continue
        values = operands(op, dtype)
        expected = bool_ if op in COMPARISON else dtype
        result = apply_op(op, values, expected)
        assert type(result) is expected.type, op
        array = apply_op(op, [np.full(3, value) for value in values], expected)
        assert array.dtype == expected and array.shape == (3,), op
        assert type_error(op, [dtype] * len(values), expected) is None, op


def test_every_operation_has_a_meaning_and_a_type() -> None:
    assert set(ACCEPTS) | set(OTHER) == SCALAR_OPS


def test_a_wrong_dtype_is_refused() -> None:
    with pytest.raises(VerificationError, match="add of float32 gives float32, not float64"):
        apply_op("add", [np.float32(1), np.float32(1)], float64)


@pytest.mark.parametrize(
    ("op", "x", "y", "expected"),
    [
        ("add", 127, 1, -128),
        ("sub", -128, 1, 127),
        ("mul", 64, 4, 0),
        ("floordiv", -7, 2, -4),
        ("floordiv", 7, 0, 0),
        ("floordiv", -128, -1, -128),
        ("mod", -7, 2, 1),
        ("mod", 7, -2, -1),
        ("mod", 7, 0, 0),
        ("mod", -128, -1, 0),
        ("shl", 1, 7, -128),
        ("shl", 1, 8, 0),
        ("shl", 1, -1, 0),
        ("shr", -2, 1, -1),
        ("shr", -2, 100, -1),
        ("shr", 2, 100, 0),
        ("pow", 3, 4, 81),
        ("pow", 3, 5, -13),
        ("pow", 0, 0, 1),
        ("pow", 2, -1, 0),
        ("pow", -1, -3, -1),
        ("pow", -1, -2, 1),
        ("pow", 0, -1, 0),
    ],
)
def test_int8(op: str, x: int, y: int, expected: int) -> None:
    assert apply_op(op, [np.int8(x), np.int8(y)], int8) == expected


def test_signs_of_integers() -> None:
    assert apply_op("neg", [np.int8(-128)], int8) == -128
    assert apply_op("abs", [np.int8(-128)], int8) == -128
    assert apply_op("neg", [np.uint8(1)], uint8) == 255
    assert apply_op("not", [np.uint8(1)], uint8) == 254
    assert not apply_op("not", [np.bool_(True)], bool_)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("dtype", floating_dtypes, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    ("op", "args", "expected"),
    [
        ("maximum", (NAN, 1.0), NAN),
        ("maximum", (1.0, NAN), NAN),
        ("minimum", (NAN, -INF), NAN),
        ("minimum", (1.0, 2.0), 1.0),
        ("round", (0.5,), 0.0),
        ("round", (1.5,), 2.0),
        ("round", (-0.5,), -0.0),
        ("trunc", (-0.5,), -0.0),
        ("div", (1.0, 0.0), INF),
        ("div", (0.0, 0.0), NAN),
        ("floordiv", (-7.0, 2.0), -4.0),
        ("floordiv", (1.0, 0.0), INF),
        ("mod", (-7.0, 2.0), 1.0),
        ("mod", (7.0, -2.0), -1.0),
        ("mod", (1.0, 0.0), NAN),
        ("mod", (-1.0, INF), INF),
        ("sqrt", (-1.0,), NAN),
        ("log", (0.0,), -INF),
        ("log1p", (-1.0,), -INF),
        ("exp", (-INF,), 0.0),
        ("erf", (INF,), 1.0),
        ("tanh", (-INF,), -1.0),
        ("pow", (NAN, 0.0), 1.0),
        ("pow", (-8.0, 1.0 / 3), NAN),
        ("cbrt", (-8.0,), -2.0),
        ("copysign", (3.0, -0.0), -3.0),
        ("atan2", (0.0, -1.0), math.pi),
    ],
)
def test_floats(op: str, args: tuple[float, ...], expected: float, dtype: DType) -> None:
    result = apply_op(op, [dtype.type(arg) for arg in args], dtype)
    wanted = dtype.type(expected)
    np.testing.assert_array_equal(np.float64(result), np.float64(wanted))
    assert np.isnan(wanted) or np.signbit(result) == np.signbit(wanted)


def test_functions_of_float32_are_rounded_once() -> None:
    x = np.linspace(0.1, 3, 1000, dtype=np.float32)
    for op, function in (("exp", np.exp), ("log", np.log), ("tanh", np.tanh), ("sin", np.sin)):
        exact = function(x.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(apply_op(op, [x], float32), exact)


@pytest.mark.parametrize("source", floating_dtypes, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("target", integer_dtypes, ids=lambda dtype: dtype.name)
def test_floats_to_integers_truncate_and_saturate(source: DType, target: DType) -> None:
    exact = [0.0, -0.5, 1.9, -1.9, 127.0, 128.0, -128.9, 255.0, 256.0, 2.0**31, 2.0**63, 2.0**64]
    with np.errstate(over="ignore"):
        values = np.array([*exact, -(2.0**31), -(2.0**63), INF, -INF, NAN]).astype(source)
    limits = np.iinfo(target)
    expected = [
        0
        if np.isnan(value)
        else limits.max
        if value == INF
        else limits.min
        if value == -INF
        else min(max(int(value), limits.min), limits.max)
        for value in values.tolist()
    ]
    assert cast_value(values, target).tolist() == expected


def test_other_casts() -> None:
    assert cast_value(np.int64(300), uint8) == 44
    assert cast_value(np.float32(np.nan), bool_)
    assert not cast_value(np.float32(-0.0), bool_)
    assert apply_op("cast", [np.float64(1e300)], float32) == np.inf
    assert cast_value(np.int64(2**53 + 1), float64) == 2.0**53
    assert cast_value(np.float32(1 / 3), float16) == np.float16(1 / 3)


class Environment:
    symbols: Mapping[str, int] = {"i": 2, "n": 10}

    def local(self, name: str) -> Value:
        return np.float32(len(name))

    def load(self, buffer: str, index: tuple[int, ...]) -> Value:
        return np.float32(sum(index))


def test_expressions() -> None:
    i, n = Dim.symbol("i"), Dim.symbol("n")
    load = Load("x", (Index(i), Index(n - 1)), float32)
    total = s.add(s.mul(load, Local("abc", float32)), s.constant(0.5, float32))
    value = evaluate_expr(s.select(s.lt(Index(i), Index(n)), total, load), Environment())
    assert value == np.float32(33.5) and type(value) is np.float32
    assert evaluate_expr(Const(True, bool_), Environment()) == np.True_
    assert type(evaluate_expr(Index(n // 4), Environment())) is np.int64
    with pytest.raises(VerificationError, match="a kernel cannot hold"):
        evaluate_expr(Read(0, (), float32), Environment())


def test_products_of_pairs() -> None:
    """The lower halves, then the upper ones."""
    x, y = (np.array(pair, "f4").view(np.uint32) for pair in ([1.5, -2.0], [4.0, 8.0]))
    pairs = [np.uint32(one[0] >> 16 | one[1] & 0xFFFF0000) for one in (x, y)]
    assert apply_op("pair_product", pairs, float32) == 1.5 * 4.0 - 2.0 * 8.0


def test_types() -> None:
    assert type_error("cast", [int64], float32) is None
    assert type_error("cast", [int64, int64], float32) == "cast takes 1 operand, got 2"
    assert type_error("bits", [float64], uint64) is None
    assert type_error("bits", [float32], uint64) is not None
    assert type_error("bits", [int64], uint64) is not None
    assert type_error("from_bits", [uint64], float64) is None
    assert type_error("from_bits", [uint64], float32) is not None
    assert type_error("from_bits", [int64], float64) is not None
    assert type_error("pair_product", [uint32, uint32], float32) is None
    assert type_error("pair_product", [uint32, uint32], uint32) is not None
    assert type_error("pair_product", [uint32], float32) is not None
    for op in SCALAR_OPS - set(OTHER):
        arity = 1 if op in UNARY else 2
        assert type_error(op, [float32] * (3 - arity), float32) is not None, op
        dtype = float32 if ACCEPTS[op](float32) else int64
        result = bool_ if op in COMPARISON else dtype
        assert type_error(op, [dtype] * arity, result) is None, op
        if is_floating(dtype):
            assert type_error(op, [dtype] * arity, float64) is not None, op
