"""Feeds: what a caller passes for the placeholders, checked and bound to symbolic sizes.

Unusual but right feeds (lists, scalars, other dtypes that convert safely, strided or read-only
arrays) are converted; wrong ones are refused before anything runs. A feed is never written to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.dtypes import DType, is_floating, is_integer
from graphc.errors import FeedError, FeedTypeError, IndexOutOfRange
from graphc.ir.opdef import Constraint
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size, evaluate, format_shape


@dataclass(frozen=True, slots=True)
class AxisRule:
    """What to do with one axis of a fed array: bind a symbol, or compare with a size."""

    input: int
    axis: int
    size: Size
    symbol: int | None  # position of the symbol among the sizes, if the size is one symbol


class FeedBinder:
    """Turns the arguments of a call into dense arrays and values of the symbolic sizes."""

    def __init__(
        self,
        inputs: Sequence[Tensor],
        size_names: Sequence[str],
        constraints: Sequence[Constraint],
        allow_downcast: bool,
    ) -> None:
        self.inputs = tuple(inputs)
        self.types = [tensor.type for tensor in inputs]
        self.size_names = tuple(size_names)
        self.constraints = [c for c in constraints]
        self.allow_downcast = allow_downcast
        position = {name: number for number, name in enumerate(size_names)}
        self.rules = [
            AxisRule(number, axis, size, position.get(str(size)) if isinstance(size, Dim) else None)
            for number, tensor in enumerate(inputs)
            for axis, size in enumerate(tensor.shape)
        ]
        # Whole symbols first, so that expressions over them can be compared.
        self.rules.sort(key=lambda rule: (rule.symbol is None, rule.input, rule.axis))
        self.checked: set[tuple[int, ...]] = set()

    def arrays(self, values: Sequence[Any]) -> list[np.ndarray]:
        """Dense arrays of the declared dtype and rank."""
        result: list[np.ndarray] = []
        for number, value in enumerate(values):
            declared = self.types[number]
            if (
                type(value) is np.ndarray
                and value.dtype == declared.dtype
                and value.ndim == len(declared.shape)
                and value.flags.c_contiguous
                and value.dtype.isnative
            ):
                result.append(value)
            else:
                result.append(self.convert(number, value))
        return result

    def convert(self, number: int, value: Any) -> np.ndarray:
        """The slow path: anything that is not yet a dense array of the right dtype and rank."""
        tensor = self.inputs[number]
        declared = tensor.type
        if isinstance(value, Tensor):
            raise self.error(
                FeedError,
                tensor,
                "E202",
                f"{tensor.name!r} was fed a symbolic tensor",
                fix="feed numbers; to replace one expression by another use givens={x: expression}",
            )
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise self.error(
                FeedTypeError,
                tensor,
                "E202",
                f"{tensor.name!r} was fed a value that is no array: {error}",
                fix="feed an array or nested lists of equal length",
            ) from None
        weak = not isinstance(value, np.ndarray | np.generic)
        self.check_dtype(tensor, array, weak)
        if array.ndim != len(declared.shape):
            raise self.error(
                FeedError,
                tensor,
                "E203",
                f"{tensor.name!r} was fed an array of rank {array.ndim}",
                details=[
                    f"got     {array.dtype.name}{format_shape(array.shape)}",
                    f"allowed {declared}",
                ],
                fix="reshape the array, or declare the placeholder with another shape",
            )
        return np.ascontiguousarray(array, declared.dtype).reshape(array.shape)

    def check_dtype(self, tensor: Tensor, array: np.ndarray, weak: bool) -> None:
        """Refuse what would lose information. Python numbers may take any precision."""
        got, wanted = array.dtype, tensor.dtype
        if got == wanted or np.can_cast(got, wanted, "safe"):
            return
        if got.kind in "biuf":
            if weak and (is_floating(wanted) or (got.kind in "bi" and is_integer(wanted))):
                if not is_integer(wanted) or _fits(array, wanted):
                    return
            if array.size == 0 and weak:
                return
            if self.allow_downcast:
                return
        raise self.error(
            FeedTypeError,
            tensor,
            "E202",
            f"{tensor.name!r} is {wanted.name}; a {got.name} value would lose information",
            details=[f"got     {got.name}{format_shape(array.shape)}", f"allowed {tensor.type}"],
            fix=f"convert it with .astype({wanted.name!r}), or compile with allow_downcast=True",
        )

    def sizes(self, arrays: Sequence[np.ndarray]) -> tuple[int, ...]:
        """Values of the symbolic sizes; FeedError if shapes disagree with each other."""
        values: list[int] = [-1] * len(self.size_names)
        origin: list[AxisRule | None] = [None] * len(self.size_names)
        for rule in self.rules:
            actual = arrays[rule.input].shape[rule.axis]
            if rule.symbol is not None:
                if values[rule.symbol] == -1:
                    values[rule.symbol] = actual
                    origin[rule.symbol] = rule
                elif values[rule.symbol] != actual:
                    raise self.clash(rule, actual, origin[rule.symbol], values[rule.symbol])
            elif rule.size != actual:
                self.compare(rule, actual, values)
        bound = tuple(values)
        if bound not in self.checked:
            self.check_constraints(bound)
            if len(self.checked) < 4096:
                self.checked.add(bound)
        return bound

    def compare(self, rule: AxisRule, actual: int, values: Sequence[int]) -> None:
        bindings = dict(zip(self.size_names, values, strict=True))
        wanted = evaluate(rule.size, bindings)
        if wanted != actual:
            tensor = self.inputs[rule.input]
            shown = f"{rule.size} = {wanted}" if isinstance(rule.size, Dim) else f"{wanted}"
            raise self.error(
                FeedError,
                tensor,
                "E203",
                f"{tensor.name!r}: axis {rule.axis} has size {actual}, allowed is {shown}",
                details=[f"allowed {tensor.type}"],
                fix="feed an array of the declared shape",
            )

    def clash(self, rule: AxisRule, actual: int, first: AxisRule | None, value: int) -> FeedError:
        assert first is not None
        one, other = self.inputs[first.input], self.inputs[rule.input]
        name = str(rule.size)
        return self.error(
            FeedError,
            other,
            "E204",
            f"the size {name} is given twice and differs: "
            f"{name}={value} from {one.name}, {name}={actual} from {other.name}",
            details=[f"{one.name}: {one.type}", f"{other.name}: {other.type}"],
            fix="feed arrays that agree, or give the axes different names",
        )

    def check_constraints(self, bound: tuple[int, ...]) -> None:
        """Sizes that ops need to be equal although the graph could not know it."""
        bindings = dict(zip(self.size_names, bound, strict=True))
        for constraint in self.constraints:
            left = evaluate(constraint.left, bindings)
            right = evaluate(constraint.right, bindings)
            if left != right:
                index = issubclass(constraint.error, IndexOutOfRange)
                raise (IndexOutOfRange if index else FeedError)(
                    f"{constraint.text}: {constraint.left} = {left}, {constraint.right} = {right}",
                    code="E402" if index else "E107",
                    details=[", ".join(f"{n}={v}" for n, v in bindings.items())],
                    source=constraint.sources[0] if constraint.sources else None,
                    fix="feed a larger array" if index else "feed arrays whose sizes agree",
                )

    @staticmethod
    def error(
        kind: type[FeedError],
        tensor: Tensor,
        code: str,
        message: str,
        *,
        details: Sequence[str] = (),
        fix: str,
    ) -> FeedError:
        source = tensor.sources[0] if tensor.sources else None
        return kind(message, code=code, details=details, source=source, fix=fix)


def _fits(array: np.ndarray, wanted: DType) -> bool:
    if array.size == 0 or array.dtype.kind == "b":
        return True
    limits = np.iinfo(wanted)
    return bool(array.min() >= limits.min and array.max() <= limits.max)
