"""Callbacks of training, with the hooks and names of Keras."""

from graphc.layers.callbacks.base import *
from graphc.layers.callbacks.logging import *
from graphc.layers.callbacks.monitoring import *
from graphc.layers.callbacks.tensorboard import *
