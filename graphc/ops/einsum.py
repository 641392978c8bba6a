"""einsum: sums of products, named by their indices.

The public function reduces what it is given to one op, in which every index stands once in each
operand that has it and at least twice in all: repeated indices become diagonals, an index of one
operand alone is summed at once, and an axis of size 1 that meets a larger one is dropped. The op
lowers to pairwise products, in the order that the opt_einsum library finds (D. Smith and J. Gray,
JOSS 3, 2018).
"""

import string
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import double, is_inexact
from graphc.ir.batch import Batch
from graphc.ir.einsum_notation import Notation, lettered, parse_notation, wrong_subscripts
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import expanded
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.late_imports import late_module
from graphc.ops.definition import NUMERIC, check_dtype, promote_inputs
from graphc.records import dataclass
from graphc.shapes import Size, size_product

__all__ = ["einsum"]

_TYPICAL = 64  # what a symbolic size counts for when the order is chosen

# --- to the op -----------------------------------------------------------------------------------


@public
def einsum(subscripts: Any, *operands: Any) -> Tensor:
    """Sums of products of operands whose axes are named by letters.

    subscripts: "ij,jk->ik": a group of letters for each operand, one letter an axis, and the axes
    of the result. An index that the result lacks is summed over. Without "->" the result has the
    letters that occur once, in alphabetical order. A letter twice in one group is a diagonal.
    "..." stands for axes without letters, which broadcast; without "->" they come first.
    operands: numeric dtypes, which are promoted. An axis of size 1 broadcasts.
    More than two operands are multiplied pairwise in a cheap order.

    The other form has numbers for letters, a list behind each operand, and the result's last:
    einsum(x, [0, 1], y, [1, 2], [0, 2]). `...` stands for other axes there too; without the last
    list the result has the numbers that occur once, in increasing order.

    ShapeError for subscripts that do not fit the operands, and where sizes of one index differ;
    symbolic sizes are compared at the call. DTypeError for bool.
    """
    if operands and not isinstance(subscripts, str):
        subscripts, operands = lettered(subscripts, *operands)
    if not operands:
        raise wrong_subscripts("no operands", str(subscripts), ())
    tensors = list(promote_inputs("einsum", *operands))
    check_dtype("einsum", tensors[0].dtype, NUMERIC)
    for tensor, given in zip(tensors, operands, strict=True):
        if tensor is not given and isinstance(given, Tensor) and tensor.name is None:
            tensor.name = given.name  # casts keep the names that errors show
    notation = parse_notation(subscripts, tensors)
    _check_sizes(notation, subscripts, tensors)
    for position in range(len(tensors)):
        tensors, notation = _take_diagonals(tensors, notation, position)
    tensors, notation = _drop_ones(tensors, notation)
    tensors, notation = _sum_lone_indices(tensors, notation)
    if len(tensors) > 1:
        return EINSUM(*tensors, subscripts=str(notation))
    order = tuple(notation.operands[0].index(index) for index in notation.result)
    return BUILDER.permute_dims(tensors[0], order)


def _sizes(notation: Notation, tensors: Sequence[Any]) -> Iterable[tuple[str, Size]]:
    for indices, tensor in zip(notation.operands, tensors, strict=True):
        yield from zip(indices, tensor.shape, strict=True)


def _check_sizes(notation: Notation, subscripts: str, tensors: Sequence[Tensor]) -> None:
    """Known sizes of an index must be equal, or 1."""
    known: dict[str, int] = {}
    for index, size in _sizes(notation, tensors):
        if not isinstance(size, int) or size == 1:
            continue
        if known.setdefault(index, size) != size:
            name = f"index {index}" if index in subscripts else "an axis of '...'"
            raise wrong_subscripts(
                f"{name} has sizes {known[index]} and {size}",
                subscripts,
                tensors,
                "axes of one letter need the same size, or size 1",
            )


def _take_diagonals(
    tensors: list[Tensor], notation: Notation, position: int
) -> tuple[list[Tensor], Notation]:
    """An index that stands twice in an operand: the entries where both are the same"""
    tensor, indices = tensors[position], notation.operands[position]
    for index in sorted(set(indices)):
        while indices.count(index) > 1:
            first = indices.index(index)
            second = indices.index(index, first + 1)
            left, right = tensor.shape[first], tensor.shape[second]
            if left == 1 or right == 1:  # a size of 1 broadcasts
                dropped = first if left == 1 else second
                tensor = BUILDER.squeeze(tensor, dropped)
                indices = indices[:dropped] + indices[dropped + 1 :]
                continue
            shape = list(tensor.shape)
            if isinstance(left, int):
                shape[second] = left
            else:
                shape[first] = right
            tensor = BUILDER.diagonal(BUILDER.broadcast_to(tensor, shape), 0, first, second)
            rest = indices[:first] + indices[first + 1 : second] + indices[second + 1 :]
            indices = rest + index
    held = [*tensors[:position], tensor, *tensors[position + 1 :]]
    return held, notation.with_operand(position, indices)


def _drop_ones(tensors: list[Tensor], notation: Notation) -> tuple[list[Tensor], Notation]:
    """Axes of size 1 whose index has another size elsewhere"""
    larger = {index for index, size in _sizes(notation, tensors) if size != 1}
    held = []
    for position, tensor in enumerate(tensors):
        indices = notation.operands[position]
        ones = tuple(
            axis
            for axis, index in enumerate(indices)
            if tensor.shape[axis] == 1 and index in larger
        )
        kept = "".join(index for axis, index in enumerate(indices) if axis not in ones)
        held.append(BUILDER.squeeze(tensor, ones) if ones else tensor)
        notation = notation.with_operand(position, kept)
    return held, notation


def _sum_lone_indices(tensors: list[Tensor], notation: Notation) -> tuple[list[Tensor], Notation]:
    """Indices of one operand that neither another nor the result has"""
    everywhere = "".join((*notation.operands, notation.result))
    held = []
    for position, tensor in enumerate(tensors):
        indices = notation.operands[position]
        lone = tuple(axis for axis, i in enumerate(indices) if everywhere.count(i) == 1)
        kept = "".join(index for axis, index in enumerate(indices) if axis not in lone)
        held.append(BUILDER.sum(tensor, axis=lone, dtype=tensor.dtype) if lone else tensor)
        notation = notation.with_operand(position, kept)
    return held, notation


# --- the op --------------------------------------------------------------------------------------


def _infer(call: Inference) -> TensorType:
    subscripts: str = call.attrs["subscripts"]
    notation = Notation.read(subscripts)
    sizes: dict[str, Size] = {}
    for index, size in _sizes(notation, call.types):
        found = sizes.setdefault(index, size)
        call.require_equal(found, size, f"{subscripts!r}, index {index}")
        if isinstance(size, int):
            sizes[index] = size
    return TensorType(call.types[0].dtype, tuple(sizes[index] for index in notation.result))


def _reference(attrs: Attributes, *arrays: np.ndarray) -> Any:
    """Narrow floats are summed in float64 and rounded once."""
    dtype = arrays[0].dtype
    wide = [array.astype(double(dtype)) if is_inexact(dtype) else array for array in arrays]
    value = np.einsum(attrs["subscripts"], *wide, optimize=len(arrays) > 2)
    return np.asarray(value).astype(dtype)


def _vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """The gradient takes the place of the operand, and the operand's indices that of the result"""
    notation, gradient = Notation.read(a.attrs["subscripts"]), gradients[0]
    assert gradient is not None
    found: list[Tensor | None] = []
    for position, indices in enumerate(notation.operands):
        if not a.wants(position):
            found.append(None)
            continue
        operands = [*a.inputs[:position], gradient, *a.inputs[position + 1 :]]
        turned = Notation(notation.with_operand(position, notation.result).operands, indices)
        found.append(EINSUM(*operands, subscripts=str(turned)))
    return found


def _jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    terms = [
        EINSUM(*a.inputs[:position], tangent, *a.inputs[position + 1 :], **a.attrs)
        for position, tangent in enumerate(tangents)
        if tangent is not None
    ]
    return [None] if not terms else [terms[0] if len(terms) == 1 else b.add_n(terms)]


def _examples(rng: Generator) -> list[Example]:
    cases: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
        ("ij,jk->ik", ((3, 4), (4, 5))),
        ("ij,jk->ki", ((0, 4), (4, 5))),
        ("i,i->", ((7,), (7,))),
        ("i,j->ji", ((3,), (0,))),
        ("bij,bkj->bki", ((2, 3, 4), (2, 5, 4))),
        ("abcd,dcbe->ea", ((2, 3, 1, 4), (4, 1, 3, 2))),
        ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
        ("bi,bj,ij->b", ((3, 2), (3, 4), (2, 4))),
        ("...i,...i", ((4, 3), (2, 1, 3))),
        ("iij,j", ((3, 3, 4), (4,))),
    ]
    return [
        Example(
            lambda *tensors, text=text: einsum(text, *tensors),
            tuple(rng.normal(size=shape) for shape in shapes),
        )
        for text, shapes in cases
    ]


# --- pairwise products ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Term:
    """A tensor with a letter for each of its axes."""

    tensor: Tensor
    indices: str

    def ordered(self, b: Builder, *groups: str) -> Tensor:
        """The axes in the order of the groups' letters."""
        order = tuple(self.indices.index(index) for group in groups for index in group)
        return b.permute_dims(self.tensor, order)

    def size(self, indices: str) -> Size:
        return size_product([self.tensor.shape[self.indices.index(index)] for index in indices])


def _build(b: Builder, *tensors: Tensor, subscripts: str) -> Tensor:
    """The operands multiplied pairwise, until one is left"""
    notation = Notation.read(subscripts)
    terms = [_Term(t, indices) for t, indices in zip(tensors, notation.operands, strict=True)]
    for positions in _order(notation, tensors):
        chosen = [terms.pop(position) for position in sorted(positions, reverse=True)][::-1]
        while len(chosen) > 1:
            needed = {*notation.result, *(i for t in (*terms, *chosen[2:]) for i in t.indices)}
            chosen[:2] = [_product(b, chosen[0], chosen[1], needed)]
        terms.append(chosen[0])
    return terms[0].ordered(b, notation.result)


def _order(notation: Notation, tensors: Sequence[Tensor]) -> list[tuple[int, ...]]:
    """Which operands to multiply, step by step; a product goes to the end of the list."""
    if len(tensors) == 2:
        return [(0, 1)]
    sizes: dict[str, int] = {}
    for index, size in _sizes(notation, tensors):
        sizes.setdefault(index, _TYPICAL)
        if isinstance(size, int):
            sizes[index] = max(size, 1)
    shapes = [tuple(sizes[index] for index in indices) for indices in notation.operands]
    opt_einsum = late_module("opt_einsum")  # 30 modules, for products of three and more
    path, _ = opt_einsum.contract_path(str(notation), *shapes, shapes=True, optimize="auto")
    return [tuple(step) for step in path]


def _product(b: Builder, x: _Term, y: _Term, needed: set[str]) -> _Term:
    """The product of two terms, summed over the indices that nothing needs any more"""
    common = [index for index in x.indices if index in y.indices]
    batch = "".join(index for index in common if index in needed)
    summed = "".join(index for index in common if index not in needed)
    left = "".join(index for index in x.indices if index not in common)
    right = "".join(index for index in y.indices if index not in common)
    result = batch + left + right
    if not summed or not (left or right):
        first = _spread(b, x.ordered(b, batch, left, summed), len(batch) + len(left), len(right))
        second = _spread(b, y.ordered(b, batch, right, summed), len(batch), len(left))
        value = b.multiply(first, second)
        if summed:
            axes = tuple(range(len(result), len(result) + len(summed)))
            value = b.sum(value, axis=axes, dtype=value.dtype)
        return _Term(value, result)
    first, turned_first = _matrix(b, x, batch, left, summed)
    second, turned_second = _matrix(b, y, batch, summed, right)
    value = b.matmul(first, second, transpose_a=turned_first, transpose_b=turned_second)
    sizes = [x.tensor.shape[x.indices.index(index)] for index in batch + left]
    sizes += [y.tensor.shape[y.indices.index(index)] for index in right]
    return _Term(b.reshape(value, tuple(sizes)), result)


def _spread(b: Builder, tensor: Tensor, position: int, count: int) -> Tensor:
    """`count` new axes of size 1"""
    return b.expand_dims(tensor, tuple(range(position, position + count))) if count else tensor


def _matrix(b: Builder, x: _Term, batch: str, rows: str, columns: str) -> tuple[Tensor, bool]:
    """x as [batch..., rows, columns], or [..., columns, rows] and True where that is how it lies;
    a vector where there is no batch and one of the two is empty"""
    turned = x.indices == batch + columns + rows and x.indices != batch + rows + columns
    groups = (columns, rows) if turned else (rows, columns)
    sizes = [x.tensor.shape[x.indices.index(index)] for index in batch]
    sizes += [x.size(group) for group in groups if batch or group]
    return b.reshape(x.ordered(b, batch, *groups), tuple(sizes)), turned


def _batch(batch: Batch) -> Sequence[Tensor]:
    """One more index, in the operands that are mapped and in the result"""
    notation = Notation.read(batch.attrs["subscripts"])
    used = str(notation)
    index = next(letter for letter in string.ascii_letters if letter not in used)
    operands = tuple(
        index + indices if batch.mapped(position) else indices
        for position, indices in enumerate(notation.operands)
    )
    whole = Notation(operands, index + notation.result)
    return batch.apply(batch.inputs, subscripts=str(whole))


EINSUM = register(
    OpDef(
        "einsum",
        infer=_infer,
        reference=_reference,
        lower=Composite(_build),
        vjp=_vjp,
        jvp=_jvp,
        batch=_batch,
        traits=frozenset({"linear"}),
        parts=expanded,
        examples=_examples,
    )
)
