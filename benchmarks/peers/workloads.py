"""The workloads: inputs from a fixed seed, a float64 reference, the work done.

`choose("mlp_step:1")` sets the size of a workload for this process; everything here and in the
framework modules reads `SIZE["mlp_step"]` when it runs. `make`, `flops` and `nbytes` are functions
of the fields of that size.

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
from sizes import SIZES, parts

F32 = np.float32
WORKLOADS = {}

LR, MU, L2 = 0.01, 0.9, 1e-3  # SGD rate, momentum, logreg's L2
LOGREG_LR = 0.1
ADAM = dict(lr=1e-3, b1=0.9, b2=0.999, eps=1e-8)
BS_RATE, BS_VOL = 0.02, 0.3
EPS = 1e-5
SIZE = {name: sizes[0] for name, sizes in SIZES.items()}


def choose(workload):
    """The name of a workload, whose size is set."""
    name, which, _ = parts(workload)
    SIZE[name] = SIZES[name][which]
    return name


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
        self.name, self.call_is, self.ref, self.rtol = name, call, ref, rtol
        self._make, self._flops, self._bytes = make, flops, nbytes
        self.check_calls = calls  # calls made before the check
        self.once = once  # few calls: each one compiles afresh
        # "l2" where a relu whose input is within rounding of 0 may fall on
        # either side: one such flip moves single elements of a gradient far
        self.norm = norm
        self._check = check

    def make(self):
        return self._make(**SIZE[self.name])

    @property
    def flops(self):
        return self._flops(**SIZE[self.name])

    @property
    def bytes(self):
        return self._bytes(**SIZE[self.name])

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
def make_tiny(n):
    r = rng_for("tiny")
    return dict(x=normal(r, n), y=normal(r, n))


register(
    "tiny_call",
    "tanh(x*y+1).sum() on (8,); one evaluation",
    make_tiny,
    lambda i: dict(out=np.tanh(i["x"] * i["y"] + 1).sum()),
    lambda n: 4 * n,
    lambda n: 8 * n + 4,
)


def make_chain(n):
    r = rng_for("chain")
    return {k: normal(r, n) for k in "abcd"}


register(
    "elementwise_chain",
    "relu(a*b+c)*d - 0.5*a over 2**24 floats",
    make_chain,
    lambda i: dict(out=np.maximum(i["a"] * i["b"] + i["c"], 0) * i["d"] - 0.5 * i["a"]),
    lambda n: 6 * n,
    lambda n: 5 * 4 * n,
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


register(
    "black_scholes",
    "call and put price of 2**22 European options",
    make_bs,
    ref_bs,
    lambda n: 60 * n,
    lambda n: 5 * 4 * n,
)


def make_softmax(rows, columns):
    return dict(x=normal(rng_for("softmax"), rows, columns))


def ref_softmax(i):
    e = np.exp(i["x"] - i["x"].max(-1, keepdims=True))
    return dict(out=e / e.sum(-1, keepdims=True))


register(
    "softmax_rows",
    "softmax over the rows of (4096, 1024)",
    make_softmax,
    ref_softmax,
    lambda rows, columns: 5 * rows * columns,
    lambda rows, columns: 2 * 4 * rows * columns,
)


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


register(
    "layernorm_grad",
    "layer norm of (4096, 1024) and the gradient of "
    "sum(out*g) wrt x, gain and bias; out is returned too",
    make_ln,
    ref_ln,
    lambda rows, columns: 20 * rows * columns,
    lambda rows, columns: 4 * 4 * rows * columns,
)


def make_ss(n):
    return dict(x=normal(rng_for("ss"), n))


def ref_ss(i):
    x = i["x"]
    m = x.max()
    return dict(sumsq=(x * x).sum(), lse=m + np.log(np.exp(x - m).sum()))


register(
    "sum_squares",
    "sum(x*x) and logsumexp(x) over 2**24 floats",
    make_ss,
    ref_ss,
    lambda n: 5 * n,
    lambda n: 4 * n,
)


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


register(
    "pairwise_dist",
    "argmin_j sum_k (x_ik - y_jk)**2, written with broadcasting; x (2000,16), y (500,16)",
    make_pd,
    ref_pd,
    lambda rows, others, columns: 3 * rows * others * columns,
    lambda rows, others, columns: 4 * ((rows + others) * columns + rows),
    check=check_pd,
)


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


register(
    "adam_update",
    "one Adam update of 2**22 parameters (p, m, v in place, bias-corrected, step count kept)",
    make_adam,
    ref_adam,
    lambda n: 12 * n,
    lambda n: 7 * 4 * n,
    calls=2,
)


# --------------------------------------------------------------------- models
def make_logreg(batch, features, classes):
    r = rng_for("logreg")
    return dict(
        x=r.uniform(0, 1, (batch, features)).astype(F32),
        y=r.integers(0, classes, batch).astype(np.int64),
        W=0.01 * normal(r, features, classes),
        b=np.zeros(classes, F32),
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
    lambda batch, features, classes: 4 * batch * features * classes,
    lambda batch, features, classes: 4 * batch * features,
    calls=2,
)


def n_layers(name):
    return len(SIZE[name]["widths"]) - 1


def make_mlp(name, batch, widths, vec=False):
    r = rng_for(name)
    s = widths
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


def macs(widths):
    return [a * b for a, b in itertools.pairwise(widths)]


def step_flops(batch, widths):
    m = macs(widths)
    return 2 * batch * (3 * sum(m) - m[0])


register(
    "mlp_small_step",
    "64-32-10 relu, batch 32, SGD + momentum step",
    lambda batch, widths: make_mlp("mlp_small_step", batch, widths),
    ref_mlp("mlp_small_step", T.relu, MU),
    step_flops,
    lambda batch, widths: 16 * sum(macs(widths)),
    calls=2,
    norm="l2",
)
register(
    "mlp_step",
    "784-512-512-10 relu, batch 128, cross-entropy, SGD + momentum step",
    lambda batch, widths: make_mlp("mlp_step", batch, widths),
    ref_mlp("mlp_step", T.relu, MU),
    step_flops,
    lambda batch, widths: 16 * sum(macs(widths)),
    calls=2,
    norm="l2",
)
register(
    "deep_big_simple_step",
    "784-2500-2000-1500-1000-500-10 tanh, batch 128, SGD step",
    lambda batch, widths: make_mlp("deep_big_simple_step", batch, widths),
    ref_mlp("deep_big_simple_step", T.tanh, 0.0),
    step_flops,
    lambda batch, widths: 8 * sum(macs(widths)),
    calls=2,
)

LENET_PARAMS = ["k0", "c0", "k1", "c1", "W0", "b0", "W1", "b1"]


def lenet_side(side):
    """Of the pictures after both convolutions and poolings."""
    return ((side - 4) // 2 - 4) // 2


def make_lenet(batch, side, channels, width):
    r = rng_for("lenet")
    a, b = channels
    flat = b * lenet_side(side) ** 2
    return dict(
        x=normal(r, batch, 1, side, side),
        y=r.integers(0, 10, batch).astype(np.int64),
        k0=normal(r, a, 1, 5, 5) * F32(0.2),
        c0=F32(0.01) * normal(r, a),
        k1=normal(r, b, a, 5, 5) * F32(1 / math.sqrt(25 * a)),
        c1=F32(0.01) * normal(r, b),
        W0=normal(r, flat, width) * F32(1 / math.sqrt(flat)),
        b0=F32(0.01) * normal(r, width),
        W1=normal(r, width, 10) * F32(1 / math.sqrt(width)),
        b1=F32(0.01) * normal(r, 10),
    )


def lenet_t(ps, x):
    k0, c0, k1, c1, W0, b0, W1, b1 = ps
    h = T.tanh(T.maxpool2(T.conv2d(T.wrap(x), k0)) + c0.reshape(-1, 1, 1))
    h = T.tanh(T.maxpool2(T.conv2d(h, k1)) + c1.reshape(-1, 1, 1))
    h = T.tanh(h.reshape(len(x), -1) @ W0 + b0)
    return h @ W1 + b1


def channels_last(W0, channels):
    """The rows of the first dense layer for features in the order height, width, channel."""
    return W0.reshape(channels, -1, W0.shape[1]).transpose(1, 0, 2).reshape(W0.shape)


def channels_first(W0, channels):
    return W0.reshape(-1, channels, W0.shape[1]).transpose(1, 0, 2).reshape(W0.shape)


def ref_lenet(i):
    ps = [T.Var(i[k]) for k in LENET_PARAMS]
    for _ in range(2):
        loss = xent_t(lenet_t(ps, i["x"]), i["y"])
        ps = [T.Var(p.v - LR * g) for p, g in zip(ps, T.grads(loss, ps))]
    return dict(loss=loss.v, **{k: p.v for k, p in zip(LENET_PARAMS, ps)})


def lenet_flops(batch, side, channels, width):
    a, b = channels
    first = (side - 4) ** 2 * a * 25
    second = ((side - 4) // 2 - 4) ** 2 * b * a * 25
    dense = b * lenet_side(side) ** 2 * width + 10 * width
    return 2 * batch * (2 * first + 3 * second + 3 * dense)


def lenet_bytes(batch, side, channels, width):
    a, b = channels
    return 8 * (25 * a + 25 * a * b + b * lenet_side(side) ** 2 * width + 10 * width)


register(
    "lenet_step",
    "conv5x5x20, maxpool2, tanh, conv5x5x50, maxpool2, "
    "tanh, dense500 tanh, dense10 on (64,1,28,28); SGD step",
    make_lenet,
    ref_lenet,
    lenet_flops,
    lenet_bytes,
    calls=2,
)

RESNET_PARAMS = ["w1", "g1", "b1", "w2", "g2", "b2"]


def make_resnet(batch, channels, side):
    r = rng_for("resnet")
    shape, k = (batch, channels, side, side), F32(1 / math.sqrt(9 * channels))
    return dict(
        x=normal(r, *shape),
        r=normal(r, *shape),
        w1=normal(r, channels, channels, 3, 3) * k,
        g1=1 + F32(0.1) * normal(r, channels),
        b1=F32(0.1) * normal(r, channels),
        w2=normal(r, channels, channels, 3, 3) * k,
        g2=1 + F32(0.1) * normal(r, channels),
        b2=F32(0.1) * normal(r, channels),
    )


def bn_t(x, g, b):
    n = x.v.size / x.shape[1]

    def mean(a):
        return a.sum((0, 2, 3), True) * (1 / n)

    d = x - mean(x)
    return d / T.sqrt(mean(d * d) + EPS) * g.reshape(1, -1, 1, 1) + b.reshape(1, -1, 1, 1)


def ref_resnet(i):
    ps = [T.Var(i[k]) for k in RESNET_PARAMS]
    w1, g1, b1, w2, g2, b2 = ps
    x = T.Var(i["x"])
    h = T.relu(bn_t(T.conv2d(T.pad_hw(x, 1), w1), g1, b1))
    y = T.relu(bn_t(T.conv2d(T.pad_hw(h, 1), w2), g2, b2) + x)
    loss = (y * i["r"]).mean()
    g = T.grads(loss, [x, *ps])
    return dict(loss=loss.v, **{"d" + k: d for k, d in zip(["x", *RESNET_PARAMS], g)})


register(
    "resnet_block_step",
    "relu(bn(conv(relu(bn(conv(x)))))+x) with 3x3x64 "
    "convolutions on (32,64,32,32), training-mode batch norm; mean(y*r) "
    "and its gradient wrt x and all parameters",
    make_resnet,
    ref_resnet,
    lambda batch, channels, side: 12 * batch * side**2 * channels**2 * 9,
    lambda batch, channels, side: 3 * 4 * batch * channels * side**2,
    rtol=5e-3,
    norm="l2",
)


def make_lstm(T, B, I, H):  # noqa: E741
    r, k = rng_for("lstm"), F32(1 / math.sqrt(H))
    return dict(
        x=normal(r, T, B, I),
        Wx=k * normal(r, I, 4 * H),
        Wh=k * normal(r, H, 4 * H),
        b=k * normal(r, 4 * H),
    )


def ref_lstm(i):
    s = SIZE["lstm_step"]
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
    lambda T, B, I, H: T * 2 * B * 4 * H * (2 * I + 3 * H),  # noqa: E741
    lambda T, B, I, H: 4 * (T * B * I + 8 * H * (I + H + 1)),  # noqa: E741
    rtol=1e-3,
)

TR_PARAMS = ["g1", "h1", "Wqkv", "bqkv", "Wo", "bo", "g2", "h2", "Wu", "bu", "Wd", "bd"]


def make_tr(B, S, D, H):
    r = rng_for("tr")
    d = dict(x=normal(r, B, S, D), r=normal(r, B, S, D))
    for k, shape in dict(Wqkv=(D, 3 * D), Wo=(D, D), Wu=(D, 4 * D), Wd=(4 * D, D)).items():
        d[k] = normal(r, *shape) * F32(1 / math.sqrt(shape[0]))
        d["b" + k[1:]] = F32(0.02) * normal(r, shape[1])
    for k in ("1", "2"):
        d["g" + k] = 1 + F32(0.1) * normal(r, D)
        d["h" + k] = F32(0.1) * normal(r, D)
    return d


def ref_tr(i):
    B, S, D, H = SIZE["transformer_block_step"].values()
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


register(
    "transformer_block_step",
    "pre-norm block, batch 8, seq 128, d 256, "
    "8 heads, gelu MLP x4, no mask; mean(y*r) and its gradient wrt all "
    "parameters",
    make_tr,
    ref_tr,
    lambda B, S, D, H: 6 * B * S * (12 * D * D + 2 * S * D),
    lambda B, S, D, H: 4 * (2 * B * S * D + 2 * 12 * D * D),
    rtol=1e-3,
)


def make_rec(n):
    return dict(x=normal(rng_for("rec"), n))


def ref_rec(i):
    s, out = 0.0, np.empty_like(i["x"])
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
    lambda n: 10 * n,
    lambda n: 8 * n,
)


def ref_hvp(i):
    names = param_names(n_layers("hvp"))

    def g(e):
        ps = [T.Var(i[k] + e * i["v" + k]) for k in names]
        return T.grads(xent_t(mlp_t(ps, i["x"], T.tanh), i["y"]), ps)

    e = 1e-5
    return {"h" + k: (a - b) / (2 * e) for k, a, b in zip(names, g(e), g(-e))}


register(
    "hvp",
    "Hessian-vector product of the 64-128-128-10 tanh MLP's "
    "cross-entropy, batch 256, wrt all parameters",
    lambda batch, widths: make_mlp("hvp", batch, widths, vec=True),
    ref_hvp,
    lambda batch, widths: 2 * batch * (8 * sum(macs(widths)) - 5 * macs(widths)[0]),
    lambda batch, widths: 12 * sum(macs(widths)),
    rtol=1e-3,
)


def ref_vary(i):
    ps = [T.Var(i[k]) for k in param_names(2)]
    y = mlp_t(ps, i["x"], T.relu).v
    return dict(out=np.concatenate([y[:n] for n in SIZE["varying_batch"]["batches"]]))


register(
    "varying_batch",
    "784-512-10 relu forward on x[:n] for 32 batch sizes "
    "n = 1, 9, ... 249, from a freshly compiled function, compilation "
    "included",
    lambda batches, widths: make_mlp("varying_batch", max(batches), widths),
    ref_vary,
    lambda batches, widths: 2 * sum(batches) * sum(macs(widths)),
    lambda batches, widths: 4 * (sum(macs(widths)) + sum(batches) * (widths[0] + widths[-1])),
    once=True,
)


def make_mcmc(groups, slopes, n):
    r = rng_for("mcmc")
    d = dict(
        theta=0.3 * r.standard_normal(5 + 2 * groups + slopes),
        x=r.standard_normal(n),
        Z=r.standard_normal((n, slopes)),
        grp=r.integers(0, groups, n).astype(np.int64),
    )
    d["y"] = (
        1
        + 0.5 * d["x"]
        + d["Z"] @ r.standard_normal(slopes)
        + r.standard_normal(groups)[d["grp"]]
        + 0.7 * r.standard_normal(n)
    )
    return d


def ref_mcmc(i):
    th = T.Var(i["theta"])
    mu_a, mu_b, la, lb, ly = (th[k] for k in range(5))
    G, K, N = SIZE["mcmc_logp_grad"].values()
    a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
    lp = (mu_a * mu_a + mu_b * mu_b) * (-0.5 / 100)
    for ls in (la, lb, ly):
        lp = lp + ls - T.exp(ls * 2.0) * 0.5
    for v, mu, ls in ((a, mu_a, la), (b, mu_b, lb)):
        z = (v - mu) / T.exp(ls)
        lp = lp - (z * z).sum() * 0.5 - ls * float(G)
    lp = lp - (beta * beta).sum() * 0.5
    mean = a[i["grp"]] + b[i["grp"]] * i["x"] + (T.wrap(i["Z"]) @ beta.reshape(K, 1)).reshape(N)
    z = (wrapsub(i["y"], mean)) / T.exp(ly)
    lp = lp - (z * z).sum() * 0.5 - ly * float(N)
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
    lambda groups, slopes, n: n * (4 * slopes + 20),
    lambda groups, slopes, n: 8 * n * (slopes + 3),
    rtol=1e-9,
)


# ------------------------------------------------------------------- ceilings
def make_gemm(n):
    r = rng_for("gemm")
    return dict(a=normal(r, n, n), b=normal(r, n, n))


register(
    "ceiling_sgemm",
    "2048^3 float32 matrix product",
    make_gemm,
    lambda i: dict(out=i["a"] @ i["b"]),
    lambda n: 2 * n**3,
    lambda n: 3 * 4 * n**2,
)


register(
    "ceiling_divide",
    "a / b over 2**13 floats that stay in the cache (divisions are counted)",
    lambda n: {k: 1 + abs(normal(rng_for("divide"), n)) for k in "ab"},
    lambda i: dict(out=i["a"] / i["b"]),
    lambda n: n,
    lambda n: 12 * n,
)


def make_triad(n):
    r = rng_for("triad")
    return dict(b=np.tile(normal(r, n >> 6), 64), c=np.tile(normal(r, n >> 6), 64))


def ref_triad(i):
    return dict(
        head=i["b"][:1000] + 3.0 * i["c"][:1000], tail=i["b"][-1000:] + 3.0 * i["c"][-1000:]
    )


register(
    "ceiling_triad",
    "a = b + 3*c in place over 2**26 floats (12 bytes counted per element)",
    make_triad,
    ref_triad,
    lambda n: 2 * n,
    lambda n: 12 * n,
)


def reference(name, inputs):
    return {k: np.asarray(v) for k, v in WORKLOADS[name].ref(f64(inputs)).items()}
