"""Every error code: what it means, code that raises it, and the same code put right.

The examples assume `import graphc as gc` and `import numpy as np`; a test runs all of them.
"""

from graphc.records import dataclass

FAMILIES = {
    "E1": "shapes and dtypes",
    "E2": "feeds, inputs, names, updates and use of symbolic tensors",
    "E3": "differentiation",
    "E4": "indices and values",
    "E5": "backends and internal checks",
    "E6": "environment",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """example raises the code; fixed does not. Empty where no user's code can raise it."""

    title: str
    text: str
    example: str = ""
    fixed: str = ""


CATALOG: dict[str, Explanation] = {
    # --- shapes and dtypes -----------------------------------------------------------------------
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
    # --- feeds, inputs, names, updates, symbolic tensors -----------------------------------------
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
    "E231": Explanation(
        "a name that layers do not know",
        "Initializers, losses, metrics, optimizers and the like are named as in Keras: 'he_normal' "
        "or 'HeNormal'. They can also be given as objects.",
        """
from graphc.layers import initializers

initializers.get("he_norml")
""",
        """
from graphc.layers import initializers

initializers.get("he_normal")
""",
    ),
    "E232": Explanation(
        "a file of a data set that is missing or broken",
        "MNIST and CIFAR are read from their original files, which must be there and whole. The "
        "message says which, and what is wrong with it.",
        """
from graphc.layers import data

data.load_mnist("no such folder")
""",
        """
from graphc.layers import data

batches = data.Dataset.from_arrays(np.zeros((60, 28, 28)), np.zeros(60)).batch(32)
""",
    ),
    "E240": Explanation(
        "a tensor where the settings of a layer belong",
        "A layer is made first, with its settings, and then called with tensors.",
        """
from graphc import layers

x = layers.Input((64,))
y = layers.Dense(x)
""",
        """
from graphc import layers

x = layers.Input((64,))
y = layers.Dense(10)(x)
""",
    ),
    "E241": Explanation(
        "an input that does not fit a layer",
        "A layer keeps the sizes that its weights were made for, and some layers want a certain "
        "number of axes.",
        """
from graphc import layers

dense = layers.Dense(10)
y = dense(layers.Input((64,)))
z = dense(layers.Input((32,)))
""",
        """
from graphc import layers

y = layers.Dense(10)(layers.Input((64,)))
z = layers.Dense(10)(layers.Input((32,)))
""",
    ),
    "E242": Explanation(
        "data that does not fit a model",
        "The shape of Input is that of one example: write Input(shape=X.shape[1:]). A model with "
        "several inputs gets one array for each, all with the same number of examples.",
        """
from graphc import layers

X = np.zeros((150, 4), "float32")
x = layers.Input(shape=X.shape)
model = layers.Model(x, layers.Dense(3)(x))
y = model(gc.constant(X))
""",
        """
from graphc import layers

X = np.zeros((150, 4), "float32")
x = layers.Input(shape=X.shape[1:])
model = layers.Model(x, layers.Dense(3)(x))
y = model(gc.constant(X))
""",
    ),
    "E243": Explanation(
        "a model that was not compiled",
        "fit and evaluate need a loss, and fit an optimizer: model.compile names them. predict "
        "needs neither.",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
""",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
""",
    ),
    "E244": Explanation(
        "a label out of range",
        "A sparse loss takes class numbers from 0 to the number of outputs less 1. Nothing was "
        "trained.",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(np.zeros((3, 2)), np.array([1, 2, 3]), verbose=0)
""",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(np.zeros((3, 2)), np.array([0, 1, 2]), verbose=0)
""",
    ),
    "E245": Explanation(
        "weights that do not fit a model",
        "Weights are set all at once: one array for each, with the shape that it has. After the "
        "error all of them are as before.",
        """
from graphc import layers

model = layers.Sequential([layers.Input((4,)), layers.Dense(3)])
model.set_weights([np.zeros((4, 2)), np.zeros(2)])
""",
        """
from graphc import layers

model = layers.Sequential([layers.Input((4,)), layers.Dense(3)])
model.set_weights([np.zeros((4, 3)), np.zeros(3)])
""",
    ),
    "E246": Explanation(
        "a model whose parts do not hang together",
        "Model(inputs, outputs) takes tensors; all that the outputs need must follow from the "
        "inputs. Sequential takes layers.",
        """
from graphc import layers

a, b = layers.Input((2,)), layers.Input((2,))
model = layers.Model(a, layers.Dense(1)(a + b))
""",
        """
from graphc import layers

a, b = layers.Input((2,)), layers.Input((2,))
model = layers.Model([a, b], layers.Dense(1)(a + b))
""",
    ),
    "E247": Explanation(
        "a layer that no file can hold, or a file with an unknown one",
        "Files hold the names and settings of layers, never code. Layers with Python functions are "
        "not saved; classes of your own are named when the file is read.",
        """
from graphc import layers

layers.Lambda(lambda x: x + 1).get_config()
""",
        """
from graphc import layers

layers.Activation("relu").get_config()
""",
    ),
    "E248": Explanation(
        "the loss became NaN or infinite",
        "A step of training would have made the weights NaN too: it was not made. Usual reasons "
        "are NaN in the data, inputs far from 1, and a learning rate that is too large.",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.full((4, 2), np.nan), np.zeros((4, 1)), verbose=0)
""",
        """
from graphc import layers

model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
""",
    ),
    # --- differentiation -------------------------------------------------------------------------
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
    # --- indices and values ----------------------------------------------------------------------
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
    # --- backends and internal checks ------------------------------------------------------------
    "E500": Explanation(
        "an error without a code of its own",
        "graphc refused something and says why in the message.",
    ),
    "E501": Explanation(
        "a backend that does not exist, or does not have what was asked for",
        'The backends are llvm (also called "auto"), numba_cpu, interpreter and reference. Only '
        "llvm has LLVM text and assembly; reference has no loops.",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2, backend="cuda")
""",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2, backend="interpreter")
""",
    ),
    "E502": Explanation(
        "a backend failed to compile a kernel",
        "This is a defect of graphc, or of the compiler behind the backend. The message has the "
        'generated code; please report it. backend="llvm" may compile the same function.',
    ),
    "E503": Explanation(
        "an intermediate form broke its own rules",
        "A pass, a lowering or a backend made something invalid: this is a defect of graphc. "
        "Please report it with the graph (f.graph_text('before')).",
    ),
    "E504": Explanation(
        "rewrite rules undo each other or do not end",
        "The message names the rules. If all of them are graphc's own this is a defect of graphc; "
        "optimize=False compiles without rules.",
    ),
    "E505": Explanation(
        "text that is no printed graph",
        "gc.parse_graph reads what f.graph_text() wrote. The message has the line.",
    ),
    "E506": Explanation(
        "a memory limit that cannot be kept",
        "gc.function(..., memory_limit=bytes) computes cheap values twice until a call needs no "
        "more than that. Results, and what products and their operands need at one step, cannot be "
        "saved; the message has the largest buffers and their lines. With symbolic sizes the limit "
        "holds at the sizes that are given with it.",
        """
x = gc.placeholder("x", (1000, 1000))
f = gc.function([x], gc.exp(x), memory_limit=1_000_000)
""",
        """
x = gc.placeholder("x", (1000, 1000))
f = gc.function([x], gc.exp(x), memory_limit=4_000_000)
""",
    ),
    # --- environment -----------------------------------------------------------------------------
    "E601": Explanation(
        "something is not installed",
        "An optional package or program is missing; the message says how to get it. graphc doctor "
        "shows what is there.",
    ),
    "E602": Explanation(
        "a file that is damaged or of another format",
        "gc.load and gc.load_function read what gc.save and f.save wrote, whole files of the same "
        "version of the format.",
    ),
    "E603": Explanation(
        "a file does not fit the variables",
        "gc.load sets all variables or none: names, dtypes and shapes must be those of the file. "
        "The message lists what differs.",
        """
w = gc.variable(np.zeros(3, "float32"), "w")
gc.save("weights.safetensors", [w])
gc.load("weights.safetensors", {"weights": w})
""",
        """
w = gc.variable(np.zeros(3, "float32"), "w")
gc.save("weights.safetensors", [w])
gc.load("weights.safetensors", {"w": w})
""",
    ),
    "E604": Explanation(
        "an environment variable that makes no sense",
        "GRAPHC_THREADS and OMP_NUM_THREADS hold a number of threads, at least 1.",
    ),
}
