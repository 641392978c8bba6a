"""Element types and promotion, checked against the Array API table and numpy."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc import dtypes
from graphc.dtypes import (
    DType,
    all_dtypes,
    as_dtype,
    is_bool,
    is_complex,
    is_floating,
    is_inexact,
    is_integer,
    is_numeric,
    is_signed,
    promote,
    result_type,
    short_name,
    weak_result,
)
from graphc.errors import DTypeError

dtype_strategy = st.sampled_from(all_dtypes)

# The Array API table (2024.12) for integers: signed with unsigned.
MIXED_SIGN = {
    "i1": {"u1": "i2", "u2": "i4", "u4": "i8"},
    "i2": {"u1": "i2", "u2": "i4", "u4": "i8"},
    "i4": {"u1": "i4", "u2": "i4", "u4": "i8"},
    "i8": {"u1": "i8", "u2": "i8", "u4": "i8"},
}
MIXED_SIGN["i4"]["u2"] = "i4"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("f4", dtypes.float32),
        ("float64", dtypes.float64),
        ("f64", dtypes.float64),
        ("i32", dtypes.int32),
        ("i8", dtypes.int64),
        ("bool", dtypes.bool_),
        (">f4", dtypes.float32),
        (bool, dtypes.bool_),
        (int, dtypes.int64),
        (float, dtypes.float32),
        (np.float32, dtypes.float32),
        (np.dtype("u2"), dtypes.uint16),
        (dtypes.float16, dtypes.float16),
        ("bfloat16", dtypes.bfloat16),
        ("bf16", dtypes.bfloat16),
    ],
)
def test_as_dtype(value: object, expected: DType) -> None:
    assert as_dtype(value) == expected
    assert as_dtype(value).isnative


@pytest.mark.parametrize(
    "value",
    ["complex256", "f3", "", "U3", object, None, "datetime64[s]", [("a", "f4")], 3, {}, "é"],
)
def test_as_dtype_lists_what_is_allowed(value: object) -> None:
    with pytest.raises(DTypeError, match="allowed are bool, int8, int16"):
        as_dtype(value)


@given(dtype_strategy)
def test_kinds(dtype: DType) -> None:
    assert is_bool(dtype) == (dtype.name == "bool")
    assert as_dtype(dtype.name) == as_dtype(dtype.type) == as_dtype(dtype.type(1).dtype) == dtype
    if dtype == dtypes.bfloat16:  # numpy does not know that it is a number
        assert is_floating(dtype) and is_inexact(dtype) and is_numeric(dtype) and is_signed(dtype)
        assert not is_integer(dtype) and not is_complex(dtype)
        assert dtypes.kind_of(dtype) == "f" and dtypes.is_half(dtype)
        return
    assert dtypes.kind_of(dtype) == dtype.kind
    assert dtypes.is_half(dtype) == (dtype == dtypes.float16)
    assert is_floating(dtype) == np.issubdtype(dtype, np.floating)
    assert is_integer(dtype) == np.issubdtype(dtype, np.integer)
    assert is_complex(dtype) == np.issubdtype(dtype, np.complexfloating)
    assert is_inexact(dtype) == np.issubdtype(dtype, np.inexact)
    assert is_numeric(dtype) == (np.issubdtype(dtype, np.number) and not is_complex(dtype))
    assert is_signed(dtype) == (np.issubdtype(dtype, np.signedinteger) or is_floating(dtype))
    assert as_dtype(dtype.str) == dtype


def test_short_names() -> None:
    assert " ".join(short_name(dtype) for dtype in all_dtypes) == (
        "bool i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 c64 c128"
    )


# Promotion


def promoted(*arguments: DType) -> DType | None:
    try:
        return promote(*arguments)
    except DTypeError:
        return None


@given(dtype_strategy, dtype_strategy)
def test_promotion_is_commutative(a: DType, b: DType) -> None:
    first, second = promoted(a, b), promoted(b, a)
    assert (first is None) == (second is None)
    assert first == second


@given(dtype_strategy, dtype_strategy, dtype_strategy)
def test_promotion_is_associative_where_defined(a: DType, b: DType, c: DType) -> None:
    left, right = promoted(a, b), promoted(b, c)
    if left is None or right is None:
        return
    first, second = promoted(left, c), promoted(a, right)
    if first is not None and second is not None:
        assert first == second


@given(dtype_strategy, dtype_strategy)
def test_same_kinds_promote_as_in_numpy(a: DType, b: DType) -> None:
    integers = is_integer(a) and is_integer(b)
    if a.kind == b.kind or is_bool(a) or is_bool(b) or integers:
        expected, got = np.result_type(a, b), promoted(a, b)
        if integers and is_floating(expected):
            assert got is None
        else:
            assert got is not None
            assert got == expected


@pytest.mark.parametrize(
    ("signed", "unsigned"), list(itertools.product(MIXED_SIGN, ("u1", "u2", "u4")))
)
def test_the_table_for_mixed_signs(signed: str, unsigned: str) -> None:
    assert promote(np.dtype(signed), np.dtype(unsigned)) == MIXED_SIGN[signed][unsigned]


@given(dtype_strategy, dtype_strategy)
def test_a_float_keeps_its_width_beside_integers(a: DType, b: DType) -> None:
    if is_floating(a) and not is_inexact(b):
        assert promote(a, b) == a


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("bfloat16", "float16", "float32"),
        ("bfloat16", "float32", "float32"),
        ("bfloat16", "float64", "float64"),
        ("bfloat16", "int64", "bfloat16"),
        ("bfloat16", "bool", "bfloat16"),
        ("bfloat16", "complex64", "complex64"),
    ],
)
def test_bfloat16_promotes_as_in_jax(a: str, b: str, expected: str) -> None:
    assert promote(as_dtype(a), as_dtype(b)) == promote(as_dtype(b), as_dtype(a)) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("complex64", "complex64", "complex64"),
        ("complex64", "complex128", "complex128"),
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
        ("float32", "complex128", "complex128"),
        ("float16", "complex64", "complex64"),
        ("int64", "complex64", "complex64"),
        ("bool", "complex64", "complex64"),
    ],
)
def test_complex_numbers_promote_as_the_standard_says(a: str, b: str, expected: str) -> None:
    assert promote(as_dtype(a), as_dtype(b)) == as_dtype(expected)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float16", "complex64"),
        ("float32", "complex64"),
        ("float64", "complex128"),
        ("complex64", "complex64"),
        ("int8", "complex64"),
        ("bool", "complex64"),
    ],
)
def test_a_complex_scalar_is_weak(dtype: str, expected: str) -> None:
    assert weak_result(as_dtype(dtype), 1j) == as_dtype(expected)
    assert weak_result(dtypes.complex64, 1.5) == dtypes.complex64


def test_int64_and_uint64_have_no_common_type() -> None:
    with pytest.raises(DTypeError, match="int64 and uint64 have no common") as caught:
        promote(dtypes.int64, dtypes.uint64)
    assert "cast" in str(caught.value)
    for signed in dtypes.signed_dtypes:
        assert promoted(signed, dtypes.uint64) is None


def test_promotion_of_one_and_of_none() -> None:
    assert promote(dtypes.int8) == dtypes.int8
    with pytest.raises(DTypeError):
        promote()


# Python scalars


@pytest.mark.parametrize(
    ("dtype", "scalar", "expected"),
    [
        ("float32", 2, "float32"),
        ("float32", 2.5, "float32"),
        ("float16", 1e30, "float16"),
        ("bfloat16", 2.5, "bfloat16"),
        ("bfloat16", 1 << 70, "bfloat16"),
        ("float64", True, "float64"),
        ("int8", 2, "int8"),
        ("int8", True, "int8"),
        ("int32", 2.5, "float32"),
        ("uint64", 0.5, "float32"),
        ("bool", True, "bool"),
        ("bool", 2, "int64"),
        ("bool", 2.5, "float32"),
        ("uint8", 255, "uint8"),
        ("int64", -(2**63), "int64"),
        ("float32", 10**30, "float32"),
    ],
)
def test_scalars_are_weak(dtype: str, scalar: float, expected: str) -> None:
    assert weak_result(np.dtype(dtype), scalar) == expected
    assert result_type(np.dtype(dtype), scalar) == expected
    assert result_type(scalar, np.dtype(dtype)) == expected


@pytest.mark.parametrize(("dtype", "scalar"), [("uint8", 256), ("uint8", -1), ("int8", 128),
                                               ("bool", 2**63)])  # fmt: skip
def test_integers_out_of_range_are_refused(dtype: str, scalar: int) -> None:
    with pytest.raises(DTypeError, match=f"{scalar} is out of the range of .*: -?[0-9]+ to"):
        weak_result(np.dtype(dtype), scalar)


def test_what_is_no_scalar_is_refused() -> None:
    with pytest.raises(DTypeError, match="not a Python scalar"):
        weak_result(dtypes.float32, "a")  # type: ignore[arg-type]


def test_result_type_does_not_depend_on_the_order() -> None:
    arguments: list[DType | float] = [dtypes.int8, 3, True, 300, 1.5, dtypes.bool_]
    for order in itertools.permutations(arguments):
        assert result_type(*order) == dtypes.float32
    assert result_type(True) == dtypes.bool_
    assert result_type(1, True) == dtypes.int64
    assert result_type(1, 2.0) == dtypes.float32
    assert result_type(dtypes.float64, dtypes.float32, 1.0) == dtypes.float64
    with pytest.raises(DTypeError):
        result_type()


def test_float32_never_becomes_float64() -> None:
    narrow = [dtype for dtype in all_dtypes if dtype != dtypes.float64]
    for a, b in itertools.product(narrow, narrow):
        together = promoted(a, b)  # numpy takes None for float64
        assert together is None or together != dtypes.float64
        assert result_type(a, 1.5) != dtypes.float64


def test_limits() -> None:
    assert dtypes.iinfo(dtypes.int8).max == 127
    assert float(dtypes.finfo(dtypes.bfloat16).eps) == 2.0**-7
    assert dtypes.finfo(dtypes.float32).eps == np.finfo(np.float32).eps
