"""Random numbers, as `gc.random.normal(key, shape)` or from a `gc.random.Stream`.

The functions are pure: a key gives the same numbers wherever and whenever. A stream keeps its
position in a variable and gives new numbers at every call.
"""

from collections.abc import Callable as _Callable
from typing import TYPE_CHECKING

from graphc.other_names import missing as _missing
from graphc.random.continuous import cauchy as cauchy
from graphc.random.continuous import exponential as exponential
from graphc.random.continuous import gumbel as gumbel
from graphc.random.continuous import laplace as laplace
from graphc.random.continuous import logistic as logistic
from graphc.random.continuous import normal as normal
from graphc.random.counts import binomial as binomial
from graphc.random.counts import geometric as geometric
from graphc.random.counts import multinomial as multinomial
from graphc.random.counts import negative_binomial as negative_binomial
from graphc.random.counts import poisson as poisson
from graphc.random.derived import chisquare as chisquare
from graphc.random.derived import dirichlet as dirichlet
from graphc.random.derived import double_sided_maxwell as double_sided_maxwell
from graphc.random.derived import f as f
from graphc.random.derived import generalized_normal as generalized_normal
from graphc.random.derived import lognormal as lognormal
from graphc.random.derived import maxwell as maxwell
from graphc.random.derived import multivariate_normal as multivariate_normal
from graphc.random.derived import pareto as pareto
from graphc.random.derived import rayleigh as rayleigh
from graphc.random.derived import student_t as student_t
from graphc.random.derived import triangular as triangular
from graphc.random.derived import wald as wald
from graphc.random.derived import weibull as weibull
from graphc.random.directions import ball as ball
from graphc.random.directions import orthogonal as orthogonal
from graphc.random.keys import bits as bits
from graphc.random.keys import fold_in as fold_in
from graphc.random.keys import key as key
from graphc.random.keys import split as split
from graphc.random.rejection import beta as beta
from graphc.random.rejection import gamma as gamma
from graphc.random.rejection import loggamma as loggamma
from graphc.random.selection import categorical as categorical
from graphc.random.selection import choice as choice
from graphc.random.selection import permutation as permutation
from graphc.random.selection import permuted as permuted
from graphc.random.selection import shuffle as shuffle
from graphc.random.stream import Stream as Stream
from graphc.random.truncated import truncated_normal as truncated_normal
from graphc.random.uniforms import bernoulli as bernoulli
from graphc.random.uniforms import integers as integers
from graphc.random.uniforms import rademacher as rademacher
from graphc.random.uniforms import uniform as uniform

if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise _missing(
            "random",
            name,
            [
                one
                for one, value in globals().items()
                if isinstance(value, _Callable) and one[0] != "_"
            ],
        )
