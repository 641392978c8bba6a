"""Points in balls, and orthogonal matrices."""

from typing import Any

from graphc.dtypes import float32
from graphc.ir.arguments import ShapeLike, checked_size
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.power import pow as power
from graphc.ops.transcendental import log
from graphc.random.continuous import standard_normal
from graphc.random.derived import two_sided_power
from graphc.random.keys import Key, draws_of, sizes_of
from graphc.random.parameters import POSITIVE, check_range, float_dtype, working_dtype
from graphc.random.uniforms import open_unit
from graphc.shapes import Size
from graphc.surface import surface

__all__ = ["ball", "orthogonal"]


@surface
def ball(key: Key, d: Size, p: float = 2.0, shape: ShapeLike = (), dtype: Any = float32) -> Tensor:
    """Points that are uniform in the ball sum(|x|^p) <= 1 of d dimensions: [*shape, d].

    d: a size; p: a number > 0. F. Barthe, O. Guedon, S. Mendelson and A. Naor 2005, "A
    probabilistic approach to the geometry of the l_p^n-ball". Raises ParameterError for another p.
    """
    target, sizes = float_dtype("ball", dtype), sizes_of("ball", shape)
    check_range("ball", "p", p, POSITIVE)
    work, draws = working_dtype(target), draws_of("ball", key)
    exponent = BUILDER.full((*sizes, checked_size("ball", d)), float(p), dtype=work)
    x = two_sided_power(draws, exponent)
    rest = -log(open_unit(draws, (*sizes, 1), work))
    length = BUILDER.sum(power(BUILDER.abs(x), float(p)), axis=-1, keepdims=True) + rest
    return (x / power(length, 1 / float(p))).astype(target)


@surface
def orthogonal(
    key: Key, n: Size, shape: ShapeLike = (), dtype: Any = float32, m: Size | None = None
) -> Tensor:
    """Orthogonal matrices, uniform in the sense of Haar: [*shape, n, n].

    m: columns, n by default; with fewer than n they are orthonormal, with more the rows are. The Q
    of the QR factors of normal numbers, with a positive diagonal of R (F. Mezzadri 2007, "How to
    generate random matrices from the classical compact groups"). float32 or float64, else
    DTypeError.
    """
    target, sizes = float_dtype("orthogonal", dtype), sizes_of("orthogonal", shape)
    rows = checked_size("orthogonal", n)
    columns = rows if m is None else checked_size("orthogonal", m)
    turned = isinstance(rows, int) and isinstance(columns, int) and rows < columns
    one, other = (columns, rows) if turned else (rows, columns)
    z = standard_normal(draws_of("orthogonal", key), (*sizes, one, other), working_dtype(target))
    q, r = BUILDER.qr(z.astype(target))
    signs = BUILDER.where(BUILDER.diagonal(r, 0, -2, -1) < 0, -1, 1).astype(target)
    result: Tensor = q * BUILDER.expand_dims(signs, -2)
    return BUILDER.matrix_transpose(result) if turned else result
