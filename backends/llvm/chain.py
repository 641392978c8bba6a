"""A step of a loop whose states are numbers in registers: what every form of such a loop shares."""

from collections.abc import Callable, Mapping, Sequence

from graphc.backends.llvm.addresses import Array
from graphc.backends.llvm.loops import LoopEmitter
from graphc.backends.llvm.parallel import loads
from graphc.backends.llvm.scalar_ops import from_memory, to_memory
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import is_half
from graphc.loops.ir import Buffer, Kernel, KernelCall, Let, Loop, Program, Store
from graphc.scalar.expr import Expr, Load, transform
from graphc.shapes import Size, size_product, symbols_of

NOWHERE = Val("null", "ptr")
FRAMED = "ptr %frame, ptr %state, i64 %begin, i64 %end"


def straight(kernel: Kernel) -> list[Let | Store] | None:
    """The statements of a kernel that only computes and stores."""
    plain = [
        item
        for item in kernel.body
        if isinstance(item, Let) or (isinstance(item, Store) and not item.accumulate)
    ]
    return plain if len(plain) == len(kernel.body) else None


class ChainEmitter(LoopEmitter):
    """A function of a loop. values: what the names of the kernels' sizes stand for."""

    def __init__(
        self, program: Program, step: Loop, target: Target, values: Mapping[str, Size]
    ) -> None:
        super().__init__(target)
        self.code.builder.waits = True
        self.program = program
        self.step = step
        self.values = values
        self.pointers: dict[str, Val] = {}
        self.rows: dict[str, Val] = {}  # where the views of the present step lie
        self.names = self._symbols()
        for name in self.names:
            self.sizes.symbols[name] = Val(f"%s{len(self.sizes.symbols)}", "i64")
        self.held = {name for carry in step.carries for name in (carry.state, carry.following)}

    def buffer(self, name: str) -> Buffer:
        return self.program.buffers[name]

    def pointer(self, name: str) -> Val:
        """The parameter that points to a buffer."""
        found = self.pointers.get(name)
        if found is None:
            found = self.pointers[name] = Val(f"%b{len(self.pointers)}", "ptr")
        return found

    def words(self) -> list[Val]:
        """What the function is given."""
        return [*self.pointers.values(), *(self.sizes.symbols[name] for name in self.names)]

    def function(self, name: str, parameters: str) -> FunctionText:
        """The finished function; the words come by parameters, or lie in a frame."""
        lines = self.code.builder.lines
        if "%frame" in parameters:
            lines[:0] = loads(self.words())
        safe = self.memory.safe_bytes
        if safe:
            lines.insert(0, f"  %safe = alloca [{safe} x i8], align 64")
        return self.code.builder.function(
            f"define internal void @{name}({parameters}) {self.target.function_attributes}"
        )

    def bytes_of(self, name: str) -> Size:
        buffer = self.buffer(name)
        return size_product(buffer.shape) * buffer.dtype.itemsize

    def _symbols(self) -> tuple[str, ...]:
        """The program's sizes that the loop needs."""
        sizes = [self.step.length, *(self.bytes_of(view) for view, _ in self.step.slices)]
        found = set[str]().union(*map(symbols_of, [*sizes, *self.values.values()]))
        return tuple(name for name in (*self.program.sizes, *self.program.counts) if name in found)

    # The loop

    def steps(
        self,
        calls: Sequence[KernelCall],
        written: frozenset[str],
        bounds: tuple[Val, Val],
        initial: Sequence[Val],
        runs: Callable[[], Val] | None,
    ) -> list[Val]:
        """The loop; its last states."""
        step, code = self.step, self.code
        known = {name: self.sizes.first(size) for name, size in self.values.items()}
        last = code.operation("sub", self.sizes.first(step.length), code.constant(1, "i64"))
        widths = {view: self.sizes.first(self.bytes_of(view)) for view, _ in step.slices}

        def body(index: Val, states: list[Val]) -> list[Val]:
            row = code.operation("sub", last, index) if step.reverse else index
            for view, buffer in step.slices:
                start, offset = self.pointer(buffer), code.operation("mul", row, widths[view])
                self.rows[view] = code.gep("i8", start, offset)
            names = [carry.state for carry in step.carries]
            self.memory.registers = dict(zip(names, states, strict=True))
            self.sizes.symbols.update(known)
            for call in calls:
                self.kernel(call)
            return self.handed_on()

        start, end = bounds
        return code.loop(start, end, 1, initial, body, stored=written, runs=runs)

    def handed_on(self) -> list[Val]:
        """The states after a step."""
        return [self.memory.registers[carry.following] for carry in self.step.carries]

    def kernel(self, call: KernelCall) -> None:
        """The statements of a kernel, whose parameters go by the names of the buffers."""
        buffers: dict[str, str] = {}
        for parameter, name in zip(call.kernel.parameters, call.arguments, strict=True):
            buffers[parameter.name] = name
            self.memory.arrays[name] = Array(
                name, self.place_of(name), parameter.dtype, parameter.shape
            )

        def rename(expr: Expr) -> Expr | None:
            if not isinstance(expr, Load):
                return None
            index = tuple(transform(item, rename) for item in expr.index)
            return self.read(Load(buffers[expr.buffer], index, expr.dtype))

        for item in straight(call.kernel) or ():
            value = self.expressions.value(transform(item.value, rename))
            if isinstance(item, Let):
                self.expressions.locals[item.name] = value
            else:
                index = tuple(transform(one, rename) for one in item.index)
                self.write(buffers[item.buffer], index, value)

    def place_of(self, name: str) -> Val:
        """The pointer to a buffer or row; of carries, which are in no memory, any."""
        if name in self.rows:
            return self.rows[name]
        return NOWHERE if name in self.held else self.pointer(name)

    def read(self, load: Load) -> Load:
        """What stands for a load."""
        return load

    def write(self, name: str, index: Sequence[Expr], value: Val) -> None:
        if name not in self.held:
            self.memory.store(name, index, value, accumulate=False)
        if size_product(self.buffer(name).shape) == 1:
            self.memory.registers[name] = self.as_stored(name, value)

    def as_stored(self, name: str, value: Val) -> Val:
        """A value as it is read again from the buffer."""
        builder, dtype = self.code.builder, self.buffer(name).dtype
        if not is_half(dtype):
            return value
        kept = from_memory(builder, to_memory(builder, value, dtype), dtype)
        self.code.levels[kept.text] = self.code.depth
        return kept
