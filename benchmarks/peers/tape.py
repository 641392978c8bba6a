"""A tiny float64 reverse-mode tape, used only to compute reference values.

Slow and simple on purpose: every value is a float64 numpy array, every
operation records a closure.  `grads(loss, params)` walks the tape backwards.
"""

import itertools

import numpy as np

_ids = itertools.count()


def _unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(0)
    for i, n in enumerate(shape):
        if n == 1 and g.shape[i] != 1:
            g = g.sum(i, keepdims=True)
    return g


class Var:
    __array_priority__ = 1000

    def __init__(self, value, parents=(), back=None):
        self.v = np.asarray(value, dtype=np.float64)
        self.parents, self.back, self.id = parents, back, next(_ids)

    shape = property(lambda s: s.v.shape)

    def __add__(a, b):
        b = wrap(b)
        return Var(a.v + b.v, (a, b), lambda g: (g, g))

    __radd__ = __add__

    def __neg__(a):
        return Var(-a.v, (a,), lambda g: (-g,))

    def __sub__(a, b):
        return a + (-wrap(b))

    def __rsub__(a, b):
        return wrap(b) + (-a)

    def __mul__(a, b):
        b = wrap(b)
        return Var(a.v * b.v, (a, b), lambda g: (g * b.v, g * a.v))

    __rmul__ = __mul__

    def __truediv__(a, b):
        b = wrap(b)
        return Var(a.v / b.v, (a, b), lambda g: (g / b.v, -g * a.v / b.v**2))

    def __rtruediv__(a, b):
        return wrap(b) / a

    def __matmul__(a, b):
        def back(g):
            return (
                _unbroadcast(g @ np.swapaxes(b.v, -1, -2), a.shape),
                _unbroadcast(np.swapaxes(a.v, -1, -2) @ g, b.shape),
            )

        b = wrap(b)
        return Var(a.v @ b.v, (a, b), back)

    def __getitem__(a, idx):
        basic = all(
            isinstance(i, (slice, int, type(None), type(Ellipsis)))
            for i in (idx if isinstance(idx, tuple) else (idx,))
        )

        def back(g):
            out = np.zeros_like(a.v)
            if basic:
                out[idx] += g
            else:
                np.add.at(out, idx, g)
            return (out,)

        return Var(a.v[idx], (a,), back)

    def sum(a, axis=None, keepdims=False):
        def back(g):
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            return (np.broadcast_to(g, a.shape),)

        return Var(a.v.sum(axis=axis, keepdims=keepdims), (a,), back)

    def mean(a, axis=None, keepdims=False):
        s = a.sum(axis, keepdims)
        return s * (s.v.size / a.v.size)

    def max_last(a):
        m = a.v.max(-1)
        hit = a.v == m[..., None]
        hit = hit / hit.sum(-1, keepdims=True)
        return Var(m, (a,), lambda g: (g[..., None] * hit,))

    def reshape(a, *shape):
        return Var(a.v.reshape(*shape), (a,), lambda g: (g.reshape(a.shape),))

    def transpose(a, *axes):
        inv = np.argsort(axes)
        return Var(a.v.transpose(axes), (a,), lambda g: (g.transpose(inv),))


def wrap(x):
    return x if isinstance(x, Var) else Var(x)


def _unary(f, df):
    def op(a):
        y = f(a.v)
        return Var(y, (a,), lambda g: (g * df(a.v, y),))

    return op


exp = _unary(np.exp, lambda x, y: y)
log = _unary(np.log, lambda x, y: 1 / x)
sqrt = _unary(np.sqrt, lambda x, y: 0.5 / y)
tanh = _unary(np.tanh, lambda x, y: 1 - y * y)
relu = _unary(lambda x: np.maximum(x, 0), lambda x, y: (x > 0) * 1.0)
sigmoid = _unary(lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y * (1 - y))


def stack(vs):
    return Var(np.stack([v.v for v in vs]), tuple(vs), lambda g: tuple(g))


def concat_last(vs):
    cuts = np.cumsum([v.shape[-1] for v in vs])[:-1]
    return Var(
        np.concatenate([v.v for v in vs], -1), tuple(vs), lambda g: tuple(np.split(g, cuts, -1))
    )


def pad_hw(a, p):
    return Var(
        np.pad(a.v, ((0, 0), (0, 0), (p, p), (p, p))), (a,), lambda g: (g[:, :, p:-p, p:-p],)
    )


def logsumexp_last(a):
    m = a.v.max(-1, keepdims=True)
    return log(exp(a - m).sum(-1)) + m[..., 0]


def conv2d(x, w):
    """NCHW correlation, valid, as a sum over the kernel's taps."""
    n, c, h, wd = x.shape
    o, _, kh, kw = w.shape
    ho, wo = h - kh + 1, wd - kw + 1
    cols = [
        x[:, :, i : i + ho, j : j + wo].transpose(0, 2, 3, 1) for i in range(kh) for j in range(kw)
    ]
    m = concat_last(cols)  # n ho wo (kh kw c)
    k = w.transpose(2, 3, 1, 0).reshape(kh * kw * c, o)
    return (m.reshape(n * ho * wo, kh * kw * c) @ k).reshape(n, ho, wo, o).transpose(0, 3, 1, 2)


def maxpool2(x):
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return y.reshape(n, c, h // 2, w // 2, 4).max_last()


def grads(loss, params):
    seen, todo = {}, [loss]
    while todo:
        n = todo.pop()
        if n.id not in seen:
            seen[n.id] = n
            todo.extend(n.parents)
    acc = {loss.id: np.ones_like(loss.v)}
    for i in sorted(seen, reverse=True):
        n = seen[i]
        if n.back is None or i not in acc:
            continue
        g = acc.pop(i) if all(n is not p for p in params) else acc[i]
        for p, gp in zip(n.parents, n.back(g)):
            if p.back is None and all(p is not q for q in params):
                continue
            gp = _unbroadcast(np.asarray(gp), p.shape)
            acc[p.id] = acc[p.id] + gp if p.id in acc else gp
    return [acc.get(p.id, np.zeros_like(p.v)) for p in params]
