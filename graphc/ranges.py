"""Sizes under loop ranges: bounds and simplification where an axis ``a`` has ``0 <= a < extent``.

Everything here holds inside the loops, so every extent is at least 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from graphc.dims import (
    Dim,
    Size,
    dim_max,
    divide,
    floor_div,
    lower_bound,
    of_atom,
    polynomial,
    rebuild_atom,
)
from graphc.polynomials import Atom, FloorDiv, Max, Symbol, atom_symbols, parts

SIGN_DEPTH = 4  # how deep coefficients of coefficients are examined for their sign


def upper_bound(size: Size, extents: Mapping[str, Size]) -> Size | None:
    """A size free of the axes that ``size`` never exceeds, or None where none was found."""
    return _Ranges(extents).upper(size)


def at_least(size: Size, least: int, extents: Mapping[str, Size]) -> bool:
    """Whether ``size >= least`` is provable for axes within their extents."""
    return _Ranges(extents).at_least(size, least)


def simplify(size: Size, extents: Mapping[str, Size]) -> Size:
    """The same value in fewer operations, for axes within their extents.

    (i*784 + j)//784 -> i   for 0 <= j < 784, with a symbolic divisor as well
    (2*i + j)//4     -> i//2   for 0 <= j < 2
    max(i - n, 0)    -> 0   for i < n
    """
    if isinstance(size, int) or all(isinstance(atom, Symbol) for atom in size.atoms()):
        return size
    return _Ranges(extents).simplify(size)


class _Ranges:
    def __init__(self, extents: Mapping[str, Size]) -> None:
        self.extents = extents
        self.minima: dict[str, int] = {}
        for extent in extents.values():
            if isinstance(extent, Dim):
                self._assume_positive(extent)

    def _assume_positive(self, extent: Dim) -> None:
        """What extent >= 1 says about its symbols: c*n + k >= 1, or a product of symbols."""
        if any(not isinstance(atom, Symbol) for atom in extent.atoms()):
            return
        names = extent.symbols()
        if len(extent.terms) == 1 and extent.terms[0][1] > 0:
            for name in names:
                self._raise_minimum(name, 1)
        elif len(names) == 1:
            name = next(iter(names))
            factor, offset = extent.coefficient(name), extent.evaluate({name: 0})
            if isinstance(factor, int) and factor > 0:
                self._raise_minimum(name, -((offset - 1) // factor))

    def _raise_minimum(self, name: str, least: int) -> None:
        if name not in self.extents:
            self.minima[name] = max(self.minima.get(name, 0), least)

    # Bounds

    def upper(self, size: Size, depth: int = SIGN_DEPTH) -> Size | None:
        """Replaces what contains an axis by its largest or smallest value, one at a time."""
        steps = 0
        while isinstance(size, Dim):
            variable = self._next_variable(size)
            if variable is None:
                return size
            steps += 1
            if depth == 0 or steps > 4 * (len(self.extents) + len(size.terms)):
                return None
            replaced = self._replace_by_bound(size, variable, depth - 1)
            if replaced is None:
                return None
            size = replaced
        return size

    def lower(self, size: Size, depth: int = SIGN_DEPTH) -> Size | None:
        """A size free of the axes that ``size`` never falls below."""
        bound = self.upper(-size, depth)
        return None if bound is None else -bound

    def _next_variable(self, size: Dim) -> Atom | None:
        """The first compound atom that contains an axis, or else the first axis."""
        axis: Atom | None = None
        for atom in size.atoms():
            if isinstance(atom, Symbol):
                if atom.name in self.extents and axis is None:
                    axis = atom
            elif not atom_symbols(atom).isdisjoint(self.extents):
                return atom
        return axis

    def _replace_by_bound(self, size: Dim, variable: Atom, depth: int) -> Size | None:
        powers = size.collect(variable)
        if powers is None:
            return None
        rising = [factor for power, factor in powers.items() if power > 0]
        if all(self.at_least(factor, 0, depth) for factor in rising):
            bound = self._atom_upper(variable, depth)
        elif all(self.at_least(-factor, 0, depth) for factor in rising):
            bound = self._atom_lower(variable, depth)
        else:
            return None
        if bound is None:
            return None
        if max(powers) > 1 and not isinstance(variable, Symbol):
            least = self._atom_lower(variable, depth)  # powers rise only from 0 on
            if least is None or not self.at_least(least, 0, depth):
                return None
        total: Size = 0
        for power, factor in powers.items():
            product = factor
            for _ in range(power):
                product = product * bound
            total = total + product
        return total

    def _atom_upper(self, atom: Atom, depth: int) -> Size | None:
        if isinstance(atom, Symbol):
            return self.extents[atom.name] - 1
        return self._monotone(atom, [self.upper(part, depth) for part in parts(atom)])

    def _atom_lower(self, atom: Atom, depth: int) -> Size | None:
        if isinstance(atom, Symbol):
            return 0
        return self._monotone(atom, [self.lower(part, depth) for part in parts(atom)])

    def _monotone(self, atom: Atom, bounds: list[Size | None]) -> Size | None:
        """The atom at the bounds of its parts: both kinds rise with them, for a fixed divisor."""
        if isinstance(atom, FloorDiv):
            fixed = bounds[1] == atom.divisor
            if bounds[0] is None or not fixed or not self.at_least(atom.divisor, 1):
                return None
            return floor_div(bounds[0], atom.divisor)
        known = [bound for bound in bounds if bound is not None]
        return dim_max(*known) if len(known) == len(bounds) else None

    def at_least(self, size: Size, least: int, depth: int = SIGN_DEPTH) -> bool:
        """Whether ``size >= least`` is provable inside the loops."""
        bound = self.lower(size, depth)
        number = None if bound is None else lower_bound(bound, self.minima)
        return number is not None and number >= least

    # Simplification

    def simplify(self, size: Size) -> Size:
        if isinstance(size, int):
            return size
        return size.map_atoms(self._simplify_atom)

    def _simplify_atom(self, atom: Atom) -> Size:
        if isinstance(atom, Symbol):
            only_value = self.extents.get(atom.name) == 1
            return 0 if only_value else of_atom(atom)
        sizes = [self.simplify(part) for part in parts(atom)]
        if isinstance(atom, FloorDiv) and sizes[1] == 0:
            return of_atom(atom)  # an error for the run time to report
        rebuilt = rebuild_atom(atom, sizes)
        if not isinstance(rebuilt, Dim):
            return rebuilt
        return rebuilt.map_atoms(self._fold)

    def _fold(self, atom: Atom) -> Size:
        if isinstance(atom, FloorDiv):
            return self._fold_division(atom.numerator, atom.divisor)
        if isinstance(atom, Max):
            return self._fold_max(atom.sizes)
        return of_atom(atom)

    def _fold_max(self, sizes: tuple[Size, ...]) -> Size:
        kept: list[Size] = []
        for size in sizes:
            if any(self.at_least(other - size, 0) for other in kept):
                continue
            kept = [other for other in kept if not self.at_least(size - other, 0)]
            kept.append(size)
        return dim_max(*kept)

    def _fold_division(self, numerator: Size, divisor: Size) -> Size:
        if not self.at_least(divisor, 1):
            return floor_div(numerator, divisor)
        quotient, rest = divide(numerator, divisor)
        if self._within(rest, divisor):
            return quotient
        if isinstance(divisor, int) and isinstance(rest, Dim):
            return quotient + self._drop_low_part(rest, divisor)
        return quotient + floor_div(rest, divisor)

    def _drop_low_part(self, size: Dim, divisor: int) -> Size:
        """(g*p + r)//(g*e) -> p//e for 0 <= r < g."""
        shared = {gcd(factor, divisor) for _, factor in size.terms}
        for common in sorted(shared - {1}, reverse=True):
            rest = polynomial({monomial: f for monomial, f in size.terms if f % common})
            if rest != 0 and self._within(rest, common):
                return self.simplify(floor_div(size - rest, divisor))
        return floor_div(size, divisor)

    def _within(self, size: Size, extent: Size) -> bool:
        return self.at_least(size, 0) and self.at_least(extent - size, 1)
