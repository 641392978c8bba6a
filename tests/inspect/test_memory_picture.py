"""The picture of a memory plan: a block a temporary, where the plan has it."""

import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest

import graphc as gc
from graphc.inspect.memory_picture import LEFT, TOP, drawn_sizes, memory_picture
from graphc.loops.ir import Program
from graphc.memory.plan import MemoryPlan

Block = tuple[str, float, float, float, float, bool]


def blocks_of(picture: str) -> list[Block]:
    found = []
    for group in ET.fromstring(picture).iter("g"):
        rect, name = group.find("rect"), str(group.get("data-v")).removeprefix("b.")
        assert rect is not None
        x, y, w, h = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        found.append((name, x, y, x + w, y + h, "over" in rect.get("class", "")))
    return found


def drawn(n: int) -> tuple[Program, MemoryPlan, str]:
    x = gc.placeholder("x", ("n", 8))
    h = x
    for _ in range(6):
        h = gc.tanh(h @ gc.constant(np.ones((8, 8), "float32"))) + h
    f = gc.function([x], h @ gc.constant(np.ones((8, 8), "float32")), backend="interpreter")
    program, plan = f.stages.program, f.stages.plan
    assert program is not None and plan is not None
    return program, plan, memory_picture(program, plan, drawn_sizes(plan, {"n": n}))


@pytest.mark.parametrize("n", [1, 100])
def test_every_temporary_has_its_block(n: int) -> None:
    _, plan, picture = drawn(n)
    blocks = blocks_of(picture)
    assert [block[0] for block in blocks] == list(plan.lives)
    assert {block[0] for block in blocks if block[5]} == set(plan.in_place)
    root = ET.fromstring(picture)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    assert all(
        left >= LEFT and right <= width and top >= TOP - 0.1 and bottom <= height
        for _, left, top, right, bottom, _ in blocks
    )


def test_blocks_share_memory_only_where_one_is_in_place_of_the_other() -> None:
    _, plan, picture = drawn(64)
    for one, other in combinations(blocks_of(picture), 2):
        apart = (
            min(one[3], other[3]) - max(one[1], other[1]) < 0.2
            or min(one[4], other[4]) - max(one[2], other[2]) < 0.2
        )
        chain = {one[0], plan.in_place.get(one[0]), other[0], plan.in_place.get(other[0])} - {None}
        assert apart or len(chain) < 4, (one, other)


def test_sizes_that_are_not_given_have_a_usual_value() -> None:
    _, plan, _ = drawn(3)
    assert drawn_sizes(plan, {}) == {"n": 256}
    assert drawn_sizes(plan, {"n": 3}) == {"n": 3}
