"""Written naively, computed stably: expressions that overflow or cancel become ops that do not.

Patterns are written in canonical form (`passes.canonicalize` runs in the same sweep): constants on
the right, negations outside of products. What is inside is already stable when a rule looks at it,
so log(1 / (1 + exp(-x))) is log(sigmoid(x)) by then.
"""

import numpy as np

from graphc.ir.leaf import CONSTANT
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, attr, commuted, uniform_value, var
from graphc.rewrite.rule import rule

X, Y, Z, W = var("x"), var("y"), var("z"), var("w")
SHIFTED = P.subtract(X, P.max(X, axes=attr("axes"), keepdims=True))
Axes = tuple[int, ...]


def opposite(b: Builder, x: Tensor) -> Tensor:
    """-x where the sign of a zero does not matter: -(a - b) is b - a, and -(-a - b) is a + b."""
    inputs = x.node.inputs
    if x.op.name == "negative":
        return inputs[0]
    if x.op.name == "subtract":
        first, second = inputs
        if first.op.name == "negative":
            return b.add(first.node.inputs[0], second)
        return b.subtract(second, first)
    return b.negative(x)


# --- sigmoid and softplus ------------------------------------------------------------------------


@rule(P.divide(Y, P.add(P.exp(X), 1)))
def sigmoid_of_inverse(b: Builder, x: Tensor, y: Tensor) -> Tensor | None:
    """1 / (1 + exp(x)) = sigmoid(-x);  exp(x) / (1 + exp(x)) = sigmoid(x)"""
    if uniform_value(y) == 1:
        return b.sigmoid(opposite(b, x))
    if y.op.name == "exp" and y.node.inputs[0].key == x.key:
        return b.sigmoid(x)
    return None


@rule(P.divide(X, P.add(P.exp(P.negative(X)), 1)))
def silu(b: Builder, x: Tensor) -> Tensor:
    """x / (1 + exp(-x)) = x * sigmoid(x)"""
    return b.multiply(x, b.sigmoid(x))


@rule(P.subtract(1, P.sigmoid(X)))
def one_minus_sigmoid(b: Builder, x: Tensor) -> Tensor:
    """1 - sigmoid(x) = sigmoid(-x)"""
    return b.sigmoid(opposite(b, x))


@rule(P.sigmoid(P.negative(P.subtract(X, Y))))
def sigmoid_of_difference(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """sigmoid(-(x - y)) = sigmoid(y - x): the sign of a zero does not matter"""
    return b.sigmoid(opposite(b, b.subtract(x, y)))


@rule(P.log(P.sigmoid(X)))
def log_sigmoid(b: Builder, x: Tensor) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x)"""
    return b.negative(b.softplus(opposite(b, x)))


@rule(P.log1p(P.negative(P.sigmoid(X))))
def log1p_minus_sigmoid(b: Builder, x: Tensor) -> Tensor:
    """log1p(-sigmoid(x)) = -softplus(x)"""
    return b.negative(b.softplus(x))


@rule(P.log(P.add(P.exp(X), 1)), P.log1p(P.exp(X)))
def softplus(b: Builder, x: Tensor) -> Tensor:
    """log(1 + exp(x)) = softplus(x)"""
    return b.softplus(x)


@rule(P.log(P.add(P.exp(X), P.exp(Y))))
def logaddexp(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) + exp(y)) = logaddexp(x, y)"""
    return b.logaddexp(x, y)


# --- cross-entropy of a sigmoid ------------------------------------------------------------------
# With p = sigmoid(z), y * log(p) is -(y * softplus(-z)) and (1 - y) * log(1 - p) is
# -((1 - y) * softplus(z)) by now. The derivative of the whole is sigmoid(z) - y: no division.


@rule(P.add(P.multiply(X, Y), P.multiply(Z, W)))
def sigmoid_cross_entropy(b: Builder, x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor | None:
    """-y*log(p) - (1 - y)*log(1 - p) = sigmoid_cross_entropy(z, y) for p = sigmoid(z)"""
    found = _logits_and_labels((x, y), (z, w))
    return None if found is None else b.sigmoid_cross_entropy(*found)


@rule(P.subtract(P.negative(P.multiply(X, Y)), P.multiply(Z, W)))
def sigmoid_log_likelihood(b: Builder, x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Tensor | None:
    """y*log(p) + (1 - y)*log(1 - p) = -sigmoid_cross_entropy(z, y) for p = sigmoid(z)"""
    found = _logits_and_labels((x, y), (z, w))
    return None if found is None else b.negative(b.sigmoid_cross_entropy(*found))


Pair = tuple[Tensor, Tensor]


def _logits_and_labels(first: Pair, second: Pair) -> Pair | None:
    """(z, y) if the two products are y * softplus(-z) and (1 - y) * softplus(z), in any order."""
    for one, label in (first, first[::-1]):
        for other, rest in (second, second[::-1]):
            if one.op.name == "softplus" and other.op.name == "softplus":
                u, v = one.node.inputs[0], other.node.inputs[0]
                if not opposites(u, v):
                    return None
                if complements(label, rest):
                    return v, label
                if complements(rest, label):
                    return u, rest
    return None


def opposites(u: Tensor, v: Tensor) -> bool:
    """Whether u = -v, up to the sign of a zero."""
    for one, other in ((u, v), (v, u)):
        if one.op.name == "negative" and one.node.inputs[0].key == other.key:
            return True
        if one.op.name == "subtract":
            first, second = one.node.inputs
            swapped = other.node.inputs
            if other.op.name == "subtract" and (first.key, second.key) == (
                swapped[1].key,
                swapped[0].key,
            ):
                return True
            if other.op.name == "add" and first.op.name == "negative":
                return {first.node.inputs[0].key, second.key} == {t.key for t in swapped}
    return False


def complements(label: Tensor, rest: Tensor) -> bool:
    """Whether rest = 1 - label."""
    if rest.op.name == "subtract":
        one, other = rest.node.inputs
        return uniform_value(one) == 1 and other.key == label.key
    if label.op is CONSTANT and rest.op is CONSTANT:
        return bool(np.array_equal(1 - label.node.attrs["value"], rest.node.attrs["value"]))
    return False


# --- exponentials and logarithms -----------------------------------------------------------------


@rule(P.subtract(P.exp(X), 1), P.add(P.exp(X), -1))
def expm1(b: Builder, x: Tensor) -> Tensor:
    """exp(x) - 1 = expm1(x)"""
    return b.expm1(x)


@rule(P.subtract(1, P.exp(X)))
def one_minus_exp(b: Builder, x: Tensor) -> Tensor:
    """1 - exp(x) = -expm1(x)"""
    return b.negative(b.expm1(x))


@rule(P.log(P.add(X, 1)))
def log1p(b: Builder, x: Tensor) -> Tensor:
    """log(x + 1) = log1p(x)"""
    return b.log1p(x)


@rule(P.log(P.subtract(1, X)))
def log1p_negative(b: Builder, x: Tensor) -> Tensor:
    """log(1 - x) = log1p(-x)"""
    return b.log1p(b.negative(x))


@rule(P.log(P.exp(X)), P.log1p(P.expm1(X)))
def log_of_exp(b: Builder, x: Tensor) -> Tensor:
    """log(exp(x)) = x"""
    return x


@rule(commuted(P.multiply(X, P.log(X))))
def x_log_x(b: Builder, x: Tensor) -> Tensor:
    """x * log(x) = where(x == 0, 0, x * log(where(x == 0, 1, x))): 0 at 0, derivative 0 there"""
    zero = b.equal(x, 0)
    return b.where(zero, 0, b.multiply(x, b.log(b.where(zero, 1, x))))


@rule(P.sqrt(P.square(X)))
def sqrt_of_square(b: Builder, x: Tensor) -> Tensor:
    """sqrt(x * x) = abs(x)"""
    return b.abs(x)


# --- softmax -------------------------------------------------------------------------------------


@rule(P.log(P.sum(P.exp(X), axes=attr("axes"), keepdims=attr("keepdims"))))
def logsumexp(b: Builder, root: Tensor, x: Tensor, axes: Axes, keepdims: bool) -> Tensor | None:
    """log(sum(exp(x), a)) = logsumexp(x, a)"""
    if x.shape != root.node.inputs[0].node.inputs[0].shape:
        return None
    return b.logsumexp(x, axis=axes, keepdims=keepdims)


@rule(P.divide(P.exp(X), P.sum(P.exp(X), axes=attr("axes"), keepdims=True)))
def softmax(b: Builder, x: Tensor, axes: Axes) -> Tensor | None:
    """exp(x) / sum(exp(x), a, keepdims=True) = softmax(x, a)"""
    return b.softmax(x, axis=axes[0]) if len(axes) == 1 else None


@rule(P.divide(P.exp(X), P.sum(P.exp(X), axes=attr("axes"))))
def softmax_of_all(b: Builder, x: Tensor, axes: Axes) -> Tensor | None:
    """exp(x) / sum(exp(x)) = softmax(x, 0) for vectors"""
    return b.softmax(x, axis=0) if x.ndim == 1 and axes == (0,) else None


@rule(P.log(P.softmax(X)))
def log_of_softmax(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """log(softmax(x, a)) = log_softmax(x, a)"""
    return b.log_softmax(x, axis=root.node.inputs[0].node.attrs["axis"])


@rule(P.subtract(X, P.logsumexp(X, axes=attr("axes"), keepdims=True)))
def log_softmax(b: Builder, x: Tensor, axes: Axes) -> Tensor | None:
    """x - logsumexp(x, a, keepdims=True) = log_softmax(x, a)"""
    return b.log_softmax(x, axis=axes[0]) if len(axes) == 1 else None


@rule(P.exp(P.log_softmax(X)))
def exp_of_log_softmax(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """exp(log_softmax(x, a)) = softmax(x, a)"""
    return b.softmax(x, axis=root.node.inputs[0].node.attrs["axis"])


@rule(P.softmax(SHIFTED), P.log_softmax(SHIFTED))
def softmax_of_shifted(b: Builder, root: Tensor, x: Tensor, axes: Axes) -> Tensor | None:
    """softmax(x - max(x, a, keepdims=True), a) = softmax(x, a), which shifts by itself"""
    return root.op(x, **root.node.attrs) if axes == (root.node.attrs["axis"],) else None


@rule(
    P.sum(
        commuted(P.multiply(Y, P.log_softmax(X, axis=attr("axis")))),
        axes=attr("axes"),
        keepdims=False,
    )
)
def softmax_log_likelihood(
    b: Builder, x: Tensor, y: Tensor, axis: int, axes: Axes
) -> Tensor | None:
    """sum(y * log_softmax(x, a), a) = -softmax_cross_entropy(x, y, a)"""
    if axis not in axes or x.shape != y.shape:
        return None
    loss = b.softmax_cross_entropy(x, y, axis=axis)
    others = tuple(one - (one > axis) for one in axes if one != axis)
    return b.negative(b.sum(loss, axis=others) if others else loss)


STABILIZE = (
    sigmoid_of_inverse,
    silu,
    one_minus_sigmoid,
    sigmoid_of_difference,
    log_sigmoid,
    log1p_minus_sigmoid,
    softplus,
    logaddexp,
    sigmoid_cross_entropy,
    sigmoid_log_likelihood,
    expm1,
    one_minus_exp,
    log1p,
    log1p_negative,
    log_of_exp,
    x_log_x,
    sqrt_of_square,
    logsumexp,
    softmax,
    softmax_of_all,
    log_of_softmax,
    log_softmax,
    exp_of_log_softmax,
    softmax_of_shifted,
    softmax_log_likelihood,
)
