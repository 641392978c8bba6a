"""The list of passes, in order, each with the reason why it stands where it does."""

from collections.abc import Callable, Sequence

from graphc.ir.graph import Graph
from graphc.ir.lowering import Composite, Contraction, ScatterAdd
from graphc.ir.node import Node
from graphc.ir.verifier import verify
from graphc.passes.branches import choose_branches, sink_into_branches
from graphc.passes.canonicalize.arith import ARITH
from graphc.passes.canonicalize.checks import CHECKS
from graphc.passes.canonicalize.entries import ENTRIES
from graphc.passes.canonicalize.movement import MOVEMENT
from graphc.passes.canonicalize.reduce import REDUCE
from graphc.passes.canonicalize.select import SELECT
from graphc.passes.canonicalize.shape import SHAPE
from graphc.passes.canonicalize.transposes import TRANSPOSES
from graphc.passes.complex_parts import has_complex, split_complex
from graphc.passes.contraction import CONTRACTION
from graphc.passes.expand import EXPAND
from graphc.passes.fold import FOLD, FOLD_NUMBERS
from graphc.passes.invariant import hoist_invariant
from graphc.passes.kept_products import keep_products
from graphc.passes.kept_sums import keep_sums
from graphc.passes.last import keep_last_rows
from graphc.passes.linear_algebra import LINEAR_ALGEBRA
from graphc.passes.live import drop_unneeded
from graphc.passes.loops import merge_loops
from graphc.passes.motion import move_out
from graphc.passes.narrow_products import NARROW_PRODUCTS
from graphc.passes.narrow_sums import NARROW_SUMS, is_narrow_sum
from graphc.passes.nested import fill_bodies, has_bodies, map_bodies
from graphc.passes.pieces import join_pieces
from graphc.passes.spectra import share_spectra
from graphc.passes.stabilize import STABILIZE
from graphc.passes.stabilize_logarithms import STABILIZE_LOGARITHMS
from graphc.passes.table_entries import TABLE_ENTRIES
from graphc.passes.turned import turn_matrices
from graphc.passes.unroll import unroll
from graphc.passes.vector_product import VECTOR_FIRST, VECTOR_PRODUCT
from graphc.records import dataclass
from graphc.rewrite.driver import RewriteLog, rewrite
from graphc.rewrite.rule import RuleTable

CANONICAL = (*ARITH, *SELECT, *MOVEMENT, *ENTRIES, *REDUCE, *SHAPE, *CHECKS)
EXPANSION = RuleTable(expand=EXPAND, narrow_sums=NARROW_SUMS)
STABLE = (*STABILIZE, *STABILIZE_LOGARITHMS, *LINEAR_ALGEBRA)
# Before differentiation: numbers as they will be, or what is computed of them is computed twice.
PREPARATION = RuleTable(stabilize=STABLE, canonicalize=CANONICAL, fold=FOLD_NUMBERS)


@dataclass(frozen=True, slots=True)
class Pass:
    """A rule table that is applied to the whole graph until nothing fires.

    In every pass equal nodes become one, since the driver looks each up by its structure; 0.0 and
    -0.0, 1 and True and 1.0, and equal numbers of two dtypes stay apart. What no result needs is
    gone after each: a graph lists its nodes by walking from its results.
    """

    name: str
    table: RuleTable
    reason: str
    needed: Callable[[Node], bool] = lambda node: True  # for one that occurs; else it is skipped
    follows: bool = False  # right after another one, after which equal nodes are one


SIMPLIFY = Pass(
    "simplify",
    RuleTable(stabilize=STABLE, canonicalize=(*CANONICAL, *TRANSPOSES), fold=FOLD),
    "First, and in one sweep: stabilising patterns are written once, for one spelling of each "
    "expression, what they make is canonical again at once, and both look for log, softmax "
    "and sigmoid as whole ops, before composites are expanded. Transposes that expansion makes "
    "are layouts that were chosen, and stay. Loops follow at once.",
)

VECTORS_FIRST = Pass(
    "vectors first",
    RuleTable(vector_product=VECTOR_FIRST),
    "In bodies, before products leave them: what is said of x_t @ W holds of W @ v_t as well.",
    needed=lambda node: isinstance(node.op.lower, Contraction),
    follows=True,
)

EXPANSIONS = Pass(
    "expand",
    RuleTable(expand=EXPAND, canonicalize=CANONICAL, fold=FOLD),
    "After stabilising rules, which would take the expansions apart: backends know simple ops "
    "alone, and an expansion often has less to do than its op could know. Loops in it follow.",
    needed=lambda node: isinstance(node.op.lower, Composite),
    follows=True,
)

PIPELINE = (
    SIMPLIFY,
    EXPANSIONS,
    Pass(
        "entries",
        RuleTable(entries=TABLE_ENTRIES, canonicalize=CANONICAL),
        "When sums of what is scattered are in their last form.",
        needed=lambda node: isinstance(node.op.lower, ScatterAdd),
        follows=True,
    ),
    Pass(
        "contraction",
        RuleTable(contraction=CONTRACTION, canonicalize=MOVEMENT),
        "Composites bring transposes of their own, and the order of a matmul chain counts "
        "uses, which are known when nothing else changes them.",
        needed=lambda node: isinstance(node.op.lower, Contraction),
        follows=True,
    ),
    Pass(
        "vector products",
        RuleTable(vector_product=VECTOR_PRODUCT, canonicalize=CANONICAL, fold=FOLD),
        "After contraction, whose order of a chain decides which products have a vector in them.",
        needed=lambda node: isinstance(node.op.lower, Contraction),
        follows=True,
    ),
    Pass(
        "narrow products",
        RuleTable(narrow_products=NARROW_PRODUCTS),
        "Last: other rules know matmul alone.",
        needed=lambda node: isinstance(node.op.lower, Contraction),
        follows=True,
    ),
    Pass(
        "narrow sums",
        RuleTable(narrow_sums=NARROW_SUMS),
        "Last: other rules know sums of exponentials and of products in any dtype.",
        needed=is_narrow_sum,
        follows=True,
    ),
)


def real_numbers(graph: Graph) -> Graph:
    """The graph with a pair of real tensors for every complex one.

    Before all passes, for backends that know real numbers alone: rules are equations of real
    numbers, so they see the parts, simplify and fuse them; they do not touch complex values.
    """
    return split_complex(graph) if has_complex(graph) else graph


Trace = Callable[[str, Graph], None]


def _no_trace(name: str, graph: Graph) -> None:
    pass


def optimize(
    graph: Graph,
    check: bool = False,
    log: RewriteLog | None = None,
    trace: Trace = _no_trace,
) -> tuple[Graph, RewriteLog]:
    """The graph after all passes, and what fired.

    check: verify before, between and after. trace: is told the graph after each pass.
    """
    log = RewriteLog() if log is None else log
    if check:
        verify(graph)
    for one in PIPELINE:
        graph = run_pass(graph, one, log)
        trace(one.name, graph)
        if one is SIMPLIFY and has_bodies(graph):
            graph = run_pass(optimize_bodies(graph, log, trace), one, log)
            trace("simplify after loops and branches", graph)
        if one is EXPANSIONS:  # what composites are made of is known, and who reads it
            graph = _through(graph, (share_spectra,), trace)
        if one is EXPANSIONS and has_bodies(graph):
            graph = map_bodies(graph, lambda body: _expanded(body, log))
        if check:
            verify(graph)
    return _through(graph, (join_pieces,), trace), log  # last: who stores what is known


# What happens to loops and branches around their bodies, in order, before these are simplified ...
BEFORE_BODIES = (
    choose_branches,  # what is not taken is not looked at below
    merge_loops,  # a loop and the one that its gradient added read and hand on the same
    fill_bodies,  # numbers are seen where they are used; in each body, so they are one no longer
    keep_last_rows,  # after merging: all readers of an output are known
    drop_unneeded,  # what the steps above have left without a reader
    sink_into_branches,  # once it is known what else needs a value
)
# ... and after that.
AFTER_BODIES = (
    hoist_invariant,  # work that is the same in every step
    move_out,  # products of whole sequences, and sums over the steps: one product of many rows
    keep_products,  # those of stacked values, which the loop has made already
    keep_sums,  # once it is known what loops stack for each other
    drop_unneeded,  # what has left the loops
    turn_matrices,  # after products have left, and what others call them is no longer asked
)


def optimize_bodies(graph: Graph, log: RewriteLog, trace: Trace = _no_trace) -> Graph:
    """The graph with its loops merged, freed of what can be done outside, and optimised inside.

    After simplify: equal values are one value then, in the graph and in the bodies.
    """
    graph = _through(graph, BEFORE_BODIES, trace)
    graph = map_bodies(
        graph, lambda body: run_pass(run_pass(body, SIMPLIFY, log), VECTORS_FIRST, log)
    )
    trace("simplify in loops and branches", graph)
    graph = _through(graph, AFTER_BODIES, trace)
    graph = _through(graph, (unroll,), trace)
    graph = map_bodies(graph, lambda body: optimize(body, log=log)[0])
    trace("all passes in loops and branches", graph)
    return graph


def _expanded(body: Graph, log: RewriteLog) -> Graph:
    """A body, optimised if it has composites still: one that came with an expansion."""
    if any(EXPANSIONS.needed(node) for node in body.nodes):
        return optimize(body, log=log)[0]
    return map_bodies(body, lambda inner: _expanded(inner, log)) if has_bodies(body) else body


def _through(graph: Graph, steps: Sequence[Callable[[Graph], Graph]], trace: Trace) -> Graph:
    for step in steps:
        graph = step(graph)
    trace(", ".join(step.__name__ for step in steps), graph)
    return graph


def run_pass(graph: Graph, one: Pass, log: RewriteLog | None = None) -> Graph:
    """The graph after one pass."""
    if not any(map(one.needed, graph.nodes)):
        return graph
    results = rewrite(graph.results, one.table, log=log, unique=one.follows)
    unchanged = all(new is old for new, old in zip(results, graph.results, strict=True))
    return graph if unchanged else graph.with_results(results)


def expand(graph: Graph) -> Graph:
    """The same function without composite ops and nothing else changed, in loops too."""
    graph = join_pieces(graph.with_results(rewrite(graph.results, EXPANSION)))
    return map_bodies(graph, expand) if has_bodies(graph) else graph
