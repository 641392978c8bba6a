"""Products over a batch: a native loop around one product, which threads may share.

    @batch2_NAME   a function of a range (parallel.py); its frame holds the matrices, the sizes, the
                   batch sizes, the strides, `inner` and scratch memory

Small products are divided by number: each runs on one thread (`inner` is 1). Large ones come one
after the other, and each divides itself (`inner` is the number of threads; then the work that the
pool hears of is 0). A product is computed in the same way in both cases.
"""

from collections.abc import Sequence

from graphc.backends.llvm.parallel import AREA, BEGIN, END, RANGE, STRIDE, loads
from graphc.backends.llvm.pool import LITTLE
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

LARGE = 16 * LITTLE  # work of one product from which it is divided itself
POINTERS = ("out", "a", "b")
FOLLOWERS = (
    Val("%epilogue", "ptr"),
    Val("%held", "ptr"),
    Val("%splits", "i1"),
    Val("%finish", "ptr"),
)


def batch_name(name: str, axes: int, follows: bool = False) -> str:
    return f"batch{axes}_{name}" + "_followed" * follows


def batch_function(
    name: str,
    sizes: Sequence[Val],
    axes: int,
    itemsizes: Sequence[int],
    target: Target,
    *,
    divides: bool,
    follows: bool = False,
) -> FunctionText:
    """sizes: what the product @NAME takes besides its matrices, and, if it divides, the area and
    the threads. itemsizes: of elements of the matrices. follows: the frame holds an epilogue, whose
    rows are those of all matrices."""
    pointers = [Val(f"%{one}", "ptr") for one in POINTERS]
    plain = [Val(f"%size{number}", value.type) for number, value in enumerate(sizes)]
    counts = [Val(f"%count{axis}", "i64") for axis in range(axes)]
    strides = {
        one: [Val(f"%{one}.stride{axis}", "i64") for axis in range(axes)] for one in POINTERS
    }
    inner = Val("%inner", "i64")
    flat = [value for one in POINTERS for value in strides[one]]
    area = [AREA, STRIDE] if divides else []
    followers = list(FOLLOWERS) if follows else []
    words = [*pointers, *plain, *counts, *flat, *followers, inner, *area]

    code = Code(has_fma=target.has_fma)

    def product(index: Val, _: list[Val]) -> list[Val]:
        places = places_of(code, index, counts)
        moved = [
            moved_by(code, f"i{8 * itemsize}", pointer, places, strides[one])
            for one, pointer, itemsize in zip(POINTERS, pointers, itemsizes, strict=True)
        ]
        own = [Val("%area", "ptr"), STRIDE, inner] if divides else []
        passed = [*moved, *plain, *own, *followers]
        if follows:
            passed.append(code.operation("mul", index, plain[0]))
        text = ", ".join(f"{value.type} {value.text}" for value in passed)
        code.builder.line(f"call void @{routine}({text})")
        return []

    routine = f"{name}.followed" if follows else name
    code.loop(BEGIN, END, 1, [], product)
    code.builder.line("ret void")
    code.builder.lines[:0] = loads(words)
    signature = f"define internal void @{batch_name(name, axes, follows)}{RANGE}"
    return code.builder.function(f"{signature} {target.function_attributes}")


def places_of(code: Code, index: Val, counts: Sequence[Val]) -> list[Val]:
    """The position along each axis."""
    places: list[Val] = []
    for count in reversed(counts[1:]):
        rest = code.operation("udiv", index, count)
        places.insert(0, code.operation("sub", index, code.operation("mul", rest, count)))
        index = rest
    return [index, *places]


def moved_by(
    code: Code, element: str, pointer: Val, places: Sequence[Val], strides: Sequence[Val]
) -> Val:
    for place, stride in zip(places, strides, strict=True):
        pointer = code.gep(element, pointer, code.operation("mul", place, stride))
    return pointer
