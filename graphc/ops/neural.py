"""relu, softmax and the cross-entropies: ops with stable forms and short derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import bool_, float64, int64, is_integer, uint64
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import leading, shifted
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.lowering import Composite, IndexCheck, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    FLOATING,
    INTEGER,
    check_dtype,
    floating,
    one_input,
    promote_inputs,
    rounded_once,
)
from graphc.ops.elementwise_definition import FLOAT, define_elementwise, wide
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr
from graphc.shapes import Size

__all__ = ["relu", "softmax"]

relu = define_elementwise(
    "relu",
    "max(x, 0); NaN stays NaN. The gradient at 0 is 0.",
    reference=lambda x: np.where(x <= 0, np.zeros((), x.dtype), x),
    expr=lambda x: s.select(s.le(x, s.like(x, 0)), s.like(x, 0), x),
    partials=(lambda b, a: b.greater(a.inputs[0], 0),),
)

# --- softmax -------------------------------------------------------------------------------------


def _shifted(b: Builder, x: Tensor, axis: int) -> Tensor:
    """x less its largest element; x itself where that is not finite."""
    largest = b.max(x, axis=axis, keepdims=True, initial=float("-inf"))
    return b.subtract(x, b.where(b.isfinite(largest), largest, 0))


def _log_total(b: Builder, shifted: Tensor, axis: int) -> Tensor:
    return b.log(b.sum(b.exp(shifted), axis=axis, keepdims=True))


def _build_softmax(b: Builder, x: Tensor, axis: int) -> Tensor:
    weights = b.exp(_shifted(b, x, axis))
    return b.divide(weights, b.sum(weights, axis=axis, keepdims=True))


def _build_log_softmax(b: Builder, x: Tensor, axis: int) -> Tensor:
    shifted = _shifted(b, x, axis)
    return b.subtract(shifted, _log_total(b, shifted, axis))


def _softmax_product(b: Builder, application: Application, direction: Tensor) -> Tensor:
    """s (d - sum(s d)), the derivative of softmax along d; the same backwards and forwards."""
    output, axis = application.output, application.attrs["axis"]
    mean = b.sum(b.multiply(output, direction), axis=axis, keepdims=True)
    return b.multiply(output, b.subtract(direction, mean))


def _softmax_rule(b: Builder, application: Application, directions: Gradients) -> Gradients:
    direction = directions[0]
    return [None] if direction is None else [_softmax_product(b, application, direction)]


def _log_softmax_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    assert gradient is not None
    total = b.sum(gradient, axis=application.attrs["axis"], keepdims=True)
    return [b.subtract(gradient, b.multiply(b.exp(application.output), total))]


def _log_softmax_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    tangent = tangents[0]
    if tangent is None:
        return [None]
    weighted = b.multiply(b.exp(application.output), tangent)
    return [b.subtract(tangent, b.sum(weighted, axis=application.attrs["axis"], keepdims=True))]


def _log_softmax_values(x: np.ndarray, axis: int) -> np.ndarray:
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shifted = x - np.where(np.isfinite(largest), largest, 0)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def _log_softmax_reference(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    return _log_softmax_values(x.astype(float64), attrs["axis"]).astype(x.dtype)


def _softmax_reference(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    values = np.exp(_log_softmax_values(x.astype(float64), attrs["axis"]))
    return np.asarray(values).astype(x.dtype)


def _softmax_examples(
    build: Callable[..., Tensor],
) -> Callable[[Generator], list[Example]]:
    return lambda rng: (
        [
            Example(lambda x, axis=axis: build(x, axis), (3 * rng.normal(size=shape),))
            for shape, axis in (((1,), -1), ((7,), 0), ((4, 19), 1), ((3, 1, 5), 0), ((2, 3, 4), 1))
        ]
        + [Example(build, (np.zeros(shape),)) for shape in ((0,), (0, 3), (3, 0))]
    )


@public
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`, without overflow: positive, and the sum is 1.

    x: any shape of one axis or more; integers and bool become float32. -inf gives 0; a row of -inf
    alone gives NaN. Raises ShapeError for an axis that x does not have.
    """
    tensor = floating(one_input("softmax", x))
    return SOFTMAX(tensor, axis=checked_axis("softmax", axis, tensor.ndim))


@public
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """log(softmax(x)) along `axis`: x - logsumexp(x), exact where softmax underflows.

    x: any shape of one axis or more; integers and bool become float32.
    Raises ShapeError for an axis that x does not have.
    """
    tensor = floating(one_input("log_softmax", x))
    return LOG_SOFTMAX(tensor, axis=checked_axis("log_softmax", axis, tensor.ndim))


SOFTMAX = register(
    OpDef(
        "softmax",
        infer=lambda call: call.types[0],
        reference=_softmax_reference,
        lower=Composite(rounded_once(_build_softmax)),
        vjp=_softmax_rule,
        jvp=_softmax_rule,
        batch=shifted("axis"),
        examples=_softmax_examples(softmax),
    )
)
LOG_SOFTMAX = register(
    OpDef(
        "log_softmax",
        infer=lambda call: call.types[0],
        reference=_log_softmax_reference,
        lower=Composite(rounded_once(_build_log_softmax)),
        vjp=_log_softmax_vjp,
        jvp=_log_softmax_jvp,
        batch=shifted("axis"),
        examples=_softmax_examples(log_softmax),
    )
)

# --- cross-entropy of softmax with dense labels --------------------------------------------------


def _infer_rows(call: Inference) -> TensorType:
    logits, axis = call.types[0], call.attrs["axis"]
    return TensorType(logits.dtype, (*logits.shape[:axis], *logits.shape[axis + 1 :]))


def _infer_dense(call: Inference) -> TensorType:
    logits, labels = call.types
    for axis, (left, right) in enumerate(zip(logits.shape, labels.shape, strict=True)):
        call.require_equal(left, right, f"logits and labels differ along axis {axis}")
    return _infer_rows(call)


def _build_dense(b: Builder, logits: Tensor, labels: Tensor, axis: int) -> Tensor:
    """A class of probability 0 contributes nothing, even where its logit is -inf."""
    terms = b.multiply(labels, b.log_softmax(logits, axis))
    return b.negative(b.sum(b.where(b.equal(labels, 0), 0, terms), axis=axis))


def _dense_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient, axis = gradients[0], application.attrs["axis"]
    assert gradient is not None
    logits, labels = application.inputs
    spread = b.expand_dims(gradient, axis)
    total = b.sum(labels, axis=axis, keepdims=True)
    slope = b.subtract(b.multiply(b.softmax(logits, axis), total), labels)
    by_labels: Tensor | None = None
    if application.wants(1):
        by_labels = b.multiply(b.negative(b.log_softmax(logits, axis)), spread)
    return [b.multiply(slope, spread), by_labels]


def _dense_reference(attrs: Attributes, logits: np.ndarray, labels: np.ndarray) -> Any:
    terms = labels * _log_softmax_values(logits.astype(float64), attrs["axis"])
    return -np.where(labels == 0, 0, terms).sum(axis=attrs["axis"]).astype(logits.dtype)


@public
def softmax_cross_entropy(logits: Any, labels: Any, axis: int = -1) -> Tensor:
    """-sum(labels log(softmax(logits))) along `axis`: the loss of rows of class probabilities.

    logits, labels: of one shape, with at least one axis; integers and bool become float32. Result:
    that shape without `axis`. The gradient by logits is softmax(logits) sum(labels) - labels.
    Raises ShapeError where the shapes differ.
    """
    name = "softmax_cross_entropy"
    scores, target = (floating(tensor) for tensor in promote_inputs(name, logits, labels))
    if scores.ndim != target.ndim:
        raise ShapeError(
            f"{name}: logits {scores.type} and labels {target.type} differ in rank",
            source=current_source(),
            fix="class numbers go to sparse_softmax_cross_entropy",
        )
    return DENSE(scores, target, axis=checked_axis(name, axis, scores.ndim))


DENSE = register(
    OpDef(
        "softmax_cross_entropy",
        infer=_infer_dense,
        reference=_dense_reference,
        lower=Composite(rounded_once(_build_dense)),
        vjp=_dense_vjp,
        batch=shifted("axis"),
        examples=lambda rng: [
            Example(
                lambda z, y, axis=axis: softmax_cross_entropy(z, y, axis),
                (2 * rng.normal(size=shape), rng.uniform(0.1, 1, size=shape)),
            )
            for shape, axis in (((7,), -1), ((4, 5), 1), ((3, 1, 5), 0), ((0, 3), 1))
        ],
    )
)

# --- cross-entropy of softmax with class numbers -------------------------------------------------


def _label_check(number: int) -> Callable[[LoweringContext], list[IndexCheck]]:
    def checks(context: LoweringContext) -> list[IndexCheck]:
        labels = context.inputs[number]
        classes: Size = context.attrs["classes"]
        name = "sparse_softmax_cross_entropy"
        return [IndexCheck(number, axis=labels.ndim, size=classes, minimum=0, op=name)]

    return checks


def _lower_is_class(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    return s.eq(s.cast(context.read(0, index[:-1]), int64), index[-1])


def _infer_is_class(call: Inference) -> TensorType:
    (labels,) = call.types
    check_dtype(call.op, labels.dtype, INTEGER)
    return TensorType(bool_, (*labels.shape, call.attrs["classes"]))


# Whether a label, which must be in [0, classes), names the class along the new last axis.
IS_CLASS: OpDef = register(
    OpDef(
        "is_class",
        infer=_infer_is_class,
        reference=lambda attrs, labels: labels[..., np.newaxis] == np.arange(attrs["classes"]),
        lower=IndexMap(_lower_is_class),
        batch=leading,
        traits=frozenset({"nondifferentiable"}),
        index_checks=_label_check(0),
        examples=lambda rng: [
            Example(lambda y: IS_CLASS(y, classes=5), (rng.integers(0, 5, size=shape),), False)
            for shape in ((), (0,), (1,), (3, 4))
        ],
    )
)


def _infer_sparse(call: Inference) -> TensorType:
    logits, labels = call.types
    for axis, (left, right) in enumerate(zip(logits.shape[:-1], labels.shape, strict=True)):
        call.require_equal(left, right, f"logits and labels differ along axis {axis}")
    return TensorType(logits.dtype, logits.shape[:-1])


def _build_sparse(b: Builder, logits: Tensor, labels: Tensor, classes: Size) -> Tensor:
    shifted = _shifted(b, logits, -1)
    own = b.sum(b.where(IS_CLASS(labels, classes=classes), shifted, 0), axis=-1)
    return b.subtract(b.squeeze(_log_total(b, shifted, -1), -1), own)


def _sparse_slope(b: Builder, application: Application) -> Tensor:
    logits, labels = application.inputs
    hot = IS_CLASS(labels, classes=application.attrs["classes"]).astype(logits.dtype)
    return b.subtract(b.softmax(logits), hot)


def _sparse_vjp(b: Builder, application: Application, gradients: Gradients) -> Gradients:
    gradient = gradients[0]
    assert gradient is not None
    return [b.multiply(_sparse_slope(b, application), b.expand_dims(gradient, -1)), None]


def _sparse_jvp(b: Builder, application: Application, tangents: Gradients) -> Gradients:
    tangent = tangents[0]
    if tangent is None:
        return [None]
    return [b.sum(b.multiply(_sparse_slope(b, application), tangent), axis=-1)]


def _sparse_reference(attrs: Attributes, logits: np.ndarray, labels: np.ndarray) -> Any:
    values = _log_softmax_values(logits.astype(float64), -1)
    own = np.take_along_axis(values, labels[..., np.newaxis].astype(np.int64), axis=-1)
    return -own[..., 0].astype(logits.dtype)


def _checked_labels(name: str, labels: Any, logits: Tensor) -> Tensor:
    """Integer labels of the rank of the rows; constants are looked at now."""
    tensor = as_tensor(labels)
    if not is_integer(tensor.dtype) or tensor.dtype == uint64:
        raise DTypeError(
            f"{name}: labels are class numbers, got {tensor.dtype.name}",
            code="E214",
            source=current_source(),
            fix="pass integers, or probabilities to softmax_cross_entropy",
        )
    if logits.ndim == 0 or tensor.ndim != logits.ndim - 1:
        raise ShapeError(
            f"{name}: labels {tensor.type} do not fit logits {logits.type}",
            source=current_source(),
            fix="labels have the shape of logits without the last axis, the classes",
        )
    classes = logits.shape[-1]
    if tensor.node.op is CONSTANT and isinstance(classes, int):
        values = tensor.node.attrs["value"]
        bad = values[(values < 0) | (values >= classes)]
        if bad.size:
            raise IndexOutOfRange(
                f"{name}: label {bad.flat[0]} is out of range for {classes} classes",
                source=current_source(),
                fix=f"labels must be in [0, {classes})",
            )
    return tensor


@public
def sparse_softmax_cross_entropy(logits: Any, labels: Any) -> Tensor:
    """-log(softmax(logits))[label] along the last axis: the loss of rows with a class number each.

    logits: [..., classes]; integers become float32. labels: [...], integers in [0, classes).
    Result: [...]. The gradient by logits is softmax(logits) - one_hot(labels).
    Raises ShapeError where the shapes do not fit, DTypeError for labels that are not integers,
    IndexOutOfRange, at build or at the call, for labels that name no class.
    """
    name = "sparse_softmax_cross_entropy"
    scores = floating(one_input(name, logits))
    target = _checked_labels(name, labels, scores)
    return SPARSE(scores, target, classes=scores.shape[-1])


SPARSE = register(
    OpDef(
        "sparse_softmax_cross_entropy",
        infer=_infer_sparse,
        reference=_sparse_reference,
        lower=Composite(rounded_once(_build_sparse)),
        vjp=_sparse_vjp,
        jvp=_sparse_jvp,
        index_checks=_label_check(1),
        batch=leading,
        examples=lambda rng: [
            Example(
                sparse_softmax_cross_entropy,
                (2 * rng.normal(size=(*shape, 5)), rng.integers(0, 5, size=shape)),
            )
            for shape in ((), (1,), (7,), (0,), (2, 3))
        ],
    )
)

# --- cross-entropy of sigmoid --------------------------------------------------------------------


def _sigmoid_cross_entropy(logits: Expr, labels: Expr) -> Expr:
    """max(z, 0) - z y + log1p(exp(-|z|)): no overflow, and no digits lost at either end."""
    zero = s.like(logits, 0)
    linear = s.sub(s.maximum(logits, zero), s.mul(logits, labels))
    return s.add(linear, s.log1p(s.exp(s.neg(s.abs_(logits)))))


sigmoid_cross_entropy = define_elementwise(
    "sigmoid_cross_entropy",
    "-(y log(sigmoid(z)) + (1 - y) log(1 - sigmoid(z))) of logits z = x1 and labels y = x2.\n\n"
    "Computed as max(z, 0) - z y + log1p(exp(-|z|)). The gradient by z is sigmoid(z) - y.",
    arity=2,
    accepts=FLOATING,
    result=FLOAT,
    reference=wide(lambda z, y: np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))),
    expr=_sigmoid_cross_entropy,
    partials=(
        lambda b, a: b.subtract(b.sigmoid(a.inputs[0]), a.inputs[1]),
        lambda b, a: b.negative(a.inputs[0]),
    ),
)
