"""Leaves of a graph: placeholders, variables, constants and symbolic sizes as values."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from graphc.conversion import as_array, integer_loss, is_weak_value, loss, shown
from graphc.dtypes import (
    all_dtypes,
    as_dtype,
    default_complex,
    default_float,
    int64,
    is_bool,
    is_complex,
    is_integer,
)
from graphc.errors import DTypeError, FunctionError, GraphcError, ShapeError, SymbolicValueError
from graphc.ir.lowering import IndexMap, Leaf, LoweringContext
from graphc.ir.node import Attributes, Node, TensorType, unique_type
from graphc.ir.opdef import Inference, OpDef
from graphc.ir.registry import call, public, register
from graphc.ir.source import current_source, current_sources
from graphc.ir.storage import Storage, replace_arrays, under_lock
from graphc.ir.tensor import Tensor
from graphc.ir.trimmed import Trimmed
from graphc.placement import copied
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Dim, Shape, Size, format_shape, whole_number

_serial = itertools.count()  # names for the unnamed


def _declared(call: Inference) -> TensorType:
    """Leaves carry their type as an attribute."""
    declared: TensorType = call.attrs["type"]
    return declared


def _no_reference(attrs: Attributes) -> np.ndarray:
    raise AssertionError("the interpreter binds placeholders and variables itself")


PLACEHOLDER = register(OpDef("placeholder", infer=_declared, reference=_no_reference, lower=Leaf()))
VARIABLE = register(OpDef("variable", infer=_declared, reference=_no_reference, lower=Leaf()))
CONSTANT = register(
    OpDef(
        "constant",
        infer=lambda call: TensorType(call.attrs["value"].dtype, call.attrs["value"].shape),
        reference=lambda attrs: attrs["value"],
        lower=Leaf(),
    )
)


def _lower_dim(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    return Index(context.attrs["size"])


DIM = register(
    OpDef(
        "dim",
        infer=lambda call: TensorType(int64, ()),
        reference=lambda attrs: np.asarray(attrs["size"], dtype=np.int64),
        lower=IndexMap(_lower_dim),
        traits=frozenset({"nondifferentiable"}),
    )
)


class Variable(Tensor):
    """A tensor with a value that lives between calls and that `updates` change."""

    __slots__ = ()

    def __init__(self, node: Node, index: int = 0, name: str | None = None) -> None:
        if not isinstance(node, Node):
            raise SymbolicValueError(
                f"Variable(...) makes no variable: it was given {shown(node)}",
                fix="write gc.variable(value)",
            )
        super().__init__(node, index, name)

    @property
    def storage(self) -> Storage:
        storage: Storage = self.node.attrs["storage"]
        return storage

    @property
    def value(self) -> np.ndarray:
        """A copy of the current value; assign to set it (same shape; dtype without loss)."""
        return self.storage.read().copy()

    @value.setter
    def value(self, new: Any) -> None:
        array = self._new_array(new)
        under_lock(self.storage, lambda: replace_arrays([self.storage], [array]))

    def __reduce__(self) -> NoReturn:
        self._refuse(
            "a variable cannot be pickled or copied deeply: graphs know it by itself",
            "E219",
            "keep v.value, or write gc.save(path, {name: v}); gc.variable(v.value) is another one",
        )

    @property
    def default_update(self) -> Callable[["Variable"], Any] | None:
        """The update that functions make which read the variable and do not update it.

        A function from the variable to its new value; None, the default, for no update. It is
        called where `gc.function` is, unless that is told `default_updates=False`.

        >>> calls = gc.variable(0, "calls")
        >>> calls.default_update = lambda old: old + 1
        """
        return self.storage.default_update

    @default_update.setter
    def default_update(self, rule: Callable[["Variable"], Any] | None) -> None:
        if rule is not None and not callable(rule):
            raise FunctionError(
                f"default_update of {self.name!r}: {shown(rule)} is no function",
                code="E207",
                source=current_source(),
                fix="write v.default_update = lambda old: old + 1",
            )
        self.storage.default_update = rule

    def _new_array(self, new: Any) -> np.ndarray:
        """A copy of `new` with the variable's dtype and shape."""
        try:
            array = _numbers(new)
            lost = loss(array, self.dtype, weak=is_weak_value(new))
        except (TypeError, ValueError) as error:
            raise self._unfit(DTypeError, "was set to no array of numbers", [str(error)]) from None
        if lost is not None:
            got = f"{array.dtype.name}{format_shape(array.shape)}"
            problem = f"is {self.dtype.name} and was set to {got}: {lost}"
            fix = f"set it to value.astype({self.dtype.name!r})"
            raise self._unfit(DTypeError, problem, fix=fix)
        if array.shape != self.shape:
            details = [f"got     {format_shape(array.shape)}"]
            raise self._unfit(ShapeError, "cannot change its shape", details)
        return copied(array, self.dtype)

    def _unfit(
        self,
        kind: type[GraphcError],
        problem: str,
        details: Sequence[str] = (),
        fix: str = "set it to an array of its dtype and shape, or make a new variable",
    ) -> GraphcError:
        return kind(
            f"variable {self.name!r} {problem}",
            code="E208",
            details=[*details, f"allowed {self.type}, declared {self.source or 'nowhere'}"],
            source=current_source(),
            fix=fix,
        )


def _check_name(name: str, what: str = "name") -> str:
    if not isinstance(name, str):
        raise FunctionError(
            f"the {what} must be a string, got {shown(name)}",
            code="E206",
            source=current_source(),
            fix="the name comes first: gc.placeholder('x', (None, 3)); a variable's second",
        )
    if not name.isidentifier() or name.startswith("_"):
        raise FunctionError(
            f"{name!r} is not a usable {what}",
            code="E206",
            source=current_source(),
            fix="names are Python identifiers that do not start with an underscore",
        )
    return name


@public
def dim(name: str) -> Dim:
    """A named symbolic size: the same name in one function is the same number."""
    size = Dim.symbol(_check_name(name, "name of a size"))
    assert isinstance(size, Dim)
    return size


def _placeholder_shape(
    name: str, shape: Sequence[int | str | Dim | np.integer[Any] | None]
) -> Shape:
    sizes: list[Size] = []
    given: Any = (shape,) if isinstance(shape, bytes | bytearray) else shape  # bytes are no sizes
    for axis, size in enumerate(given):
        if size is None:
            sizes.append(Dim.symbol(f"_{name}_{axis}"))
        elif isinstance(size, str):
            sizes.append(dim(size))
        elif isinstance(size, Dim):
            sizes.append(size)
        elif (number := whole_number(size)) is not None and number >= 0:
            sizes.append(number)
        else:
            raise ShapeError(
                f"placeholder {name!r}: axis {axis} has size {size!r}",
                code="E106",
                source=current_source(),
                fix="sizes are ints >= 0, None (any), a name ('n') or a dim expression",
            )
    return tuple(sizes)


@public
def placeholder(
    name: str | None = None,
    shape: Sequence[int | str | Dim | np.integer[Any] | None] | int | str | Dim | None = (),
    dtype: Any = default_float,
) -> Tensor:
    """An input that is fed at every call.

    name: a Python identifier, used in errors and to feed by name. shape: sizes as ints, None (any
    size), names ("n": the same number wherever it occurs in one function) or dim expressions.
    dtype: float32 by default.
    """
    name = f"input_{next(_serial)}" if name is None else _check_name(name)
    if isinstance(shape, int | np.integer | str | Dim) or shape is None:
        shape = (shape,)
    declared = unique_type(TensorType(as_dtype(dtype), _placeholder_shape(name, shape)))
    return PLACEHOLDER(name=name, type=declared)


@public
def variable(value: Any, name: str | None = None, dtype: Any = None) -> Variable:
    """A value that lives between calls; `updates` change it, `v.value` reads and sets it.

    value: array or number, copied. dtype: the array's own by default; Python floats are float32.
    DTypeError for numbers that it does not hold; see constant.
    """
    name = f"variable_{next(_serial)}" if name is None else _check_name(name)
    if dtype is None and type(value) is np.ndarray and value.dtype in all_dtypes:
        array = copied(value)  # nothing to convert
    else:
        array = copied(_to_array("variable: ", value, dtype))
    attrs = {
        "name": name,
        "type": unique_type(TensorType(array.dtype, array.shape)),
        "storage": Storage(array),
    }
    node = Node(VARIABLE, (), attrs, (attrs["type"],), current_sources())  # type: ignore[arg-type]
    return Variable(node)


def _numbers(value: Any) -> np.ndarray:
    """as_array, and a hint for tensors."""
    if isinstance(value, Tensor):
        name = value.name or f"the result of {value.op.name}"
        raise TypeError(f"{name} is a symbolic tensor, which has no value yet")
    return as_array(value)


def _to_array(what: str, value: Any, dtype: Any) -> np.ndarray:
    wanted = None if dtype is None else as_dtype(dtype)
    try:
        array = _numbers(value)
        own = as_dtype(array.dtype)  # in native byte order
    except (TypeError, ValueError) as error:
        fix = "pass an array, a number or nested lists; gc.run(tensor) gives a tensor's value"
        raise DTypeError(
            f"{what}{error.message if isinstance(error, DTypeError) else error}",
            source=current_source(),
            fix=f"{fix}; `x is None` asks whether there is one" if value is None else fix,
        ) from None
    if is_weak_value(value):
        # Python's numbers have no precision to lose, but must be in range.
        if wanted is None:
            wanted = {"f": default_float, "c": default_complex}.get(array.dtype.kind, own)
        lost = loss(array, wanted, weak=True, downcast=True)
        fix = "give another dtype, or pass an array"
        if lost is None and is_integer(wanted):
            lost = integer_loss(array, wanted)
            fix = "round it first, or give a floating dtype"
        if lost is not None:
            raise DTypeError(
                f"{what}{shown(value)} is no {wanted.name}: {lost}",
                source=current_source(),
                fix=fix,
            )
    elif wanted is not None and is_complex(own) and not (is_complex(wanted) or is_bool(wanted)):
        raise DTypeError(
            f"{what}{shown(value)} is no {wanted.name}: the imaginary part would be lost",
            source=current_source(),
            fix="take its .real, its .imag or np.abs of it",
        )
    with np.errstate(over="ignore"):
        return array.astype(own if wanted is None else wanted, copy=False)


@public
def constant(value: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A fixed array, copied. dtype: the array's own by default; Python floats are float32.

    Arrays become another dtype as by astype. Python's numbers must be in its range, and whole for
    integers; else DTypeError.
    """
    array = np.array(_to_array("", value, dtype), order="C", copy=True)
    array.flags.writeable = False
    return CONSTANT(value=array) if name is None else CONSTANT(value=array, name=_check_name(name))


@public
def as_tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor from a tensor, array, number, symbolic size or nested list of numbers."""
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype != as_dtype(dtype):
            return value.astype(dtype)
        return value
    if isinstance(value, Trimmed):
        value.refuse()
    if isinstance(value, Dim):
        tensor = DIM(size=value)
        return tensor if dtype is None else tensor.astype(dtype)
    if isinstance(value, list | tuple) and _holds_tensor(value):
        return call("stack", [as_tensor(item, dtype) for item in value])
    return constant(value, dtype)


def _holds_tensor(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether there is a tensor or size in nested lists, each of which is looked at once."""
    pending: list[Any] = [value]
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        if isinstance(item, Tensor | Dim | Trimmed):
            return True
        if isinstance(item, list | tuple) and id(item) not in seen:
            seen.add(id(item))
            pending += item
    return False


def scalar_value(tensor: Tensor) -> Any:
    """The number (bool, int, float or complex), if the tensor is a constant whose elements are all
    the same; else None."""
    if tensor.node.op is not CONSTANT:
        return None
    array: np.ndarray = tensor.node.attrs["value"]
    if array.ndim == 0:
        return array.item()
    if array.size == 0:
        return None
    first = array.flat[0]
    if array.size > 1 and not (array == first).all():
        return None
    return first.item()
