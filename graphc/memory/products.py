"""Where a product with an epilogue lies: in memory of its own, or in that of the epilogue's result.

t = x.T @ d          W_new = W - rate * t: t is nowhere else read, so that it is computed into
                     the memory of W_new, and the epilogue writes over it
"""

from collections import Counter

from graphc.loops.ir import Contraction, KernelCall, Program
from graphc.memory.in_place import Donors
from graphc.memory.lives import buffers_of

FRESH_ROLES = ("output", "update")  # not in the arena; what lies there is planned


class ProductPlaces:
    """Answers for the products of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.donors = Donors(program, {}, {})
        self.uses: Counter[str] | None = None

    def place(self, product: Contraction, epilogue: KernelCall) -> str:
        """The buffer in whose memory the product is to be computed."""
        if self.uses is None:
            steps = self.program.all_steps
            self.uses = Counter(name for step in steps for name in buffers_of(step))
        buffers = self.program.buffers
        own = buffers[product.out]
        if own.role != "temporary" or self.uses[product.out] != 2:
            return product.out
        pairs = zip(epilogue.kernel.parameters, epilogue.arguments, strict=True)
        for name in (name for parameter, name in pairs if parameter.written):
            result = buffers[name]
            if (
                result.role in FRESH_ROLES
                and result.dtype == own.dtype
                and self.donors.may_overwrite(epilogue, product.out, name)
            ):
                return name
        return product.out
