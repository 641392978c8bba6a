"""Shapes of a program's buffers at given sizes."""

from graphc.shape_table import ShapeTable
from graphc.shapes import Dim, ceil_div, dim_max

n, m = Dim.symbol("n"), Dim.symbol("m")


def test_shapes_in_order() -> None:
    shapes = [(), (3,), (n, 4), (0, m), (n * m + 1, ceil_div(n, 2)), (dim_max(n - m, 0), n)]
    table = ShapeTable(shapes)
    assert table.at({"n": 5, "m": 7}) == [(), (3,), (5, 4), (0, 7), (36, 3), (0, 5)]
    assert table.at({"n": 0, "m": 1}) == [(), (3,), (0, 4), (0, 1), (1, 0), (0, 0)]


def test_static_shapes_need_no_sizes() -> None:
    assert ShapeTable([(2, 3), ()]).at({}) == [(2, 3), ()]
