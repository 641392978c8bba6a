"""Errors of shapes and dtypes: E1xx."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E101": Explanation(
        "shapes do not fit",
        "Sizes, axes or ranks contradict each other, and that is known while the graph is built. "
        "Shapes broadcast as in numpy: aligned at the last axis, sizes must be equal or 1.",
        """
x = gc.placeholder("x", ("n", 3))
bias = gc.variable(np.zeros(4, "float32"), name="bias")
y = x + bias
""",
        """
x = gc.placeholder("x", ("n", 3))
bias = gc.variable(np.zeros(3, "float32"), name="bias")
y = x + bias
""",
    ),
    "E102": Explanation(
        "the inner sizes of a product differ",
        "a @ b sums over the last axis of a and the last but one of b: they must be equal.",
        """
x = gc.placeholder("x", ("n", 5))
W = gc.variable(np.zeros((4, 2), "float32"), name="W")
h = x @ W
""",
        """
x = gc.placeholder("x", ("n", 5))
W = gc.variable(np.zeros((5, 2), "float32"), name="W")
h = x @ W
""",
    ),
    "E103": Explanation(
        "a matrix product with a scalar",
        "@ needs at least one axis on both sides. A scalar is multiplied with *.",
        """
x = gc.placeholder("x", ("n", 5))
y = x @ gc.constant(2.0)
""",
        """
x = gc.placeholder("x", ("n", 5))
y = x * gc.constant(2.0)
""",
    ),
    "E106": Explanation(
        "a size that is none",
        "An axis of a placeholder is an int >= 0, None (any size), a name such as 'n' (the same "
        "number wherever it occurs in one function) or an expression of gc.dim.",
        """
x = gc.placeholder("x", (-1, 3))
""",
        """
x = gc.placeholder("x", (None, 3))
""",
    ),
    "E107": Explanation(
        "sizes differ that an op needs to be equal, or that must not be 0",
        "The graph could not know it: the sizes are symbolic. They are compared at every call, "
        "before anything runs; the message names the op, both sizes and your line.",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
f = gc.function([x, y], x + y, backend="reference")
f(np.ones(3, "float32"), np.ones(4, "float32"))
""",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], x + y, backend="reference")
f(np.ones(3, "float32"), np.ones(3, "float32"))
""",
    ),
    "E108": Explanation(
        "a symbolic size was used as a number",
        "A size such as n is known when the function is called, not while the graph is built. It "
        "takes part in arithmetic and in shapes, but not in range(), if or array creation.",
        """
x = gc.placeholder("x", ("n", 3))
rows = [x[i] for i in range(x.shape[0])]
""",
        """
x = gc.placeholder("x", ("n", 3))
rows = [x[:, j] for j in range(x.shape[1])]
""",
    ),
    "E110": Explanation(
        "a dtype that is not known, or dtypes that have no common one",
        "Tensors are bool, integers of 8 to 64 bits, float16, bfloat16, float32, float64 or "
        "complex numbers.",
        """
x = gc.placeholder("x", ("n",), "float8")
""",
        """
x = gc.placeholder("x", ("n", 2), "float32")
""",
    ),
    "E120": Explanation(
        "a loop has no length",
        "scan runs over the first axis of its sequences, which all have the same length; without "
        "sequences it needs length=.",
        """
total, _ = gc.scan(lambda c, x: (c + 1, None), gc.zeros(()), None)
""",
        """
total, _ = gc.scan(lambda c, x: (c + 1, None), gc.zeros(()), None, length=10)
""",
    ),
    "E121": Explanation(
        "the step of a loop returns something else than it was given",
        "The next carry has the structure and the shapes of the first one. Dtypes that differ "
        "become what they promote to, if they promote. The step of scan returns a pair: the next "
        "carry, and the output of this step (or None).",
        """
x = gc.placeholder("x", ("t", 3))
last, _ = gc.scan(lambda h, e: (h + e, None), gc.zeros(()), x)
""",
        """
x = gc.placeholder("x", ("t", 3))
last, _ = gc.scan(lambda h, e: (h + e, None), gc.zeros((3,)), x)
""",
    ),
    "E122": Explanation(
        "a branch is chosen by something that is no scalar",
        "cond and while_loop go by one bool, of shape (); switch by one integer. gc.where picks "
        "between two arrays by element.",
        """
x = gc.placeholder("x", ("n",))
y = gc.cond(x > 0, lambda: x, lambda: -x)
""",
        """
x = gc.placeholder("x", ("n",))
y = gc.cond(gc.all(x > 0), lambda: x, lambda: -x)
""",
    ),
    "E123": Explanation(
        "branches return different types",
        "All branches return the same structure of tensors of the same shapes, with dtypes that "
        "promote to a common one.",
        """
x = gc.placeholder("x", (4,))
y = gc.cond(x[0] > 0, lambda: x, lambda: x[:2])
""",
        """
x = gc.placeholder("x", (4,))
y = gc.cond(x[0] > 0, lambda: x[2:], lambda: x[:2])
""",
    ),
    "E130": Explanation(
        "the arguments of a mapped function differ in their number of examples",
        "vmap applies a function to all examples at once: along their mapped axes, all arguments "
        "have the same size. in_axes says which axis that is; None, that an argument is the same "
        "for all examples.",
        """
x = gc.placeholder("x", (8, 3))
w = gc.placeholder("w", (3,))
y = gc.vmap(lambda x, w: gc.sum(x * w))(x, w)
""",
        """
x = gc.placeholder("x", (8, 3))
w = gc.placeholder("w", (3,))
y = gc.vmap(lambda x, w: gc.sum(x * w), in_axes=(0, None))(x, w)
""",
    ),
    "E131": Explanation(
        "in_axes or out_axes do not fit a mapped function",
        "in_axes has an entry for each argument, or is one for all of them; out_axes has the "
        "structure of the result, or is one axis for all. At least one argument must be mapped, "
        "and a result that depends on the example must have an axis.",
        """
x = gc.placeholder("x", (8, 3))
w = gc.placeholder("w", (3,))
y = gc.vmap(lambda x, w: gc.sum(x * w), in_axes=(0,))(x, w)
""",
        """
x = gc.placeholder("x", (8, 3))
w = gc.placeholder("w", (3,))
y = gc.vmap(lambda x, w: gc.sum(x * w), in_axes=(0, None))(x, w)
""",
    ),
    "E132": Explanation(
        "a reverse derivative, inside of vmap, of a loop with steps of each example's own",
        "Reverse mode keeps the carries of every step of a while_loop; where examples take "
        "different numbers of steps these have no common shape. Differentiate the sum over the "
        "examples outside of vmap, which gives the same gradients, or use gc.jvp.",
        """
def root(a):
    return gc.while_loop(lambda r: gc.abs(r * r - a) > 1e-3, lambda r: (r + a / r) / 2, a)
a = gc.placeholder("a", ("n",))
y = gc.vmap(lambda a: gc.grad(root(a), a))(a)
""",
        """
def root(a):
    return gc.while_loop(lambda r: gc.abs(r * r - a) > 1e-3, lambda r: (r + a / r) / 2, a)
a = gc.placeholder("a", ("n",))
y = gc.grad(gc.sum(gc.vmap(root)(a)), a)
""",
    ),
}
