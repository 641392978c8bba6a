"""tanh of one number with the shortest chain from argument to result: a table and a polynomial.

For loops in which each step waits for the result of the step before. The exponent and the first
bits of the argument number a row of the table, coefficients of a polynomial in the rest of the
argument; loading them takes about as long as it takes to form that rest and its powers. On a
processor with additions of 3, products of 4 and loads of 7 cycles the chain is 24 (float32) or 28
(float64) cycles long; `hyperbolic.tanh`, with an exponential and a division, takes 65 and 110. A
vector gathers its rows lane by lane, which only pays where it waits for its results, too: loops in
pieces side by side.
"""

import functools
import math
from array import array
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from itertools import chain
from typing import TypeVar

from graphc.backends.llvm.text import TextBuilder, Val
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
LANES = (1, 8)  # that the functions serve
GROUP = 4  # places of a row that are loaded together
DIGITS = 34  # of the numbers from which the coefficients of doubles are rounded


def tanh(b: TextBuilder, x: Val) -> Val:
    """tanh of a scalar or of some lanes."""
    assert x.lanes in LANES
    f, count = FORMATS[x.type], DEGREE[x.type] + 1
    row_bytes = count * f.width // 8
    table = f"tanh.{x.type}"
    b.define(table, _definition(x.type))

    bits = as_int(b, x)
    shift = f.mantissa - SUBDIVISION - (row_bytes.bit_length() - 1)
    # Of the exponent only the last bits: rows of other octaves are read, and not used.
    place = b.and_(b.lshr(bits, b.const(shift, bits)), b.const((ROWS - 1) * row_bytes, bits))
    offsets = place if place.type == "i64" else b.zext(place, "i64")
    rows = [
        b.value(f"getelementptr i8, ptr @{table}, i64 {b.lane(offsets, lane).text}")
        for lane in range(x.lanes)
    ]
    coefficients = _columns(b, rows, x.type, count)

    # Bits and choices as vectors: of scalars LLVM makes integer registers and branches.
    wide = _widened(b, x)
    wide_bits = as_int(b, wide)
    sign = b.and_(wide_bits, b.const(f.sign_bit, wide_bits))
    magnitude = b.fabs(wide)
    kept = b.const(-1 << (f.mantissa - SUBDIVISION), wide_bits)
    start = as_float(b, b.and_(as_int(b, magnitude), kept))
    rest = b.fsub(_narrowed(b, magnitude, x), _narrowed(b, start, x))
    inside = as_int(b, _widened(b, estrin(b, rest, coefficients)))

    square = b.fmul(x, x)
    series = estrin(b, square, [b.const(c, x) for c in NEAR[x.type]])
    near = _widened(b, b.fma(b.fmul(x, square), series, x))
    one = b.select(b.fcmp("uno", wide, wide), wide, b.const(1.0, wide))
    is_near = b.fcmp("olt", magnitude, b.const(2.0**FIRST_OCTAVE, wide))
    is_one = b.fcmp("uge", magnitude, b.const(IS_ONE[x.type], wide))
    beside = b.or_(as_int(b, b.select(is_near, near, one)), sign)  # of -0 too
    result = b.select(b.or_(is_near, is_one), beside, b.or_(inside, sign))
    return _narrowed(b, as_float(b, result), x)


def _widened(b: TextBuilder, x: Val) -> Val:
    """A scalar as the first lane of a register; the others hold anything."""
    if x.lanes > 1:
        return x
    lanes = 128 // FORMATS[x.type].width
    text = f"insertelement <{lanes} x {x.type}> poison, {x.type} {x.text}, i64 0"
    return b.emit(text, x.type, lanes)


def _narrowed(b: TextBuilder, a: Val, like: Val) -> Val:
    return b.lane(a, 0) if like.lanes == 1 else a


def _columns(b: TextBuilder, rows: list[str], type: str, count: int) -> list[Val]:
    """The numbers of the rows at some addresses, by place in the row: a lane for each row."""
    columns: list[Val] = []
    if len(rows) == 1:
        for number in range(count):
            at = b.value(f"getelementptr {type}, ptr {rows[0]}, i64 {number}")
            columns.append(b.load(at, type))
        return columns
    for first in range(0, count, GROUP):
        starts = [b.value(f"getelementptr {type}, ptr {row}, i64 {first}") for row in rows]
        groups = [b.load(start, type, GROUP) for start in starts]
        # Rows k, k + GROUP, ... behind each other; then each GROUP x GROUP is transposed.
        while len(groups) > GROUP:
            half = len(groups) // 2
            whole = list(range(2 * groups[0].lanes))
            groups = [
                b.shuffle(x, y, whole) for x, y in zip(groups[:half], groups[half:], strict=True)
            ]
        columns += _transposed(b, groups)
    return columns


def _transposed(b: TextBuilder, rows: list[Val]) -> list[Val]:
    """The columns of each 4 x 4 of four rows, by shuffles inside of 128 bits first."""
    other = rows[0].lanes
    # Two neighbours in 128 bits: floats 0 and 1, then 2 and 3; doubles 0 and 2, then 1 and 3.
    next_, upper = (1, 2) if rows[0].type == "float" else (2, 1)
    columns = [rows[0]] * GROUP
    for column in (0, upper):
        mixed = [
            place + column
            for at in range(0, other, GROUP)
            for place in (at, other + at, at + next_, other + at + next_)
        ]
        x, y = (b.shuffle(rows[k], rows[k + 1], mixed) for k in (0, 2))
        for high in (0, 2):
            joined = [
                place + high
                for at in range(0, other, GROUP)
                for place in (at, at + 1, other + at, other + at + 1)
            ]
            columns[column + next_ * (high // 2)] = b.shuffle(x, y, joined)
    return columns


# The table


@functools.cache
def _definition(type: str) -> str:
    """The rows, in the order of the bits that number them, as a constant of the module."""
    rows = coefficients(type)
    first = ((FORMATS[type].bias + FIRST_OCTAVE) << SUBDIVISION) % ROWS  # the place of rows[0]
    turned = [*rows[ROWS - first :], *rows[: ROWS - first]]
    # Their bytes: LLVM reads 2000 numbers as text in a millisecond.
    text = array(type[0], chain.from_iterable(turned)).tobytes().hex("\\")
    size = ROWS * (DEGREE[type] + 1) * FORMATS[type].width // 8
    return f'@tanh.{type} = internal constant [{size} x i8] c"\\{text}", align 64\n'


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
