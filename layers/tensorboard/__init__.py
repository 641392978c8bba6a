"""Event files for TensorBoard, written without it."""

from graphc.layers.tensorboard.events import *
