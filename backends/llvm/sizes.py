"""Symbolic sizes and index polynomials as i64 arithmetic.

Symbols are sizes and loop axes. The axis of a vector loop has a different value in every lane:
`Sizes.value` answers with a vector where the size depends on it, `Sizes.first` with the value in
lane 0. Terms are summed from the outermost loop inwards, so that what does not change in an inner
loop is computed outside it.
"""

from graphc.backends.llvm.scalar_ops import emit_operation
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import Val
from graphc.dtypes import int64
from graphc.polynomials import Atom, FloorDiv, Max, Monomial, Symbol
from graphc.shapes import Dim, Size, lower_bound


class Sizes:
    """symbols: the scalar value of every size and axis; of the vector axis that of lane 0."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.symbols: dict[str, Val] = {}
        self.vector_axis: str | None = None
        self.lanes = 1
        self.lane_bytes = 8  # of the elements that lanes are counted in

    def varies(self, size: Size) -> bool:
        """Whether lanes have different values."""
        return (
            self.lanes > 1
            and isinstance(size, Dim)
            and self.vector_axis is not None
            and self.vector_axis in size.symbols()
        )

    def first(self, size: Size) -> Val:
        """The scalar value; that of lane 0 where lanes differ."""
        return self._sum(size, lane_zero=True)

    def value(self, size: Size) -> Val:
        """The value: a scalar where all lanes agree, else a vector."""
        if not self.varies(size):
            return self._sum(size, lane_zero=True)
        assert isinstance(size, Dim) and self.vector_axis is not None
        slope = size.coefficient(self.vector_axis)
        if slope is None:
            return self._sum(size, lane_zero=False)
        return self.code.operation("add", self.first(size), self.steps(slope))

    def steps(self, slope: Size) -> Val:
        """0, slope, 2*slope, ... by lane."""
        if isinstance(slope, int):
            return self.code.iota("i64", self.lanes, slope)
        return self.code.operation("mul", self.first(slope), self.code.iota("i64", self.lanes))

    def lanes_where(self, predicate: str, limit: Val) -> Val:
        """The mask of the lanes whose number compares so with a scalar: k < limit, k == limit...

        Numbers are compared in integers of the width of the elements, which is what masks are
        made of; the limit is moved close to the lanes first.
        """
        code, lanes = self.code, self.lanes
        type = f"i{max(8 * self.lane_bytes, 16 if lanes > 127 else 8)}"
        builder = code.builder
        if type != "i64":
            for op, bound in (("smax", -1), ("smin", lanes)):
                limit = self.extremum(op, limit, code.constant(bound, "i64"))
            wide = limit
            limit = code.pure(
                ("trunc", wide.text, type), (wide,), lambda: builder.trunc(wide, type)
            )
        splat, iota = code.splat(limit, lanes), code.iota(type, lanes)
        return code.pure(
            ("lanes", predicate, splat.text, type, lanes),
            (splat,),
            lambda: builder.icmp(predicate, iota, splat),
        )

    def extremum(self, op: str, x: Val, y: Val) -> Val:
        """smin or smax of two scalars."""
        emit = self.code.builder.smin if op == "smin" else self.code.builder.smax
        return self.code.pure((op, x.text, y.text), (x, y), lambda: emit(x, y))

    # Evaluation

    def terms(self, size: Size, lane_zero: bool = True) -> list[Val]:
        """The summands, those of outer loops first, the constant last."""
        if isinstance(size, int):
            return [self.code.constant(size, "i64")] if size else []
        constant: list[Val] = []
        values: list[Val] = []
        for monomial, factor in size.terms:
            value = self._product(monomial, factor, lane_zero)
            (values if monomial.factors else constant).append(value)
        values.sort(key=self.code.level)
        return values + constant

    def _sum(self, size: Size, lane_zero: bool) -> Val:
        terms = self.terms(size, lane_zero)
        if not terms:
            return self.code.constant(0, "i64")
        total = terms[0]
        for term in terms[1:]:
            total = self.code.operation("add", total, term)
        return total

    def _product(self, monomial: Monomial, factor: int, lane_zero: bool) -> Val:
        if len(monomial.factors) == 1 and monomial.factors[0][1] == 1:  # most are a symbol
            value = self._atom(monomial.factors[0][0], lane_zero)
            if factor == 1:
                return value
            return self.code.operation("mul", self.code.constant(factor, "i64"), value)
        factors = [
            self._atom(atom, lane_zero) for atom, power in monomial.factors for _ in range(power)
        ]
        factors.sort(key=self.code.level)
        if factor != 1 or not factors:
            factors.insert(0, self.code.constant(factor, "i64"))
        product = factors[0]
        for value in factors[1:]:
            product = self.code.operation("mul", product, value)
        return product

    def _atom(self, atom: Atom, lane_zero: bool) -> Val:
        match atom:
            case Symbol(name=name):
                start = self.symbols[name]
                if lane_zero or name != self.vector_axis or self.lanes == 1:
                    return start
                return self.code.operation("add", start, self.code.iota("i64", self.lanes))
            case FloorDiv(numerator=numerator, divisor=divisor):
                return self._floor_division(numerator, divisor, lane_zero)
            case Max(sizes=sizes):
                values = [self._sum(size, lane_zero) for size in sizes]
                largest = values[0]
                for value in values[1:]:
                    largest = self._binary("maximum", largest, value)
                return largest
        raise AssertionError(f"unknown atom {atom!r}")

    def _floor_division(self, numerator: Size, divisor: Size, lane_zero: bool) -> Val:
        x, y = self._sum(numerator, lane_zero), self._sum(divisor, lane_zero)
        if isinstance(divisor, int) and divisor > 0:
            least = lower_bound(numerator)
            if least is not None and least >= 0:
                if divisor & (divisor - 1) == 0:
                    shift = self.code.constant(divisor.bit_length() - 1, "i64")
                    return self.code.operation("lshr", x, shift)
                return self.code.operation("udiv", x, y)
        return self._binary("floordiv", x, y)

    def _binary(self, op: str, x: Val, y: Val) -> Val:
        x, y = self.code.match(x, y)
        return self.code.pure(
            (op, x.text, y.text, "size", x.lanes),
            (x, y),
            lambda: emit_operation(self.code.builder, op, (x, y), int64, int64),
        )
