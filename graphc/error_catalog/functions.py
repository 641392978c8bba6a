"""Errors of feeds, inputs, names, updates and symbolic tensors: E20x and E21x."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E201": Explanation(
        "a placeholder has no value",
        "The outputs depend on a placeholder that is not among the inputs, or an input was not "
        "passed. The message shows the path from the output to the placeholder.",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x], x + y)
""",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], x + y)
""",
    ),
    "E202": Explanation(
        "a feed that does not fit its input",
        "Too many inputs, an unknown name, something that is no array, or a dtype that would lose "
        "information: float64 arrays and fractions are not silently rounded. Python numbers and "
        "lists take the dtype of the input.",
        """
x = gc.placeholder("x", ("n",), "float32")
f = gc.function([x], x * 2, backend="reference")
f(np.array([0.1, 0.2]))
""",
        """
x = gc.placeholder("x", ("n",), "float32")
f = gc.function([x], x * 2, backend="reference")
f(np.array([0.1, 0.2], dtype="float32"))
""",
    ),
    "E203": Explanation(
        "a feed of another shape",
        "The rank or a fixed size of the array is not that of the placeholder.",
        """
x = gc.placeholder("x", ("n", 3))
f = gc.function([x], x * 2, backend="reference")
f(np.ones((5, 4), "float32"))
""",
        """
x = gc.placeholder("x", ("n", 3))
f = gc.function([x], x * 2, backend="reference")
f(np.ones((5, 3), "float32"))
""",
    ),
    "E204": Explanation(
        "a named size is given twice and differs, or not at all",
        "The same name is the same number throughout one function. The message says which inputs "
        "gave which number.",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], gc.sum(x * y), backend="reference")
f(np.ones(400, "float32"), np.ones(399, "float32"))
""",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], gc.sum(x * y), backend="reference")
f(np.ones(400, "float32"), np.ones(400, "float32"))
""",
    ),
    "E205": Explanation(
        "an argument of function() that cannot be used",
        "Inputs are placeholders, and every one of them is needed by some output or update.",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], x * 2)
""",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
f = gc.function([x, y], x * 2, on_unused_input="ignore")
""",
    ),
    "E206": Explanation(
        "a name that is not usable or taken",
        "Names are Python identifiers that do not begin with an underscore; the inputs of one "
        "function have different names.",
        """
x = gc.placeholder("my input", ("n",))
""",
        """
x = gc.placeholder("my_input", ("n",))
""",
    ),
    "E207": Explanation(
        "an update of something that is no variable, or of one variable twice",
        "All updates happen at once, so two of one variable contradict each other.",
        """
v = gc.variable(1.0, name="v")
f = gc.function([], updates=[(v, v + 1), (v, v * 2)])
""",
        """
v = gc.variable(1.0, name="v")
f = gc.function([], updates=[(v, (v + 1) * 2)])
""",
    ),
    "E208": Explanation(
        "a new value of another dtype or shape than its variable",
        "Variables keep their dtype and shape. Often an accidental float64 array is the cause.",
        """
v = gc.variable(np.zeros(3, "float32"), name="v")
f = gc.function([], updates={v: v + np.ones(3)})
""",
        """
v = gc.variable(np.zeros(3, "float32"), name="v")
f = gc.function([], updates={v: v + np.ones(3, "float32")})
""",
    ),
    "E209": Explanation(
        "givens that contradict each other",
        "givens replaces expressions by others of the same type, all at once; an expression cannot "
        "be replaced by something that contains it through other givens.",
        """
x, y = gc.placeholder("x", ()), gc.placeholder("y", ())
f = gc.function([], x + y, givens={x: y * 2, y: x * 2})
""",
        """
x, y = gc.placeholder("x", ()), gc.placeholder("y", ())
f = gc.function([y], x + y, givens={x: y * 2})
""",
    ),
    "E211": Explanation(
        "a symbolic tensor was used as if it held a value",
        "if, and, float(), numpy functions and indexing need numbers; a tensor is an expression "
        "that has none until a function runs. Choose inside the graph with gc.where.",
        """
x = gc.placeholder("x", ())
y = x if x > 0 else -x
""",
        """
x = gc.placeholder("x", ())
y = gc.where(x > 0, x, -x)
""",
    ),
    "E212": Explanation(
        "a loop over a tensor whose first size is symbolic",
        "Iteration unrolls while the graph is built and needs a fixed number of steps.",
        """
x = gc.placeholder("x", ("n", 3))
total = sum(row for row in x)
""",
        """
x = gc.placeholder("x", ("n", 3))
total = gc.sum(x, axis=0)
""",
    ),
    "E213": Explanation(
        "item assignment on a symbolic tensor",
        "Graphs have no side effects: x[i] = v would change a value that others already use. Build "
        "a new value.",
        """
x = gc.placeholder("x", (4,))
x[0] = 1.0
""",
        """
x = gc.placeholder("x", (4,))
x = gc.where(gc.arange(4) == 0, 1.0, x)
""",
    ),
    "E214": Explanation(
        "an op that is not for this dtype",
        "The message lists what the op takes. Cast with x.astype(...).",
        """
mask = gc.placeholder("mask", ("n",), "bool")
y = gc.take(gc.constant([1.0, 2.0]), mask)
""",
        """
mask = gc.placeholder("mask", ("n",), "bool")
y = gc.take(gc.constant([1.0, 2.0]), mask.astype("int64"))
""",
    ),
    "E215": Explanation(
        "an index or exponent of a kind that does not exist",
        "An index holds ints, slices with fixed or symbolic ends, ..., None, arrays of integers "
        "and masks; a computed mask does not stand beside other arrays. An integer raised to a "
        "negative power is not an integer.",
        """
x = gc.placeholder("x", ("n",))
first = x[0.0]
""",
        """
x = gc.placeholder("x", ("n",))
first = x[0]
""",
    ),
    "E216": Explanation(
        "bounds of arange that are not numbers",
        "Bounds are numbers or symbolic sizes; with a symbolic size all of them are integers.",
        """
x = gc.placeholder("x", ("n",))
steps = gc.arange(0, x.shape[0], 0.5)
""",
        """
x = gc.placeholder("x", ("n",))
steps = gc.arange(2 * x.shape[0]) * 0.5
""",
    ),
    "E217": Explanation(
        "a result whose size depends on data is used as an operand",
        "How many entries a computed mask selects, or how many values are distinct, is known at "
        "the call alone. Such a result can be an output of a function, which returns it trimmed. "
        "To compute with it, give size=: the result has that many entries, padded.",
        """
x = gc.placeholder("x", ("n",))
total = gc.sum(x[x > 0])
""",
        """
x = gc.placeholder("x", ("n",))
total = gc.sum(gc.boolean_mask(x, x > 0, size=10))
""",
    ),
    "E218": Explanation(
        "a result does not fit into the memory given for it",
        "out= takes the structure that a call returns, with an array, or None for a new one, in "
        "the place of each output. An array must have the dtype and the shape of the output, be "
        "C-contiguous and writable, and share no memory with an argument or another result.",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2)
f(np.ones(3, "float32"), out=np.empty(4, "float32"))
""",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2)
f(np.ones(3, "float32"), out=np.empty(3, "float32"))
""",
    ),
    "E219": Explanation(
        "a function, tensor or variable cannot be pickled or copied deeply",
        "Compiled code belongs to its process, and a tensor is a place in a graph. f.save writes a "
        "function with its variables, gc.save the values of variables.",
        """
import pickle

x = gc.placeholder("x", ("n",))
pickle.dumps(gc.function([x], x + 1))
""",
        """
x = gc.placeholder("x", ("n",))
gc.function([x], x + 1).save("f.safetensors")
f = gc.load_function("f.safetensors")
""",
    ),
    "E220": Explanation(
        "an argument of a kind that a function does not take",
        "The message has the arguments that the function takes. They are named as in numpy and the "
        "Array API: axis and keepdims, not dim and keepdim.",
        """
x = gc.placeholder("x", ("n", 3))
gc.sum(x, dim=1)
""",
        """
x = gc.placeholder("x", ("n", 3))
gc.sum(x, axis=1)
""",
    ),
}
