"""Random numbers, as `gc.random.normal(key, shape)` or from a `gc.random.Stream`.

The functions are pure: a key gives the same numbers wherever and whenever. A stream keeps its
position in a variable and gives new numbers at every call.
"""

from graphc.random.continuous import cauchy as cauchy
from graphc.random.continuous import exponential as exponential
from graphc.random.continuous import gumbel as gumbel
from graphc.random.continuous import laplace as laplace
from graphc.random.continuous import logistic as logistic
from graphc.random.continuous import normal as normal
from graphc.random.keys import bits as bits
from graphc.random.keys import fold_in as fold_in
from graphc.random.keys import key as key
from graphc.random.keys import split as split
from graphc.random.rejection import beta as beta
from graphc.random.rejection import gamma as gamma
from graphc.random.rejection import poisson as poisson
from graphc.random.selection import categorical as categorical
from graphc.random.selection import choice as choice
from graphc.random.stream import Stream as Stream
from graphc.random.truncated import truncated_normal as truncated_normal
from graphc.random.uniforms import bernoulli as bernoulli
from graphc.random.uniforms import integers as integers
from graphc.random.uniforms import rademacher as rademacher
from graphc.random.uniforms import uniform as uniform
