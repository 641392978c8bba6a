"""The workloads: inputs from a fixed seed, a float64 reference, the work done.

Each entry says what one `call` is.  Inputs are already resident in the
framework's own arrays when the clock starts (converted in `build`), except in
`mcmc_logp_grad`, whose call takes a numpy vector and hands numpy back as a
sampler would.  Training steps update their parameters in place (or by
donation); they are checked after exactly two calls.

Conventions shared by all frameworks: dense layers are x @ W + b with W (in,
out); convolutions are NCHW / OIHW correlations here (a framework may hold
another layout and convert in `result`); cross-entropy is the mean over the
batch; momentum is v = mu*v + g, p = p - lr*v; batch-norm uses the batch's
biased variance and eps 1e-5; gelu is the tanh approximation.
"""

import itertools
import math

import numpy as np
import tape as T

F32 = np.float32
WORKLOADS = {}

LR, MU, L2 = 0.01, 0.9, 1e-3  # SGD rate, momentum, logreg's L2
LOGREG_LR = 0.1
ADAM = dict(lr=1e-3, b1=0.9, b2=0.999, eps=1e-8)
BS_RATE, BS_VOL = 0.02, 0.3
EPS = 1e-5
VARY = [1 + 8 * i for i in range(32)]
MLP_SIZES = {
    "mlp_small_step": (64, 32, 10),
    "mlp_step": (784, 512, 512, 10),
    "deep_big_simple_step": (784, 2500, 2000, 1500, 1000, 500, 10),
    "hvp": (64, 128, 128, 10),
    "varying_batch": (784, 512, 10),
}
LSTM_SHAPE = dict(T=64, B=32, I=64, H=128)
TR = dict(B=8, S=128, D=256, H=8)
MCMC_GROUPS, MCMC_BETA, MCMC_N = 8, 9, 1000


class Workload:
    def __init__(
        self,
        name,
        call,
        make,
        ref,
        flops,
        nbytes,
        rtol=1e-4,
        calls=1,
        check=None,
        once=False,
        norm="max",
    ):
        self.name, self.call_is, self.make, self.ref = name, call, make, ref
        self.flops, self.bytes, self.rtol = flops, nbytes, rtol
        self.check_calls = calls  # calls made before the check
        self.once = once  # few calls: each one compiles afresh
        # "l2" where a relu whose input is within rounding of 0 may fall on
        # either side: one such flip moves single elements of a gradient far
        self.norm = norm
        self._check = check

    def check(self, out, ref, inputs):
        """None if right, else a sentence."""
        if self._check:
            return self._check(out, ref, inputs)
        for k, r in ref.items():
            if k not in out:
                return f"{k} missing"
            o = np.asarray(out[k], dtype=np.float64)
            if o.shape != r.shape:
                return f"{k}: shape {o.shape}, expected {r.shape}"
            tol = self.rtol
            if self.check_calls > 1 and k in inputs:
                # an updated parameter: what matters is how far it moved
                start = inputs[k].astype(np.float64)
                o, r, tol = o - start, r - start, 5e-3

            def size(a):
                return (
                    np.sqrt((a * a).sum()) if self.norm == "l2" else np.max(np.abs(a), initial=0.0)
                )

            err, scale = size(o - r), size(r) + 1e-30
            if not err <= tol * scale:
                return f"{k}: relative error {err / scale:.2e} > {tol}"
        return None


def register(name, call, make, ref, flops, nbytes, **kw):
    WORKLOADS[name] = Workload(name, call, make, ref, flops, nbytes, **kw)


def rng_for(name):
    return np.random.default_rng([20260, *name.encode()])


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=F32)


def f64(d):
    return {k: (v.astype(np.float64) if v.dtype.kind == "f" else v) for k, v in d.items()}


# ---------------------------------------------------------------- elementwise
def make_tiny():
    r = rng_for("tiny")
    return dict(x=normal(r, 8), y=normal(r, 8))


register(
    "tiny_call",
    "tanh(x*y+1).sum() on (8,); one evaluation",
    make_tiny,
    lambda i: dict(out=np.tanh(i["x"] * i["y"] + 1).sum()),
    8 * 4,
    68,
)

N16 = 1 << 24


def make_chain():
    r = rng_for("chain")
    return {k: normal(r, N16) for k in "abcd"}


register(
    "elementwise_chain",
    "relu(a*b+c)*d - 0.5*a over 2**24 floats",
    make_chain,
    lambda i: dict(out=np.maximum(i["a"] * i["b"] + i["c"], 0) * i["d"] - 0.5 * i["a"]),
    6 * N16,
    5 * 4 * N16,
)

N4 = 1 << 22


def make_bs():
    r = rng_for("bs")
    return dict(
        S=r.uniform(50, 150, N4).astype(F32),
        K=r.uniform(50, 150, N4).astype(F32),
        T=r.uniform(0.1, 2, N4).astype(F32),
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
    out_c, out_p = np.empty(N4), np.empty(N4)
    for lo in range(0, N4, 1 << 16):
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


register(
    "black_scholes",
    "call and put price of 2**22 European options",
    make_bs,
    ref_bs,
    60 * N4,
    5 * 4 * N4,
)


def make_softmax():
    return dict(x=normal(rng_for("softmax"), 4096, 1024))


def ref_softmax(i):
    e = np.exp(i["x"] - i["x"].max(-1, keepdims=True))
    return dict(out=e / e.sum(-1, keepdims=True))


register(
    "softmax_rows",
    "softmax over the rows of (4096, 1024)",
    make_softmax,
    ref_softmax,
    5 * N4,
    2 * 4 * N4,
)


def make_ln():
    r = rng_for("ln")
    return dict(
        x=normal(r, 4096, 1024),
        g=normal(r, 4096, 1024),
        gain=1 + 0.1 * normal(r, 1024),
        bias=0.1 * normal(r, 1024),
    )


def layernorm_t(x, gain, bias):
    d = x - x.mean(-1, True)
    return d / T.sqrt((d * d).mean(-1, True) + EPS) * gain + bias


def ref_ln(i):
    x, gain, bias = (T.Var(i[k]) for k in ("x", "gain", "bias"))
    out = layernorm_t(x, gain, bias)
    dx, dg, db = T.grads((out * i["g"]).sum(), [x, gain, bias])
    return dict(out=out.v, dx=dx, dgain=dg, dbias=db)


register(
    "layernorm_grad",
    "layer norm of (4096, 1024) and the gradient of "
    "sum(out*g) wrt x, gain and bias; out is returned too",
    make_ln,
    ref_ln,
    20 * N4,
    4 * 4 * N4,
)


def make_ss():
    return dict(x=normal(rng_for("ss"), N16))


def ref_ss(i):
    x = i["x"]
    m = x.max()
    return dict(sumsq=(x * x).sum(), lse=m + np.log(np.exp(x - m).sum()))


register(
    "sum_squares", "sum(x*x) and logsumexp(x) over 2**24 floats", make_ss, ref_ss, 5 * N16, 4 * N16
)


def make_pd():
    r = rng_for("pd")
    return dict(x=normal(r, 2000, 16), y=normal(r, 500, 16))


def ref_pd(i):
    d = ((i["x"][:, None] - i["y"][None]) ** 2).sum(-1)
    return dict(dist=d)


def check_pd(out, ref, inputs):
    idx = np.asarray(out["argmin"]).astype(int)
    d = ref["dist"]
    if idx.shape != (2000,):
        return f"shape {idx.shape}"
    got, best = d[np.arange(2000), idx], d.min(1)
    return None if np.all(got <= best + 1e-4) else "not the nearest"


register(
    "pairwise_dist",
    "argmin_j sum_k (x_ik - y_jk)**2, written with broadcasting; x (2000,16), y (500,16)",
    make_pd,
    ref_pd,
    3 * 2000 * 500 * 16,
    4 * (2500 * 16 + 2000),
    check=check_pd,
)


def make_adam():
    r = rng_for("adam")
    return dict(p=normal(r, N4), g=normal(r, N4))


def ref_adam(i):
    p, g = i["p"].copy(), i["g"]
    m = v = 0.0
    a = ADAM
    for t in (1, 2):
        m = a["b1"] * m + (1 - a["b1"]) * g
        v = a["b2"] * v + (1 - a["b2"]) * g * g
        p -= a["lr"] * (m / (1 - a["b1"] ** t)) / (np.sqrt(v / (1 - a["b2"] ** t)) + a["eps"])
    return dict(p=p, m=m, v=v)


register(
    "adam_update",
    "one Adam update of 2**22 parameters (p, m, v in place, bias-corrected, step count kept)",
    make_adam,
    ref_adam,
    12 * N4,
    7 * 4 * N4,
    calls=2,
)


# --------------------------------------------------------------------- models
def make_logreg():
    r = rng_for("logreg")
    return dict(
        x=r.uniform(0, 1, (1797, 64)).astype(F32),
        y=r.integers(0, 10, 1797).astype(np.int64),
        W=0.01 * normal(r, 64, 10),
        b=np.zeros(10, F32),
    )


def xent_t(logits, y):
    n = len(y)
    return (T.logsumexp_last(logits) - logits[np.arange(n), y]).mean()


def ref_logreg(i):
    W, b = T.Var(i["W"]), T.Var(i["b"])
    for _ in range(2):
        loss = xent_t(T.wrap(i["x"]) @ W + b, i["y"]) + (W * W).sum() * (L2 / 2)
        gW, gb = T.grads(loss, [W, b])
        W, b = T.Var(W.v - LOGREG_LR * gW), T.Var(b.v - LOGREG_LR * gb)
    return dict(loss=loss.v, W=W.v, b=b.v)


register(
    "logreg_step",
    "full-batch softmax regression, 1797x64 -> 10, gradient + L2 + SGD update",
    make_logreg,
    ref_logreg,
    4 * 1797 * 640,
    4 * 1797 * 64,
    calls=2,
)


def n_layers(name):
    return len(MLP_SIZES[name]) - 1


def make_mlp(name, batch, vec=False):
    r = rng_for(name)
    s = MLP_SIZES[name]
    d = dict(x=normal(r, batch, s[0]), y=r.integers(0, s[-1], batch).astype(np.int64))
    for k, (a, b) in enumerate(itertools.pairwise(s)):
        d[f"W{k}"] = normal(r, a, b) * F32(1 / math.sqrt(a))
        d[f"b{k}"] = F32(0.01) * normal(r, b)
    if vec:
        for k, (a, b) in enumerate(itertools.pairwise(s)):
            d[f"vW{k}"] = normal(r, a, b)
            d[f"vb{k}"] = normal(r, b)
    return d


def param_names(n):
    return [f"{c}{k}" for k in range(n) for c in "Wb"]


def mlp_t(ps, x, act):
    h = T.wrap(x)
    n = len(ps) // 2
    for k in range(n):
        h = h @ ps[2 * k] + ps[2 * k + 1]
        if k < n - 1:
            h = act(h)
    return h


def ref_mlp(name, act, mu):
    def ref(i):
        names = param_names(n_layers(name))
        ps = [T.Var(i[k]) for k in names]
        vs = [0.0] * len(ps)
        for _ in range(2):
            loss = xent_t(mlp_t(ps, i["x"], act), i["y"])
            g = T.grads(loss, ps)
            vs = [mu * v + d for v, d in zip(vs, g)]
            ps = [T.Var(p.v - LR * v) for p, v in zip(ps, vs)]
        return dict(loss=loss.v, **{k: p.v for k, p in zip(names, ps)})

    return ref


def macs(name):
    s = MLP_SIZES[name]
    return [a * b for a, b in itertools.pairwise(s)]


def step_flops(name, batch):
    m = macs(name)
    return 2 * batch * (3 * sum(m) - m[0])


register(
    "mlp_small_step",
    "64-32-10 relu, batch 32, SGD + momentum step",
    lambda: make_mlp("mlp_small_step", 32),
    ref_mlp("mlp_small_step", T.relu, MU),
    step_flops("mlp_small_step", 32),
    16 * sum(macs("mlp_small_step")),
    calls=2,
    norm="l2",
)
register(
    "mlp_step",
    "784-512-512-10 relu, batch 128, cross-entropy, SGD + momentum step",
    lambda: make_mlp("mlp_step", 128),
    ref_mlp("mlp_step", T.relu, MU),
    step_flops("mlp_step", 128),
    16 * sum(macs("mlp_step")),
    calls=2,
    norm="l2",
)
register(
    "deep_big_simple_step",
    "784-2500-2000-1500-1000-500-10 tanh, batch 128, SGD step",
    lambda: make_mlp("deep_big_simple_step", 128),
    ref_mlp("deep_big_simple_step", T.tanh, 0.0),
    step_flops("deep_big_simple_step", 128),
    8 * sum(macs("deep_big_simple_step")),
    calls=2,
)

LENET_PARAMS = ["k0", "c0", "k1", "c1", "W0", "b0", "W1", "b1"]


def make_lenet():
    r = rng_for("lenet")
    return dict(
        x=normal(r, 64, 1, 28, 28),
        y=r.integers(0, 10, 64).astype(np.int64),
        k0=normal(r, 20, 1, 5, 5) * F32(0.2),
        c0=F32(0.01) * normal(r, 20),
        k1=normal(r, 50, 20, 5, 5) * F32(1 / math.sqrt(500)),
        c1=F32(0.01) * normal(r, 50),
        W0=normal(r, 800, 500) * F32(1 / math.sqrt(800)),
        b0=F32(0.01) * normal(r, 500),
        W1=normal(r, 500, 10) * F32(1 / math.sqrt(500)),
        b1=F32(0.01) * normal(r, 10),
    )


def lenet_t(ps, x):
    k0, c0, k1, c1, W0, b0, W1, b1 = ps
    h = T.tanh(T.maxpool2(T.conv2d(T.wrap(x), k0)) + c0.reshape(20, 1, 1))
    h = T.tanh(T.maxpool2(T.conv2d(h, k1)) + c1.reshape(50, 1, 1))
    h = T.tanh(h.reshape(64, 800) @ W0 + b0)
    return h @ W1 + b1


def ref_lenet(i):
    ps = [T.Var(i[k]) for k in LENET_PARAMS]
    for _ in range(2):
        loss = xent_t(lenet_t(ps, i["x"]), i["y"])
        ps = [T.Var(p.v - LR * g) for p, g in zip(ps, T.grads(loss, ps))]
    return dict(loss=loss.v, **{k: p.v for k, p in zip(LENET_PARAMS, ps)})


_c1, _c2 = 24 * 24 * 20 * 25, 8 * 8 * 50 * 20 * 25
register(
    "lenet_step",
    "conv5x5x20, maxpool2, tanh, conv5x5x50, maxpool2, "
    "tanh, dense500 tanh, dense10 on (64,1,28,28); SGD step",
    make_lenet,
    ref_lenet,
    2 * 64 * (2 * _c1 + 3 * _c2 + 3 * (800 * 500 + 5000)),
    8 * (500 + 25000 + 400000 + 5000),
    calls=2,
)

RESNET_PARAMS = ["w1", "g1", "b1", "w2", "g2", "b2"]


def make_resnet():
    r = rng_for("resnet")
    return dict(
        x=normal(r, 32, 64, 32, 32),
        r=normal(r, 32, 64, 32, 32),
        w1=normal(r, 64, 64, 3, 3) * F32(1 / 24),
        g1=1 + F32(0.1) * normal(r, 64),
        b1=F32(0.1) * normal(r, 64),
        w2=normal(r, 64, 64, 3, 3) * F32(1 / 24),
        g2=1 + F32(0.1) * normal(r, 64),
        b2=F32(0.1) * normal(r, 64),
    )


def bn_t(x, g, b):
    n = x.v.size / x.shape[1]

    def mean(a):
        return a.sum((0, 2, 3), True) * (1 / n)

    d = x - mean(x)
    return d / T.sqrt(mean(d * d) + EPS) * g.reshape(1, 64, 1, 1) + b.reshape(1, 64, 1, 1)


def ref_resnet(i):
    ps = [T.Var(i[k]) for k in RESNET_PARAMS]
    w1, g1, b1, w2, g2, b2 = ps
    x = T.Var(i["x"])
    h = T.relu(bn_t(T.conv2d(T.pad_hw(x, 1), w1), g1, b1))
    y = T.relu(bn_t(T.conv2d(T.pad_hw(h, 1), w2), g2, b2) + x)
    loss = (y * i["r"]).mean()
    g = T.grads(loss, [x, *ps])
    return dict(loss=loss.v, **{"d" + k: d for k, d in zip(["x", *RESNET_PARAMS], g)})


_rc = 2 * 32 * 32 * 32 * 64 * 64 * 9
register(
    "resnet_block_step",
    "relu(bn(conv(relu(bn(conv(x)))))+x) with 3x3x64 "
    "convolutions on (32,64,32,32), training-mode batch norm; mean(y*r) "
    "and its gradient wrt x and all parameters",
    make_resnet,
    ref_resnet,
    6 * _rc,
    3 * 4 * 32 * 64 * 32 * 32,
    rtol=5e-3,
    norm="l2",
)


def make_lstm():
    r, s = rng_for("lstm"), LSTM_SHAPE
    k = F32(1 / math.sqrt(s["H"]))
    return dict(
        x=normal(r, s["T"], s["B"], s["I"]),
        Wx=k * normal(r, s["I"], 4 * s["H"]),
        Wh=k * normal(r, s["H"], 4 * s["H"]),
        b=k * normal(r, 4 * s["H"]),
    )


def ref_lstm(i):
    s = LSTM_SHAPE
    H = s["H"]
    ps = [T.Var(i[k]) for k in ("Wx", "Wh", "b")]
    Wx, Wh, b = ps
    xw = T.wrap(i["x"].reshape(-1, s["I"])) @ Wx + b
    xw = xw.reshape(s["T"], s["B"], 4 * H)
    h = c = T.Var(np.zeros((s["B"], H)))
    total = 0.0
    for t in range(s["T"]):
        z = xw[t] + h @ Wh
        ig, fg = T.sigmoid(z[:, :H]), T.sigmoid(z[:, H : 2 * H])
        gg, og = T.tanh(z[:, 2 * H : 3 * H]), T.sigmoid(z[:, 3 * H :])
        c = fg * c + ig * gg
        h = og * T.tanh(c)
        total = (h * h).sum() + total
    loss = total * (1 / (s["T"] * s["B"] * H))
    g = T.grads(loss, ps)
    return dict(loss=loss.v, dWx=g[0], dWh=g[1], db=g[2])


register(
    "lstm_step",
    "LSTM (gates i f g o, no initial state), T=64, batch "
    "32, 64 -> 128; mean(h**2) and its gradient wrt Wx, Wh, b",
    make_lstm,
    ref_lstm,
    64 * 2 * 32 * 512 * (2 * 64 + 3 * 128),
    4 * (64 * 32 * 64 + 2 * 512 * 193),
    rtol=1e-3,
)

TR_PARAMS = ["g1", "h1", "Wqkv", "bqkv", "Wo", "bo", "g2", "h2", "Wu", "bu", "Wd", "bd"]


def make_tr():
    r, D = rng_for("tr"), TR["D"]
    d = dict(x=normal(r, TR["B"], TR["S"], D), r=normal(r, TR["B"], TR["S"], D))
    for k, shape in dict(Wqkv=(D, 3 * D), Wo=(D, D), Wu=(D, 4 * D), Wd=(4 * D, D)).items():
        d[k] = normal(r, *shape) * F32(1 / math.sqrt(shape[0]))
        d["b" + k[1:]] = F32(0.02) * normal(r, shape[1])
    for k in ("1", "2"):
        d["g" + k] = 1 + F32(0.1) * normal(r, D)
        d["h" + k] = F32(0.1) * normal(r, D)
    return d


def ref_tr(i):
    B, S, D, H = TR["B"], TR["S"], TR["D"], TR["H"]
    ps = [T.Var(i[k]) for k in TR_PARAMS]
    g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd = ps
    x = T.wrap(i["x"])
    q = layernorm_t(x, g1, h1).reshape(B * S, D) @ Wqkv + bqkv
    q = q.reshape(B, S, 3, H, D // H).transpose(2, 0, 3, 1, 4)
    q, k, v = q[0], q[1], q[2]
    a = (q @ k.transpose(0, 1, 3, 2)) * (1 / math.sqrt(D // H))
    e = T.exp(a - a.v.max(-1, keepdims=True))
    o = (e / e.sum(-1, True)) @ v
    o = o.transpose(0, 2, 1, 3).reshape(B * S, D) @ Wo + bo
    x = x + o.reshape(B, S, D)
    u = layernorm_t(x, g2, h2).reshape(B * S, D) @ Wu + bu
    c = math.sqrt(2 / math.pi)
    u = u * 0.5 * (T.tanh((u + u * u * u * 0.044715) * c) + 1.0)
    y = x + (u @ Wd + bd).reshape(B, S, D)
    loss = (y * i["r"]).mean()
    g = T.grads(loss, ps)
    return dict(loss=loss.v, **{"d" + k: d for k, d in zip(TR_PARAMS, g)})


_N = TR["B"] * TR["S"]
register(
    "transformer_block_step",
    "pre-norm block, batch 8, seq 128, d 256, "
    "8 heads, gelu MLP x4, no mask; mean(y*r) and its gradient wrt all "
    "parameters",
    make_tr,
    ref_tr,
    6 * (_N * 12 * 256 * 256 + 2 * _N * 128 * 256),
    4 * (2 * _N * 256 + 2 * 12 * 256 * 256),
    rtol=1e-3,
)


def make_rec():
    return dict(x=normal(rng_for("rec"), 1_000_000))


def ref_rec(i):
    s, out = 0.0, np.empty(1_000_000)
    tanh = math.tanh
    for k, x in enumerate(i["x"].tolist()):
        s = 0.9 * s + tanh(x + 0.1 * s)
        out[k] = s
    return dict(s=out)


register(
    "recurrence_1e6",
    "s = 0.9*s + tanh(x_t + 0.1*s) over 1e6 scalar steps from 0; returns every s",
    make_rec,
    ref_rec,
    10 * 1_000_000,
    8 * 1_000_000,
)


def ref_hvp(i):
    names = param_names(n_layers("hvp"))

    def g(e):
        ps = [T.Var(i[k] + e * i["v" + k]) for k in names]
        return T.grads(xent_t(mlp_t(ps, i["x"], T.tanh), i["y"]), ps)

    e = 1e-5
    return {"h" + k: (a - b) / (2 * e) for k, a, b in zip(names, g(e), g(-e))}


_m = macs("hvp")
register(
    "hvp",
    "Hessian-vector product of the 64-128-128-10 tanh MLP's "
    "cross-entropy, batch 256, wrt all parameters",
    lambda: make_mlp("hvp", 256, vec=True),
    ref_hvp,
    2 * 256 * (8 * sum(_m) - 5 * _m[0]),
    12 * sum(_m),
    rtol=1e-3,
)


def ref_vary(i):
    ps = [T.Var(i[k]) for k in param_names(2)]
    y = mlp_t(ps, i["x"], T.relu).v
    return dict(out=np.concatenate([y[:n] for n in VARY]))


register(
    "varying_batch",
    "784-512-10 relu forward on x[:n] for 32 batch sizes "
    "n = 1, 9, ... 249, from a freshly compiled function, compilation "
    "included",
    lambda: make_mlp("varying_batch", max(VARY)),
    ref_vary,
    2 * sum(VARY) * sum(macs("varying_batch")),
    4 * (sum(macs("varying_batch")) + sum(VARY) * 794),
    once=True,
)


def make_mcmc():
    r = rng_for("mcmc")
    n = MCMC_N
    d = dict(
        theta=0.3 * r.standard_normal(5 + 2 * MCMC_GROUPS + MCMC_BETA),
        x=r.standard_normal(n),
        Z=r.standard_normal((n, MCMC_BETA)),
        grp=r.integers(0, MCMC_GROUPS, n).astype(np.int64),
    )
    d["y"] = (
        1
        + 0.5 * d["x"]
        + d["Z"] @ r.standard_normal(MCMC_BETA)
        + r.standard_normal(MCMC_GROUPS)[d["grp"]]
        + 0.7 * r.standard_normal(n)
    )
    return d


def ref_mcmc(i):
    th = T.Var(i["theta"])
    mu_a, mu_b, la, lb, ly = (th[k] for k in range(5))
    a, b, beta = th[5:13], th[13:21], th[21:30]
    lp = (mu_a * mu_a + mu_b * mu_b) * (-0.5 / 100)
    for ls in (la, lb, ly):
        lp = lp + ls - T.exp(ls * 2.0) * 0.5
    for v, mu, ls in ((a, mu_a, la), (b, mu_b, lb)):
        z = (v - mu) / T.exp(ls)
        lp = lp - (z * z).sum() * 0.5 - ls * float(MCMC_GROUPS)
    lp = lp - (beta * beta).sum() * 0.5
    mean = (
        a[i["grp"]] + b[i["grp"]] * i["x"] + (T.wrap(i["Z"]) @ beta.reshape(9, 1)).reshape(MCMC_N)
    )
    z = (wrapsub(i["y"], mean)) / T.exp(ly)
    lp = lp - (z * z).sum() * 0.5 - ly * float(MCMC_N)
    return dict(logp=lp.v, grad=T.grads(lp, [th])[0])


def wrapsub(y, m):
    return T.wrap(y) - m


register(
    "mcmc_logp_grad",
    "float64 log-posterior and gradient of a "
    "hierarchical linear regression (8 groups, 1000 observations, 30 "
    "parameters in one vector); numpy in, numpy out",
    make_mcmc,
    ref_mcmc,
    1000 * (4 * 9 + 20),
    8 * 1000 * 12,
    rtol=1e-9,
)


# ------------------------------------------------------------------- ceilings
def make_gemm():
    r = rng_for("gemm")
    return dict(a=normal(r, 2048, 2048), b=normal(r, 2048, 2048))


register(
    "ceiling_sgemm",
    "2048^3 float32 matrix product",
    make_gemm,
    lambda i: dict(out=i["a"] @ i["b"]),
    2 * 2048**3,
    3 * 4 * 2048**2,
)

N64 = 1 << 26


def make_triad():
    r = rng_for("triad")
    return dict(b=np.tile(normal(r, 1 << 20), 64), c=np.tile(normal(r, 1 << 20), 64))


def ref_triad(i):
    return dict(
        head=i["b"][:1000] + 3.0 * i["c"][:1000], tail=i["b"][-1000:] + 3.0 * i["c"][-1000:]
    )


register(
    "ceiling_triad",
    "a = b + 3*c in place over 2**26 floats (12 bytes counted per element)",
    make_triad,
    ref_triad,
    2 * N64,
    12 * N64,
)


def reference(name, inputs):
    return {k: np.asarray(v) for k, v in WORKLOADS[name].ref(f64(inputs)).items()}
