"""Errors of indices and values: E4xx."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E401": Explanation(
        "an index is out of range, as the graph already shows",
        "A fixed index of a fixed axis: it lies in [-size, size).",
        """
x = gc.placeholder("x", ("n", 3))
y = x[:, 3]
""",
        """
x = gc.placeholder("x", ("n", 3))
y = x[:, 2]
""",
    ),
    "E402": Explanation(
        "an index is out of range at the call",
        "The message names the index, the axis, its size and your line. It is checked before "
        "anything is written: all variables have their old values.",
        """
labels = gc.placeholder("labels", ("n",), "int64")
f = gc.function([labels], gc.take(gc.constant([1.0, 2.0]), labels), backend="reference")
f(np.array([0, 1, 2]))
""",
        """
labels = gc.placeholder("labels", ("n",), "int64")
f = gc.function([labels], gc.take(gc.constant([1.0, 2.0]), labels), backend="reference")
f(np.array([0, 1, 1]))
""",
    ),
    "E403": Explanation(
        "an index with too many parts",
        "As many ints and slices as the tensor has axes, and at most one ellipsis.",
        """
x = gc.placeholder("x", ("n", 3))
y = x[0, 1, 2]
""",
        """
x = gc.placeholder("x", ("n", 3))
y = x[0, 1]
""",
    ),
    "E404": Explanation(
        "a number outside the range of an argument",
        "Probabilities lie in [0, 1], scales are not negative, the low end of integers is below "
        "the high end. What is only known at the call is not checked.",
        """
key = gc.random.key(0)
mask = gc.random.bernoulli(key, (3,), p=1.5)
""",
        """
key = gc.random.key(0)
mask = gc.random.bernoulli(key, (3,), p=0.5)
""",
    ),
    "E406": Explanation(
        "a matrix that an algorithm cannot handle",
        "A singular matrix has no inverse, only a positive definite one has a Cholesky factor, and "
        "eigenvalues of a matrix with nan are not found. The message names the matrix of the batch "
        "and your line. It is found before anything is written: all variables have their old "
        "values. It is a numpy.linalg.LinAlgError too.",
        """
a = gc.placeholder("a", (2, 2))
f = gc.function([a], gc.linalg.inv(a), backend="reference")
f([[1, 2], [2, 4]])
""",
        """
a = gc.placeholder("a", (2, 2))
f = gc.function([a], gc.linalg.pinv(a), backend="reference")
f([[1, 2], [2, 4]])
""",
    ),
    "E411": Explanation(
        "a Python function inside a graph raised an exception",
        "What it raised is the cause of this error and stands above it in the traceback. The "
        "message names your line in the graph. All variables have their old values.",
        """
x = gc.placeholder("x", ("n",))
whiten = gc.custom_op("whiten", lambda x: x.astype(str) + 1)
f = gc.function([x], whiten(x), backend="reference")
f(np.zeros(3, "float32"))
""",
        """
x = gc.placeholder("x", ("n",))
whiten = gc.custom_op("whiten", lambda x: x + 1)
f = gc.function([x], whiten(x), backend="reference")
f(np.zeros(3, "float32"))
""",
    ),
    "E412": Explanation(
        "a Python function inside a graph returned something unfit",
        "It must return an array of the dtype and shape that were declared for it, or a tuple with "
        "one for each output. Nothing is converted.",
        """
x = gc.placeholder("x", ("n",))
ranks = gc.custom_op("ranks", lambda x: np.argsort(np.argsort(x)))
f = gc.function([x], ranks(x), backend="reference")
f(np.zeros(3, "float32"))
""",
        """
x = gc.placeholder("x", ("n",))
ranks = gc.custom_op("ranks", lambda x: np.argsort(np.argsort(x)), dtype="int64")
f = gc.function([x], ranks(x), backend="reference")
f(np.zeros(3, "float32"))
""",
    ),
    "E413": Explanation(
        "a custom op that is declared wrongly",
        "Its name, its signature, its infer function or the inputs that it got do not fit. A "
        'signature names sizes: "(n, k), (k, m) -> (n, m)".',
        """
outer = gc.custom_op("outer", np.outer, infer="n, m -> (n, m)")
""",
        """
outer = gc.custom_op("outer", np.outer, infer="(n), (m) -> (n, m)")
""",
    ),
    "E414": Explanation(
        "a condition of gc.assert_ does not hold",
        "The message is the one that was given to gc.assert_, with the first position at which the "
        "condition fails. All variables have their old values.",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], gc.sqrt(gc.assert_(x, x >= 0, "not negative")), backend="reference")
f(np.array([1, -1], "float32"))
""",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], gc.sqrt(gc.assert_(x, x >= 0, "not negative")), backend="reference")
f(np.array([1, 1], "float32"))
""",
    ),
    "E415": Explanation(
        "a NaN or an infinity",
        'gc.check_numerics or check="nan" found it. With check="nan" the message names the op that '
        "made the first one, what went into it, and your line. All variables keep their values.",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], gc.mean(gc.log(x)), check="nan", backend="reference")
f(np.array([1, -1], "float32"))
""",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], gc.mean(gc.log(x)), check="nan", backend="reference")
f(np.array([1, 2], "float32"))
""",
    ),
    "E416": Explanation(
        "a pass or a backend changed a number",
        'check="passes" computes the graph after every pass, on the inputs of each call, and '
        "compares. The message names the first rule that changed a number, or the backend. That is "
        "a defect of the rule, or of graphc: please report it.",
    ),
    "E421": Explanation(
        "a loop does not end within max_steps",
        "The condition of a while_loop still holds after that many steps. All variables have their "
        "old values.",
        """
x = gc.placeholder("x", ())
y = gc.while_loop(lambda c: c > 1, lambda c: c * 2, x, max_steps=100)
gc.function([x], y, backend="reference")(3.0)
""",
        """
x = gc.placeholder("x", ())
y = gc.while_loop(lambda c: c > 1, lambda c: c / 2, x, max_steps=100)
gc.function([x], y, backend="reference")(3.0)
""",
    ),
}
