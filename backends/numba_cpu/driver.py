"""Program -> the plain Python around the kernels: views of buffers, then the steps in order.

def bind(sizes, temporaries, kernels):
    n, m = sizes
    (t,) = temporaries
    softmax, gather = kernels
    t_3 = view(t, (n, 3))

    def run(arrays):
        x, w, index, p, rows = arrays
        ...
        np.matmul(x_2, w_2.T, out=t_2)
        softmax(t_3, p_3, n, 3)

    return run
"""

from collections.abc import Sequence

from graphc.backends.numba_cpu.names import Identifiers
from graphc.backends.numba_cpu.python_source import shape_text
from graphc.loops.ir import (
    INNER_ROLES,
    Branch,
    Carry,
    Contraction,
    HostCall,
    IndexCheck,
    KernelCall,
    Lapack,
    Loop,
    Program,
    Step,
    While,
    written_buffers,
)
from graphc.loops.printer import format_sources, one_line, step_sources
from graphc.scalar.printer import Dialect
from graphc.shapes import Shape, Size, size_product, substitute


def kernel_names(program: Program) -> dict[str, str]:
    """A safe identifier for each kernel of the program, by its name."""
    identifiers = Identifiers()
    return {kernel.name: identifiers.fresh(kernel.name) for kernel in program.kernels}


def driver_source(program: Program) -> str:
    """The function `bind(sizes, temporaries, kernels)`, which gives `run(arrays)`."""
    return _Driver(program).text()


class _Driver:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.kernels = kernel_names(program)
        self.identifiers = Identifiers([*self.kernels.values(), "row", "host"])
        self.dialect = Dialect()
        for size in program.sizes:
            self.dialect.rename_symbol(size, self.identifiers.fresh(size))
        self.buffers = {name: self.identifiers.fresh(name) for name in program.buffers}
        self.views: dict[str, str] = {}  # expression -> name
        self.bound: list[str] = []  # views of temporaries, made once
        self.bound_names: set[str] = set()
        self.called: list[str] = []  # rows of each call
        self.number = 0  # of the step among all steps
        self.depth = 0  # of loops around the step
        self.allocated: set[str] = set()  # heap buffers that have their memory here
        for count in program.counts:
            self.dialect.rename_symbol(count, self.identifiers.fresh(count))

    def text(self) -> str:
        buffers = self.program.buffers.values()
        temporaries = [self.buffers[item.name] for item in buffers if item.role == "temporary"]
        arrays = [self.buffers[item.name] for item in buffers if item.role not in INNER_ROLES]
        for step in self.program.steps:
            self.step(step)
        rows = ["def bind(sizes, temporaries, kernels):"]
        rows += _unpack([self.dialect.symbol(size) for size in self.program.sizes], "sizes", 1)
        rows += _unpack(temporaries, "temporaries", 1)
        rows += _unpack(list(self.kernels.values()), "kernels", 1)
        rows += [f"    {row}" for row in self.bound]
        rows += ["", "    def run(arrays):", *_unpack(arrays, "arrays", 2)]
        rows += [f"        {self.dialect.symbol(count)} = 0" for count in self.program.counts]
        rows += [f"        {row}" for row in self.called] or ["        pass"]
        rows += ["", "    return run", ""]
        return "\n".join(rows)

    def size(self, size: Size) -> str:
        return self.dialect.size(size)[0]

    def shape(self, shape: Shape) -> str:
        return shape_text([self.size(size) for size in shape])

    def view(self, buffer: str, expression: str) -> str:
        """A name for a view; each is made once, those of temporaries before the first call."""
        if expression not in self.views:
            name = self.identifiers.fresh(self.buffers[buffer])
            self.views[expression] = name
            is_temporary = self.program.buffers[buffer].role == "temporary"
            if is_temporary:
                self.bound.append(f"{name} = {expression}")
                self.bound_names.add(name)
            else:
                self.row(f"{name} = {expression}")
        return self.views[expression]

    def step(self, step: Step) -> None:
        number = self.number
        self.number += 1
        self.allocate(step)
        match step:
            case Loop():
                self.loop(step)
                return
            case While():
                self.while_loop(step, number)
                return
            case Branch():
                self.branch(step)
                return
            case KernelCall():
                row = self.call(step)
            case Contraction():
                row = self.contraction(step)
            case IndexCheck():
                limits = f"{self.size(step.minimum)}, {self.size(step.size)}"
                row = f"check({self.buffers[step.buffer]}, {limits}, {number})"
            case HostCall():
                row = self.host_call(step, number)
            case Lapack():
                row = self.routine(step, number)
        origin = one_line(format_sources(step_sources(step)))
        self.row(f"{row:<64}  # {origin}" if origin else row)

    def row(self, text: str) -> None:
        self.called.append("    " * self.depth + text)

    def allocate(self, step: Step) -> None:
        """Memory for what the step writes to the heap, where no step before it did."""
        for name in written_buffers(step):
            buffer = self.program.buffers[name]
            if buffer.role == "heap" and name not in self.allocated:
                self.allocated.add(name)
                shape = self.shape(buffer.shape)
                self.row(f"{self.buffers[name]} = np.empty({shape}, {buffer.dtype.name!r})")

    def nested(self, steps: Sequence[Step]) -> None:
        """Steps of a body: what they allocate and view is gone after it."""
        outer, allocated = dict(self.views), set(self.allocated)
        for inner in steps:
            self.step(inner)
        self.allocated = allocated
        # Views made inside are those of the last turn, and none if there was no turn.
        self.views = outer | {e: n for e, n in self.views.items() if n in self.bound_names}

    def hand_in(self, carries: Sequence[Carry]) -> None:
        """The first states."""
        for carry in carries:
            shape = self.shape(self.program.buffers[carry.state].shape)
            first = self.buffers[carry.initial]
            if carry.is_in_place:
                final = self.buffers[carry.final]
                self.row(f"np.copyto({final}, {first}.reshape({final}.shape))")
                first = final
            self.row(f"{self.buffers[carry.state]} = {first}.reshape({shape})")

    def hand_over(self, carries: Sequence[Carry]) -> None:
        for carry in carries:
            if not carry.is_in_place:
                self.row(f"{self.buffers[carry.state]} = {self.buffers[carry.following]}")

    def while_loop(self, step: While, number: int) -> None:
        """Test, step, test, step, ...; tapes are lists of rows until the loop ends."""
        count, buffers = self.dialect.symbol(step.count), self.program.buffers
        self.hand_in(step.carries)
        self.row(f"{count} = 0")
        for _, tape in step.tapes:
            self.row(f"{self.buffers[tape]} = []")
        self.row("while True:")
        self.depth += 1
        self.nested(step.test)
        self.row(f"if not {self.buffers[step.holds]}.reshape(()):")
        self.row("    break")
        if step.most is not None:
            self.row(f"if {count} == {step.most}:")
            self.row(f"    raise Fault({number}, {step.most})")
        for view, tape in step.tapes:
            shape, dtype = self.shape(buffers[view].shape), buffers[view].dtype.name
            self.row(f"{self.buffers[view]} = np.empty({shape}, {dtype!r})")
            self.row(f"{self.buffers[tape]}.append({self.buffers[view]})")
        turning = [carry for carry in step.carries if not carry.is_in_place]
        for carry in turning:
            shape = self.shape(buffers[carry.following].shape)
            even, odd = (self.buffers[name] for name in carry.spare)
            chosen = f"({even}, {odd})[{count} % 2].reshape({shape})"
            self.row(f"{self.buffers[carry.following]} = {chosen}")
        self.nested(step.body)
        self.hand_over(step.carries)
        self.row(f"{count} += 1")
        self.depth -= 1
        for carry in turning:
            final, state = self.buffers[carry.final], self.buffers[carry.state]
            self.row(f"np.copyto({final}, {state}.reshape({final}.shape))")
        for _, tape in step.tapes:
            shape, dtype = self.shape(buffers[tape].shape), buffers[tape].dtype.name
            rows = self.buffers[tape]
            self.row(f"{rows} = np.array({rows}, {dtype!r}).reshape({shape})")
            self.allocated.add(tape)

    def loop(self, step: Loop) -> None:
        """A Python loop that sets the views, runs the body and hands over."""
        turn, at = self.identifiers.fresh("turn"), self.identifiers.fresh("t")
        length = self.size(step.length)
        self.hand_in(step.carries)
        self.row(f"for {turn} in range({length}):")
        self.depth += 1
        self.row(f"{at} = {length} - 1 - {turn}" if step.reverse else f"{at} = {turn}")
        for view, buffer in step.slices:
            shape = self.shape(self.program.buffers[view].shape)
            self.row(f"{self.buffers[view]} = row({self.buffers[buffer]}, {length}, {at}, {shape})")
        turning = [carry for carry in step.carries if not carry.is_in_place]
        for carry in turning:
            shape = self.shape(self.program.buffers[carry.following].shape)
            final, even, odd = (self.buffers[n] for n in (carry.final, *carry.spare))
            chosen = f"{final} if {turn} == {length} - 1 else ({even}, {odd})[{turn} % 2]"
            self.row(f"{self.buffers[carry.following]} = ({chosen}).reshape({shape})")
        self.nested(step.body)
        self.hand_over(step.carries)
        self.depth -= 1
        if turning:
            self.row(f"if {length} == 0:")
            for carry in turning:
                final, initial = self.buffers[carry.final], self.buffers[carry.initial]
                self.row(f"    np.copyto({final}, {initial}.reshape({final}.shape))")

    def branch(self, step: Branch) -> None:
        """if, elif, else; the selector is moved into range by the first and the last."""
        selector = f"int({self.buffers[step.selector]}.reshape(()))"
        last = len(step.bodies) - 1
        for number, body in enumerate(step.bodies):
            test = f"{selector} <= 0" if number == 0 else f"{selector} == {number}"
            word = "if" if number == 0 else "elif"
            self.row("else:" if number == last > 0 else f"{word} {test}:" if last else "if True:")
            self.depth += 1
            before = len(self.called)
            self.nested(body)
            if len(self.called) == before:
                self.row("pass")
            self.depth -= 1

    def call(self, step: KernelCall) -> str:
        kernel = step.kernel
        bound = dict(zip(kernel.sizes, step.sizes, strict=True))
        arguments = []
        for parameter, buffer in zip(kernel.parameters, step.arguments, strict=True):
            shape = self.shape(tuple(substitute(size, bound) for size in parameter.shape))
            arguments.append(self.view(buffer, f"view({self.buffers[buffer]}, {shape})"))
        arguments += [self.size(size) for size in step.sizes]
        return f"{self.kernels[kernel.name]}({', '.join(arguments)})"

    def host_call(self, step: HostCall, number: int) -> str:
        read, written = (
            "".join(f"{self.buffers[name]}, " for name, _ in pairs)
            for pairs in (step.inputs, step.outputs)
        )
        counts = "".join(f", {self.dialect.symbol(count)}" for count in self.program.counts)
        sizes = f"(*sizes{counts})" if counts else "sizes"
        return f"host({number}, {sizes}, ({read}), ({written}))"

    def contraction(self, step: Contraction) -> str:
        out, a, b = (
            self.matrices(buffer, step, number)
            for number, buffer in enumerate((step.out, step.a, step.b))
        )
        transposed = ".mT" if step.batch else ".T"
        a += transposed if step.transpose_a else ""
        b += transposed if step.transpose_b else ""
        wide = "" if step.operands is None else f", dtype={step.dtype.name!r}"
        return f"np.matmul({a}, {b}, out={out}{wide})"

    def routine(self, step: Lapack, number: int) -> str:
        inputs, outputs = (
            f"[{', '.join(self.buffers[name] for name in names)}]"
            for names in (step.inputs, step.outputs)
        )
        sizes = ", ".join(f"{name!r}: {self.size(size)}" for name, size in step.sizes)
        options = ", ".join(f"{name!r}: {letter!r}" for name, letter in step.options)
        return (
            f"lapack({step.routine!r}, {inputs}, {outputs}, {self.size(step.batch)}, "
            f"{{{sizes}}}, {{{options}}}, {number})"
        )

    def matrices(self, buffer: str, step: Contraction, number: int) -> str:
        name, shape = self.buffers[buffer], step.shapes[number]
        row, start = step.distances[number], step.starts[number]
        whole = size_product(shape) == size_product(self.program.buffers[buffer].shape)
        if not step.batch and whole and row == shape[1] and start == 0:
            return self.view(buffer, f"{name}.reshape({self.shape(shape)})")
        sizes = self.shape((*step.batch, *shape))
        steps = self.shape((*step.strides[number], row, 1))
        at = "" if start == 0 else f", {self.size(start)}"
        return self.view(buffer, f"strided({name}, {sizes}, {steps}{at})")


def _unpack(names: Sequence[str], source: str, depth: int) -> list[str]:
    if not names:
        return []
    indent = "    " * depth
    return [f"{indent}{names[0]}, = {source}" if len(names) == 1
            else f"{indent}{', '.join(names)} = {source}"]  # fmt: skip
