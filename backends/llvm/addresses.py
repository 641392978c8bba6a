"""Addresses: where the lanes of a vector find their elements.

An index is linearised over the row-major array: a polynomial in sizes and loop axes, and products
of a stride with whatever else the index expressions compute.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Protocol

from graphc.backends.llvm.scalar_ops import memory_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.text import Val
from graphc.dims import combine
from graphc.dtypes import DType
from graphc.records import dataclass
from graphc.scalar.expr import Call, Expr, Index
from graphc.shapes import Dim, Shape, Size, size_product


class Array(NamedTuple):
    """A dense row-major array; with `lanes` > 1 every element is a vector, one for each lane.

    is_scratch: memory of the kernel's own, which is there even if a loop does not run.
    """

    name: str
    pointer: Val
    dtype: DType
    shape: Shape
    lanes: int = 1
    is_scratch: bool = False

    @property
    def type(self) -> str:
        return memory_type(self.dtype)

    @property
    def strides(self) -> tuple[Size, ...]:
        """Elements between neighbours along each axis."""
        return _strides(self.shape)


@lru_cache(maxsize=1024)
def _strides(shape: Shape) -> tuple[Size, ...]:
    return tuple(size_product(shape[axis + 1 :]) for axis in range(len(shape)))


@dataclass(slots=True)
class Place:
    """Where lanes find their element: a scalar pointer for lane 0, and how the others differ.

    slope: elements from one lane to the next; None: `offsets` has the distance of each lane.
    """

    pointer: Val
    slope: Size | None
    offsets: Val | None = None


class Evaluator(Protocol):
    """What evaluates index expressions."""

    def value(self, expr: Expr) -> Val: ...

    def affine(self, expr: Expr) -> tuple[Val, Size] | None: ...


class Addresses:
    """The arrays of one function. extents: of the loops around."""

    def __init__(self, code: Code, sizes: Sizes, evaluator: Evaluator) -> None:
        self.code = code
        self.sizes = sizes
        self.evaluator = evaluator
        self.arrays: dict[str, Array] = {}
        self.extents: dict[str, Size] = {}

    def place(self, array: Array, index: Sequence[Expr]) -> Place:
        sizes = self.sizes
        inclined: Size = 0  # what `uniform` grows by from lane to lane
        uniform: list[Val] = []
        varying: list[Val] = []
        polynomial = index_polynomial(array, index)
        if polynomial is None:
            summands: list[tuple[Size, int]] = []
            for whole, stride in zip(index, array.strides, strict=True):
                for item in _terms(whole):
                    if isinstance(item, Index):
                        summands.append(_times(item.size, stride))
                    elif (affine := self.evaluator.affine(item)) is not None:
                        uniform.append(self._times(affine[0], stride))
                        inclined = inclined + affine[1] * stride
                    else:
                        varying.append(self._times(self.evaluator.value(item), stride))
            polynomial = combine(summands)
        if array.lanes > 1:
            if inclined != 0:
                varying.append(sizes.steps(inclined))
            return self._private_place(array, polynomial, uniform, varying)

        slope: Size | None = inclined
        if sizes.varies(polynomial):
            assert isinstance(polynomial, Dim) and sizes.vector_axis is not None
            own = polynomial.coefficient(sizes.vector_axis)
            slope = None if own is None else own + inclined
        if slope is None:
            if inclined != 0:
                varying.append(sizes.steps(inclined))
            polynomial, changing = _split(polynomial, sizes)
            varying.append(sizes.value(changing))
        elif not varying:
            return Place(self.pointer(array, polynomial, uniform), slope)
        elif slope != 0:
            varying.append(sizes.steps(slope))
        pointer = self.pointer(array, polynomial, uniform)
        return Place(pointer, None, self.total(varying))

    def _private_place(
        self, array: Array, polynomial: Size, uniform: list[Val], varying: list[Val]
    ) -> Place:
        """Element `index` of lane k stands at index * lanes + k."""
        sizes = self.sizes
        if sizes.varies(polynomial):
            varying.append(sizes.value(polynomial))
            polynomial = 0
        pointer = self.pointer(
            array, polynomial * array.lanes, [self._times(v, array.lanes) for v in uniform]
        )
        if not varying:
            return Place(pointer, 1)
        offsets = self._times(self.total(varying), array.lanes)
        iota = self.code.iota("i64", array.lanes)
        return Place(pointer, None, self.code.operation("add", offsets, iota))

    def _times(self, value: Val, stride: Size) -> Val:
        return value if stride == 1 else self.code.operation("mul", value, self.sizes.first(stride))

    def total(self, values: list[Val]) -> Val:
        total = values[0]
        for value in values[1:]:
            total = self.code.operation("add", total, value)
        return total

    def pointer(self, array: Array, polynomial: Size, others: list[Val]) -> Val:
        """The address of lane 0: outer loops' terms first, so that they are added outside."""
        code, type, pointer = self.code, array.type, array.pointer
        terms = [(self._rank(term), term) for term in (*self.sizes.terms(polynomial), *others)]
        terms.sort(key=itemgetter(0))
        for _, level in groupby(terms, itemgetter(0)):
            pointer = code.gep(type, pointer, self.total([term for _, term in level]))
        return pointer

    def _rank(self, term: Val) -> int:
        """The level of a term; constants come last, where addressing modes take them."""
        return self.code.level(term) if term.text.startswith("%") else len(self.code.scopes)

    def lane_pointers(self, array: Array, pointer: Val, slope: Size) -> list[Val]:
        """The address of every lane: four of them share a base."""
        code = self.code
        multiples = [self.sizes.first(slope * count) for count in range(5)]
        pointers: list[Val] = []
        for lane in range(self.sizes.lanes):
            if lane and lane % 4 == 0:
                pointer = code.gep(array.type, pointer, multiples[4])
            pointers.append(code.gep(array.type, pointer, multiples[lane % 4]))
        return pointers

    def is_in_range(self, name: str, index: Sequence[Expr]) -> bool:
        """Whether the index is in range whatever the conditions are."""
        return all(
            isinstance(item, Index) and self._is_axis_of(item.size, size)
            for item, size in zip(index, self.arrays[name].shape, strict=True)
        )

    def _is_axis_of(self, index: Size, size: Size) -> bool:
        if isinstance(index, int):
            return isinstance(size, int) and 0 <= index < size
        names = index.symbols()
        if len(names) != 1:
            return False
        (name,) = names
        return index == Dim.symbol(name) and self.extents.get(name) == size


def _terms(item: Expr) -> list[Expr]:
    """An index as a sum: what lanes agree on is then added to the address of all of them."""
    if isinstance(item, Call) and item.op == "add":
        return [term for arg in item.args for term in _terms(arg)]
    return [item]


def index_polynomial(array: Array, index: Sequence[Expr]) -> Size | None:
    """The position in the array, where the index is a polynomial along all axes."""
    return _position(array.shape, tuple(index))


@lru_cache(maxsize=4096)
def _position(shape: Shape, index: tuple[Expr, ...]) -> Size | None:
    summands: list[tuple[Size, int]] = []
    for item, stride in zip(index, _strides(shape), strict=True):
        if not isinstance(item, Index):
            return None
        summands.append(_times(item.size, stride))
    return combine(summands)


def _times(size: Size, stride: Size) -> tuple[Size, int]:
    """The product, as a summand of `combine`."""
    return (size, stride) if isinstance(stride, int) else (size * stride, 1)


def remainder(size: Size, divisor: int) -> int | None:
    """What a division surely leaves over; None where that depends on sizes."""
    if isinstance(size, int):
        return size % divisor
    constant = 0
    for monomial, factor in size.terms:
        if not monomial.factors:
            constant = factor
        elif factor % divisor:
            return None
    return constant % divisor


def _split(polynomial: Size, sizes: Sizes) -> tuple[Size, Size]:
    """The terms without and with the vector axis."""
    assert isinstance(polynomial, Dim)
    changing: Size = 0
    for monomial, factor in polynomial.terms:
        term = Dim(((monomial, factor),)) if monomial.factors else factor
        if sizes.varies(term):
            changing = changing + term
    return polynomial - changing, changing
