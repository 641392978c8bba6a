"""graphc on the workloads: static shapes, except for varying_batch."""

import numpy as np
import workloads as W

import graphc as gc
from frameworks._facts import facts
from frameworks.common import Bench, NotSupported, Registry

VERSION = gc.__version__
reg = Registry()
build = reg.build


def inputs_of(names, arrays):
    return [gc.placeholder(n, a.shape, a.dtype) for n, a in zip(names, arrays)]


def fn(expression, names, *arrays, elements=0):
    placeholders = inputs_of([f"x{k}" for k in range(len(arrays))], arrays)
    f = gc.function(placeholders, list(expression(*placeholders)))
    box = [None]

    def call():
        box[0] = f(*arrays)

    return Bench(call, lambda: dict(zip(names, box[0])), lambda: facts(f, elements))


def gradients(loss, names, wrt, data):
    def expression(*placeholders):
        value = loss(*placeholders)
        return [value, *gc.grad(value, list(placeholders[: len(wrt)]))]

    return fn(expression, names, *wrt, *data)


def stepper(loss, names, parameters, data, rate, momentum=0.0):
    ps = [gc.variable(a, n) for n, a in zip(names, parameters)]
    placeholders = inputs_of(["x", "y"], data)
    value = loss(ps, *placeholders)
    updates = []
    for p, g in zip(ps, gc.grad(value, ps)):
        if momentum:
            m = gc.variable(np.zeros_like(p.value), f"m_{p.name}")
            g = momentum * m + g
            updates.append((m, g))
        updates.append((p, p - rate * g))
    step = gc.function(placeholders, value, updates=updates)
    box = [None]

    def call():
        box[0] = step(*data)

    return Bench(
        call,
        lambda: dict(loss=box[0], **{n: p.value for n, p in zip(names, ps)}),
        lambda: facts(step),
    )


@reg("tiny_call")
def _(name, i):
    return fn(lambda x, y: [gc.sum(gc.tanh(x * y + 1))], ["out"], i["x"], i["y"])


@reg("elementwise_chain")
def _(name, i):
    return fn(
        lambda a, b, c, d: [gc.nn.relu(a * b + c) * d - 0.5 * a],
        ["out"],
        *(i[k] for k in "abcd"),
        elements=i["a"].size,
    )


@reg("black_scholes")
def _(name, i):
    r, v = W.BS_RATE, W.BS_VOL

    def price(S, K, T):
        vs = v * gc.sqrt(T)
        d1 = (gc.log(S / K) + (r + 0.5 * v * v) * T) / vs
        c1 = 0.5 + 0.5 * gc.erf(d1 * 0.5**0.5)
        c2 = 0.5 + 0.5 * gc.erf((d1 - vs) * 0.5**0.5)
        e = K * gc.exp(-r * T)
        return S * c1 - e * c2, e * (1 - c2) - S * (1 - c1)

    return fn(price, ["call", "put"], i["S"], i["K"], i["T"], elements=i["S"].size)


@reg("softmax_rows")
def _(name, i):
    return fn(lambda x: [gc.nn.softmax(x, axis=-1)], ["out"], i["x"])


def layernorm(x, gain, bias):
    d = x - gc.mean(x, axis=-1, keepdims=True)
    return d / gc.sqrt(gc.mean(d * d, axis=-1, keepdims=True) + W.EPS) * gain + bias


@reg("layernorm_grad")
def _(name, i):
    def f(x, gain, bias, g):
        out = layernorm(x, gain, bias)
        return [out, *gc.grad(gc.sum(out * g), [x, gain, bias])]

    return fn(f, ["out", "dx", "dgain", "dbias"], *(i[k] for k in ("x", "gain", "bias", "g")))


@reg("sum_squares")
def _(name, i):
    return fn(
        lambda x: [gc.sum(x * x), gc.logsumexp(x)], ["sumsq", "lse"], i["x"], elements=i["x"].size
    )


@reg("pairwise_dist")
def _(name, i):
    def nearest(x, y):
        return [gc.argmin(gc.sum((x[:, None] - y[None]) ** 2, axis=-1), axis=1)]

    return fn(nearest, ["argmin"], i["x"], i["y"])


@reg("adam_update")
def _(name, i):
    a = W.ADAM
    p, m, v = (
        gc.variable(z, n)
        for n, z in (("p", i["p"]), ("m", np.zeros_like(i["p"])), ("v", np.zeros_like(i["p"])))
    )
    t = gc.variable(np.float32(0), "t")
    (g,) = inputs_of("g", [i["g"]])
    t1 = t + 1
    m1 = a["b1"] * m + (1 - a["b1"]) * g
    v1 = a["b2"] * v + (1 - a["b2"]) * g * g
    c1, c2 = 1 - a["b1"] ** t1, 1 - a["b2"] ** t1
    p1 = p - a["lr"] * (m1 / c1) / (gc.sqrt(v1 / c2) + a["eps"])
    f = gc.function([g], updates=[(t, t1), (m, m1), (v, v1), (p, p1)])
    return Bench(
        lambda: f(i["g"]),
        lambda: dict(p=p.value, m=m.value, v=v.value),
        lambda: facts(f, i["p"].size),
    )


def xent(z, y):
    return gc.mean(gc.nn.sparse_softmax_cross_entropy(z, y))


@reg("logreg_step")
def _(name, i):
    def loss(p, x, y):
        return xent(x @ p[0] + p[1], y) + W.L2 / 2 * gc.sum(p[0] * p[0])

    return stepper(loss, ["W", "b"], [i["W"], i["b"]], [i["x"], i["y"]], W.LOGREG_LR)


def mlp(p, x, act):
    n = len(p) // 2
    for k in range(n):
        x = x @ p[2 * k] + p[2 * k + 1]
        if k < n - 1:
            x = act(x)
    return x


@reg("mlp_small_step", "mlp_step", "deep_big_simple_step")
def _(name, i):
    names = W.param_names(W.n_layers(name))
    deep = name.startswith("deep")
    act = gc.tanh if deep else gc.nn.relu
    return stepper(
        lambda p, x, y: xent(mlp(p, x, act), y),
        names,
        [i[k] for k in names],
        [i["x"], i["y"]],
        W.LR,
        0.0 if deep else W.MU,
    )


@reg("lenet_step")
def _(name, i):
    if not hasattr(gc.nn, "conv2d"):
        raise NotSupported(name)

    def loss(p, x, y):
        k0, c0, k1, c1, W0, b0, W1, b1 = p
        h = gc.tanh(gc.nn.max_pool(gc.nn.conv2d(x, k0), 2) + c0[:, None, None])
        h = gc.tanh(gc.nn.max_pool(gc.nn.conv2d(h, k1), 2) + c1[:, None, None])
        h = gc.tanh(gc.reshape(h, (len(i["x"]), -1)) @ W0 + b0)
        return xent(h @ W1 + b1, y)

    names = W.LENET_PARAMS
    return stepper(loss, names, [i[k] for k in names], [i["x"], i["y"]], W.LR)


@reg("resnet_block_step")
def _(name, i):
    if not hasattr(gc.nn, "conv2d"):
        raise NotSupported(name)

    def bn(x, g, b):
        d = x - gc.mean(x, axis=(0, 2, 3), keepdims=True)
        s = gc.sqrt(gc.mean(d * d, axis=(0, 2, 3), keepdims=True) + W.EPS)
        return d / s * g[:, None, None] + b[:, None, None]

    def loss(x, w1, g1, b1, w2, g2, b2, r):
        h = gc.nn.relu(bn(gc.nn.conv2d(x, w1, padding="same"), g1, b1))
        y = gc.nn.relu(bn(gc.nn.conv2d(h, w2, padding="same"), g2, b2) + x)
        return gc.mean(y * r)

    wrt = ["x", *W.RESNET_PARAMS]
    return gradients(loss, ["loss", *("d" + k for k in wrt)], [i[k] for k in wrt], [i["r"]])


@reg("lstm_step")
def _(name, i):
    s = W.SIZE["lstm_step"]
    H = s["H"]

    def loss(Wx, Wh, b, x):
        def cell(carry, xt):
            h, c = carry
            z = xt @ Wx + b + h @ Wh
            ig, fg, gg, og = (z[:, k * H : (k + 1) * H] for k in range(4))
            c = gc.sigmoid(fg) * c + gc.sigmoid(ig) * gc.tanh(gg)
            h = gc.sigmoid(og) * gc.tanh(c)
            return (h, c), h

        zero = gc.zeros((s["B"], H))
        _, h = gc.scan(cell, (zero, zero), x)
        return gc.mean(h * h)

    names = ("Wx", "Wh", "b")
    return gradients(loss, ["loss", "dWx", "dWh", "db"], [i[k] for k in names], [i["x"]])


@reg("transformer_block_step")
def _(name, i):
    B, S, D, H = W.SIZE["transformer_block_step"].values()

    def loss(g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd, x, r):
        q = layernorm(x, g1, h1) @ Wqkv + bqkv
        q = gc.transpose(gc.reshape(q, (B, S, 3, H, D // H)), (2, 0, 3, 1, 4))
        q, k, v = q[0], q[1], q[2]
        a = gc.nn.softmax(q @ k.mT * (D // H) ** -0.5, axis=-1)
        o = gc.reshape(gc.transpose(a @ v, (0, 2, 1, 3)), (B, S, D))
        x = x + o @ Wo + bo
        u = layernorm(x, g2, h2) @ Wu + bu
        u = u * 0.5 * (1 + gc.tanh((2 / np.pi) ** 0.5 * (u + 0.044715 * u * u * u)))
        y = x + u @ Wd + bd
        return gc.mean(y * r)

    names = W.TR_PARAMS
    return gradients(
        loss, ["loss", *("d" + k for k in names)], [i[k] for k in names], [i["x"], i["r"]]
    )


@reg("recurrence_1e6")
def _(name, i):
    def f(x):
        def step(s, xt):
            s = 0.9 * s + gc.tanh(xt + 0.1 * s)
            return s, s

        return [gc.scan(step, gc.constant(np.float32(0)), x)[1]]

    return fn(f, ["s"], i["x"])


@reg("hvp")
def _(name, i):
    names = W.param_names(3)

    def f(x, y, *pv):
        ps, vs = list(pv[:6]), pv[6:]
        g = gc.grad(xent(mlp(ps, x, gc.tanh), y), ps)
        total = gc.sum(g[0] * vs[0])
        for a, b in zip(g[1:], vs[1:]):
            total = total + gc.sum(a * b)
        return gc.grad(total, ps)

    arrays = [i["x"], i["y"], *(i[k] for k in names), *(i["v" + k] for k in names)]
    return fn(f, ["h" + k for k in names], *arrays)


@reg("varying_batch")
def _(name, i):
    ps = [i[k] for k in W.param_names(2)]
    xs = [np.ascontiguousarray(i["x"][:n]) for n in W.SIZE["varying_batch"]["batches"]]
    box = [None]

    def call():
        x = gc.placeholder("x", ("n", xs[0].shape[1]))
        vs = inputs_of(W.param_names(2), ps)
        f = gc.function([x, *vs], mlp(vs, x, gc.nn.relu))
        box[0] = [f(x, *ps) for x in xs]

    return Bench(call, lambda: dict(out=np.concatenate(box[0])))


@reg("mcmc_logp_grad")
def _(name, i):
    G, _, N = W.SIZE["mcmc_logp_grad"].values()
    x, Z, y, grp = (gc.constant(i[k]) for k in ("x", "Z", "y", "grp"))
    (th,) = inputs_of(["theta"], [i["theta"]])
    mu, ls = th[:2], th[2:5]
    a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
    sd = gc.exp(ls)
    lp = -0.005 * gc.sum(mu * mu) + gc.sum(ls - 0.5 * sd * sd)
    lp = lp - 0.5 * gc.sum(((a - mu[0]) / sd[0]) ** 2) - G * ls[0]
    lp = lp - 0.5 * gc.sum(((b - mu[1]) / sd[1]) ** 2) - G * ls[1]
    lp = lp - 0.5 * gc.sum(beta**2)
    m = a[grp] + b[grp] * x + Z @ beta
    lp = lp - 0.5 * gc.sum(((y - m) / sd[2]) ** 2) - N * ls[2]
    f = gc.function([th], [lp, gc.grad(lp, th)])
    t, box = i["theta"], [None]

    def call():
        box[0] = f(t)

    return Bench(call, lambda: dict(zip(["logp", "grad"], box[0])), lambda: facts(f))


@reg("ceiling_sgemm")
def _(name, i):
    return fn(lambda a, b: [a @ b], ["out"], i["a"], i["b"])


@reg("ceiling_divide")
def _(name, i):
    return fn(lambda a, b: [a / b], ["out"], i["a"], i["b"])


@reg("ceiling_triad")
def _(name, i):
    raise NotSupported(name)
