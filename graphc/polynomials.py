"""What symbolic sizes are made of: integer polynomials whose variables are symbols and more.

A polynomial is a tuple of terms, a monomial with its integer factor each, in one order and without
zeros. Its variables are atoms: symbols, and the floor divisions and maxima that cannot be taken
apart, whose parts are sizes again. :mod:`graphc.dims` wraps a polynomial into a :class:`Dim`.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from graphc.dims import Size

Interval: TypeAlias = tuple[int | None, int | None]


class Atom:
    """What a polynomial treats as a variable. ``key`` identifies it and gives its order."""

    __slots__ = ("interval", "key")

    key: str
    interval: Interval | None  # of the value, for all symbols >= 0; bounds.py finds it

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key[1:]


class Symbol(Atom):
    """A named integer >= 0."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = f"0{name}"
        self.interval = (0, None)

    def __reduce__(self) -> tuple[object, ...]:
        return (Symbol, (self.name,))


class FloorDiv(Atom):
    """``numerator // divisor``; an integer divisor is positive."""

    __slots__ = ("divisor", "numerator")

    def __init__(self, numerator: "Size", divisor: "Size") -> None:
        self.numerator = numerator
        self.divisor = divisor
        self.key = f"1{_division_text(numerator, divisor)}"
        self.interval = None

    def __reduce__(self) -> tuple[object, ...]:
        return (FloorDiv, (self.numerator, self.divisor))


class Max(Atom):
    """The largest of ``sizes``: Dims in the order of their text, then at most one int."""

    __slots__ = ("sizes",)

    def __init__(self, sizes: "tuple[Size, ...]") -> None:
        self.sizes = sizes
        self.key = f"2max({', '.join(map(str, sizes))})"
        self.interval = None

    def __reduce__(self) -> tuple[object, ...]:
        return (Max, (self.sizes,))


class Monomial:
    """A product of powers of atoms. ``order`` is the graded lexicographic order, largest first."""

    __slots__ = ("_hash", "factors", "order")

    def __init__(self, factors: tuple[tuple[Atom, int], ...]) -> None:
        self.factors = factors  # sorted by the key of the atom
        degree = sum(power for _, power in factors)
        self.order = (-degree, tuple((atom.key, -power) for atom, power in factors))
        self._hash = hash(self.order)

    def __reduce__(self) -> tuple[object, ...]:
        return (Monomial, (self.factors,))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Monomial) and self.order == other.order)

    def __hash__(self) -> int:
        return self._hash

    def __mul__(self, other: "Monomial") -> "Monomial":
        if not other.factors:
            return self
        if not self.factors:
            return other
        powers = dict(self.factors)
        for atom, power in other.factors:
            powers[atom] = powers.get(atom, 0) + power
        return _monomial(powers)

    def divided_by(self, other: "Monomial") -> "Monomial | None":
        """The quotient, or None where ``other`` does not divide this monomial."""
        powers = dict(self.factors)
        for atom, power in other.factors:
            left = powers.get(atom, 0) - power
            if left < 0:
                return None
            powers[atom] = left
        return _monomial({atom: power for atom, power in powers.items() if power})

    def only_atom(self) -> Atom | None:
        """The atom, where the monomial is one atom to the first power."""
        if len(self.factors) == 1 and self.factors[0][1] == 1:
            return self.factors[0][0]
        return None


def _monomial(powers: dict[Atom, int]) -> Monomial:
    return Monomial(tuple(sorted(powers.items(), key=lambda item: item[0].key)))


UNIT = Monomial(())

Terms: TypeAlias = tuple[tuple[Monomial, int], ...]


def parts(atom: Atom) -> "tuple[Size, ...]":
    """The sizes inside an atom."""
    if isinstance(atom, FloorDiv):
        return (atom.numerator, atom.divisor)
    return atom.sizes if isinstance(atom, Max) else ()


def atom_symbols(atom: Atom) -> frozenset[str]:
    """The names of the symbols in an atom."""
    if isinstance(atom, Symbol):
        return frozenset((atom.name,))
    return frozenset().union(*(part.symbols() for part in parts(atom) if not isinstance(part, int)))


# Sums, products, quotients and what they are made of


def terms_of(size: "Size") -> Terms:
    return ((UNIT, size),) if isinstance(size, int) else size.terms


def is_constant(terms: Terms) -> bool:
    return not terms or (len(terms) == 1 and not terms[0][0].factors)


def in_order(factors: dict[Monomial, int]) -> Terms:
    """The sum of factor times monomial."""
    terms = [item for item in factors.items() if item[1]]
    terms.sort(key=_order)
    return tuple(terms)


def combined(summands: Iterable[tuple[Terms, int]]) -> Terms:
    """The sum of ``factor * polynomial`` over all pairs, in linear time."""
    total: dict[Monomial, int] = {}
    for terms, factor in summands:
        for monomial, own in terms:
            total[monomial] = total.get(monomial, 0) + factor * own
    return in_order(total)


def multiplied(terms: Terms, others: Terms) -> Terms:
    total: dict[Monomial, int] = {}
    for left, left_factor in terms:
        for right, right_factor in others:
            product = left * right
            total[product] = total.get(product, 0) + left_factor * right_factor
    return in_order(total)


def added(terms: Terms, others: Terms, factor: int) -> Terms:
    """``terms + factor*others``. A few go into their places without a look at the rest."""
    if len(others) > 2:
        return combined(((terms, 1), (others, factor)))
    found = list(terms)
    for monomial, own in others:
        place = bisect_left(found, monomial.order, key=_order)
        present = place < len(found) and found[place][0] == monomial
        total = factor * own + (found[place][1] if present else 0)
        found[place : place + present] = [(monomial, total)] if total else []
    return tuple(found)


def divided(terms: Terms, others: Terms) -> tuple[Terms, Terms]:
    """``(q, r)`` with ``terms == q*others + r``: whole multiples of the leading term are taken."""
    leading, leading_factor = others[0]
    quotient: dict[Monomial, int] = {}
    left: dict[Monomial, int] = {}
    while terms:
        monomial, factor = terms[0]
        ratio = None if factor % leading_factor else monomial.divided_by(leading)
        if ratio is None:
            left[monomial] = factor
            terms = terms[1:]
        else:
            quotient[ratio] = factor // leading_factor
            terms = added(terms, multiplied(((ratio, quotient[ratio]),), others), -1)
    return in_order(quotient), in_order(left)


def coefficient_of(symbol: str, terms: Terms) -> Terms | None:
    """``c`` of ``c*symbol + rest``, c and rest free of ``symbol``; None for other polynomials."""
    found: dict[Monomial, int] = {}
    for monomial, factor in terms:
        others: list[tuple[Atom, int]] = []
        for atom, power in monomial.factors:
            if isinstance(atom, Symbol):
                if atom.name != symbol:
                    others.append((atom, power))
                elif power > 1:
                    return None
            elif symbol in atom_symbols(atom):
                return None
            else:
                others.append((atom, power))
        if len(others) < len(monomial.factors):
            found[Monomial(tuple(others)) if others else UNIT] = factor
    return in_order(found)


def by_powers_of(variable: Atom, terms: Terms) -> dict[int, Terms] | None:
    """power of the variable -> what it is multiplied by; the powers that occur.

    None where the variable is a symbol that also occurs inside another atom.
    """
    by_power: dict[int, dict[Monomial, int]] = {}
    for monomial, factor in terms:
        power = 0
        others: list[tuple[Atom, int]] = []
        for atom, exponent in monomial.factors:
            if atom == variable:
                power = exponent
            elif isinstance(variable, Symbol) and variable.name in atom_symbols(atom):
                return None
            else:
                others.append((atom, exponent))
        by_power.setdefault(power, {})[Monomial(tuple(others))] = factor
    return {power: in_order(found) for power, found in by_power.items()}


def _order(term: tuple[Monomial, int]) -> tuple[int, tuple[tuple[str, int], ...]]:
    return term[0].order


# Text


def sum_text(terms: Terms) -> str:
    """A polynomial as valid Python. A positive term comes first, where there is one."""
    signed = [_term_text(monomial, factor) for monomial, factor in terms]
    first = next((i for i, (sign, _) in enumerate(signed) if sign == "+"), 0)
    sign, text = signed.pop(first)
    if sign == "-":  # -n//2 would read as (-n)//2
        divides = terms[0][1] == -1 and isinstance(terms[0][0].only_atom(), FloorDiv)
        text = f"-({text})" if divides else f"-{text}"
    return text + "".join(f" {sign} {term}" for sign, term in signed)


def _term_text(monomial: Monomial, factor: int) -> tuple[str, str]:
    pieces: list[str] = []
    alone = len(monomial.factors) == 1 and monomial.factors[0][1] == 1 and abs(factor) == 1
    for atom, power in monomial.factors:
        if factor < 0 and power == 1 and isinstance(atom, Max) and _reads_as_min(atom):
            factor = -factor
            pieces.append(f"min({', '.join(str(-size) for size in atom.sizes)})")
        elif isinstance(atom, FloorDiv) and not alone:
            pieces.extend([f"({atom!r})"] * power)
        else:
            pieces.extend([repr(atom)] * power)
    if abs(factor) != 1 or not pieces:
        pieces.insert(0, str(abs(factor)))
    return ("-" if factor < 0 else "+"), "*".join(pieces)


def _reads_as_min(atom: Max) -> bool:
    """Whether ``-max(-a, -b)`` is what the atom comes from: it prints as ``min(a, b)``."""
    return all(isinstance(size, int) or size.terms[0][1] < 0 for size in atom.sizes)


def _division_text(numerator: "Size", divisor: "Size") -> str:
    left, right = str(numerator), str(divisor)
    if not isinstance(numerator, int) and len(numerator.terms) > 1:
        left = f"({left})"
    if not isinstance(divisor, int):
        only = divisor.terms[0][0].only_atom() if len(divisor.terms) == 1 else None
        if only is None or isinstance(only, FloorDiv) or divisor.terms[0][1] != 1:
            right = f"({right})"
    return f"{left}//{right}"
