"""Plain numpy, with gradients written by hand where that is sane."""

import numpy as np
import workloads as W

from frameworks.common import Bench, NotSupported, Registry

VERSION = np.__version__
reg = Registry()
build = reg.build


def fn(f, names, *args):
    box = [None]

    def call():
        box[0] = f(*args)

    return Bench(call, lambda: dict(zip(names, box[0] if len(names) > 1 else box)))


@reg("tiny_call")
def _(name, i):
    return fn(lambda x, y: np.tanh(x * y + 1).sum(), ["out"], i["x"], i["y"])


@reg("elementwise_chain")
def _(name, i):
    half = np.float32(0.5)

    def f(a, b, c, d):
        t = a * b
        t += c
        np.maximum(t, 0, out=t)
        t *= d
        t -= half * a
        return t

    return fn(f, ["out"], *(i[k] for k in "abcd"))


@reg("black_scholes")
def _(name, i):
    from scipy.special import erf

    r, v = np.float32(W.BS_RATE), np.float32(W.BS_VOL)
    h, isq = np.float32(0.5), np.float32(0.5**0.5)

    def f(S, K, T):
        vs = v * np.sqrt(T)
        d1 = (np.log(S / K) + (r + h * v * v) * T) / vs
        d2 = d1 - vs
        c1 = h + h * erf(d1 * isq)
        c2 = h + h * erf(d2 * isq)
        e = K * np.exp(-r * T)
        return S * c1 - e * c2, e * (1 - c2) - S * (1 - c1)

    return fn(f, ["call", "put"], i["S"], i["K"], i["T"])


@reg("softmax_rows")
def _(name, i):
    def f(x):
        e = x - x.max(-1, keepdims=True)
        np.exp(e, out=e)
        e /= e.sum(-1, keepdims=True)
        return e

    return fn(f, ["out"], i["x"])


@reg("layernorm_grad")
def _(name, i):
    def f(x, g, gain, bias):
        d = x - x.mean(-1, keepdims=True)
        s = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + np.float32(W.EPS))
        d *= s
        gg = g * gain
        dx = (gg - gg.mean(-1, keepdims=True) - d * (gg * d).mean(-1, keepdims=True)) * s
        return d * gain + bias, dx, (g * d).sum(0), g.sum(0)

    return fn(f, ["out", "dx", "dgain", "dbias"], *(i[k] for k in ("x", "g", "gain", "bias")))


@reg("sum_squares")
def _(name, i):
    def f(x):
        m = x.max()
        return np.dot(x, x), m + np.log(np.exp(x - m).sum())

    return fn(f, ["sumsq", "lse"], i["x"])


@reg("pairwise_dist")
def _(name, i):
    return fn(
        lambda x, y: ((x[:, None] - y[None]) ** 2).sum(-1).argmin(1), ["argmin"], i["x"], i["y"]
    )


@reg("adam_update")
def _(name, i):
    a = W.ADAM
    p, g = i["p"].copy(), i["g"]
    m, v, t, u = (np.zeros_like(p) for _ in range(4))
    step = [0]

    def call():
        step[0] += 1
        c1, c2 = 1 - a["b1"] ** step[0], 1 - a["b2"] ** step[0]
        np.multiply(m, a["b1"], out=m)
        np.multiply(g, 1 - a["b1"], out=t)
        np.add(m, t, out=m)
        np.multiply(v, a["b2"], out=v)
        np.multiply(g, g, out=t)
        np.multiply(t, 1 - a["b2"], out=t)
        np.add(v, t, out=v)
        np.multiply(v, 1 / c2, out=t)
        np.sqrt(t, out=t)
        np.add(t, a["eps"], out=t)
        np.multiply(m, a["lr"] / c1, out=u)
        np.divide(u, t, out=u)
        np.subtract(p, u, out=p)

    return Bench(call, lambda: dict(p=p.copy(), m=m.copy(), v=v.copy()))


def softmax_grad(z, y, n):
    """mean cross-entropy and its gradient wrt the logits (z is reused)."""
    z -= z.max(-1, keepdims=True)
    pick = z[n, y]
    np.exp(z, out=z)
    s = z.sum(-1, keepdims=True)
    loss = (np.log(s[:, 0]) - pick).mean()
    z /= s
    z[n, y] -= 1
    z *= np.float32(1 / len(y))
    return loss, z


@reg("logreg_step")
def _(name, i):
    x, y, Wt, b = i["x"], i["y"], i["W"].copy(), i["b"].copy()
    n, lr, l2 = np.arange(len(y)), np.float32(W.LOGREG_LR), np.float32(W.L2)
    loss = [0]

    def call():
        nonlocal Wt, b
        ce, d = softmax_grad(x @ Wt + b, y, n)
        loss[0] = ce + (Wt * Wt).sum() * (l2 / 2)
        Wt -= lr * (x.T @ d + l2 * Wt)
        b -= lr * d.sum(0)

    return Bench(call, lambda: dict(loss=loss[0], W=Wt.copy(), b=b.copy()))


@reg("mlp_small_step", "mlp_step", "deep_big_simple_step")
def _(name, i):
    L = W.n_layers(name)
    x, y, n = i["x"], i["y"], np.arange(len(i["y"]))
    Ws = [i[f"W{k}"].copy() for k in range(L)]
    bs = [i[f"b{k}"].copy() for k in range(L)]
    ps = Ws + bs
    tanh = name.startswith("deep")
    mom = [np.zeros_like(p) for p in ps] if not tanh else None
    lr, mu = np.float32(W.LR), np.float32(W.MU)
    loss = [0]

    def call():
        hs = [x]
        for k in range(L):
            h = hs[-1] @ Ws[k]
            h += bs[k]
            if k < L - 1:
                np.tanh(h, out=h) if tanh else np.maximum(h, 0, out=h)
            hs.append(h)
        loss[0], d = softmax_grad(hs.pop(), y, n)
        gW, gb = [None] * L, [None] * L
        for k in reversed(range(L)):
            h = hs[k]
            gW[k], gb[k] = h.T @ d, d.sum(0)
            if k:
                d = d @ Ws[k].T
                d *= (1 - h * h) if tanh else (h > 0)
        for j, g in enumerate(gW + gb):
            if mom:
                mom[j] *= mu
                mom[j] += g
                g = mom[j] * lr
            else:
                g *= lr
            ps[j] -= g

    def result():
        r = dict(loss=loss[0])
        for k in range(L):
            r[f"W{k}"], r[f"b{k}"] = Ws[k].copy(), bs[k].copy()
        return r

    return Bench(call, result)


@reg("recurrence_1e6")
def _(name, i):
    raise NotSupported("a python loop")


@reg("varying_batch")
def _(name, i):
    x, w0, b0, w1, b1 = (i[k] for k in ("x", "W0", "b0", "W1", "b1"))

    def f():
        return [
            np.maximum(x[:n] @ w0 + b0, 0) @ w1 + b1 for n in W.SIZE["varying_batch"]["batches"]
        ]

    box = [None]

    def call():
        box[0] = f()

    return Bench(call, lambda: dict(out=np.concatenate(box[0])))


@reg("mcmc_logp_grad")
def _(name, i):
    G, _, N = W.SIZE["mcmc_logp_grad"].values()
    x, Z, y, grp = i["x"], i["Z"], i["y"], i["grp"]
    ZT = np.ascontiguousarray(Z.T)
    th = i["theta"]

    def f():
        A, B = 5 + G, 5 + 2 * G  # where b and beta begin
        a, b, beta = th[5:A], th[A:B], th[B:]
        g = np.empty(len(th))
        lp = -0.005 * (th[0] * th[0] + th[1] * th[1])
        g[0], g[1] = -0.01 * th[0], -0.01 * th[1]
        e = np.exp(th[2:5])
        lp += (th[2:5] - 0.5 * e * e).sum()
        g[2:5] = 1 - e * e
        for k, v, lo in ((0, a, 5), (1, b, A)):
            z = (v - th[k]) / e[k]
            zz = z @ z
            lp -= 0.5 * zz + G * th[2 + k]
            g[lo : lo + G] = -z / e[k]
            g[k] += z.sum() / e[k]
            g[2 + k] += zz - G
        lp -= 0.5 * (beta @ beta)
        z = (y - (a[grp] + b[grp] * x + Z @ beta)) / e[2]
        zz = z @ z
        lp -= 0.5 * zz + N * th[4]
        g[4] += zz - N
        z /= e[2]
        g[5:A] += np.bincount(grp, z, G)
        g[A:B] += np.bincount(grp, z * x, G)
        g[B:] = ZT @ z - beta
        return lp, g

    return fn(f, ["logp", "grad"])


@reg("ceiling_divide")
def _(name, i):
    out = np.empty_like(i["a"])
    return fn(lambda a, b: np.divide(a, b, out=out), ["out"], i["a"], i["b"])


@reg("ceiling_sgemm")
def _(name, i):
    out = np.empty_like(i["a"])
    return fn(lambda a, b: np.matmul(a, b, out=out), ["out"], i["a"], i["b"])
