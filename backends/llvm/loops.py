"""Loops of a kernel, and the accumulators that they feed."""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.accumulate import Combination, choose
from graphc.backends.llvm.expressions import Expressions
from graphc.backends.llvm.lanes import Body, Piece, Survey, most_of, pieces, positions_along
from graphc.backends.llvm.neighbours import groups, stands_apart
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.prefetch import Ahead, ask, next_rows, read_last
from graphc.backends.llvm.running import PREFIX, Running
from graphc.backends.llvm.scopes import Code, is_constant
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.streaming import Streaming
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import Val
from graphc.dtypes import DType
from graphc.loops.ir import For, Statement, Store
from graphc.scalar.expr import Call, Expr, Index
from graphc.shapes import Dim, Size

BLOCK = 256  # iterations of a loop whose float32 sum is kept apart from the total
FEW = 8  # iterations that are not worth stages
COUNTED_BLOCK = 1 << 30  # elements that an i32 counts


class LoopEmitter:
    """What kernels and their loops share. `statements` emits a body."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.code = Code(has_fma=target.has_fma, has_avx512=target.has_avx512)
        self.sizes = Sizes(self.code)
        self.expressions = Expressions(self.code, self.sizes)
        self.states = self.expressions.states
        self.memory = self.expressions.memory
        self.memory.has_gathers = target.has_gathers
        self.memory.has_masked_stores = target.has_masked_stores
        self.combinations: dict[str, Combination | Running] = {}
        self.streaming: Streaming | None = None
        self.streams = False  # whether something is stored past the cache
        self._counting: dict[str, tuple[str, Val]] = {}  # accumulator: axis, first element
        self.wanted: dict[int, list[Ahead]] = {}  # see prefetch.py
        self.divided: For | None = None  # the loop that runs from BEGIN to END only
        self.fused = False  # see Kernel
        self.has_pairs = target.has_pairs
        self.in_tiles = False  # whether rows are those of products, which are long or all alike
        self.in_stages = False  # whether the innermost loop may be cut, see stages.py
        self.survey = Survey()
        self.fused_sums: set[str] = set()  # accumulators whose products are not rounded

    def statements(self, items: Sequence[Statement]) -> None:
        """Emit what a loop has in it; see `emitter`. Loops without bodies need none."""
        raise AssertionError(f"{type(self).__name__} emits no bodies of loops")

    # Accumulators

    def declare(self, name: str, combine: str, dtype: DType, position_name: str | None) -> None:
        combination: Combination | Running = Combination(combine, dtype)
        if combine.startswith(PREFIX):
            combination = Running(combine.removeprefix(PREFIX), dtype, self.target.vector_bytes)
        self.combinations[name] = combination
        self.states[name] = combination.identity(self.code, self.sizes.lanes)
        self.expressions.locals.pop(name, None)
        if position_name is not None:
            self.expressions.positions[position_name] = name
            self.expressions.locals.pop(position_name, None)

    def accumulate(self, name: str, value: Expr, position: Expr | None) -> None:
        old = self.states[name]
        lanes = old[0].lanes
        combination = self.combinations[name]
        if isinstance(combination, Running):
            element = self.code.splat(self.expressions.value(value), lanes)
            now, self.states[name][0] = combination.taken(self.code, old[0], element)
            self.expressions.locals[name] = now
            return
        fused = combination.is_sum and (self.fused or name in self.fused_sums)
        if fused and isinstance(value, Call) and value.op in ("mul", "pair_product"):
            factors = [self.code.splat(self.expressions.value(arg), lanes) for arg in value.args]
            if value.op == "mul":
                total = combination.fused_step(self.code, old, factors)
            else:
                total = combination.pair_step(self.code, old, factors, self.has_pairs)
            self.states[name] = combination.masked(self.code, self.memory.lane_mask(), total, old)
            return
        element = self.code.splat(self.expressions.value(value), lanes)
        place = None if position is None else self.code.splat(self._place(name, position), lanes)
        new = combination.step(self.code, old, element, place)
        self.states[name] = combination.masked(self.code, self.memory.lane_mask(), new, old)

    def _place(self, name: str, position: Expr) -> Val:
        """The position of an element, or the number of iterations that `_blocked_loop` counts."""
        if name not in self._counting:
            return self.expressions.value(position)
        axis, first = self._counting[name]
        code = self.code
        count = code.operation("sub", self.sizes.symbols[axis], first)
        return code.pure(
            ("trunc", count.text, "i32"), (count,), lambda: code.builder.trunc(count, "i32")
        )

    # Loops

    def flat(self, names: Sequence[str]) -> list[Val]:
        return [value for name in names for value in self.states[name]]

    def restore(self, names: Sequence[str], values: list[Val]) -> None:
        position = 0
        for name in names:
            count = len(self.states[name])
            self.states[name] = values[position : position + count]
            position += count

    def _loop(
        self,
        start: Val,
        end: Val,
        step: int,
        facts: Body,
        names: Sequence[str],
        body: Callable[[Val], None],
        runs: Callable[[], Val] | None,
    ) -> None:
        """A loop around which the states of the accumulators `names` are carried."""

        def inside(index: Val, values: list[Val]) -> list[Val]:
            self.restore(names, values)
            body(index)
            return self.flat(names)

        cuts = self.in_stages and step == self.sizes.lanes
        values = self.code.loop(
            start,
            end,
            step,
            self.flat(names),
            inside,
            stored=facts.stored,
            runs=runs,
            vector_bytes=self.target.vector_bytes if cuts else 0,
        )
        self.restore(names, values)

    def _blocked_loop(
        self,
        loop: For,
        start: Val,
        end: Val,
        step: int,
        facts: Body,
        names: Sequence[str],
        body: Callable[[Val], None],
        trips: int | None,
    ) -> None:
        """The loop over an axis, in blocks where an accumulator wants that.

        Long float32 sums are made of sums over blocks of iterations, and very long ones of sums
        over blocks of blocks. The position of an extremum is kept as a number of iterations, in as
        few bits as the elements, and becomes a position at the end of the block.
        """
        runs = self._runs(loop.extent)
        most = trips if trips is not None else most_of(loop.extent)
        is_long = most is None or most > 2 * BLOCK
        sums = [name for name in names if is_long and self.combinations[name].is_inexact_sum]
        can_count = self.sizes.lanes > 1 and facts.element_bytes <= 4
        counted = positions_along(loop, names) if can_count else {}
        if not sums and not counted:
            self._loop(start, end, step, facts, names, body, runs)
            return
        code = self.code

        def block(first: Val, last: Val, surely: bool) -> None:
            totals = {name: self.states[name] for name in (*sums, *counted)}
            for name, total in totals.items():
                self.states[name] = self.combinations[name].identity(code, total[0].lanes)
            for name in counted:
                self.states[name][1] = code.constant(0, "i32", totals[name][0].lanes)
                self._counting[name] = loop.axis, first
            self._loop(first, last, step, facts, names, body, None if surely else runs)
            for name, position in counted.items():
                del self._counting[name]
                self.states[name][1] = self._position(name, loop.axis, first, position)
            for name, total in totals.items():
                self.states[name] = self.combinations[name].merge(code, total, self.states[name])

        if not sums and trips is not None:
            block(start, end, surely=False)
            return
        length = BLOCK * step if sums else COUNTED_BLOCK

        def blocks(first: Val, last: Val) -> None:
            def one(at: Val) -> None:
                block(at, self._at_most(last, at, length), surely=True)

            self._loop(first, last, length, facts, names, one, runs)

        if not sums or (trips is not None and trips <= 2 * BLOCK**2):
            blocks(start, end)
            return

        def many(first: Val) -> None:
            totals = {name: self.states[name] for name in sums}
            for name, total in totals.items():
                self.states[name] = self.combinations[name].identity(code, total[0].lanes)
            blocks(first, self._at_most(end, first, length * BLOCK))
            for name, total in totals.items():
                self.states[name] = self.combinations[name].merge(code, total, self.states[name])

        self._loop(start, end, length * BLOCK, facts, names, many, runs)

    def _at_most(self, end: Val, start: Val, length: int) -> Val:
        """The end of what begins at `start` and is no longer than `length`."""
        behind = self.code.operation("add", start, self.code.constant(length, "i64"))
        return self.sizes.extremum("smin", behind, end)

    def _position(self, name: str, axis: str, first: Val, position: Index) -> Val:
        """The position after the counted number of elements behind element `first`."""
        code, count = self.code, self.states[name][1]
        assert isinstance(position.size, Dim)
        slope = position.size.coefficient(axis)
        assert isinstance(slope, int)
        self.sizes.symbols[axis] = first
        start = code.splat(self.expressions.value(position), count.lanes)
        wide = code.pure(("sext", count.text), (count,), lambda: code.builder.sext(count, "i64"))
        moved = code.operation("mul", wide, code.constant(slope, "i64", count.lanes))
        return code.operation("add", start, moved)

    def _runs(self, extent: Size) -> Callable[[], Val] | None:
        """What tells whether a loop runs at all; None if it surely does."""
        if isinstance(extent, int):
            return None

        def emit() -> Val:
            n, zero = self.sizes.first(extent), self.code.constant(0, "i64")
            builder = self.code.builder
            return self.code.pure(("runs", n.text), (n,), lambda: builder.icmp("sgt", n, zero))

        return emit

    def scalar_loop(self, loop: For) -> None:
        extent = loop.extent
        if isinstance(extent, int) and extent <= 0:
            return
        self.memory.extents[loop.axis] = extent
        start = self.code.constant(0, "i64")
        if extent == 1 and loop is not self.divided:
            self.sizes.symbols[loop.axis] = start
            self.statements(loop.body)
            return
        facts = self.survey(loop.body)
        names = [name for name in facts.accumulated if name in self.states]
        self.wanted |= next_rows(loop, self.memory, self.survey)

        def body(index: Val) -> None:
            self.sizes.symbols[loop.axis] = index
            self.statements(loop.body)

        trips = extent if isinstance(extent, int) else None
        end = self.sizes.first(extent)
        if loop is self.divided:
            start, end = BEGIN, END
        self._blocked_loop(loop, start, end, 1, facts, names, body, trips)

    def vector_loop(self, loop: For) -> None:
        facts = self.survey(loop.body)
        names = [name for name in facts.accumulated if name in self.states]
        outer = {name: self.states[name] for name in names}
        has_positions = any(self.combinations[name].has_position for name in names)
        divided = loop is self.divided
        narrow = stands_apart(loop.body, loop.axis, self.memory.arrays)
        in_rows = self.code.depth > 0 and isinstance(loop.extent, Dim) and not self.in_tiles
        whole = Dim.symbol(loop.axis) if divided else loop.extent
        cut = pieces(whole, facts, self.target, narrow, in_rows)
        if not cut:
            return
        if self.fused:
            self.wanted[id(loop)] = read_last(loop, self.memory)
        self.memory.extents[loop.axis] = loop.extent
        self.memory.neighbours = groups(loop.body, loop.axis, self.memory.arrays)
        self.sizes.vector_axis, self.sizes.lane_bytes = loop.axis, facts.element_bytes
        for name in names:
            self.states[name] = self.combinations[name].identity(self.code, cut[0].lanes)
        done = start = BEGIN if divided else self.code.constant(0, "i64")
        stores = self.streaming.stores(loop, cut[0].lanes) if self.streaming else []
        lead = None if names else self._lead(loop, stores, start)
        if lead is not None:
            cut, done = pieces(Dim.symbol(loop.axis), facts, self.target, narrow, in_rows), lead
        for piece in cut:
            for name in names:
                self.states[name] = self.combinations[name].narrow(
                    self.code, self.states[name], piece.lanes
                )
            if piece is cut[0] and not piece.masked:
                self.memory.past_cache = self._past_cache(loop, stores, done, piece.lanes)
            if has_positions and piece.start == 0 and piece.stop is None:
                done = self._piece_if_any(loop, facts, names, piece, done, cut[-1].lanes)
            else:
                done = self._piece(loop, facts, names, piece, done)
            self.memory.past_cache = {}
        if lead is not None:
            self._piece(loop, facts, names, cut[-1], start, lead)
        self.sizes.vector_axis, self.sizes.lanes = None, 1
        for name in names:
            combination = self.combinations[name]
            state = combination.narrow(self.code, self.states[name], 1)
            self.states[name] = combination.merge(self.code, outer[name], state)

    def _lead(self, loop: For, stores: list[Store], start: Val) -> Val | None:
        """Where a loop over large arrays, begun at `start`, goes on with whole lines."""
        if not stores or self.streaming is None or not self.streaming.is_large:
            return None
        self.sizes.symbols[loop.axis] = start
        self.sizes.lanes = self.target.native_lanes(1)  # any number above 1
        lead = self.streaming.lead(self.memory, stores)
        if lead is None:
            return None
        end = END if loop is self.divided else self.sizes.first(loop.extent)
        return self.sizes.extremum("smin", self.code.operation("add", start, lead), end)

    def _past_cache(self, loop: For, stores: list[Store], start: Val, lanes: int) -> dict[str, Val]:
        """The stores that may go past the cache, if the loop begins at `start`, and when."""
        if not stores or self.streaming is None:
            return {}
        self.streams = True
        self.sizes.symbols[loop.axis] = start
        self.sizes.lanes = lanes
        return self.streaming.aligned(self.memory, stores, loop.extent)

    def _piece(
        self,
        loop: For,
        facts: Body,
        names: list[str],
        piece: Piece,
        done: Val,
        limit: Val | None = None,
    ) -> Val:
        """Emit one piece of a vector loop behind element `done`; returns its end.

        limit: the end of the loop, if it is not its extent.
        """
        self.sizes.lanes = piece.lanes
        extent = END if loop is self.divided else self.sizes.first(loop.extent)
        extent = extent if limit is None else limit
        end, trips = self._end(piece, done, extent)

        def body(index: Val) -> None:
            self.sizes.symbols[loop.axis] = index
            if piece.masked:
                self.memory.tail = self._tail(index, extent)
            elif id(loop) in self.wanted:
                ask(self.memory, self.wanted[id(loop)])
            self.statements(loop.body)
            self.memory.tail = None

        if trips == 1:
            body(done)
            return end
        self.in_stages = not piece.masked and piece.lanes > 1 and (trips is None or trips > FEW)
        self._blocked_loop(loop, done, end, piece.lanes, facts, names, body, trips)
        self.in_stages = False
        return end

    def _piece_if_any(
        self, loop: For, facts: Body, names: list[str], piece: Piece, done: Val, lanes: int
    ) -> Val:
        """A piece with states of fewer lanes around it: short rows spare what joins its lanes."""
        code = self.code
        extent = END if loop is self.divided else self.sizes.first(loop.extent)
        end, _ = self._end(piece, done, extent)
        key = ("any", done.text, end.text)
        some = code.pure(key, (done, end), lambda: code.builder.icmp("slt", done, end))
        for name in names:
            self.states[name] = self.combinations[name].identity(code, lanes)

        def body() -> list[Val]:
            for name in names:
                self.states[name] = self.combinations[name].identity(code, piece.lanes)
            self._piece(loop, facts, names, piece, done)
            for name in names:
                self.states[name] = self.combinations[name].narrow(code, self.states[name], lanes)
            return self.flat(names)

        self.restore(names, code.branch(some, self.flat(names), body, stored=facts.stored))
        return end

    def _end(self, piece: Piece, start: Val, extent: Val) -> tuple[Val, int | None]:
        """Where a piece ends, and how often it runs, if that is known."""
        if piece.stop is not None and piece.start is not None:
            trips = -(-(piece.stop - piece.start) // piece.lanes)
            return self.code.constant(piece.stop, "i64"), trips
        if piece.above:
            left = self.code.operation("sub", extent, start)
            limit = self.code.constant(piece.above, "i64")
            key = ("above", left.text, limit.text)
            some = self.code.pure(key, (left,), lambda: self.code.builder.icmp("sgt", left, limit))
            return choose(self.code, some, extent, start), 0
        if piece.start is None:
            return extent, 0  # a few at most: no need for blocks
        whole = self.code.constant(-piece.lanes, "i64")
        if is_constant(start):
            return self.code.operation("and", extent, whole), None
        length = self.code.operation("and", self.code.operation("sub", extent, start), whole)
        return self.code.operation("add", start, length), None

    def _tail(self, index: Val, extent: Val) -> Val:
        """The mask of the lanes that lie before the end of the loop."""
        if is_constant(index) and is_constant(extent):
            left, lanes = int(extent.text) - int(index.text), self.sizes.lanes
            bits = ", ".join(f"i1 {str(k < left).lower()}" for k in range(lanes))
            return Val(f"<{bits}>", "i1", lanes)
        return self.sizes.lanes_where("slt", self.code.operation("sub", extent, index))
