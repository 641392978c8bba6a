"""Lazy computation graphs compiled to native code.

Build expressions of placeholders and variables, differentiate them, compile them into functions:

    x = gc.placeholder("x", ("n", 784))
    w = gc.variable(np.zeros(784, "float32"), "w")
    cost = gc.mean(gc.square(x @ w - 1))
    train = gc.function([x], cost, updates={w: w - 0.1 * gc.grad(cost, w)})
"""

from typing import TYPE_CHECKING

from graphc.garbage import uncollected
from graphc.other_names import advice as _advice

with uncollected(stays=True):  # modules are many objects
    from graphc import autodiff as autodiff
    from graphc import debug as debug
    from graphc import dtypes as dtypes
    from graphc import fft as fft
    from graphc import linalg as linalg
    from graphc import nn as nn
    from graphc import random as random
    from graphc import stats as stats
    from graphc.autocast import *
    from graphc.autodiff.derived import *
    from graphc.autodiff.forward import *
    from graphc.autodiff.gradient import *
    from graphc.batching.vmap import *
    from graphc.benchmark import benchmark as benchmark
    from graphc.benchmark import compare as compare
    from graphc.bisect import Bisection as Bisection
    from graphc.bisect import bisect as bisect
    from graphc.dtypes import *
    from graphc.errors import *
    from graphc.function import Function as Function
    from graphc.function import function as function
    from graphc.gradient_check import verify_grad as verify_grad
    from graphc.ir.graph import Graph as Graph
    from graphc.ir.leaf import Variable as Variable
    from graphc.ir.leaf import as_tensor as as_tensor
    from graphc.ir.leaf import constant as constant
    from graphc.ir.leaf import dim as dim
    from graphc.ir.leaf import placeholder as placeholder
    from graphc.ir.leaf import variable as variable
    from graphc.ir.parser import parse_graph as parse_graph
    from graphc.ir.printer import dprint as dprint
    from graphc.ir.tensor import Tensor as Tensor
    from graphc.ir.trimmed import Trimmed as Trimmed
    from graphc.loading import *
    from graphc.namespace import *
    from graphc.ops.add_n import *
    from graphc.ops.arithmetic import *
    from graphc.ops.arrangement import *
    from graphc.ops.associative import *
    from graphc.ops.bessel_functions import *
    from graphc.ops.bitwise import *
    from graphc.ops.box_cox import *
    from graphc.ops.branches import *
    from graphc.ops.broadcasting import *
    from graphc.ops.checks import *
    from graphc.ops.coefficients import *
    from graphc.ops.comparison import *
    from graphc.ops.complex_numbers import *
    from graphc.ops.contraction import *
    from graphc.ops.control import *
    from graphc.ops.counting import *
    from graphc.ops.covariances import *
    from graphc.ops.creation import *
    from graphc.ops.cumulative import *
    from graphc.ops.custom import *
    from graphc.ops.custom_elementwise import *
    from graphc.ops.dawson_integral import *
    from graphc.ops.decaying_bessel import *
    from graphc.ops.decompositions import *
    from graphc.ops.determinants import *
    from graphc.ops.diagonals import *
    from graphc.ops.dynamic_slicing import *
    from graphc.ops.eigenvalues import *
    from graphc.ops.einsum import *
    from graphc.ops.elementwise import *
    from graphc.ops.elliptic import *
    from graphc.ops.error_functions import *
    from graphc.ops.exponential_integrals import *
    from graphc.ops.extrema import *
    from graphc.ops.flat_indices import *
    from graphc.ops.float_parts import *
    from graphc.ops.gamma_functions import *
    from graphc.ops.gather import *
    from graphc.ops.gradient_control import *
    from graphc.ops.incomplete_beta import *
    from graphc.ops.incomplete_beta_inverses import *
    from graphc.ops.incomplete_gamma import *
    from graphc.ops.incomplete_gamma_inverses import *
    from graphc.ops.indexing import *
    from graphc.ops.joining import *
    from graphc.ops.lambert import *
    from graphc.ops.lapack import *
    from graphc.ops.logarithms import *
    from graphc.ops.lu_factors import *
    from graphc.ops.matrix_functions import *
    from graphc.ops.movement import *
    from graphc.ops.nan_reductions import *
    from graphc.ops.neural import *
    from graphc.ops.oscillating_bessel import *
    from graphc.ops.padding import *
    from graphc.ops.patterns import *
    from graphc.ops.polynomial import *
    from graphc.ops.power import *
    from graphc.ops.probability import *
    from graphc.ops.products import *
    from graphc.ops.pseudoinverse import *
    from graphc.ops.quantiles import *
    from graphc.ops.ramps import *
    from graphc.ops.reduce import *
    from graphc.ops.running_extrema import *
    from graphc.ops.scatter import *
    from graphc.ops.segments import *
    from graphc.ops.selection import *
    from graphc.ops.sets import *
    from graphc.ops.signals import *
    from graphc.ops.slicing import *
    from graphc.ops.slopes import *
    from graphc.ops.solving import *
    from graphc.ops.sorting import *
    from graphc.ops.spectra import *
    from graphc.ops.statistics import *
    from graphc.ops.student import *
    from graphc.ops.student_quantile import *
    from graphc.ops.subscript import *
    from graphc.ops.take_along_axis import *
    from graphc.ops.tolerance import *
    from graphc.ops.transcendental import *
    from graphc.ops.trigonometric_integrals import *
    from graphc.ops.while_loop import *
    from graphc.ops.windows import *
    from graphc.ops.zeta_functions import *
    from graphc.saving import *
    from graphc.session import *
    from graphc.substitution import *
    from graphc.tracing import *
    from graphc.trees import *

bool = dtypes.bool_  # not imported by a star: the modules of graphc need Python's own
__version__ = "0.1.0"
del uncollected

_MODULES = {"debug", "dtypes", "fft", "layers", "linalg", "nn", "random"}


def __dir__() -> list[str]:
    """What users type: completion leaves out the modules that graphc is made of."""
    inner = type(dtypes)
    shown = (name for name, value in globals().items() if not isinstance(value, inner))
    return sorted(
        {name for name in shown if not name.startswith("_") and name != "TYPE_CHECKING"}
        | _MODULES & globals().keys()
        | {"__version__"}
    )


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        """Who knows other libraries types their names first; what tools ask for has underscores."""
        advice = "" if name.startswith("_") else _advice(name, __dir__())
        raise AttributeError(f"graphc has no {name!r}{advice}")
