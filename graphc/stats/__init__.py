"""Densities and distribution functions, as `gc.stats.norm.logpdf`: the names of scipy.stats.

Each distribution has methods of a place x, its shape parameters, then loc and scale, by position or
by name: `gc.stats.gamma.logpdf(x, a, scale=2.0)`; `ppf` and `isf` are of a probability. All of them
broadcast and have gradients; floats, and integers become float32. Outside of the support a density
is 0 and its logarithm -inf. All are NaN where x is, and where a parameter is outside of its domain:
scale=0, a probability of 2. Those of vectors have densities alone. To draw numbers, see
`gc.random`, or take `ppf` of uniform ones.
"""

from typing import TYPE_CHECKING

from graphc.other_names import missing as _missing
from graphc.stats.bounded import beta as beta
from graphc.stats.bounded import loguniform as loguniform
from graphc.stats.bounded import powerlaw as powerlaw
from graphc.stats.bounded import triang as triang
from graphc.stats.bounded import truncexpon as truncexpon
from graphc.stats.bounded import truncnorm as truncnorm
from graphc.stats.bounded import uniform as uniform
from graphc.stats.circular import vonmises as vonmises
from graphc.stats.circular import wrapcauchy as wrapcauchy
from graphc.stats.line import cauchy as cauchy
from graphc.stats.line import exponnorm as exponnorm
from graphc.stats.line import gennorm as gennorm
from graphc.stats.line import gumbel_l as gumbel_l
from graphc.stats.line import gumbel_r as gumbel_r
from graphc.stats.line import laplace as laplace
from graphc.stats.line import laplace_asymmetric as laplace_asymmetric
from graphc.stats.line import logistic as logistic
from graphc.stats.line import moyal as moyal
from graphc.stats.line import norm as norm
from graphc.stats.line import skewnorm as skewnorm
from graphc.stats.line import t as t
from graphc.stats.positive import chi2 as chi2
from graphc.stats.positive import expon as expon
from graphc.stats.positive import f as f
from graphc.stats.positive import fisk as fisk
from graphc.stats.positive import gamma as gamma
from graphc.stats.positive import genextreme as genextreme
from graphc.stats.positive import genpareto as genpareto
from graphc.stats.positive import halfcauchy as halfcauchy
from graphc.stats.positive import halfnorm as halfnorm
from graphc.stats.positive import invgamma as invgamma
from graphc.stats.positive import invgauss as invgauss
from graphc.stats.positive import lognorm as lognorm
from graphc.stats.positive import lomax as lomax
from graphc.stats.positive import maxwell as maxwell
from graphc.stats.positive import pareto as pareto
from graphc.stats.positive import rayleigh as rayleigh
from graphc.stats.positive import weibull_min as weibull_min
from graphc.stats.vectors import dirichlet as dirichlet
from graphc.stats.vectors import dirichlet_multinomial as dirichlet_multinomial
from graphc.stats.vectors import multinomial as multinomial
from graphc.stats.vectors import multivariate_normal as multivariate_normal
from graphc.stats.vectors import multivariate_t as multivariate_t
from graphc.stats.whole import bernoulli as bernoulli
from graphc.stats.whole import betabinom as betabinom
from graphc.stats.whole import binom as binom
from graphc.stats.whole import geom as geom
from graphc.stats.whole import hypergeom as hypergeom
from graphc.stats.whole import nbinom as nbinom
from graphc.stats.whole import poisson as poisson
from graphc.stats.whole import randint as randint

__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "dirichlet_multinomial",
    "expon",
    "exponnorm",
    "f",
    "fisk",
    "gamma",
    "genextreme",
    "gennorm",
    "genpareto",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "hypergeom",
    "invgamma",
    "invgauss",
    "laplace",
    "laplace_asymmetric",
    "logistic",
    "lognorm",
    "loguniform",
    "lomax",
    "maxwell",
    "moyal",
    "multinomial",
    "multivariate_normal",
    "multivariate_t",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "powerlaw",
    "randint",
    "rayleigh",
    "skewnorm",
    "t",
    "triang",
    "truncexpon",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
    "wrapcauchy",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise _missing("stats", name, __all__)
