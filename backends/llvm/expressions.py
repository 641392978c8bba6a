"""Expressions as values: scalars where all lanes agree, vectors where they differ.

Two things about index expressions save most of the work in vector loops:

    affine        base + slope * lane, base a scalar: the address of neighbouring elements, although
                  the base may come from memory (`table[ids[i], j]`)
    lane test     a comparison of two affine indices holds below, above or at one lane: it becomes
                  a comparison of narrow constants with one broadcast number

A load whose index is chosen (`x[p if c else q]`) or clamped into range because only some lanes
want it (`x[min(max(p, 0), n-1)] if 0 <= p < n else 0`) becomes masked loads of neighbours.
"""

from collections.abc import Sequence

from graphc.backends.llvm.access import Memory
from graphc.backends.llvm.accumulate import State, choose
from graphc.backends.llvm.scalar_ops import EXP_OF_NEGATIVE, emit_operation, register_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.text import Val
from graphc.dtypes import int64, is_floating
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, Read, add, le, lt, mul, sub
from graphc.shapes import Dim, Size

AFFINE = {"add": add, "sub": sub, "mul": mul}
COMPARISONS = ("lt", "le", "eq", "ne")
Guard = tuple[tuple[Expr, ...], Val]  # the conjuncts of a condition, and its value


class Expressions:
    """locals: values of Let. states, positions: accumulators, and the names of their positions."""

    def __init__(self, code: Code, sizes: Sizes) -> None:
        self.code = code
        self.sizes = sizes
        self.memory = Memory(code, sizes, self)
        self.locals: dict[str, Val] = {}
        self.states: dict[str, State] = {}
        self.positions: dict[str, str] = {}
        self._guards: list[Guard] = []
        self._negated: dict[str, Val] = {}  # what floating negations are made of

    def value(self, expr: Expr) -> Val:
        """The value: a scalar where all lanes agree, else a vector."""
        match expr:
            case Const(value=value, dtype=dtype):
                return self.code.constant(value, register_type(dtype))
            case Index(size=size):
                return self.sizes.value(size)
            case Local(name=name):
                return self.known(name)
            case Load(buffer=buffer, index=index):
                return self._load(buffer, index)
            case Call(op="select", args=args):
                return self._select(expr, args)
            case Call(op=op, args=(left, right)) if op in COMPARISONS and left.dtype == int64:
                return self._compare(expr, left, right)
            case Call(args=args):
                return self._operation(expr, [self.value(arg) for arg in args])
            case Read():
                raise AssertionError("kernels load from buffers; they do not read op inputs")

    def known(self, name: str) -> Val:
        """The value of a local, of an accumulator or of its position."""
        found = self.locals.get(name)
        if found is not None:
            return found
        if name in self.positions:
            return self.states[self.positions[name]][1]
        return self.states[name][0]

    def _operation(self, call: Call, args: list[Val]) -> Val:
        code = self.code
        lanes = max([arg.lanes for arg in args])
        if lanes > 1:
            args = [code.splat(arg, lanes) for arg in args]
        operand, result = call.args[-1].dtype, call.dtype
        if call.op == "abs":  # abs(-x) is abs(x), and what is made of it is there already
            args = [self._negated.get(args[0].text, args[0])]
        op = call.op
        if op == "exp" and never_positive(call.args[0]):
            op = EXP_OF_NEGATIVE
        value = code.pure(
            (op, operand.char, result.char, lanes, *[arg.text for arg in args]),
            args,
            lambda: emit_operation(code.builder, op, args, operand, result),
        )
        if call.op == "neg" and is_floating(result):
            self._negated[value.text] = args[0]
        return value

    # Indices

    def affine(self, expr: Expr) -> tuple[Val, Size] | None:
        """(base, slope) where lane k has base + slope * k; None where lanes are not so related."""
        if isinstance(expr, Index):
            if not self.sizes.varies(expr.size):
                return self.sizes.first(expr.size), 0
            assert isinstance(expr.size, Dim) and self.sizes.vector_axis is not None
            slope = expr.size.coefficient(self.sizes.vector_axis)
            return None if slope is None else (self.sizes.first(expr.size), slope)
        if isinstance(expr, Call) and expr.op in ("add", "sub"):
            left, right = (self.affine(arg) for arg in expr.args)
            if left is None or right is None:
                return None
            base = self.code.operation(expr.op, left[0], right[0])
            return base, left[1] + right[1] if expr.op == "add" else left[1] - right[1]
        if isinstance(expr, Call) and expr.op == "select":
            return self._affine_choice(*expr.args)
        value = self.value(expr)
        return (value, 0) if value.lanes == 1 else None

    def _affine_choice(self, condition: Expr, *branches: Expr) -> tuple[Val, Size] | None:
        """One of two affine indices of one slope, the same one in all lanes."""
        chosen = self.value(condition)
        left, right = (self.affine(branch) for branch in branches)
        if chosen.lanes > 1 or left is None or right is None or left[1] != right[1]:
            return None
        return choose(self.code, chosen, left[0], right[0]), left[1]

    def _compare(self, call: Call, left: Expr, right: Expr) -> Val:
        if self.sizes.lanes > 1:
            x, y = self.affine(left), self.affine(right)
            if x is not None and y is not None and (x[1] != 0 or y[1] != 0):
                slope = y[1] - x[1]
                if slope == 0:  # the axis cancels out: all lanes agree
                    return self._operation(call, [x[0], y[0]])
                if slope in (1, -1):
                    return self._lane_test(call.op, x[0], y[0], rising=slope == 1)
        return self._operation(call, [self.value(left), self.value(right)])

    def _lane_test(self, op: str, x: Val, y: Val, rising: bool) -> Val:
        """x op y for lane 0; from lane to lane y - x grows by 1 (rising) or shrinks by 1."""
        code = self.code
        if rising:  # x - k op y is k > x - y, and so on
            limit, predicate, next_lane = code.operation("sub", x, y), "sgt", -1
        else:
            limit, predicate, next_lane = code.operation("sub", y, x), "slt", 1
        if op == "le":  # k <= limit is k < limit + 1
            limit = code.operation("add", limit, code.constant(next_lane, "i64"))
        return self.sizes.lanes_where({"eq": "eq", "ne": "ne"}.get(op, predicate), limit)

    # Loads and choices

    def _load(self, buffer: str, index: tuple[Expr, ...], guards: tuple[Val, ...] = ()) -> Val:
        for conjuncts, condition in self._guards:
            free = tuple(_unclamped(item, conjuncts) for item in index)
            if free != index:
                index, guards = free, (*guards, condition)
        if self.sizes.lanes > 1:
            for position, item in enumerate(index):
                if isinstance(item, Call) and item.op == "select":
                    condition = self.value(item.args[0])
                    if condition.lanes > 1 and None not in map(self.affine, item.args[1:]):
                        return self._load_either(buffer, index, position, condition, guards)
        return self.memory.load(buffer, index, guards)

    def _load_either(
        self,
        buffer: str,
        index: tuple[Expr, ...],
        position: int,
        condition: Val,
        guards: tuple[Val, ...],
    ) -> Val:
        """x[p if c else q] = x[p] if c else x[q], each read where it is wanted."""
        chosen = index[position]
        assert isinstance(chosen, Call)
        loaded = [
            self._load(buffer, (*index[:position], item, *index[position + 1 :]), (*guards, where))
            for item, where in zip(chosen.args[1:], (condition, self._not(condition)), strict=True)
        ]
        a, b = (self.code.splat(value, self.sizes.lanes) for value in loaded)
        return choose(self.code, condition, a, b)

    def _select(self, call: Call, args: Sequence[Expr]) -> Val:
        condition = self.value(args[0])
        self._guards.append((_conjuncts(args[0]), condition))
        wanted = self.value(args[1])
        self._guards.pop()
        return self._operation(call, [condition, wanted, self.value(args[2])])

    def _not(self, condition: Val) -> Val:
        builder = self.code.builder
        return self.code.pure(
            ("not", condition.text, condition.lanes), (condition,), lambda: builder.not_(condition)
        )


def never_positive(expr: Expr) -> bool:
    """Whether a float is -|x|, -x*x, x*x times a negative number, or nan."""
    match expr:
        case Call(op="neg", args=(Call(op="abs"),)):
            return True
        case Call(op="neg", args=(Call(op="mul", args=(x, y)),)):
            return x == y
        case Call(op="mul", args=(Call(op="mul", args=(x, y)), Const(value=factor))):
            return x == y and factor < 0
    return False


def _conjuncts(condition: Expr) -> tuple[Expr, ...]:
    if isinstance(condition, Call) and condition.op == "and":
        return tuple(item for arg in condition.args for item in _conjuncts(arg))
    return (condition,)


def _unclamped(index: Expr, conjuncts: tuple[Expr, ...]) -> Expr:
    """An index without the clamps that do nothing where all conjuncts hold."""
    if isinstance(index, Call) and index.op in AFFINE:
        x, y = (_unclamped(arg, conjuncts) for arg in index.args)
        return index if (x, y) == index.args else AFFINE[index.op](x, y)
    if not (isinstance(index, Call) and index.op in ("minimum", "maximum")):
        return index
    inner, bound = index.args
    if not isinstance(bound, Index):
        return index
    free = _unclamped(inner, conjuncts)
    if index.op == "minimum":
        proofs = lt(free, Index(bound.size + 1)), le(free, bound)
    else:
        proofs = lt(Index(bound.size - 1), free), le(bound, free)
    return free if any(proof in conjuncts for proof in proofs) else index
