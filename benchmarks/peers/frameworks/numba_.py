"""Loops by hand in numba: a yardstick, not a peer; and the triad ceiling."""

import math

import numba
import numpy as np
import workloads as W
from numba import njit, prange

from frameworks.common import Bench, Registry

VERSION = numba.__version__
reg = Registry()
build = reg.build
par = njit(parallel=True, fastmath=True)


@reg("tiny_call")
def _(name, i):
    @njit(fastmath=True)
    def f(x, y):
        s = np.float32(0)
        for k in range(x.size):
            s += math.tanh(x[k] * y[k] + np.float32(1))
        return s

    x, y, box = i["x"], i["y"], [None]

    def call():
        box[0] = f(x, y)

    return Bench(call, lambda: dict(out=box[0]))


@reg("elementwise_chain")
def _(name, i):
    @par
    def f(a, b, c, d, o):
        for k in prange(a.size):
            o[k] = max(a[k] * b[k] + c[k], np.float32(0)) * d[k] - np.float32(0.5) * a[k]

    args, o = [i[k] for k in "abcd"], np.empty_like(i["a"])
    return Bench(lambda: f(*args, o), lambda: dict(out=o))


@reg("adam_update")
def _(name, i):
    a = W.ADAM
    b1, b2, eps = (np.float32(a[k]) for k in ("b1", "b2", "eps"))
    one = np.float32(1)

    @par
    def f(p, m, v, g, lr, ic2):
        for k in prange(p.size):
            m[k] = b1 * m[k] + (one - b1) * g[k]
            v[k] = b2 * v[k] + (one - b2) * g[k] * g[k]
            p[k] -= lr * m[k] / (math.sqrt(v[k] * ic2) + eps)

    p, g = i["p"].copy(), i["g"]
    m, v, t = np.zeros_like(p), np.zeros_like(p), [0]

    def call():
        t[0] += 1
        f(
            p,
            m,
            v,
            g,
            np.float32(a["lr"] / (1 - a["b1"] ** t[0])),
            np.float32(1 / (1 - a["b2"] ** t[0])),
        )

    return Bench(call, lambda: dict(p=p.copy(), m=m.copy(), v=v.copy()))


@reg("pairwise_dist")
def _(name, i):
    @par
    def f(x, y, o):
        for r in prange(x.shape[0]):
            best, arg = np.float32(np.inf), 0
            for c in range(y.shape[0]):
                s = np.float32(0)
                for k in range(x.shape[1]):
                    d = x[r, k] - y[c, k]
                    s += d * d
                if s < best:
                    best, arg = s, c
            o[r] = arg

    x, y, o = i["x"], i["y"], np.empty(len(i["x"]), np.int64)
    return Bench(lambda: f(x, y, o), lambda: dict(argmin=o))


@reg("recurrence_1e6")
def _(name, i):
    @njit(fastmath=True)
    def f(x, o):
        s = np.float32(0)
        for k in range(x.size):
            s = np.float32(0.9) * s + math.tanh(x[k] + np.float32(0.1) * s)
            o[k] = s

    x, o = i["x"], np.empty_like(i["x"])
    return Bench(lambda: f(x, o), lambda: dict(s=o))


@reg("ceiling_triad")
def _(name, i):
    @par
    def f(a, b, c):
        for k in prange(a.size):
            a[k] = b[k] + np.float32(3) * c[k]

    b, c = i["b"], i["c"]
    a = np.empty_like(b)
    return Bench(lambda: f(a, b, c), lambda: dict(head=a[:1000], tail=a[-1000:]))
