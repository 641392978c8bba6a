"""Data for training: pipelines of examples, augmentation of images, files of known data sets."""

from graphc.layers.data.augmentation import *
from graphc.layers.data.dataset import *
from graphc.layers.data.files import *
from graphc.layers.data.preparation import *
