"""Texts as HTML: what is marked, and that all else is only text."""

import graphc as gc
from graphc.inspect.marked_text import END, Lines, MarkedGraphs, escaped
from graphc.ir.printer import format_graph
from graphc.ir.source import Source


def test_marks_do_not_move_columns() -> None:
    x = gc.placeholder("x", ("n", 4))
    graph = gc.function([x], gc.sum(gc.exp(x) * x + 1.5), optimize=False).stages.graph
    marked = MarkedGraphs().text(graph)
    assert marked.count(END) > 6
    plain = "".join(c for c in marked if c != END and ord(c) < 0xF0000)
    assert plain == format_graph(graph)


def test_values_of_two_graphs_are_told_apart() -> None:
    x = gc.placeholder("x", (3,))
    graph = gc.function([x], x + 1).stages.graph
    graphs, lines = MarkedGraphs(), Lines([])
    first, second = (lines.html(graphs.text(graph)) for _ in range(2))
    assert '<i data-v="0.x">x</i>' in first and '<i data-v="1.x">x</i>' in second


def test_lines_of_the_user() -> None:
    lines = Lines([Source("/a/b.py", 3), Source("/a/<b>.py", 4), Source("", 1)])
    text = lines.html("t = x  b.py:3,17, <b>.py:4\nxb.py:3 c.py:4")
    assert text == (
        't = x  <u data-s="b.py:3">b.py:3</u>,<u data-s="b.py:17">17</u>, '
        '<u data-s="&lt;b&gt;.py:4">&lt;b&gt;.py:4</u>\nxb.py:3 c.py:4'
    )
    assert Lines([]).line("b.py:3") == "b.py:3"


def test_buffers() -> None:
    lines = Lines([])
    assert lines.line("0  k0  x = lt < x[n]  n x 8", {"x", "lt"}) == (
        '0  k0  <i data-v="b.x">x</i> = <i data-v="b.lt">lt</i> &lt; '
        '<i data-v="b.x">x</i>[n]  n x 8'
    )


def test_what_cannot_be_printed_is_a_number() -> None:
    assert escaped("a\x00<\u202e\ud800\t") == "a\\x00&lt;\\u202e\\ud800\\t"
