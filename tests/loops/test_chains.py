"""Which products may run matrix by matrix, which in blocks of rows, and what is nobody else's."""

from collections.abc import Sequence

import graphc as gc
from graphc.ir.graph import Graph
from graphc.loops.chains import Chain, chains_in
from graphc.loops.epilogues import Collapsed
from graphc.loops.ir import Program
from graphc.loops.lower import lower
from graphc.memory.lives import uses_of
from graphc.memory.plan import plan_memory
from graphc.passes.pipeline import optimize

SIZES = ("b", "n", "m", "d")


def program_of(inputs: Sequence[gc.Tensor], outputs: Sequence[gc.Tensor]) -> Program:
    return lower(optimize(Graph(tuple(inputs), tuple(outputs)))[0], SIZES)


def chains_of(program: Program) -> list[Chain]:
    found = chains_in(program.steps, program.buffers, uses_of(program), Collapsed())
    return list(found.values())


def operands() -> list[gc.Tensor]:
    shapes = {"q": ("b", 2, "n", "d"), "k": ("b", 2, "m", "d"), "v": ("b", 2, "m", "d")}
    return [gc.placeholder(name, shape) for name, shape in shapes.items()]


def test_attention_in_blocks_of_rows() -> None:
    q, k, v = operands()
    program = program_of([q, k, v], [gc.softmax(q @ k.mT, axis=-1) @ v])
    (chain,) = chains_of(program)
    assert chain.count == len(program.steps) == 3
    assert chain.by_rows
    n, m = q.shape[2], k.shape[2]
    assert set(chain.local.values()) == {n * m}
    assert len(chain.local) == 2
    assert plan_memory(program).peak != 0
    assert plan_memory(program, chain.local).peak == 0


def test_scores_that_are_wanted_are_not_local() -> None:
    q, k, v = operands()
    weights = gc.softmax(q @ k.mT, axis=-1)
    (chain,) = chains_of(program_of([q, k, v], [weights @ v, weights]))
    assert chain.by_rows
    assert len(chain.local) == 1


def test_gradients_by_matrix() -> None:
    """The gradient of k sums over all rows of the scores."""
    q, k, v = operands()
    result = gc.softmax(q @ k.mT, axis=-1) @ v
    program = program_of([q, k, v], gc.grad(gc.sum(result * result), [q, k, v]))
    chains = chains_of(program)
    assert sum(len(chain.links) for chain in chains) >= 4
    assert not all(chain.by_rows for chain in chains)


def test_what_another_matrix_wrote_ends_a_chain() -> None:
    """Every matrix of the second product reads the first matrix of the first."""
    a, b = (gc.placeholder(name, (3, 20, 20)) for name in "ab")
    t = a @ b
    same = gc.expand_dims(t[0], axis=0)
    program = program_of([a, b], [b @ gc.broadcast_to(same, (3, 20, 20))])
    for chain in chains_of(program):
        assert len(chain.links) < 2 or "t1" not in chain.local


def test_products_that_hand_nothing_on() -> None:
    a, b, c = (gc.placeholder(name, (3, 20, 20)) for name in "abc")
    assert not chains_of(program_of([a, b, c], [a @ b, a @ c]))


def test_one_matrix() -> None:
    a, b = (gc.placeholder(name, (20, 20)) for name in "ab")
    assert not chains_of(program_of([a, b], [gc.tanh(a @ b) @ b]))
