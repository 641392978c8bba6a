"""Optimizers as classes, in the style of Keras: `Adam(0.001).updates(loss, params)`."""

from graphc.layers.optimizers.adaptive import *
from graphc.layers.optimizers.base import Optimizer as Optimizer
from graphc.layers.optimizers.descent import *
from graphc.layers.optimizers.layerwise import *
from graphc.layers.optimizers.moments import *
from graphc.layers.optimizers.named import get as get
