"""Newton's method without a Hessian: conjugate gradients need its products with vectors only.

gc.hvp differentiates the gradient along a direction; it costs a few times the function itself and
never forms the n x n matrix.
"""

import numpy as np

import graphc as gc

SIZE = 100
rng = np.random.default_rng(2)

x = gc.variable(rng.uniform(-0.1, 0.1, SIZE), name="x")
v = gc.placeholder("v", (SIZE,), "float64")
cost = gc.sum((x - 1) ** 2) + gc.sum((x[1:] - x[:-1] ** 2) ** 2)  # a mild Rosenbrock valley

value_and_slope = gc.function([], [cost, gc.grad(cost, x)])
times_hessian = gc.function([v], gc.hvp(cost, x, v))
hessian = gc.function([], gc.hessian(cost, x))

direction = rng.normal(size=SIZE)
np.testing.assert_allclose(times_hessian(direction), hessian() @ direction, rtol=1e-9, atol=1e-9)


def solve(slope: np.ndarray) -> np.ndarray:
    """Conjugate gradients: s with H s = slope, as far as H curves upwards."""
    s, r = np.zeros_like(slope), slope.copy()
    d = r.copy()
    for _ in range(SIZE):
        product = times_hessian(d)
        if d @ product <= 0 or np.linalg.norm(r) < 1e-10 * np.linalg.norm(slope):
            break
        length = (r @ r) / (d @ product)
        s += length * d
        following = r - length * product
        d = following + (following @ following) / (r @ r) * d
        r = following
    return s if s.any() else slope


for iteration in range(30):
    value, slope = value_and_slope()
    print(f"iteration {iteration:2}  cost {value:.3e}  |gradient| {np.linalg.norm(slope):.1e}")
    if np.linalg.norm(slope) < 1e-9:
        break
    newton, start = solve(slope), x.value
    for halvings in range(30):
        x.value = start - 0.5**halvings * newton
        if value_and_slope()[0] < value:
            break

assert iteration < 29
np.testing.assert_allclose(x.value, 1.0, atol=1e-8)
