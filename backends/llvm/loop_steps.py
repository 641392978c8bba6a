"""Loops and branches of steps."""

from collections.abc import Sequence

from graphc.backends.llvm.carried import CarriedLoop, carried_loop
from graphc.backends.llvm.heap import INTERRUPTED, use_interrupted
from graphc.backends.llvm.kernel_functions import heading
from graphc.backends.llvm.kernel_text import renamed
from graphc.backends.llvm.pieces import ROUTINE, routine
from graphc.backends.llvm.product_steps import ProductSteps
from graphc.backends.llvm.text import Val
from graphc.dtypes import bool_
from graphc.loops.ir import Branch, Carry, KernelCall, Loop, Step, While, flat_steps


class LoopSteps(ProductSteps):
    """Loops that count, loops that test, branches."""

    def _loop(self, step: Loop) -> None:
        """Every iteration points the views to their rows, runs the body and hands over."""
        carried = carried_loop(self.program, step, self.target)
        if carried is not None:
            self._carried(step, carried)
            return
        code, builder, turning = self.code, self.code.builder, _turning(step)
        length, zero = self.sizes.first(step.length), code.constant(0, "i64")
        self._hand_in(step)
        last = code.operation("sub", length, code.constant(1, "i64"))

        def body(index: Val, _: list[Val]) -> list[Val]:
            row = code.operation("sub", last, index) if step.reverse else index
            for view, buffer in step.slices:
                width = self.sizes.first(self._bytes(view))
                start = self._buffer(buffer)
                self._point(view, code.gep("i8", start, code.operation("mul", row, width)))
            for carry in turning:
                even, odd = (self._buffer(name) for name in carry.spare)
                turn = builder.icmp("ne", builder.and_(index, builder.const(1, index)), zero)
                spare = builder.select(turn, odd, even)
                ends = builder.icmp("eq", index, last)
                target = builder.select(ends, self._buffer(carry.final), spare)
                self._point(carry.following, target)
            self._steps(step.body)
            for carry in turning:
                self._point(carry.state, self._buffer(carry.following))
            return []

        before = self.kept_bytes
        self._keep(step)
        code.loop(zero, length, 1, [], body)
        self.kept_bytes = before
        self._hand_through(step, length)

    def _carried(self, step: Loop, loop: CarriedLoop) -> None:
        """A loop that is one function."""
        self.position += len(tuple(flat_steps(step.body)))
        name = self.functions.named(loop.functions)
        if loop.speculates:
            self.products.setdefault(ROUTINE, routine(self.target))
        for call in step.body:
            assert isinstance(call, KernelCall)
            text = "\n".join(one.text for one in renamed(loop.functions, name))
            self.kernels.setdefault(call.kernel.name, heading(call.kernel) + text)
        arguments = [self._buffer(one) for one in loop.buffers]
        self._call(name, [*arguments, *(self.sizes.symbols[size] for size in loop.sizes)])

    def _while(self, position: int, step: While) -> None:
        """Tests before every step; the number of steps is the value of a size afterwards."""
        code, builder, turning = self.code, self.code.builder, _turning(step)
        use_interrupted(builder)
        self._hand_in(step)

        def test() -> Val:
            self._steps(step.test)
            holds = builder.load(self._buffer(step.holds).text, "i8")
            return builder.icmp("ne", holds, builder.const(0, holds))

        def body(index: Val) -> None:
            stopped = builder.emit("call i1 @graphc_interrupted(ptr %seen, ptr %fault)", "i1")
            self._leave_if(stopped, INTERRUPTED)
            if step.most is not None:
                limit = builder.const(step.most, index)
                self._leave_if(builder.icmp("sge", index, limit), position + 1, step.most)
            for view, buffer in step.tapes:
                width = self.sizes.first(self._bytes(view))
                start = builder.mul(index, width)
                self._grow(buffer, builder.add(start, width))
                at = builder.value(
                    f"getelementptr i8, ptr {self._buffer(buffer).text}, i64 {start.text}"
                )
                self._point(view, Val(at, "ptr"))
            for carry in turning:
                even, odd = (self._buffer(name) for name in carry.spare)
                bit = builder.and_(index, builder.const(1, index))
                turn = builder.icmp("ne", bit, builder.const(0, bit))
                self._point(carry.following, builder.select(turn, odd, even))
            self._steps(step.body)
            for carry in turning:
                self._point(carry.state, self._buffer(carry.following))

        count = code.repeat(test, body)
        self.sizes.symbols[step.count] = count
        place = len(self.program.sizes) + self.program.counts.index(step.count)
        at = builder.value(f"getelementptr i64, ptr %sizes, i64 {place}")
        builder.line(f"store i64 {count.text}, ptr {at}, align 8")
        for carry in turning:
            self._copy(carry.final, carry.state)
        for _, buffer in step.tapes:  # without any step
            self._grow(buffer, code.constant(0, "i64"))

    def _hand_in(self, step: Loop | While) -> None:
        """The first states."""
        for carry in step.carries:
            if carry.is_in_place:
                self._copy(carry.final, carry.initial)
            first = carry.final if carry.is_in_place else carry.initial
            self._point(carry.state, self._buffer(first))

    def _branch(self, step: Branch) -> None:
        """Tests one body after the other; the selector is read once, as a body may overwrite it."""
        code, builder = self.code, self.code.builder
        dtype = self.program.buffers[step.selector].dtype
        pointer = self._buffer(step.selector)
        selector = builder.load(pointer.text, "i8" if dtype == bool_ else "i64")
        code.levels[selector.text] = code.depth
        last = len(step.bodies) - 1
        for number, body in enumerate(step.bodies):
            limit = builder.const(number, selector)
            sign = "sle" if number == 0 else "sge" if number == last else "eq"
            taken = (
                builder.icmp("eq", selector, selector)
                if last == 0
                else builder.icmp(sign, selector, limit)
            )
            code.levels[taken.text] = code.depth

            def run(body: Sequence[Step] = body) -> list[Val]:
                self._steps(body)
                return []

            code.branch(taken, [], run)

    def _hand_through(self, step: Loop, length: Val) -> None:
        """Without any step the final carries are the initial ones."""
        builder, turning = self.code.builder, _turning(step)
        if not turning or (isinstance(step.length, int) and step.length > 0):
            return
        empty = builder.icmp("sle", length, self.code.constant(0, "i64"))

        def copy() -> list[Val]:
            for carry in turning:
                self._copy(carry.final, carry.initial)
            return []

        self.code.branch(empty, [], copy)


def _turning(step: Loop | While) -> list[Carry]:
    """The carries that are written in one memory and in another in turn."""
    return [carry for carry in step.carries if not carry.is_in_place]
