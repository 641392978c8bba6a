"""Errors of differentiation: E3xx."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E301": Explanation(
        "grad of something that is no scalar",
        "The cost is one number. Reduce with gc.sum or gc.mean; for more outputs use gc.jacobian, "
        "or gc.vjp with a weight for each.",
        """
x = gc.placeholder("x", ("n",))
g = gc.grad(x**2, x)
""",
        """
x = gc.placeholder("x", ("n",))
g = gc.grad(gc.sum(x**2), x)
""",
    ),
    "E302": Explanation(
        "every path goes through an op that has no derivative",
        "argmax, comparisons, rounding and casts to integers are constant almost everywhere. The "
        "message lists the ops that stand in the way.",
        """
x = gc.placeholder("x", ("n", 3))
g = gc.grad(gc.sum(gc.argmax(x, axis=1).astype("float32")), x)
""",
        """
x = gc.placeholder("x", ("n", 3))
g = gc.grad(gc.sum(gc.max(x, axis=1)), x)
""",
    ),
    "E303": Explanation(
        "the cost does not depend on the tensor",
        "Often the expression was built from another tensor of the same name. If it is meant, pass "
        'disconnected="zero" (a gradient of zeros) or "none" (None).',
        """
x, w = gc.placeholder("x", ("n",)), gc.variable(1.0, name="w")
g = gc.grad(gc.sum(x * 2), w)
""",
        """
x, w = gc.placeholder("x", ("n",)), gc.variable(1.0, name="w")
g = gc.grad(gc.sum(x * w), w)
""",
    ),
    "E304": Explanation(
        "an op without a derivative",
        "The op was registered without one, or its gradient rule is not linear in the incoming "
        "gradient, so that no forward derivative follows from it. Stop the path with "
        "gc.stop_gradient or define one with gc.custom_gradient.",
    ),
    "E306": Explanation(
        "differentiation by something that has no derivative",
        "Only floating-point tensors have derivatives; integers, bools and numbers do not.",
        """
k = gc.placeholder("k", ("n",), "int64")
g = gc.grad(gc.sum(k.astype("float32") ** 2), k)
""",
        """
k = gc.placeholder("k", ("n",), "float32")
g = gc.grad(gc.sum(k**2), k)
""",
    ),
    "E307": Explanation(
        "gradients, tangents or arguments that do not fit",
        "As many as the tensors they belong to, of their shapes; the words for `disconnected` are "
        "raise, zero and none.",
        """
x = gc.placeholder("x", (3,))
g = gc.grad(gc.sum(x), x, disconnected="ignore")
""",
        """
x = gc.placeholder("x", (3,))
g = gc.grad(gc.sum(x), x, disconnected="zero")
""",
    ),
    "E308": Explanation(
        "verify_grad found a gradient that is wrong",
        "The derivative differs from finite differences. Either the gradient rule is wrong, or the "
        "function has a kink near the point it was checked at.",
        """
double = gc.custom_gradient(lambda x: (2 * x, lambda g: 3 * g))
gc.verify_grad(double, [np.ones(3)])
""",
        """
double = gc.custom_gradient(lambda x: (2 * x, lambda g: 2 * g))
gc.verify_grad(double, [np.ones(3)])
""",
    ),
}
