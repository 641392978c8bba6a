"""The subscripts of einsum: `ij,jk->ik` as the indices of each operand and of the result."""

import operator
import string
from collections.abc import Sequence
from typing import Any

from graphc.errors import ShapeError
from graphc.ir.opdef import describe_inputs
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.records import dataclass

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase  # in the order of their codes


@dataclass(frozen=True, slots=True)
class Notation:
    """`ij,jk->ik` as the indices of each operand and of the result, without ellipses."""

    operands: tuple[str, ...]
    result: str

    def __str__(self) -> str:
        return f"{','.join(self.operands)}->{self.result}"

    @staticmethod
    def read(text: str) -> "Notation":
        """What str() wrote."""
        inputs, _, result = text.partition("->")
        return Notation(tuple(inputs.split(",")), result)

    def with_operand(self, position: int, indices: str) -> "Notation":
        operands = list(self.operands)
        operands[position] = indices
        return Notation(tuple(operands), self.result)


def wrong_subscripts(
    problem: str, subscripts: str, tensors: Sequence[Tensor], fix: str = ""
) -> ShapeError:
    """The error that names the subscripts, the operands and the user's line."""
    return ShapeError(
        f"einsum {subscripts!r}: {problem}",
        details=[describe_inputs(tensors)] if tensors else [],
        source=current_source(),
        fix=fix or None,
    )


def lettered(*arguments: Any) -> tuple[str, tuple[Any, ...]]:
    """`x, [0, 1], y, [1, 2], [0, 2]` as the string and the operands of the other form."""
    pairs = len(arguments) // 2
    operands = arguments[: 2 * pairs : 2]
    groups = [_letters(group) for group in arguments[1 : 2 * pairs : 2]]
    result = _letters(arguments[-1]) if len(arguments) % 2 else None
    if result is not None and pairs == 0:
        raise wrong_subscripts("no operands", "", ())
    return ",".join(groups) + ("" if result is None else f"->{result}"), operands


def _letters(group: Any) -> str:
    """Numbers in increasing order are letters in alphabetical order."""
    try:
        items = list(group)
        if all(item is Ellipsis or 0 <= operator.index(item) < len(_ALPHABET) for item in items):
            return "".join("..." if item is Ellipsis else _ALPHABET[item] for item in items)
    except TypeError:
        pass
    raise wrong_subscripts(
        "these are no indices",
        f"{group!r:.40}",
        (),
        "behind each operand stands a list of ints from 0 to 51, or the subscripts come first, as "
        "a string",
    )


def parse_notation(subscripts: Any, tensors: Sequence[Tensor]) -> Notation:
    """The user's string with letters for the axes that an ellipsis stands for."""
    if not isinstance(subscripts, str):
        shown = f"{subscripts!r:.40}"
        raise wrong_subscripts(
            "the subscripts come first, as a string", shown, (), "gc.einsum('ij,jk', x, y)"
        )
    text = "".join(subscripts.split())
    inputs, arrow, result = text.partition("->")
    groups = inputs.split(",")
    for group in (*groups, result):
        letters = group.replace("...", "", 1)
        if not all(letter in string.ascii_letters for letter in letters):
            allowed = "indices are letters, one '...' an operand, ',' between operands and '->'"
            raise wrong_subscripts(f"cannot read {group!r}", subscripts, tensors, allowed)
    if len(groups) != len(tensors):
        raise wrong_subscripts(
            f"{len(groups)} operands named, {len(tensors)} given", subscripts, tensors
        )
    spans = []
    for position, (group, tensor) in enumerate(zip(groups, tensors, strict=True)):
        span = tensor.ndim - len(group.replace("...", ""))
        if span < 0 or (span > 0 and "..." not in group):
            named = len(group.replace("...", ""))
            problem = f"{group!r} names {named} axes of operand {position}, which has {tensor.ndim}"
            raise wrong_subscripts(
                problem, subscripts, tensors, "'...' stands for axes without a letter"
            )
        spans.append(span)
    free = [letter for letter in string.ascii_letters if letter not in text]
    widest = max((n for n, group in zip(spans, groups, strict=True) if "..." in group), default=0)
    if widest > len(free):
        raise wrong_subscripts(f"more than {len(string.ascii_letters)} axes", subscripts, tensors)
    unnamed = "".join(free[:widest])
    operands = tuple(
        group.replace("...", unnamed[widest - span :])
        for group, span in zip(groups, spans, strict=True)
    )
    if arrow:
        outcome = result.replace("...", unnamed)
        if "..." not in result and widest:
            problem = "'...' stands for axes that the result does not have"
            raise wrong_subscripts(problem, subscripts, tensors, "write '...' behind '->' as well")
    else:
        joined = "".join(groups)
        outcome = unnamed + "".join(
            letter for letter in sorted(set(joined) - {"."}) if joined.count(letter) == 1
        )
    _check_result(outcome, operands, subscripts, tensors)
    return Notation(operands, outcome)


def _check_result(
    result: str, operands: tuple[str, ...], subscripts: str, tensors: Sequence[Tensor]
) -> None:
    for index in result:
        if result.count(index) > 1:
            raise wrong_subscripts(f"index {index} stands twice in the result", subscripts, tensors)
        if not any(index in indices for indices in operands):
            raise wrong_subscripts(
                f"no operand has index {index} of the result", subscripts, tensors
            )
