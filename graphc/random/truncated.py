"""The normal distribution between two bounds."""

from typing import Any

import numpy as np

from graphc.dtypes import float32, float64
from graphc.errors import ParameterError
from graphc.ir.arguments import ShapeLike
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.comparison import logical_xor, where
from graphc.ops.elementwise import maximum, minimum
from graphc.random.keys import Key, draws_of
from graphc.random.parameters import fixed, float_dtype, parameter, shape_of, shifted
from graphc.random.uniforms import open_unit
from graphc.surface import surface

__all__ = ["truncated_normal"]


def _hold_probable(lower: Any, upper: Any) -> bool:
    """Whether bounds are known, and probabilities between them float32 numbers: they are 2^-65
    times the largest and more."""
    if lower is None or upper is None:
        return False
    return bool(np.all((np.asarray(lower) < 8) & (np.asarray(upper) > -8)))


@surface
def truncated_normal(
    key: Key,
    shape: ShapeLike | None = None,
    lower: Any = -2.0,
    upper: Any = 2.0,
    dtype: Any = float32,
    loc: Any = 0.0,
    scale: Any = 1.0,
) -> Tensor:
    """loc + scale * z for standard normal numbers z between lower and upper.

    By inversion: the quantile of a uniform number, float64, between the probabilities of the
    bounds, both taken in the lower tail, so that bounds like (10, 11) are exact too. Bounds
    may be infinite, or tensors that broadcast to the shape; shape = None: that of all
    parameters together. Gradients flow to lower, upper, loc and scale.
    Raises ParameterError where lower >= upper is known.
    """
    name = "truncated_normal"
    sizes, target = shape_of(name, shape, lower, upper, loc, scale), float_dtype(name, dtype)
    bounds = [
        parameter(name, what, value, sizes, float64)
        for what, value in (("lower", lower), ("upper", upper))
    ]
    known = [fixed(value) for value in (lower, upper)]
    if not any(value is None for value in known) and np.any(np.greater_equal(*known)):
        raise ParameterError(
            f"{name}: lower {known[0]} is not below upper {known[1]}",
            source=current_source(),
            fix="give lower < upper",
        )
    low, high = (as_tensor(bound, float64) for bound in bounds)
    mirrored = low > 0
    first, last = where(mirrored, -high, low), where(mirrored, -low, high)
    begin, end = BUILDER.ndtr(first), BUILDER.ndtr(last)
    u = minimum(open_unit(draws_of(name, key), sizes, float64), 1 - 2.0**-53)
    probability = begin + u * (end - begin)
    above = probability > 0.5
    work = float64 if target == float64 else float32
    wide = float32 if work == float32 and _hold_probable(*known) else float64
    z = BUILDER.ndtri(where(above, 1 - probability, probability).astype(wide)).astype(work)
    turned = logical_xor(mirrored, above)
    noise = minimum(maximum(where(turned, -z, z), low.astype(work)), high.astype(work))
    return shifted(name, noise, loc, scale, target)
