"""tanh of one number with the shortest chain from argument to result: a table and a polynomial.

For loops in which each step waits for the result of the step before. The exponent and the first
bits of the argument number a row of the table, coefficients of a polynomial in the rest of the
argument; loading them takes about as long as it takes to form that rest and its powers. On a
processor with additions of 3, products of 4 and loads of 7 cycles the chain is 24 (float32) or 28
(float64) cycles long; `hyperbolic.tanh`, with an exponential and a division, takes 65 and 110. A
vector would have to gather its rows lane by lane, so that vectors do not use this.
"""

import functools
import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import TypeVar

from graphc.backends.llvm.text import TextBuilder, Val, constant_text
from graphc.backends.llvm.vector_math.arithmetic import FORMATS, as_float, as_int, estrin

N = TypeVar("N", float, Decimal)

SUBDIVISION = 5  # bits of the mantissa that number the rows of an octave
FIRST_OCTAVE = -3  # the table begins at 2^-3, and has 8 octaves
OCTAVE_BITS = 3
ROWS = 1 << (OCTAVE_BITS + SUBDIVISION)
# Below the table: (tanh(x)/x - 1) / x^2 in x^2, the series of tanh
NEAR = {
    "float": (-1 / 3, 2 / 15, -17 / 315),
    "double": (
        -1 / 3,
        2 / 15,
        -17 / 315,
        62 / 2835,
        -1382 / 155925,
        21844 / 6081075,
        -929569 / 638512875,
    ),
}
IS_ONE = {"float": 9.5, "double": 20.0}  # from here on; inside of the table
DEGREE = {"float": 3, "double": 7}
DIGITS = 34  # of the numbers from which the coefficients of doubles are rounded


def tanh(b: TextBuilder, x: Val) -> Val:
    """tanh of a scalar."""
    assert x.lanes == 1
    f, count = FORMATS[x.type], DEGREE[x.type] + 1
    row_bytes = count * f.width // 8
    table = f"tanh.{x.type}"
    b.define(table, _definition(x.type))

    bits = as_int(b, x)
    shift = f.mantissa - SUBDIVISION - (row_bytes.bit_length() - 1)
    # Of the exponent only the last bits: rows of other octaves are read, and not used.
    place = b.and_(b.lshr(bits, b.const(shift, bits)), b.const((ROWS - 1) * row_bytes, bits))
    offset = place if place.type == "i64" else b.zext(place, "i64")
    row = b.value(f"getelementptr i8, ptr @{table}, i64 {offset.text}")
    coefficients = []
    for number in range(count):
        at = b.value(f"getelementptr {x.type}, ptr {row}, i64 {number}")
        coefficients.append(b.load(at, x.type))

    # Bits and choices as vectors: of scalars LLVM makes integer registers and branches.
    wide = _widened(b, x)
    wide_bits = as_int(b, wide)
    sign = b.and_(wide_bits, b.const(f.sign_bit, wide_bits))
    magnitude = b.fabs(wide)
    kept = b.const(-1 << (f.mantissa - SUBDIVISION), wide_bits)
    start = as_float(b, b.and_(as_int(b, magnitude), kept))
    rest = b.fsub(b.lane(magnitude, 0), b.lane(start, 0))
    inside = as_int(b, _widened(b, estrin(b, rest, coefficients)))

    square = b.fmul(x, x)
    series = estrin(b, square, [b.const(c, x) for c in NEAR[x.type]])
    near = _widened(b, b.fma(b.fmul(x, square), series, x))
    one = b.select(b.fcmp("uno", wide, wide), wide, b.const(1.0, wide))
    is_near = b.fcmp("olt", magnitude, b.const(2.0**FIRST_OCTAVE, wide))
    is_one = b.fcmp("uge", magnitude, b.const(IS_ONE[x.type], wide))
    beside = b.or_(as_int(b, b.select(is_near, near, one)), sign)  # of -0 too
    result = b.select(b.or_(is_near, is_one), beside, b.or_(inside, sign))
    return b.lane(as_float(b, result), 0)


def _widened(b: TextBuilder, x: Val) -> Val:
    """x as the first lane of a register; the others hold anything."""
    lanes = 128 // FORMATS[x.type].width
    text = f"insertelement <{lanes} x {x.type}> poison, {x.type} {x.text}, i64 0"
    return b.emit(text, x.type, lanes)


# The table


@functools.cache
def _definition(type: str) -> str:
    """The rows, in the order of the bits that number them, as a constant of the module."""
    rows = coefficients(type)
    first = ((FORMATS[type].bias + FIRST_OCTAVE) << SUBDIVISION) % ROWS  # the place of rows[0]
    turned = [*rows[ROWS - first :], *rows[: ROWS - first]]
    items = ", ".join(f"{type} {constant_text(c, type)}" for row in turned for c in row)
    count = ROWS * (DEGREE[type] + 1)
    return f"@tanh.{type} = internal constant [{count} x {type}] [{items}], align 64\n"


def coefficients(type: str) -> list[tuple[float, ...]]:
    """For rows of rising arguments: the polynomial in (argument - start of the row) that agrees
    with tanh at the Chebyshev nodes of the row."""
    if type == "float":
        return [tuple(row) for row in _rows(DEGREE[type], 1.0, math.exp)]
    with localcontext(Context(prec=DIGITS)):
        return [tuple(map(float, row)) for row in _rows(DEGREE[type], Decimal(1), Decimal.exp)]


def _rows(degree: int, unit: N, exp: Callable[[N], N]) -> list[list[N]]:
    rows = []
    for octave in range(FIRST_OCTAVE, FIRST_OCTAVE + (1 << OCTAVE_BITS)):
        first = unit * 2**octave if octave >= 0 else unit / 2**-octave
        width = first / (1 << SUBDIVISION)
        # Where exactly the nodes lie does not matter.
        angles = [(k + 0.5) * math.pi / (degree + 1) for k in range(degree + 1)]
        nodes = [width * int((1 - math.cos(angle)) * 2**20) / 2**21 for angle in angles]
        parts = [_tanh(node, exp) for node in nodes]
        start, step = _tanh(first, exp), _tanh(width, exp)
        for _ in range(1 << SUBDIVISION):
            rows.append(_through(nodes, [_of_sum(start, part) for part in parts]))
            start = _of_sum(start, step)
    return rows


def _tanh(x: N, exp: Callable[[N], N]) -> N:
    power = exp(x + x)
    return (power - 1) / (power + 1)


def _of_sum(x: N, y: N) -> N:
    """tanh(a + b) of tanh(a) and tanh(b)."""
    return (x + y) / (1 + x * y)


def _through(nodes: list[N], values: list[N]) -> list[N]:
    """The coefficients of the polynomial through the points, in rising order: Newton's divided
    differences."""
    differences = list(values)
    for order in range(1, len(nodes)):
        for k in range(len(nodes) - 1, order - 1, -1):
            gap = nodes[k] - nodes[k - order]
            differences[k] = (differences[k] - differences[k - 1]) / gap
    result = differences[-1:]
    for k in range(len(nodes) - 2, -1, -1):
        # result * (x - nodes[k]) + differences[k]
        raised = differences[k : k + 1]
        raised.extend(result)
        for n in range(len(result)):
            raised[n] -= nodes[k] * result[n]
        result = raised
    return result
