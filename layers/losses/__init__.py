"""Losses: `loss(y_true, y_pred, sample_weight=None)` is an expression. Names follow Keras."""

from graphc.layers.losses.base import Loss as Loss
from graphc.layers.losses.classification import *
from graphc.layers.losses.ctc import *
from graphc.layers.losses.embedding import *
from graphc.layers.losses.focal import *
from graphc.layers.losses.named import get as get
from graphc.layers.losses.overlap import *
from graphc.layers.losses.regression import *
