"""Where a product with an epilogue lies: in memory of its own, or in that of the epilogue's result.

t = x.T @ d          W_new = W - rate * t: t is nowhere else read, so that it is computed into
                     the memory of W_new, and the epilogue writes over it
"""

from collections import Counter
from collections.abc import Collection

from graphc.loops.ir import Contraction, KernelCall, Program, Step, written_buffers
from graphc.memory.in_place import Donors
from graphc.memory.lives import buffers_of, uses_of

FRESH_ROLES = ("output", "update")  # not in the arena; what lies there is planned


class ProductPlaces:
    """Answers for the products of one program.

    rewriting: steps that may write over what they read: what they write is memory of others.
    """

    def __init__(self, program: Program, rewriting: Collection[KernelCall] = ()) -> None:
        self.program = program
        self.kept = {name for step in rewriting for name in written_buffers(step)}
        self.donors = Donors(program, {}, {})
        self.uses: Counter[str] | None = None
        self.firsts: dict[str, Step] | None = None

    def is_first(self, name: str, step: KernelCall) -> bool:
        """Whether the step is the first that has the buffer, which then holds nothing before."""
        if self.firsts is None:
            self.firsts = {}
            for one in self.program.all_steps:
                for buffer in buffers_of(one):
                    self.firsts.setdefault(buffer, one)
        first = self.firsts.get(name)
        return isinstance(first, KernelCall) and first.arguments == step.arguments

    def passes(self, product: Contraction) -> bool:
        """Whether nothing but the epilogue reads the product."""
        if self.uses is None:
            self.uses = uses_of(self.program)
        own = self.program.buffers[product.out]
        return own.role == "temporary" and self.uses[product.out] == 2

    def place(self, product: Contraction, epilogue: KernelCall) -> str:
        """The buffer in whose memory the product is to be computed."""
        buffers = self.program.buffers
        own = buffers[product.out]
        if not self.passes(product):
            return product.out
        pairs = zip(epilogue.kernel.parameters, epilogue.arguments, strict=True)
        for name in (name for parameter, name in pairs if parameter.written):
            result = buffers[name]
            if (
                result.role in FRESH_ROLES
                and name not in self.kept
                and result.dtype == own.dtype
                and self.donors.may_overwrite(epilogue, product.out, name)
            ):
                return name
        return product.out
