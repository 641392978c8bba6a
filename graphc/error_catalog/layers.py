"""Errors of layers, models and their data: E23x and E24x."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
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
        "needs neither. Methods train_step, test_step and predict_step of a class are not called: "
        "a step is a graph, which gc.function compiles with updates of its own.",
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
    "E249": Explanation(
        "a class of yours lacks the method that makes it one",
        "A layer defines call(self, inputs), a loss call(self, y_true, y_pred), and so on for "
        "initializers, constraints and layers that merge. The message has the signature.",
        """
from graphc import layers

class Double(layers.Layer):
    def cal(self, inputs):
        return 2 * inputs

y = Double()(gc.placeholder("x", ("n", 3)))
""",
        """
from graphc import layers

class Double(layers.Layer):
    def call(self, inputs):
        return 2 * inputs

y = Double()(gc.placeholder("x", ("n", 3)))
""",
    ),
}
