"""Neural network layers and models: expressions of tensors, by Keras's names.

from graphc import layers

x = layers.Input((64,))
y = layers.Dense(10, activation="softmax")(layers.Dense(30, activation="relu")(x))
model = layers.Model(x, y)
"""

from graphc.layers import activations as activations
from graphc.layers import callbacks as callbacks
from graphc.layers import constraints as constraints
from graphc.layers import data as data
from graphc.layers import initializers as initializers
from graphc.layers import losses as losses
from graphc.layers import metrics as metrics
from graphc.layers import optimizers as optimizers
from graphc.layers import regularizers as regularizers
from graphc.layers import schedules as schedules
from graphc.layers import updates as updates
from graphc.layers.attention import *
from graphc.layers.attention_scores import *
from graphc.layers.blocks import *
from graphc.layers.cells import *
from graphc.layers.context import *
from graphc.layers.conv_lstm import *
from graphc.layers.convolutional import *
from graphc.layers.core import *
from graphc.layers.data import pad_sequences as pad_sequences
from graphc.layers.data import to_categorical as to_categorical
from graphc.layers.einsum import *
from graphc.layers.embedding import *
from graphc.layers.history import *
from graphc.layers.images import *
from graphc.layers.input import *
from graphc.layers.layer import *
from graphc.layers.merging import *
from graphc.layers.model import *
from graphc.layers.noise import *
from graphc.layers.normalization import *
from graphc.layers.pooling import *
from graphc.layers.preprocessing import *
from graphc.layers.recurrent import *
from graphc.layers.resizing import *
from graphc.layers.rnn import *
from graphc.layers.saving import *
from graphc.layers.seeds import *
from graphc.layers.separable import *
from graphc.layers.sequential import *
from graphc.layers.shaping import *
from graphc.layers.wrappers import *
