"""Learning rates that change with the step: `schedule(step)` is an expression of float64.

The step is the number of updates made before, 0 for the first. Names follow Keras.
"""

from graphc.layers.schedules.base import *
from graphc.layers.schedules.cycles import *
from graphc.layers.schedules.decay import *
from graphc.layers.schedules.named import *
from graphc.layers.schedules.piecewise import *
