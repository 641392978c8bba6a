"""Inputs and float64 references of the models: training steps, gradients, a log-posterior."""

import itertools
import math

import numpy as np
import tape as T
from array_problems import layernorm_t
from problem import F32, normal, problem, rng_for
from workloads import (
    EPS,
    L2,
    LENET_PARAMS,
    LOGREG_LR,
    LR,
    MU,
    RESNET_PARAMS,
    SIZE,
    TR_PARAMS,
    lenet_side,
    n_layers,
    param_names,
)


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


problem("logreg_step", make_logreg, ref_logreg)


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


problem(
    "mlp_small_step",
    lambda batch, widths: make_mlp("mlp_small_step", batch, widths),
    ref_mlp("mlp_small_step", T.relu, MU),
)
problem(
    "mlp_step",
    lambda batch, widths: make_mlp("mlp_step", batch, widths),
    ref_mlp("mlp_step", T.relu, MU),
)
problem(
    "deep_big_simple_step",
    lambda batch, widths: make_mlp("deep_big_simple_step", batch, widths),
    ref_mlp("deep_big_simple_step", T.tanh, 0.0),
)


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


def ref_lenet(i):
    ps = [T.Var(i[k]) for k in LENET_PARAMS]
    for _ in range(2):
        loss = xent_t(lenet_t(ps, i["x"]), i["y"])
        ps = [T.Var(p.v - LR * g) for p, g in zip(ps, T.grads(loss, ps))]
    return dict(loss=loss.v, **{k: p.v for k, p in zip(LENET_PARAMS, ps)})


problem("lenet_step", make_lenet, ref_lenet)


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


problem("resnet_block_step", make_resnet, ref_resnet)


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


problem("lstm_step", make_lstm, ref_lstm)


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


problem("transformer_block_step", make_tr, ref_tr)


def ref_hvp(i):
    names = param_names(n_layers("hvp"))

    def g(e):
        ps = [T.Var(i[k] + e * i["v" + k]) for k in names]
        return T.grads(xent_t(mlp_t(ps, i["x"], T.tanh), i["y"]), ps)

    e = 1e-5
    return {"h" + k: (a - b) / (2 * e) for k, a, b in zip(names, g(e), g(-e))}


problem("hvp", lambda batch, widths: make_mlp("hvp", batch, widths, vec=True), ref_hvp)


def ref_vary(i):
    ps = [T.Var(i[k]) for k in param_names(2)]
    y = mlp_t(ps, i["x"], T.relu).v
    return dict(out=np.concatenate([y[:n] for n in SIZE["varying_batch"]["batches"]]))


problem(
    "varying_batch",
    lambda batches, widths: make_mlp("varying_batch", max(batches), widths),
    ref_vary,
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


problem("mcmc_logp_grad", make_mcmc, ref_mcmc)
