"""check="passes": translation validation. The graph is computed op by op after every pass, on the
inputs of the call; where a number has changed, the first rule that changed it is found by halving:
with a limited log, rewriting stops after so many hits.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.backends.registry import REFERENCE
from graphc.checks.compare import (
    Difference,
    Feeds,
    as_declared,
    evaluate_graph,
    evaluate_wide,
    feeds_of,
    find_difference,
    precisions_of,
)
from graphc.compiler import Stages
from graphc.errors import GraphcError, ValidationError
from graphc.ir.graph import Graph
from graphc.ir.tensor import Tensor
from graphc.passes.pipeline import optimize, real_numbers
from graphc.records import dataclass
from graphc.rewrite.driver import RewriteEntry, RewriteLog
from graphc.running import Arrays, Runner, Sizes


@dataclass(frozen=True)
class Snapshot:
    """The graph after a pass, and how many rules had fired by then."""

    name: str
    graph: Graph
    hits: int


@dataclass(frozen=True)
class Culprit:
    """Where a number changed first: in a pass, and if rules made it, the first of them."""

    name: str
    difference: Difference
    entry: RewriteEntry | None
    number: int | None  # of the hit among all hits, from 1

    def lines(self) -> list[str]:
        rows = [f"pass    {self.name}"]
        if self.entry is not None:
            rows += [
                f"rule    {self.entry.rule} ({self.entry.group}), hit {self.number}",
                f"before  {self.entry.before}",
                f"after   {self.entry.after}",
            ]
        return rows + self.difference.lines("was", "became")


def snapshots_of(graph: Graph) -> list[Snapshot]:
    """The graph as it is after each pass."""
    log = RewriteLog()
    found: list[Snapshot] = []
    optimize(
        graph, log=log, trace=lambda name, after: found.append(Snapshot(name, after, len(log)))
    )
    return found


class Evaluation:
    """A graph on the arrays of one call: its values as written, and in float64 if asked for."""

    def __init__(self, graph: Graph, arrays: Arrays, sizes: Mapping[str, int]) -> None:
        self.graph = graph
        self.feeds: Feeds = feeds_of(graph, arrays)
        self.sizes = sizes
        self.values = evaluate_graph(graph, self.feeds, sizes)
        self.precisions = precisions_of(graph)
        self._wide: list[np.ndarray] | None = None

    def wide(self) -> Sequence[np.ndarray]:
        if self._wide is None:
            self._wide = evaluate_wide(self.graph, self.feeds, self.sizes)
        return self._wide

    def of(self, graph: Graph) -> list[np.ndarray]:
        """The values of another form of the graph."""
        return evaluate_graph(graph, self.feeds, self.sizes)

    def difference(self, graph: Graph) -> Difference | None:
        return self.apart(self.of(graph))

    def apart(self, found: Sequence[np.ndarray]) -> Difference | None:
        """Where results that were found in another way are wrong."""
        return find_difference(self.values, found, self.wide, self.precisions)


def find_culprit(
    evaluation: Evaluation, snapshots: Sequence[Snapshot], written: Graph
) -> Culprit | None:
    """The first pass after which the graph has other values, and the first rule of it.

    written: the user's graph, which may have complex numbers where that of the evaluation has not.
    """
    if written is not evaluation.graph:
        parts = list(evaluation.feeds.values())
        stored = zip(evaluation.graph.variables, parts[len(written.inputs) :], strict=True)
        by_storage = {id(variable.storage): array for variable, array in stored}
        leaves: dict[Tensor, np.ndarray] = dict(zip(written.inputs, parts, strict=False))
        leaves |= {v: by_storage[id(v.storage)] for v in written.variables}
        whole = {leaf: as_declared(array, leaf) for leaf, array in leaves.items()}
        values = evaluate_graph(written, whole, evaluation.sizes)
        found = evaluation.values
        difference = find_difference(values, found, evaluation.wide, evaluation.precisions)
        if difference is not None:
            return Culprit("complex numbers as pairs of real ones", difference, None, None)
    hits = 0
    for snapshot in snapshots:
        difference = evaluation.difference(snapshot.graph)
        if difference is not None:
            return _first_hit(evaluation, snapshot, hits, difference)
        hits = snapshot.hits
    return None


def _first_hit(
    evaluation: Evaluation, snapshot: Snapshot, passed: int, difference: Difference
) -> Culprit:
    """By halving: after `passed` hits all is well, after those of the snapshot it is not."""

    def after(hits: int) -> tuple[Difference | None, RewriteLog]:
        log = RewriteLog(limit=hits)
        return evaluation.difference(optimize(evaluation.graph, log=log)[0]), log

    if snapshot.hits == passed or after(passed)[0] is not None:
        return Culprit(snapshot.name, difference, None, None)  # not one of the rules
    good, bad = passed, snapshot.hits
    entry: RewriteEntry | None = None
    while bad - good > 1 or entry is None:
        middle = bad if bad - good == 1 else (good + bad) // 2
        found, log = after(middle)
        if found is None:
            if middle == bad:  # the rest of the pass is needed to show it
                return Culprit(snapshot.name, difference, None, None)
            good = middle
        else:
            bad, difference, entry = middle, found, log.entries[middle - 1]
    return Culprit(snapshot.name, difference, entry, bad)


class PassesGuard:
    """A runner whose results are those of the graph as the user wrote it; else ValidationError."""

    def __init__(self, run: Runner, stages: Stages, backend: str) -> None:
        self.run = run
        self.stages = stages
        self.backend = backend
        self.graph = stages.user_graph if backend == REFERENCE else real_numbers(stages.user_graph)
        self.snapshots = snapshots_of(self.graph) if stages.log.entries else []

    def __call__(
        self, sizes: Sizes, inputs: Arrays, variables: Arrays, spare: Arrays
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        outputs, updates = self.run(sizes, inputs, variables, spare)
        graph = self.graph
        # The optimised graph may list its variables in another order.
        stored = [id(variable.storage) for variable in self.stages.graph.variables]
        arrays = dict(zip(stored, variables, strict=True))
        own = [arrays.get(id(v.storage), v.storage.read()) for v in graph.variables]
        bound = dict(zip(self.stages.size_names, sizes, strict=True))
        evaluation = Evaluation(graph, (*inputs, *own), bound)
        culprit = find_culprit(evaluation, self.snapshots, self.stages.user_graph)
        if culprit is not None:
            raise rule_error(graph, culprit)
        difference = evaluation.apart([*outputs, *updates])
        if difference is not None:
            raise backend_error(graph, self.backend, difference)
        return outputs, updates


def rule_error(graph: Graph, culprit: Culprit) -> GraphcError:
    entry = culprit.entry
    result = graph.results[culprit.difference.result]
    sources = entry.sources if entry is not None else result.sources
    what = f"rule {entry.rule}" if entry is not None else f"pass {culprit.name}"
    return ValidationError(
        f"{graph.name}: {what} changed a number",
        details=culprit.lines(),
        source=sources[0] if sources else None,
        fix="a rule of yours: correct it; one of graphc: please report it, and meanwhile compile "
        "with optimize=False",
    )


def backend_error(graph: Graph, backend: str, difference: Difference) -> GraphcError:
    sources = graph.results[difference.result].sources
    return ValidationError(
        f"{graph.name}: compiled by {backend}, result {difference.result} differs from the graph",
        details=difference.lines("op by op", backend),
        source=sources[0] if sources else None,
        fix="gc.bisect(f, *inputs) names the kernel; please report it",
    )
