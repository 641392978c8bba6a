"""Products over a batch: a native loop around one product, which threads may share.

    void @batch2_NAME(out, a, b, sizes..., batch sizes, strides, inner, work, area?, threads)

Small products are divided by number: each runs on one thread (`inner` is 1). Large ones come one
after the other, and each divides itself (`inner` is the number of threads, `work` is 0). A product
is computed in the same way in both cases.
"""

from collections.abc import Sequence

from graphc.backends.llvm.parallel import LITTLE, Range, dividing_functions
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

LARGE = 16 * LITTLE  # work of one product from which it is divided itself
POINTERS = ("out", "a", "b")


def batch_name(name: str, axes: int) -> str:
    return f"batch{axes}_{name}"


def batch_functions(
    name: str,
    sizes: Sequence[Val],
    axes: int,
    itemsize: int,
    target: Target,
    *,
    has_area: bool,
    divides: bool,
) -> dict[str, FunctionText]:
    """sizes: what the product @NAME takes besides its matrices, the area and the threads."""
    pointers = [Val(f"%{one}", "ptr") for one in POINTERS]
    plain = [Val(f"%size{number}", value.type) for number, value in enumerate(sizes)]
    counts = [Val(f"%count{axis}", "i64") for axis in range(axes)]
    strides = {
        one: [Val(f"%{one}.stride{axis}", "i64") for axis in range(axes)] for one in POINTERS
    }
    inner, work = Val("%inner", "i64"), Val("%work", "i64")
    area = (
        [
            Val("%area", "ptr"),
        ]
        if has_area
        else []
    )
    stride = [Val("%area.stride", "i64")] if has_area else []
    flat = [value for one in POINTERS for value in strides[one]]
    parameters = [*pointers, *plain, *counts, *flat, inner, work, *stride, *area]

    code = Code(has_fma=target.has_fma)
    element = f"i{8 * itemsize}"

    def product(index: Val, _: list[Val]) -> list[Val]:
        places = _places(code, index, counts)
        moved = [
            _moved(code, element, pointer, places, strides[one])
            for one, pointer in zip(POINTERS, pointers, strict=True)
        ]
        passed = [*moved, *plain, *area, *([inner] if divides else [])]
        text = ", ".join(f"{value.type} {value.text}" for value in passed)
        code.builder.line(f"call void @{name}({text})")
        return []

    code.loop(Val("%begin", "i64"), Val("%end", "i64"), 1, [], product)
    code.builder.line("ret void")
    own = batch_name(name, axes)
    declared = ", ".join(f"{value.type} {value.text}" for value in parameters)
    ranged = code.builder.function(
        f"define internal void @{own}.range({declared}, i64 %begin, i64 %end) "
        f"{target.function_attributes}"
    )

    def measure(code: Code) -> Range:
        units = counts[0]
        for count in counts[1:]:
            units = code.operation("mul", units, count)
        return Range(units, work, stride=stride[0] if stride else None)

    whole = dividing_functions(own, parameters, measure, target.function_attributes)
    return {f"{own}.range": ranged, own: whole}


def _places(code: Code, index: Val, counts: Sequence[Val]) -> list[Val]:
    """The position along each axis."""
    places: list[Val] = []
    for count in reversed(counts[1:]):
        rest = code.operation("udiv", index, count)
        places.insert(0, code.operation("sub", index, code.operation("mul", rest, count)))
        index = rest
    return [index, *places]


def _moved(
    code: Code, element: str, pointer: Val, places: Sequence[Val], strides: Sequence[Val]
) -> Val:
    for place, stride in zip(places, strides, strict=True):
        pointer = code.gep(element, pointer, code.operation("mul", place, stride))
    return pointer
