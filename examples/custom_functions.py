"""Python in a graph: a numpy function, a function that Numba compiled, and a look inside.

The solution of x * exp(x) = y comes from scipy and has a gradient; huber is a scalar function that
Numba puts into the fused loop; debug.print shows the cost at every step.
"""

import numpy as np
from scipy import special

import graphc as gc

lambert = gc.custom_op(
    "lambert",
    lambda y: special.lambertw(y).real.astype(y.dtype),
    vjp=lambda y, g: g / (y + gc.exp(lambert(y))),
)


@gc.custom_elementwise(vjp=lambda x, g: g * gc.where(gc.abs(x) < 1, x, gc.sign(x)))
def huber(x):  # type: ignore[no-untyped-def]
    """Quadratic near 0, linear further out."""
    a = abs(x)
    return 0.5 * x * x if a < 1 else a - 0.5


y = gc.placeholder("y", ("n",))
w = gc.variable(np.float32(1), "w")
error = huber(lambert(gc.assert_(y, y > 0, "y is positive") * w) - 1)
cost = gc.debug.print("cost {:.4f}", gc.mean(error))
train = gc.function([y], cost, updates={w: w - gc.grad(cost, w)}, check="nan")
print(train.kernels())

points = np.array([1, 2, 3], "float32")
first = float(train(points))
for _ in range(40):
    last = float(train(points))
assert last < first
np.testing.assert_allclose(special.lambertw(points * w.value).real.mean(), 1, atol=0.05)
