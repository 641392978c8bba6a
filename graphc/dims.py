"""Symbolic sizes: integer polynomials over named symbols, floor divisions and maxima.

A :class:`Dim` is kept in one canonical form, so expressions that expand to the same polynomial
compare equal. Every symbol stands for an integer >= 0 that is known when the function is called.
A result without symbols is always a plain ``int``: a ``Dim`` is never constant.
"""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from math import gcd
from numbers import Complex, Integral
from typing import Never, TypeAlias, cast

from graphc.bounds import interval, least_value
from graphc.errors import DimError
from graphc.polynomials import (
    Atom,
    FloorDiv,
    Max,
    Monomial,
    Symbol,
    Terms,
    added,
    by_powers_of,
    coefficient_of,
    combined,
    divided,
    in_order,
    is_constant,
    multiplied,
    parts,
    sum_text,
    terms_of,
)


class Dim:
    """An integer expression in canonical form: a sum of integer coefficient times monomial."""

    __slots__ = ("_hash", "_symbols", "_text", "terms")

    terms: Terms
    _hash: int | None
    _symbols: frozenset[str] | None
    _text: str | None

    __array_ufunc__ = None  # numpy integers leave arithmetic with a Dim to the Dim

    def __init__(self, terms: Terms) -> None:
        """Internal: ``terms`` must be canonical. Use :meth:`symbol` and arithmetic."""
        _set_terms(self, terms)
        _set_hash(self, None)
        _set_symbols(self, None)
        _set_text(self, None)

    @staticmethod
    def symbol(name: str) -> Dim:
        """The size called ``name``, an integer >= 0."""
        return _symbol(name)

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"a Dim is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a Dim is immutable: cannot delete {name!r}")

    def __reduce__(self) -> tuple[object, ...]:
        return (Dim, (self.terms,))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dim):
            return NotImplemented
        return self is other or self.terms == other.terms

    def __hash__(self) -> int:
        known = self._hash
        if known is None:
            known = hash(self.terms)
            _set_hash(self, known)
        return known

    def __str__(self) -> str:
        if self._text is None:
            _set_text(self, sum_text(self.terms))
        return cast(str, self._text)

    __repr__ = __str__

    # Arithmetic. mypy sees Size: an int where the result is constant.

    def __add__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else _size(added(self.terms, terms_of(operand), 1))

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        operand = _operand(other)
        return (
            NotImplemented if operand is None else _size(added(self.terms, terms_of(operand), -1))
        )

    def __rsub__(self, other: Size) -> Size:
        operand = _operand(other)
        return (
            NotImplemented if operand is None else _size(added((-self).terms, terms_of(operand), 1))
        )

    def __mul__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else _multiply(self, operand)

    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else floor_div(self, operand)

    def __rfloordiv__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else floor_div(operand, self)

    def __truediv__(self, other: Size) -> object:
        if _operand(other) is None:
            return NotImplemented
        raise _fraction(f"{self} / {other}")

    def __rtruediv__(self, other: Size) -> object:
        if _operand(other) is None:
            return NotImplemented
        raise _fraction(f"{other} / {self}")

    def __mod__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else self - operand * floor_div(self, operand)

    def __rmod__(self, other: Size) -> Size:
        operand = _operand(other)
        return NotImplemented if operand is None else operand - self * floor_div(operand, self)

    def __pow__(self, other: int) -> Size:
        exponent = _operand(other)
        if exponent is None or isinstance(exponent, Dim):
            return NotImplemented
        if exponent < 0:
            raise _fraction(f"{self} ** {exponent}")
        power: Size = 1
        for _ in range(exponent):
            power = power * self
        return power

    def __neg__(self) -> Dim:
        return Dim(tuple((monomial, -factor) for monomial, factor in self.terms))

    def __pos__(self) -> Dim:
        return self

    # Comparisons answer only what holds for every value of the symbols.

    def __lt__(self, other: Size) -> bool:
        return self._compare(other, "<", lambda a, b: _proves(b, a, 1), lambda a, b: _proves(a, b))

    def __le__(self, other: Size) -> bool:
        return self._compare(other, "<=", lambda a, b: _proves(b, a), lambda a, b: _proves(a, b, 1))

    def __gt__(self, other: Size) -> bool:
        return self._compare(other, ">", lambda a, b: _proves(a, b, 1), lambda a, b: _proves(b, a))

    def __ge__(self, other: Size) -> bool:
        return self._compare(other, ">=", lambda a, b: _proves(a, b), lambda a, b: _proves(b, a, 1))

    def _compare(self, other: Size, sign: str, holds: _Proof, fails: _Proof) -> bool:
        operand = _operand(other)
        if operand is None:
            return cast(bool, NotImplemented)
        if holds(self, operand):
            return True
        if fails(self, operand):
            return False
        raise DimError(
            f"cannot decide {self} {sign} {operand}: the value is only known at run time",
            fix="compare with ==, or compute with it symbolically",
        )

    def __bool__(self) -> Never:
        raise DimError(
            f"the dimension {self} has no truth value: it is only known at run time",
            fix="test isinstance(size, int) first",
        )

    def __index__(self) -> Never:
        raise DimError(
            f"the dimension {self} is not an integer: it is only known at run time",
            fix="use it in symbolic expressions (gc.zeros, gc.arange, gc.mean take sizes), "
            "or give the input a static shape",
        )

    # Queries.

    def symbols(self) -> frozenset[str]:
        """The names of all symbols that occur."""
        known = self._symbols
        if known is None:
            names: set[str] = set()
            pending: list[Dim] = [self]
            while pending:
                for atom in pending.pop().atoms():
                    if isinstance(atom, Symbol):
                        names.add(atom.name)
                    else:
                        pending.extend(part for part in parts(atom) if isinstance(part, Dim))
            known = frozenset(names)
            _set_symbols(self, known)
        return known

    def atoms(self) -> Iterator[Atom]:
        """The atoms of the polynomial itself, in order, with repetition."""
        for monomial, _ in self.terms:
            for atom, _ in monomial.factors:
                yield atom

    def evaluate(self, bindings: Mapping[str, int]) -> int:
        """The value where each symbol has the value in ``bindings``."""
        total = 0
        for monomial, factor in self.terms:
            for atom, power in monomial.factors:
                factor *= _evaluate_atom(atom, bindings, self) ** power
            total += factor
        return total

    def substitute(self, mapping: Mapping[str, Size]) -> Size:
        """The expression with every symbol in ``mapping`` replaced, all at once."""
        if mapping.keys().isdisjoint(self.symbols()):
            return self
        return self.map_atoms(lambda atom: _substitute_atom(atom, mapping))

    def map_atoms(self, replace: Callable[[Atom], Size]) -> Size:
        """The polynomial with each of its own atoms replaced by ``replace(atom)``."""
        replaced: dict[Atom, Size] = {}
        summands: list[tuple[Size, int]] = []
        for monomial, factor in self.terms:
            product: Size = 1
            for atom, power in monomial.factors:
                if atom not in replaced:
                    replaced[atom] = replace(atom)
                for _ in range(power):
                    product = product * replaced[atom]
            summands.append((product, factor))
        return combine(summands)

    def coefficient(self, symbol: str) -> Size | None:
        """``c`` if this is ``c*symbol + rest``, c and rest free of ``symbol``; else None."""
        return _coefficient(self, symbol)

    def collect(self, variable: Atom) -> dict[int, Size] | None:
        """This as a polynomial in ``variable``: power -> coefficient, the powers that occur.

        None where ``variable`` is a symbol that also occurs inside another atom.
        """
        found = by_powers_of(variable, self.terms)
        return None if found is None else {power: _size(terms) for power, terms in found.items()}

    def has_division(self) -> bool:
        """Whether a floor division occurs anywhere in the expression."""
        for atom in self.atoms():
            if isinstance(atom, FloorDiv):
                return True
            if any(isinstance(part, Dim) and part.has_division() for part in parts(atom)):
                return True
        return False


# Past __setattr__, and faster than that of object.
_set_terms, _set_hash, _set_symbols, _set_text = (
    vars(Dim)[name].__set__ for name in ("terms", "_hash", "_symbols", "_text")
)
Size: TypeAlias = int | Dim
_Proof: TypeAlias = Callable[[Size, Size], bool]


# Construction


def is_symbol_name(name: str) -> bool:
    """Whether ``name`` can name a symbol: an identifier, no keyword, as Python would read it."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
    )


@lru_cache(maxsize=4096)
def _symbol(name: str) -> Dim:
    if not is_symbol_name(name):
        raise DimError(
            f"a dimension needs an identifier as its name, got {name!r}",
            fix='names of sizes are identifiers: gc.dim("n")',
        )
    return of_atom(Symbol(name))


def of_atom(atom: Atom) -> Dim:
    """The expression that is ``atom`` alone."""
    return Dim(((Monomial(((atom, 1),)), 1),))


def _operand(value: object) -> Size | None:
    if type(value) is int or isinstance(value, Dim):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Complex):
        raise _fraction(f"{value!r} beside a size")
    return None


def _fraction(text: str) -> DimError:
    return DimError(
        f"{text}: sizes are whole numbers",
        fix="divide with //, or compute with a tensor: gc.as_tensor(x.shape[0]).astype('float64')",
    )


def _size(terms: Terms) -> Size:
    """The size of a polynomial; an int where it is constant."""
    if not is_constant(terms):
        return Dim(terms)
    return terms[0][1] if terms else 0


def polynomial(factors: dict[Monomial, int]) -> Size:
    """The sum of factor times monomial, in canonical form."""
    return _size(in_order(factors))


def content(size: Size) -> tuple[int, Size]:
    """size = factor * polynomial, with the largest factor that is an integer; (size, 1) of an int.

    >>> n = Dim.symbol("n")
    >>> content(12 * n + 8)
    (4, 3*n + 2)
    """
    if isinstance(size, int):
        return size, 1
    factor = gcd(*(factor for _, factor in size.terms))
    return factor, Dim(tuple((monomial, own // factor) for monomial, own in size.terms))


def combine(summands: Iterable[tuple[Size, int]]) -> Size:
    """The sum of ``factor * size`` over all ``(size, factor)``, in linear time."""
    return _size(combined((terms_of(size), factor) for size, factor in summands))


@lru_cache(maxsize=4096)
def _coefficient(size: Dim, symbol: str) -> Size | None:
    found = coefficient_of(symbol, size.terms)
    return None if found is None else _size(found)


def _multiply(a: Dim, b: Size) -> Size:
    if isinstance(b, int):
        return Dim(tuple((monomial, own * b) for monomial, own in a.terms)) if b else 0
    return _size(multiplied(a.terms, b.terms))


# Division


def floor_div(a: Size, b: Size) -> Size:
    """``a // b``, rounded towards minus infinity."""
    if isinstance(b, Dim):
        return _divide_by_dim(a, b)
    if b == 0:
        raise DimError(
            f"division by zero: ({a})//0",
            fix="divide by a size that is not 0",
        )
    if isinstance(a, int):
        return a // b
    return _divide_by_constant(a, b) if b > 0 else _divide_by_constant(-a, -b)


def ceil_div(a: Size, b: Size) -> Size:
    """``a / b`` rounded up, for ``b > 0``."""
    return floor_div(a + b - 1, b)


def _divide_by_constant(a: Dim, divisor: int) -> Size:
    """(d*q + r)//d -> q + r//d, with 0 <= constant of r < d and its other factors below d."""
    quotient: dict[Monomial, int] = {}
    remainder: dict[Monomial, int] = {}
    for monomial, factor in a.terms:
        if monomial.factors and factor < 0:  # keep -n//2 rather than n//2 - n
            quotient[monomial] = -(-factor // divisor)
        else:
            quotient[monomial] = factor // divisor
        remainder[monomial] = factor - divisor * quotient[monomial]
    rest = polynomial(remainder)
    whole = polynomial(quotient)
    if isinstance(rest, int):
        return whole + rest // divisor
    return whole + _divide_remainder(rest, divisor)


def _divide_remainder(a: Dim, divisor: int) -> Size:
    """(g*p + c)//(g*e) -> (p + c//g)//e  and  (a//m + p)//e -> (a + m*p)//(m*e)."""
    common = gcd(divisor, *(factor for monomial, factor in a.terms if monomial.factors))
    if common > 1:
        a = Dim(tuple((m, f // common) for m, f in a.terms if m.factors or f >= common))
        divisor //= common
    inner = [
        (atom, atom.divisor)
        for monomial, factor in a.terms
        if factor == 1 and isinstance(atom := monomial.only_atom(), FloorDiv)
        if isinstance(atom.divisor, int)
    ]
    if len(inner) == 1:
        (atom, scale) = inner[0]
        others = combine(((a, scale), (of_atom(atom), -scale)))
        return floor_div(atom.numerator + others, scale * divisor)
    low, high = interval(a.terms)
    if low is not None and high is not None and low // divisor == high // divisor:
        return low // divisor
    return of_atom(FloorDiv(a, divisor))


def _divide_by_dim(a: Size, b: Dim) -> Size:
    if not _proves(b, 1):  # b may be 0, where folding would hide the error
        return of_atom(FloorDiv(a, b))
    quotient, rest = divide(a, b)
    if _proves(rest, 0) and _proves(b, rest, 1):
        return quotient
    if _proves(0, rest, 1) and _proves(b + rest, 0):
        return quotient - 1
    return quotient + of_atom(FloorDiv(rest, b))


def divide(a: Size, b: Size) -> tuple[Size, Size]:
    """``(q, r)`` with ``a == q*b + r`` as polynomials, or ``(0, a)`` where that gains nothing."""
    if isinstance(b, int):
        quotient = polynomial({m: f // b for m, f in terms_of(a)})
        return quotient, a - quotient * b
    quotient_terms, rest = divided(terms_of(a) if a != 0 else (), b.terms)
    if len(b.terms) > 1 and len(rest) >= len(terms_of(a)):
        return 0, a
    return _size(quotient_terms), _size(rest)


# Largest and smallest


def dim_max(*sizes: Size) -> Size:
    """The largest of ``sizes``; arguments that another provably reaches are dropped."""
    if not sizes:
        raise DimError("dim_max needs at least one size")
    constants: list[int] = []
    dims: dict[Dim, None] = {}
    for size in _max_arguments(sizes):
        if isinstance(size, Dim):
            dims[size] = None
        else:
            constants.append(size)
    candidates: list[Size] = sorted(dims, key=str)
    if constants:
        candidates.append(max(constants))
    kept: list[Size] = []
    for size in candidates:
        if any(_proves(other, size) for other in kept):
            continue
        kept = [other for other in kept if not _proves(size, other)]
        kept.append(size)
    return kept[0] if len(kept) == 1 else of_atom(Max(tuple(kept)))


def _max_arguments(sizes: Iterable[Size]) -> Iterator[Size]:
    for size in sizes:
        only = size.terms[0][0].only_atom() if isinstance(size, Dim) else None
        if isinstance(only, Max) and terms_of(size) == ((Monomial(((only, 1),)), 1),):
            yield from only.sizes
        else:
            yield size


def dim_min(*sizes: Size) -> Size:
    """The smallest of ``sizes``."""
    return -dim_max(*(-size for size in sizes))


# Values of atoms, and bounds


def _evaluate_atom(atom: Atom, bindings: Mapping[str, int], whole: Dim) -> int:
    if isinstance(atom, Symbol):
        if atom.name not in bindings:
            raise DimError(f"the dimension {atom.name!r} has no value in {whole}")
        return int(bindings[atom.name])
    values = [part.evaluate(bindings) if isinstance(part, Dim) else part for part in parts(atom)]
    if isinstance(atom, Max):
        return max(values)
    if values[1] == 0:
        raise DimError(f"division by zero in {whole}: {parts(atom)[1]} is 0")
    return values[0] // values[1]


def _substitute_atom(atom: Atom, mapping: Mapping[str, Size]) -> Size:
    if isinstance(atom, Symbol):
        return mapping.get(atom.name, of_atom(atom))
    return rebuild_atom(
        atom, [p.substitute(mapping) if isinstance(p, Dim) else p for p in parts(atom)]
    )


def rebuild_atom(atom: Atom, sizes: list[Size]) -> Size:
    """The operation of a floor division or maximum on other sizes."""
    return dim_max(*sizes) if isinstance(atom, Max) else floor_div(sizes[0], sizes[1])


def lower_bound(size: Size, minima: Mapping[str, int] | None = None) -> int | None:
    """A number that ``size`` never falls below, or None where none was found.

    ``minima`` gives the least values of symbols that are known to exceed 0.
    """
    if isinstance(size, int):
        return size
    if minima:
        above = {name: Dim.symbol(name) + least for name, least in minima.items() if least > 0}
        try:
            size = size.substitute(above)
        except DimError:  # a division by zero has no value to bound
            return None
        if isinstance(size, int):
            return size
    return least_value(size.terms)


def _proves(larger: Size, smaller: Size, gap: int = 0) -> bool:
    """Whether ``larger >= smaller + gap`` for all values of the symbols."""
    if isinstance(larger, int) and isinstance(smaller, int):
        return larger >= smaller + gap
    bound = lower_bound(larger - smaller)
    return bound is not None and bound >= gap
