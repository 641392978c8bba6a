"""Products are put right before the kernels that can run behind them row by row.

    s = w @ v.T                        g = p.T @ w
    g = p.T @ w                  ->    s = w @ v.T
    d = p*(s - sum(p*s, 1))            d = p*(s - sum(p*s, 1))

A backend runs a product and the step behind it as one where that is an epilogue (epilogues.py), and
chains of such pairs matrix by matrix (chains.py): a step in between would keep it from both. A
product is moved where one step reads its result, which follows no product yet, and where what it
reads would not take more memory for longer than its result does for shorter.
"""

from collections.abc import Mapping, Sequence

from graphc.loops.epilogues import Collapsed, epilogue_at
from graphc.loops.ir import Buffer, Contraction, KernelCall, Step
from graphc.loops.order import nominal_bytes, uses


def before_followers(steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> list[Step]:
    """The steps in an order in which products and their epilogues are neighbours."""
    places: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        for name in {name for names in uses(step) for name in names}:
            places.setdefault(name, []).append(number)
    collapsed = Collapsed()
    moved: dict[int, Step] = {}  # products, by the number of the step that follows them
    left: list[Step] = []
    for number, step in enumerate(steps):
        if isinstance(step, Contraction) and len(places[step.out]) == 2:
            follower = places[step.out][1]
            reader = steps[follower]
            if (
                follower > number + 1
                and follower not in moved
                and isinstance(reader, KernelCall)
                and epilogue_at([step, reader], 0, collapsed) is not None
                and epilogue_at(steps, follower - 1, collapsed) is None
                and _lengthened(step, follower, places, buffers) <= nominal_bytes(buffers[step.out])
                and not _passes_update(step, steps[number + 1 : follower], buffers)
            ):
                moved[follower] = step
                continue
        if number in moved:
            left.append(moved[number])
        left.append(step)
    return left


def _passes_update(
    product: Contraction, between: Sequence[Step], buffers: Mapping[str, Buffer]
) -> bool:
    """Whether it would read old values behind an update, which then could not lie over them."""
    roles = {buffers[name].role for name in {product.a, product.b} & buffers.keys()}
    return "variable" in roles and any(
        name in buffers and buffers[name].role == "update"
        for step in between
        for name in uses(step)[1]
    )


def _lengthened(
    product: Contraction,
    follower: int,
    places: Mapping[str, Sequence[int]],
    buffers: Mapping[str, Buffer],
) -> int:
    """Bytes of the operands that nothing else would keep until then."""
    operands = {product.a, product.b} & buffers.keys()
    return sum(nominal_bytes(buffers[name]) for name in operands if places[name][-1] < follower)
