"""Inputs and float64 references of the workloads on plain arrays, and of the ceilings."""

import math

import numpy as np
import tape as T
from problem import F32, normal, problem, rng_for
from workloads import ADAM, BS_RATE, BS_VOL, EPS


def make_tiny(n):
    r = rng_for("tiny")
    return dict(x=normal(r, n), y=normal(r, n))


problem("tiny_call", make_tiny, lambda i: dict(out=np.tanh(i["x"] * i["y"] + 1).sum()))


def make_chain(n):
    r = rng_for("chain")
    return {k: normal(r, n) for k in "abcd"}


problem(
    "elementwise_chain",
    make_chain,
    lambda i: dict(out=np.maximum(i["a"] * i["b"] + i["c"], 0) * i["d"] - 0.5 * i["a"]),
)


def make_bs(n):
    r = rng_for("bs")
    return dict(
        S=r.uniform(50, 150, n).astype(F32),
        K=r.uniform(50, 150, n).astype(F32),
        T=r.uniform(0.1, 2, n).astype(F32),
    )


def erf64(x):
    """erf by its series and continued fraction (no scipy needed); ~1e-13."""
    ax = np.abs(x)
    s = t = ax.copy()
    for n in range(1, 40):
        t = -t * ax * ax / n
        s = s + t / (2 * n + 1)
    small = s * 2 / math.sqrt(math.pi)
    z = np.maximum(ax, 2.0)
    f = np.zeros_like(z)
    for k in range(60, 0, -1):
        f = (k / 2) / (z + f)
    big = 1 - np.exp(-z * z) / (z + f) / math.sqrt(math.pi)
    return np.sign(x) * np.where(ax < 2.0, small, big)


def ref_bs(i):
    S, K, t = i["S"], i["K"], i["T"]
    out_c, out_p = np.empty_like(S), np.empty_like(S)
    for lo in range(0, len(S), 1 << 16):
        sl = slice(lo, lo + (1 << 16))
        s, k, tt = S[sl], K[sl], t[sl]
        vs = BS_VOL * np.sqrt(tt)
        d1 = (np.log(s / k) + (BS_RATE + 0.5 * BS_VOL**2) * tt) / vs
        d2 = d1 - vs
        c1 = 0.5 + 0.5 * erf64(d1 / math.sqrt(2))
        c2 = 0.5 + 0.5 * erf64(d2 / math.sqrt(2))
        e = k * np.exp(-BS_RATE * tt)
        out_c[sl] = s * c1 - e * c2
        out_p[sl] = e * (1 - c2) - s * (1 - c1)
    return dict(call=out_c, put=out_p)


problem("black_scholes", make_bs, ref_bs)


def make_softmax(rows, columns):
    return dict(x=normal(rng_for("softmax"), rows, columns))


def ref_softmax(i):
    e = np.exp(i["x"] - i["x"].max(-1, keepdims=True))
    return dict(out=e / e.sum(-1, keepdims=True))


problem("softmax_rows", make_softmax, ref_softmax)


def make_ln(rows, columns):
    r = rng_for("ln")
    return dict(
        x=normal(r, rows, columns),
        g=normal(r, rows, columns),
        gain=1 + 0.1 * normal(r, columns),
        bias=0.1 * normal(r, columns),
    )


def layernorm_t(x, gain, bias):
    d = x - x.mean(-1, True)
    return d / T.sqrt((d * d).mean(-1, True) + EPS) * gain + bias


def ref_ln(i):
    x, gain, bias = (T.Var(i[k]) for k in ("x", "gain", "bias"))
    out = layernorm_t(x, gain, bias)
    dx, dg, db = T.grads((out * i["g"]).sum(), [x, gain, bias])
    return dict(out=out.v, dx=dx, dgain=dg, dbias=db)


problem("layernorm_grad", make_ln, ref_ln)


def make_ss(n):
    return dict(x=normal(rng_for("ss"), n))


def ref_ss(i):
    x = i["x"]
    m = x.max()
    return dict(sumsq=(x * x).sum(), lse=m + np.log(np.exp(x - m).sum()))


problem("sum_squares", make_ss, ref_ss)


def make_pd(rows, others, columns):
    r = rng_for("pd")
    return dict(x=normal(r, rows, columns), y=normal(r, others, columns))


def ref_pd(i):
    d = ((i["x"][:, None] - i["y"][None]) ** 2).sum(-1)
    return dict(dist=d)


def check_pd(out, ref, inputs):
    idx = np.asarray(out["argmin"]).astype(int)
    d = ref["dist"]
    if idx.shape != d.shape[:1]:
        return f"shape {idx.shape}"
    got, best = d[np.arange(len(d)), idx], d.min(1)
    return None if np.all(got <= best + 1e-4) else "not the nearest"


problem("pairwise_dist", make_pd, ref_pd, check_pd)


def make_adam(n):
    r = rng_for("adam")
    return dict(p=normal(r, n), g=normal(r, n))


def ref_adam(i):
    p, g = i["p"].copy(), i["g"]
    m = v = 0.0
    a = ADAM
    for t in (1, 2):
        m = a["b1"] * m + (1 - a["b1"]) * g
        v = a["b2"] * v + (1 - a["b2"]) * g * g
        p -= a["lr"] * (m / (1 - a["b1"] ** t)) / (np.sqrt(v / (1 - a["b2"] ** t)) + a["eps"])
    return dict(p=p, m=m, v=v)


problem("adam_update", make_adam, ref_adam)


def make_rec(n):
    return dict(x=normal(rng_for("rec"), n))


def ref_rec(i):
    s, out = 0.0, np.empty_like(i["x"])
    tanh = math.tanh
    for k, x in enumerate(i["x"].tolist()):
        s = 0.9 * s + tanh(x + 0.1 * s)
        out[k] = s
    return dict(s=out)


problem("recurrence_1e6", make_rec, ref_rec)


# Ceilings


def make_gemm(n):
    r = rng_for("gemm")
    return dict(a=normal(r, n, n), b=normal(r, n, n))


problem("ceiling_sgemm", make_gemm, lambda i: dict(out=i["a"] @ i["b"]))


problem(
    "ceiling_divide",
    lambda n: {k: 1 + abs(normal(rng_for("divide"), n)) for k in "ab"},
    lambda i: dict(out=i["a"] / i["b"]),
)


def make_triad(n):
    r = rng_for("triad")
    return dict(b=np.tile(normal(r, n >> 6), 64), c=np.tile(normal(r, n >> 6), 64))


def ref_triad(i):
    return dict(
        head=i["b"][:1000] + 3.0 * i["c"][:1000], tail=i["b"][-1000:] + 3.0 * i["c"][-1000:]
    )


problem("ceiling_triad", make_triad, ref_triad)
