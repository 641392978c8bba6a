"""Metrics: values over many batches, kept in variables. Names follow Keras."""

from graphc.layers.metrics.accuracy import *
from graphc.layers.metrics.base import Mean as Mean
from graphc.layers.metrics.base import MeanOfValues as MeanOfValues
from graphc.layers.metrics.base import Metric as Metric
from graphc.layers.metrics.base import Sum as Sum
from graphc.layers.metrics.confusion import *
from graphc.layers.metrics.named import *
from graphc.layers.metrics.overlap import *
from graphc.layers.metrics.probabilistic import *
from graphc.layers.metrics.regression import *
from graphc.layers.metrics.thresholds import *
