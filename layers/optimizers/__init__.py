"""Optimizers as classes, in the style of Keras: `Adam(0.001).updates(loss, params)`."""

from graphc.layers.optimizers.base import Optimizer as Optimizer
from graphc.layers.optimizers.classes import *
