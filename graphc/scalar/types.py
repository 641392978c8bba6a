"""What each scalar operation takes and gives; the verifier's table."""

from collections.abc import Callable, Sequence

from graphc.dtypes import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    is_bool,
    is_floating,
    is_integer,
    is_numeric,
    uint16,
    uint32,
    uint64,
)
from graphc.scalar.expr import (
    ARITHMETIC,
    BITWISE,
    COMPARISON,
    FLOAT_FUNCTIONS,
    ROUNDING,
)
from graphc.scalar.foreign import Foreign

_Accepts = Callable[[DType], bool]


def _anything(dtype: DType) -> bool:
    return True


def _number_or_bool(dtype: DType) -> bool:
    return is_numeric(dtype) or is_bool(dtype)


def _bits(dtype: DType) -> bool:
    return is_integer(dtype) or is_bool(dtype)


_BITS_OF = {float16: uint16, bfloat16: uint16, float32: uint32, float64: uint64}
_UNARY = frozenset((*ROUNDING, *FLOAT_FUNCTIONS, "neg", "abs", "not")) - {
    "atan2",
    "pow",
    "copysign",
}

# Operations on operands of one dtype; select and cast have rules of their own.
ACCEPTS: dict[str, _Accepts] = {
    **dict.fromkeys(ARITHMETIC, is_numeric),
    **dict.fromkeys(("maximum", "minimum"), _number_or_bool),
    **dict.fromkeys(ROUNDING, is_floating),
    **dict.fromkeys(COMPARISON, _anything),
    **dict.fromkeys(BITWISE, _bits),
    **dict.fromkeys(("shl", "shr"), is_integer),
    **dict.fromkeys(FLOAT_FUNCTIONS, is_floating),
    "div": is_floating,
    "pow": is_numeric,
}


def type_error(op: str, operands: Sequence[DType], result: DType) -> str | None:
    """What is wrong with `Call(op, operands, result)`; None if it is well typed."""
    if op == "cast":
        return None if len(operands) == 1 else f"cast takes 1 operand, got {len(operands)}"
    if op == "select":
        fits = len(operands) == 3 and operands[0] == bool_ and operands[1:] == (result, result)
        return None if fits else f"select takes bool, {result}, {result}, got {_names(operands)}"
    if op == "bits":
        fits = len(operands) == 1 and _BITS_OF.get(operands[0]) == result
        return None if fits else f"bits takes a float, got {_names(operands)} for {result}"
    if op == "from_bits":
        fits = len(operands) == 1 and _BITS_OF.get(result) == operands[0]
        return None if fits else f"from_bits takes the bits of {result}, got {_names(operands)}"
    if op == "pair_product":
        fits = tuple(operands) == (uint32, uint32) and result == float32
        return None if fits else f"pair_product takes pairs, as uint32, got {_names(operands)}"
    if isinstance(op, Foreign):
        fits = tuple(operands) == op.operands and result == op.result
        return (
            None
            if fits
            else f"{op} takes {_names(op.operands)} and gives {op.result}, not {_names(operands)}"
        )
    if op not in ACCEPTS:
        return f"{op!r} is not a scalar operation"
    arity = 1 if op in _UNARY else 2
    if len(operands) != arity:
        return f"{op} takes {arity} operands, got {len(operands)}"
    if any(dtype != operands[0] for dtype in operands):
        return f"{op} takes operands of one dtype, got {_names(operands)}"
    if not ACCEPTS[op](operands[0]):
        return f"{op} does not take {operands[0]}"
    expected = bool_ if op in COMPARISON else operands[0]
    return None if result == expected else f"{op} gives {expected}, not {result}"


def _names(dtypes: Sequence[DType]) -> str:
    return ", ".join(dtype.name for dtype in dtypes)
