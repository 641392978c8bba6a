"""Which axes of a window product become lanes, blocks and tiles."""

import pytest

from graphc.ir.product_notation import ProductNotation
from graphc.loops.window_schedule import REGISTERS, schedule
from graphc.shapes import Dim, Size

ROWS = "n,y+p,c,x+q;o,c,p,q->n,o,y,x"
CHANNELS = "n,y+p,x+q,c;t,p,q,c,o->n,y,x,t,o"
FILTER = "n,c,y+p,x+q;n,t,y,x,o->t,p,q,c,o"


def rows(n: Size, o: int, width: int) -> dict[str, Size]:
    return {"n": n, "y": width, "o": o, "x": width, "c": 64, "q": 3, "p": 3}


@pytest.mark.parametrize("n", [8, Dim.symbol("n")])
def test_blocks_of_a_convolution(n: Size) -> None:
    found = schedule(ProductNotation.read(ROWS), rows(n, 64, 56), "")
    assert found.lanes == "x" and found.blocks == {"o": 6}
    assert found.unrolled == {"p": 3} and not found.outer
    # Rows that leave a vector of lanes over: two of them at once.
    assert schedule(ProductNotation.read(ROWS), rows(n, 50, 8), "").blocks == {"y": 2, "o": 5}
    sizes: dict[str, Size] = {"t": 4, "n": n, "y": 56, "x": 56, "p": 3, "q": 3, "c": 64, "o": 16}
    found = schedule(ProductNotation.read(CHANNELS), sizes, "")
    assert found.lanes == "o" and list(found.blocks) == ["x"] and found.unrolled == {"c": 8}


def test_rows_between_zeros_are_not_blocked() -> None:
    sizes: dict[str, Size] = {"n": 8, "y": 8, "o": 48, "x": 8, "p": 2, "c": 64, "q": 3}
    stored = schedule(ProductNotation.read(ROWS), sizes, "")
    assert stored.blocks == {"y": 2, "o": 5}
    found = schedule(ProductNotation.read(ROWS.replace("y+p", "y+p-1")), sizes, "")
    assert found.blocks == {"n": 2, "o": 5} and found.unrolled == {"q": 3}


def test_tiles_of_a_filter_gradient() -> None:
    sizes: dict[str, Size] = {"t": 4, "n": 8, "y": 56, "p": 3, "q": 3, "c": 64, "o": 16, "x": 56}
    found = schedule(ProductNotation.read(FILTER), sizes, "ny")
    assert found.outside == ("t",) and found.outer == {"n": 1, "y": 8}
    assert found.summed == ("y", "x") and found.blocks == {"c": 6}
    # Of small images whole ones are summed, of very small ones several.
    found = schedule(ProductNotation.read(FILTER), {**sizes, "y": 16, "x": 16}, "ny")
    assert found.outer == {"n": 2} and found.summed == ("n", "y", "x")
    found = schedule(ProductNotation.read(FILTER), {**sizes, "y": 4, "x": 4}, "ny")
    assert found.outer == {} and found.outside == ()


def test_few_sums_are_not_written_out() -> None:
    # What is loaded ahead for several steps would not fit the registers.
    found = schedule(
        ProductNotation.read("y+p,c;o,c,p->o,y"), {"o": 4, "y": 99, "c": 64, "p": 3}, ""
    )
    assert found.blocks == {"o": 4} and not found.unrolled


def test_small_products_stay_short() -> None:
    found = schedule(ProductNotation.read(ROWS), rows(1, 3, 4) | {"c": 2}, "")
    assert not found.unrolled and max(found.blocks.values(), default=1) <= 4


def test_registers_hold_all_sums() -> None:
    for width in range(1, 60, 7):
        for outputs in (1, 2, 3, 7, 20, 64):
            found = schedule(ProductNotation.read(ROWS), rows(32, outputs, width), "")
            sums = 1
            for count in found.blocks.values():
                sums *= count
            vectors = 1 if 2 * sums > 12 else 2
            assert vectors * sums + found.blocks.get("y", 1) * vectors < REGISTERS


def test_empty_axes() -> None:
    for axis in [*ROWS.split(">")[1].split(","), "c"]:
        found = schedule(ProductNotation.read(ROWS), rows(8, 64, 56) | {axis: 0}, "")
        assert all(step >= 1 for step in [*found.unrolled.values(), *found.blocks.values()])
