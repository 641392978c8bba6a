"""Variants of the registered examples: other dtypes, sizes, ranks and layouts of the inputs.

Nothing here says what an op takes: a variant is built, and what inference refuses is no variant.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

import graphc as gc
import graphc.nn  # registers its functions
from graphc.dtypes import all_dtypes, is_complex, is_floating, is_inexact, is_signed, kind_of
from graphc.errors import GraphcError
from graphc.ir.graph import Graph
from graphc.ir.opdef import Example
from graphc.ir.printer import format_graph
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size

LEAVES = {"placeholder", "variable", "constant", "dim"}
NAMES = sorted(name for name, op in OPS.items() if name not in LEAVES and op.examples)
LARGER = 18  # added to a size: beyond a vector of any dtype, and with a rest
MOST_ELEMENTS = 6000
# Made by lowering, from ops that have checked the sizes: these are tested with those alone.
TRUSTING = {
    "depthwise_product",
    "flat_positions",
    "filter_transform",
    "leading_elements",
    "minimal_filtering",
    "window_product",
    "window_terms",
}
# Halving a number until it is small takes no end in numbers that round up.
EXACT_STEPS = {"while_loop"}
# A second of compilation for each shape; what surrounds the body is that of every other such op.
LONG_BODIES = {
    *("beta_odds", "betainc", "betaincc", "betainccinv", "betaincinv", "gammainc"),
    *("gammainc_slope", "gammaincc", "gammainccinv", "gammaincinv", "log_betainc", "log_gammainc"),
    *("log_gammaincc", "polygamma", "student_log_tail", "student_quantile", "zeta"),
}

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Variant:
    """An expression, and arrays for its inputs: one list of them for each call."""

    label: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    calls: list[list[np.ndarray]]

    @property
    def text(self) -> str:
        """The expression as text, without the names of its inputs."""
        text = format_graph(Graph(tuple(self.inputs), tuple(self.outputs)))
        for tensor in self.inputs[:1]:
            text = text.replace(str(tensor.name).split("_")[0], "v")
        return text


def seed_of(*words: object) -> int:
    return zlib.crc32(" ".join(map(str, words)).encode())


def examples_of(name: str) -> list[Example]:
    make = OPS[name].examples
    assert make is not None
    return make(np.random.default_rng(seed_of(name)))


@np.errstate(all="ignore")  # large numbers become infinities
def convert(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The values in another dtype; whole numbers away from zero, so that zeros stay rare."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "b":
        return array.astype(dtype)
    if is_complex(array.dtype) and not is_complex(dtype):
        array = array.real
    if dtype.kind == "b":
        return np.asarray(array > 0)
    if is_complex(dtype):
        turned = array.reshape(-1)[::-1].reshape(array.shape)
        return np.asarray(array if is_complex(array.dtype) else array + 0.5j * turned, dtype)
    if is_floating(dtype):
        return array.astype(dtype)
    whole = np.copysign(np.ceil(np.abs(array)), array)
    whole = np.asarray(whole if is_signed(dtype) else np.abs(whole)).astype(dtype)
    return in_order_as(array, whole)


def casts_of(
    example: Example, dtypes: Sequence[np.dtype[Any]], rng: np.random.Generator
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The inputs of one kind in every dtype, and where there are several, in a mixture."""
    arrays = list(example.inputs)
    for kind in sorted({kind_of(array.dtype) for array in arrays}):
        same = [n for n, array in enumerate(arrays) if kind_of(array.dtype) == kind]
        for dtype in dtypes:
            yield (
                dtype.name,
                [convert(a, dtype) if n in same else a for n, a in enumerate(arrays)],
            )
        for _ in range(2 if len(same) > 1 else 0):
            drawn = {n: dtypes[int(rng.integers(len(dtypes)))] for n in same}
            label = "+".join(dtype.name for dtype in drawn.values())
            yield label, [convert(a, drawn.get(n, a.dtype)) for n, a in enumerate(arrays)]
    if not arrays:
        yield "no inputs", []


def build(
    example: Example, shapes: Sequence[tuple[Size, ...]], dtypes: Sequence[Any], prefix: str
) -> tuple[list[Tensor], list[Tensor]] | None:
    """Inputs and outputs of the example; None if inference refuses the types."""
    inputs: list[Tensor] = [
        gc.placeholder(f"{prefix}_{number}", shape, dtype)
        for number, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    ]
    try:
        built = example.build(*inputs)
    except (GraphcError, IndexError, ValueError):
        return None
    several = list(built) if isinstance(built, tuple | list) else [built]
    return inputs, [output for output in several if isinstance(output, Tensor)]


def resized(array: np.ndarray, shape: Shape) -> np.ndarray:
    """The same values in the same order, repeated or cut off."""
    return in_order_as(array, np.resize(array, shape).astype(array.dtype))


def in_order_as(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """`new`, sorted if `old` is a row in order: a search may go through it."""
    if old.ndim != 1 or new.ndim != 1 or old.size < 3 or old.dtype.kind == "c":
        return new
    return np.sort(new) if np.all(old[:-1] <= old[1:]) else new


# --- sizes ----------------------------------------------------------------------------------------


def symbolic_calls(arrays: Sequence[np.ndarray], rng: np.random.Generator) -> list[dict[int, int]]:
    """What becomes of each size, call by call: as it is, all 0, all 1, all larger, one 0, one 1."""
    sizes: list[int] = sorted({size for array in arrays for size in array.shape} - {1})
    if not sizes:
        return [{}]
    maps: list[dict[int, int]] = [
        {},
        {s: 0 for s in sizes},
        {s: 1 for s in sizes},
        {s: s + LARGER for s in sizes},
    ]
    if len(sizes) > 1:
        maps += [{sizes[int(rng.integers(len(sizes)))]: new} for new in (0, 1, 2)]
    return maps


def mapped(shape: Shape, sizes: dict[int, int]) -> Shape:
    return tuple(sizes.get(size, size) for size in shape)


def symbolic_variant(
    label: str, example: Example, arrays: list[np.ndarray], rng: np.random.Generator
) -> Variant | None:
    """One expression in symbolic sizes, called with many: 0 and 1 among them."""
    if label.split()[0] in TRUSTING:
        return None
    prefix = f"v{seed_of(label, *[array.dtype for array in arrays]):x}"
    shapes = [
        tuple(s if s == 1 else Dim.symbol(f"{prefix}_n{s}") for s in array.shape)
        for array in arrays
    ]
    built = build(example, shapes, [array.dtype for array in arrays], prefix)
    if built is None or not built[1]:
        return None
    calls = []
    for sizes in symbolic_calls(arrays, rng):
        new = [resized(a, mapped(a.shape, sizes)) for a in arrays]
        if sum(array.size for array in new) <= MOST_ELEMENTS:
            calls.append(new)
    return Variant(f"{label} symbolic", *built, calls)


def reshaped(shapes: list[Shape]) -> Iterator[tuple[str, list[Shape]]]:
    """Other ranks and sizes than those of the example; inference says which fit."""
    yield "as it is", shapes
    yield "0-d", [() for _ in shapes]
    yield "1 each", [(1,) * len(shape) for shape in shapes]
    yield "0 each", [(0,) * len(shape) for shape in shapes]
    yield "more axes", [(2, *shape) for shape in shapes]
    yield "an empty axis more", [(0, *shape) for shape in shapes]
    for number, shape in enumerate(shapes[:3]):
        for label, other in (("stretched", (1,) * len(shape)), ("cut", shape[1:])):
            if len(shapes) > 1 and other != shape:
                yield f"{label} {number}", [*shapes[:number], other, *shapes[number + 1 :]]
        if len(shapes) > 1:
            yield f"raised {number}", [*shapes[:number], (3, *shape), *shapes[number + 1 :]]


def static_variants(label: str, example: Example, arrays: list[np.ndarray]) -> Iterator[Variant]:
    seen: set[tuple[Shape, ...]] = set()
    for change, shapes in reshaped([array.shape for array in arrays]):
        if tuple(shapes) in seen or (label.split()[0] in TRUSTING and seen):
            continue
        seen.add(tuple(shapes))
        full = f"{label} {change}"
        dtypes = [array.dtype for array in arrays]
        built = build(example, shapes, dtypes, f"v{seed_of(full, *dtypes):x}")
        if built is not None and built[1]:
            new = [resized(a, shape) for a, shape in zip(arrays, shapes, strict=True)]
            yield Variant(full, *built, [new])


def sources_of(name: str) -> list[tuple[str, Example, list[np.ndarray]]]:
    """All (label, example, arrays): every example in every dtype, taken by inference or not."""
    rng = np.random.default_rng(seed_of(name, "casts"))
    dtypes = [d for d in all_dtypes if name not in EXACT_STEPS or d.itemsize > 2]
    return [
        (f"{name} {number} {dtype}", example, arrays)
        for number, example in enumerate(examples_of(name))
        for dtype, arrays in casts_of(example, dtypes, rng)
    ]


def variants_of(name: str) -> Iterator[Variant]:
    """Every variant of an op; of those that are the same expression, one."""
    seen = set()
    for label, example, arrays in sources_of(name):
        rng = np.random.default_rng(seed_of(label))
        symbolic = symbolic_variant(label, example, arrays, rng)
        for variant in (symbolic, *static_variants(label, example, arrays)):
            if variant is not None and variant.text not in seen:
                seen.add(variant.text)
                yield variant


def thinned(name: str, turn: str) -> Iterator[Variant]:
    """All sizes and ranks of every example, and of one dtype of each width.

    Of all (example, dtypes), in an order drawn by `turn`, those are taken that bring a new example
    or a new combination of widths (1, 2, 4, 8, 16 bytes for each input); what inference refuses
    leaves its place to the next. Turns take different ones. Ops with long bodies have all shapes in
    one combination of widths for each example, and symbolic sizes in the others.
    """
    sources = sources_of(name)
    order = np.random.default_rng(seed_of(name, turn)).permutation(len(sources))
    reached: set[object] = set()
    seen: set[str] = set()
    for label, example, arrays in (sources[int(position)] for position in order):
        brought = {label.split()[1], tuple(array.dtype.itemsize for array in arrays)}
        if brought <= reached:
            continue
        variants: Iterator[Variant] = static_variants(label, example, arrays)
        symbolic = symbolic_variant(label, example, arrays, np.random.default_rng(seed_of(label)))
        if symbolic is not None:
            known = name in LONG_BODIES and label.split()[1] in reached
            variants = chain([symbolic], () if known else variants)
        for variant in variants:
            if variant.text not in seen:
                reached |= brought
                seen.add(variant.text)
                yield variant


def sampled(name: str, count: int, rng: np.random.Generator) -> list[Variant]:
    """Some variants of an op, of different examples and dtypes as far as there are."""
    found: list[Variant] = []
    sources = sources_of(name)
    for position in rng.permutation(len(sources)):
        if len(found) == count:
            break
        label, example, arrays = sources[int(position)]
        ways: list[Variant] = list(static_variants(label, example, arrays))
        symbolic = symbolic_variant(label, example, arrays, rng)
        if symbolic is not None:
            ways += [symbolic] * max(len(ways), 1)  # half of the time
        if ways:
            found.append(ways[int(rng.integers(len(ways)))])
    return found


# --- layouts --------------------------------------------------------------------------------------


def _strided(array: np.ndarray) -> np.ndarray:
    room = np.zeros(tuple(2 * size + 1 for size in array.shape), array.dtype)
    every_other: Any = (..., *(slice(1, 2 * size + 1, 2) for size in array.shape))
    view: np.ndarray = room[every_other]
    view[...] = array
    return view


def _reversed(array: np.ndarray) -> np.ndarray:
    back: Any = (..., *(slice(None, None, -1),) * array.ndim)
    turned: np.ndarray = array[back].copy()[back]
    return turned


def _misaligned(array: np.ndarray) -> np.ndarray:
    room = np.zeros(array.nbytes + 1, np.uint8)
    view: np.ndarray = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _read_only(array: np.ndarray) -> np.ndarray:
    held = np.array(array)
    held.flags.writeable = False
    return held


def _swapped(array: np.ndarray) -> np.ndarray:
    """In the byte order of other machines; ml_dtypes has none."""
    native = array.dtype.kind != "V"
    return np.asarray(array.astype(array.dtype.newbyteorder()) if native else array.copy())


LAYOUTS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: array.copy(),
    lambda array: np.asfortranarray(array).reshape(array.shape, order="A"),
    _strided,
    _reversed,
    _misaligned,
    _read_only,
    _swapped,
)


def in_some_layout(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same values, held in memory in another way."""
    laid: np.ndarray = LAYOUTS[int(rng.integers(len(LAYOUTS)))](array)
    assert laid.shape == array.shape
    return laid


def moving(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Those that have derivatives."""
    return [tensor for tensor in tensors if is_inexact(tensor.dtype)]
