"""Feeds: what a caller passes for the placeholders, checked and bound to symbolic sizes.

Unusual but right feeds (lists, scalars, other dtypes that convert safely, strided or read-only
arrays) are converted; wrong ones are refused before anything runs. A feed is never written to.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.conversion import as_array, is_weak_value, loss, shown
from graphc.errors import FeedError, FeedTypeError, FunctionError, GraphcError, IndexOutOfRange
from graphc.ir.leaf import Variable
from graphc.ir.node import TensorType
from graphc.ir.opdef import Constraint
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import Dim, Size, dim_max, evaluate, format_shape, symbols_of


@dataclass(frozen=True, slots=True)
class AxisRule:
    """What to do with one axis of a fed array: bind a symbol, or compare with a size."""

    input: int
    axis: int
    size: Size
    symbol: int | None  # position of the symbol among the sizes, if the size is one symbol


class FeedBinder:
    """Turns the arguments of a call into dense arrays and values of the symbolic sizes.

    exact: what to word an error with in the place of a constraint.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        size_names: Sequence[str],
        constraints: Sequence[Constraint],
        allow_downcast: bool,
        exact: Callable[[Constraint], Constraint] = lambda constraint: constraint,
    ) -> None:
        self.exact = exact
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
                and value.flags.carray  # dense and aligned
            ):
                result.append(value)
            else:
                result.append(self.convert(number, value))
        return result

    def convert(self, number: int, value: Any) -> np.ndarray:
        """The slow path: anything that is not yet a dense array of the right dtype and rank."""
        tensor = self.inputs[number]
        declared = tensor.type
        if isinstance(value, Tensor | Dim):
            kind = "size" if isinstance(value, Dim) else "tensor"
            raise self.error(
                FeedTypeError,
                tensor,
                "E202",
                f"{tensor.name!r} was fed a symbolic {kind}",
                details=[f"got {_described(value)}"],
                fix=_symbolic_fix(value, tensor),
            )
        try:
            array = as_array(value)
        except (ValueError, TypeError) as error:
            raise self.error(
                FeedTypeError,
                tensor,
                "E202",
                f"{tensor.name!r} was fed something that is no array of numbers",
                details=[str(error), f"allowed {declared}"],
                fix="feed an array, a number, or nested lists of equal length",
            ) from None
        weak = is_weak_value(value)
        self.check_dtype(tensor, array, weak, value)
        if array.ndim != len(declared.shape):
            raise self.error(
                FeedError,
                tensor,
                "E203",
                f"{tensor.name!r} was fed {_ranked(array)}, allowed is {len(declared.shape)}-d",
                details=_got(array, declared),
                fix="reshape the array, or declare the placeholder with another shape",
            )
        if array.dtype == declared.dtype:
            flags = array.flags
            return array if flags.c_contiguous and flags.aligned else array.copy()
        if not self.allow_downcast:
            return array.astype(declared.dtype, order="C")
        with np.errstate(over="ignore"):
            return array.astype(declared.dtype, order="C")

    def check_dtype(self, tensor: Tensor, array: np.ndarray, weak: bool, value: Any) -> None:
        """Refuse what would lose information. Python numbers may take any precision."""
        lost = loss(array, tensor.dtype, weak=weak, downcast=self.allow_downcast)
        if lost is None:
            return
        wanted, allowed = tensor.dtype.name, _got(array, tensor.type)[1]
        got = shown(value) if weak and array.ndim == 0 else f"{array.dtype.name} values"
        fix = f"convert it with .astype({wanted!r})"
        if not self.allow_downcast:
            fix += ", or compile with allow_downcast=True"
        raise self.error(
            FeedTypeError,
            tensor,
            "E202",
            f"{tensor.name!r} is {wanted} and was fed {got}: {lost}",
            details=[f"got     {shown(value)}" if weak else _got(array, tensor.type)[0], allowed],
            fix="feed integers" if weak and wanted.startswith(("int", "uint")) else fix,
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
                    raise self.clash(rule, origin[rule.symbol], arrays)
            elif rule.size != actual:
                self.compare(rule, arrays[rule.input], values)
        bound = tuple(values)
        if bound not in self.checked:
            self.check_constraints(bound)
            if len(self.checked) < 4096:
                self.checked.add(bound)
        return bound

    def compare(self, rule: AxisRule, array: np.ndarray, values: Sequence[int]) -> None:
        bindings = dict(zip(self.size_names, values, strict=True))
        wanted, actual = evaluate(rule.size, bindings), array.shape[rule.axis]
        if wanted == actual:
            return
        tensor = self.inputs[rule.input]
        allowed = f"{rule.size} = {wanted}" if isinstance(rule.size, Dim) else f"{wanted}"
        bound = [f"{n}={v}" for n, v in bindings.items() if n in symbols_of(rule.size)]
        raise self.error(
            FeedError,
            tensor,
            "E203",
            f"{tensor.name!r}: axis {rule.axis} has size {actual}, allowed is {allowed}",
            details=[*_got(array, tensor.type), *([f"with {', '.join(bound)}"] if bound else [])],
            fix="feed an array of the declared shape, or declare the axis as None (any size)",
        )

    def clash(
        self, rule: AxisRule, first: AxisRule | None, arrays: Sequence[np.ndarray]
    ) -> FeedError:
        assert first is not None
        name = str(rule.size)
        given = [(r, self.inputs[r.input], arrays[r.input]) for r in (first, rule)]
        told = ", ".join(f"{name}={array.shape[r.axis]} from {t.name}" for r, t, array in given)
        return self.error(
            FeedError,
            given[1][1],
            "E204",
            f"the size {name} is given twice and differs: {told}",
            details=[
                f"{t.name}: {t.type}, got {array.dtype.name}{format_shape(array.shape)}"
                for t, array in {t.key: (t, array) for _, t, array in given}.values()
            ],
            fix="feed arrays that agree, or give the axes different names",
        )

    def check_constraints(self, bound: tuple[int, ...]) -> None:
        """Sizes that ops need to be equal although the graph could not know it."""
        bindings = dict(zip(self.size_names, bound, strict=True))
        for constraint in self.constraints:
            left = evaluate(constraint.left, bindings)
            right = evaluate(constraint.right, bindings)
            if left != right:
                raise self.unequal(self.exact(constraint), left, right, bindings)

    def unequal(
        self, constraint: Constraint, left: int, right: int, bindings: dict[str, int]
    ) -> GraphcError:
        source = constraint.sources[0] if constraint.sources else None
        sides = [
            f"{size} = {value}" if isinstance(size, Dim) else str(value)
            for size, value in ((constraint.left, left), (constraint.right, right))
        ]
        known = constraint.left, constraint.right
        names = {name for size in known for name in symbols_of(size)}
        details = [f"{n}={v} from {self.origin_of(n)}" for n, v in bindings.items() if n in names]
        if issubclass(constraint.error, IndexOutOfRange):
            return IndexOutOfRange(
                f"{constraint.text}: {', '.join(sides)}",
                code="E402",
                details=details,
                source=source,
                fix="feed a larger array",
            )
        if left < 0 and constraint.right == dim_max(constraint.left, 0):
            return FeedError(
                f"{constraint.text}: {sides[0]}",
                code="E107",
                details=details,
                source=source,
                fix="feed a larger array",
            )
        if isinstance(constraint.left, Dim) and constraint.left == dim_max(constraint.right, left):
            return FeedError(  # max(n, 5) = n
                f"{constraint.text}: {sides[1]}, allowed is {left} or more",
                code="E107",
                details=details,
                source=source,
                fix="feed a larger array",
            )
        stretches = "broadcasting" in constraint.text and 1 in (left, right)
        hint = "; a size that may be more than 1 does not stretch: say 1 in the shape of the input"
        return FeedError(
            f"{constraint.text}: sizes differ: {', '.join(sides)}",
            code="E208" if issubclass(constraint.error, FunctionError) else "E107",
            details=details,
            source=source,
            fix="feed arrays whose sizes agree" + hint * stretches,
        )

    def origin_of(self, name: str) -> str:
        """`axis 0 of x`: where a symbolic size comes from."""
        for rule in self.rules:
            if str(rule.size) == name:
                return f"axis {rule.axis} of {self.inputs[rule.input].name}"
        return "no input"

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


def _got(array: np.ndarray, declared: TensorType) -> list[str]:
    return [f"got     {array.dtype.name}{format_shape(array.shape)}", f"allowed {declared}"]


def _ranked(array: np.ndarray) -> str:
    return "a scalar" if array.ndim == 0 else f"a {array.ndim}-d array"


def _described(value: Tensor | Dim) -> str:
    if isinstance(value, Dim):
        return f"the size {value}"
    return f"{value.name or value.op.name}: {value.type}, from {value.source or 'nowhere'}"


def _symbolic_fix(value: Tensor | Dim, tensor: Tensor) -> str:
    if isinstance(value, Variable):
        return f"feed {value.name}.value, or use the variable itself in the expression"
    return f"feed numbers; to replace expressions compile with givens={{{tensor.name}: expression}}"
