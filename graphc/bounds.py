"""What a polynomial of sizes never falls below, for all values >= 0 of its symbols.

Two ways, of which the better one counts: intervals of all atoms put together, and floor divisions
and maxima taken apart, which keeps what they share with the rest: ``n - n//2 >= 0``.
"""

from collections.abc import Sequence

from graphc.polynomials import (
    Atom,
    FloorDiv,
    Interval,
    Max,
    Symbol,
    Terms,
    combined,
    is_constant,
    terms_of,
)

ELIMINATION_DEPTH = 3  # how many floor divisions and maxima a bound may take apart
ELIMINATION_WIDTH = 3  # how many of them are tried at each step


def least_value(terms: Terms, depth: int = ELIMINATION_DEPTH) -> int | None:
    """A number that the polynomial never falls below, or None where none was found."""
    best = interval(terms)[0]
    if depth == 0:
        return best
    tried = 0
    for monomial, factor in terms:
        atom = monomial.only_atom()
        if tried == ELIMINATION_WIDTH or atom is None or isinstance(atom, Symbol):
            continue
        tried += 1
        rest = tuple(term for term in terms if term[0] is not monomial)
        value = _least_without(rest, atom, factor, depth - 1)
        if value is not None and (best is None or value > best):
            best = value
    return best


def _least_without(rest: Terms, atom: Atom, factor: int, depth: int) -> int | None:
    """A lower bound of ``rest + factor*atom`` that keeps what atom and rest share.

    a//d lies between (a - d + 1)/d and a/d, for an integer d; a maximum is one of its arguments.
    """
    if isinstance(atom, Max):
        bounds = [
            least_value(combined(((rest, 1), (terms_of(a), factor))), depth) for a in atom.sizes
        ]
        known = [bound for bound in bounds if bound is not None]
        if factor > 0:
            return max(known, default=None)
        return min(known) if len(known) == len(bounds) else None
    if isinstance(atom, FloorDiv) and isinstance(divisor := atom.divisor, int):
        slack = divisor - 1 if factor > 0 else 0
        parts = ((rest, divisor), (terms_of(atom.numerator), factor), (terms_of(slack), -factor))
        bound = least_value(combined(parts), depth)
        return None if bound is None else -(-bound // divisor)
    return None


# Intervals


def interval(terms: Terms) -> Interval:
    """Bounds of the value, term by term."""
    low: int | None = 0
    high: int | None = 0
    for monomial, factor in terms:
        bounds: Interval = (factor, factor)
        for atom, power in monomial.factors:
            own = _interval_of(atom)
            for _ in range(min(power, 2)) if own == (0, None) else range(power):
                bounds = _product(bounds, own)
        low = None if low is None or bounds[0] is None else low + bounds[0]
        high = None if high is None or bounds[1] is None else high + bounds[1]
    return low, high


def _product(a: Interval, b: Interval) -> Interval:
    if b == (0, None):  # by far the most frequent: a symbol
        negative, positive = a[0] is None or a[0] < 0, a[1] is None or a[1] > 0
        return (None if negative else 0), (None if positive else 0)
    (a_low, a_high), (b_low, b_high) = a, b
    if a_low is not None and a_high is not None and b_low is not None and b_high is not None:
        corners = (a_low * b_low, a_low * b_high, a_high * b_low, a_high * b_high)
        return min(corners), max(corners)
    if a_low is not None and b_low is not None and a_low >= 0 and b_low >= 0:
        return a_low * b_low, None
    if a_high is not None and b_low is not None and a_high <= 0 and b_low >= 0:
        return None, a_high * b_low
    return None, None


def _interval_of(atom: Atom) -> Interval:
    if atom.interval is None:
        if isinstance(atom, FloorDiv):
            atom.interval = _of_division(terms_of(atom.numerator), terms_of(atom.divisor))
        elif isinstance(atom, Max):
            atom.interval = _of_maximum([terms_of(size) for size in atom.sizes])
        else:
            return None, None
    return atom.interval


def _of_division(numerator: Terms, divisor: Terms) -> Interval:
    low, high = least_value(numerator), _most_value(numerator)
    least = least_value(divisor)
    if least is None or least < 1:
        return None, None
    if is_constant(divisor):
        return (None if low is None else low // least), (None if high is None else high // least)
    return (
        None if low is None else min(low // least, 0),
        None if high is None else (high // least if high >= 0 else -1),
    )


def _of_maximum(polynomials: Sequence[Terms]) -> Interval:
    lows = [low for low in map(least_value, polynomials) if low is not None]
    highs = [_most_value(terms) for terms in polynomials]
    known = [high for high in highs if high is not None]
    return (max(lows) if lows else None), (max(known) if len(known) == len(highs) else None)


def _most_value(terms: Terms) -> int | None:
    """A number that the polynomial never exceeds."""
    least = least_value(tuple((monomial, -factor) for monomial, factor in terms))
    return None if least is None else -least
