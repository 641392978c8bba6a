"""Update rules as functions, in the style of Lasagne: `updates = adam(loss, params)`.

Each returns a dict from variables to their next values, for `gc.function(..., updates=updates)`:
those of the params, and those of the variables that the rule keeps. loss_or_grads is a scalar loss,
or a list of gradients, for example clipped ones. learning_rate is a number or a scalar tensor.
"""

from graphc.layers.updates.accumulation import *
from graphc.layers.updates.adam_variants import *
from graphc.layers.updates.adaptive import *
from graphc.layers.updates.averaging import *
from graphc.layers.updates.clipping import *
from graphc.layers.updates.descent import *
from graphc.layers.updates.factored import *
from graphc.layers.updates.layerwise import *
from graphc.layers.updates.moments import *
from graphc.layers.updates.orthogonal import *
from graphc.layers.updates.signs import *
from graphc.layers.updates.state import State as State
