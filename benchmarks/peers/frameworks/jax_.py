"""JAX on the CPU (XLA): one jit per call, state donated."""

import jax
import jax.numpy as jnp
import numpy as np
import workloads as W
from jax import lax

from frameworks.common import Bench, Registry

VERSION = jax.__version__
reg = Registry()
build = reg.build


def dev(*arrays):
    return [jnp.asarray(a) for a in arrays]


def fn(f, names, *args):
    """A pure function of resident arrays."""
    f, args, box = jax.jit(f), dev(*args), [None]
    many = len(names) > 1

    def call():
        box[0] = jax.block_until_ready(f(*args))

    return Bench(call, lambda: dict(zip(names, map(np.asarray, box[0] if many else box))))


def stepper(step, state, data, result):
    """state, aux = step(state, *data), the state donated."""
    step = jax.jit(step, donate_argnums=0)
    state = jax.tree.map(lambda a: jnp.array(a, copy=True), state)
    data, box = dev(*data), [state, None]

    def call():
        box[0], box[1] = jax.block_until_ready(step(box[0], *data))

    return Bench(call, lambda: jax.tree.map(np.array, result(*box)))


@reg("tiny_call")
def _(name, i):
    return fn(lambda x, y: jnp.tanh(x * y + 1).sum(), ["out"], i["x"], i["y"])


@reg("elementwise_chain")
def _(name, i):
    return fn(
        lambda a, b, c, d: jax.nn.relu(a * b + c) * d - 0.5 * a, ["out"], *(i[k] for k in "abcd")
    )


@reg("black_scholes")
def _(name, i):
    def f(S, K, T):
        vs = W.BS_VOL * jnp.sqrt(T)
        d1 = (jnp.log(S / K) + (W.BS_RATE + 0.5 * W.BS_VOL**2) * T) / vs
        c1 = 0.5 + 0.5 * lax.erf(d1 * 0.5**0.5)
        c2 = 0.5 + 0.5 * lax.erf((d1 - vs) * 0.5**0.5)
        e = K * jnp.exp(-W.BS_RATE * T)
        return S * c1 - e * c2, e * (1 - c2) - S * (1 - c1)

    return fn(f, ["call", "put"], i["S"], i["K"], i["T"])


@reg("softmax_rows")
def _(name, i):
    return fn(lambda x: jax.nn.softmax(x, -1), ["out"], i["x"])


def layernorm(x, gain, bias):
    d = x - x.mean(-1, keepdims=True)
    return d * lax.rsqrt((d * d).mean(-1, keepdims=True) + W.EPS) * gain + bias


@reg("layernorm_grad")
def _(name, i):
    def f(x, g, gain, bias):
        out, back = jax.vjp(layernorm, x, gain, bias)
        return out, *back(g)

    return fn(f, ["out", "dx", "dgain", "dbias"], *(i[k] for k in ("x", "g", "gain", "bias")))


@reg("sum_squares")
def _(name, i):
    return fn(lambda x: ((x * x).sum(), jax.nn.logsumexp(x)), ["sumsq", "lse"], i["x"])


@reg("pairwise_dist")
def _(name, i):
    return fn(
        lambda x, y: ((x[:, None] - y[None]) ** 2).sum(-1).argmin(1), ["argmin"], i["x"], i["y"]
    )


@reg("adam_update")
def _(name, i):
    a = W.ADAM

    def step(s, g):
        p, m, v, t = s
        t = t + 1
        m = a["b1"] * m + (1 - a["b1"]) * g
        v = a["b2"] * v + (1 - a["b2"]) * g * g
        c1, c2 = 1 - a["b1"] ** t, 1 - a["b2"] ** t
        p = p - a["lr"] * (m / c1) / (jnp.sqrt(v / c2) + a["eps"])
        return (p, m, v, t), None

    z = np.zeros_like(i["p"])
    return stepper(
        step, (i["p"], z, z, np.float32(0)), [i["g"]], lambda s, _: dict(p=s[0], m=s[1], v=s[2])
    )


def xent(z, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(z, -1), y[:, None], 1).mean()


@reg("logreg_step")
def _(name, i):
    def loss(p, x, y):
        return xent(x @ p["W"] + p["b"], y) + W.L2 / 2 * (p["W"] ** 2).sum()

    def step(p, x, y):
        v, g = jax.value_and_grad(loss)(p, x, y)
        return jax.tree.map(lambda a, b: a - W.LOGREG_LR * b, p, g), v

    return stepper(step, {k: i[k] for k in "Wb"}, [i["x"], i["y"]], lambda s, v: dict(s, loss=v))


def mlp(p, x, n, act):
    for k in range(n):
        x = x @ p[f"W{k}"] + p[f"b{k}"]
        if k < n - 1:
            x = act(x)
    return x


@reg("mlp_small_step", "mlp_step", "deep_big_simple_step")
def _(name, i):
    n = W.n_layers(name)
    names = W.param_names(n)
    deep = name.startswith("deep")
    act = jnp.tanh if deep else jax.nn.relu

    def step(s, x, y):
        p, m = s
        v, g = jax.value_and_grad(lambda p: xent(mlp(p, x, n, act), y))(p)
        if not deep:
            g = m = jax.tree.map(lambda a, b: W.MU * a + b, m, g)
        return (jax.tree.map(lambda a, b: a - W.LR * b, p, g), m), v

    p = {k: i[k] for k in names}
    m = {} if deep else {k: np.zeros_like(i[k]) for k in names}
    return stepper(step, (p, m), [i["x"], i["y"]], lambda s, v: dict(s[0], loss=v))


def conv(x, w, pad):
    return lax.conv_general_dilated(x, w, (1, 1), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@reg("lenet_step")
def _(name, i):
    # channels last: the layout XLA's CPU convolutions want
    def net(p, x):
        h = jnp.tanh(pool(conv(x, p["k0"], "VALID")) + p["c0"])
        h = jnp.tanh(pool(conv(h, p["k1"], "VALID")) + p["c1"])
        h = jnp.tanh(h.reshape(len(x), -1) @ p["W0"] + p["b0"])
        return h @ p["W1"] + p["b1"]

    def step(p, x, y):
        v, g = jax.value_and_grad(lambda p: xent(net(p, x), y))(p)
        return jax.tree.map(lambda a, b: a - W.LR * b, p, g), v

    p = {k: i[k] for k in W.LENET_PARAMS}
    for k in ("k0", "k1"):
        p[k] = p[k].transpose(2, 3, 1, 0)
    p["W0"] = W.channels_last(p["W0"], len(i["c1"]))

    def result(s, v):
        r = dict(s, loss=v)
        for k in ("k0", "k1"):
            r[k] = r[k].transpose(3, 2, 0, 1)
        r["W0"] = W.channels_first(r["W0"], len(i["c1"]))
        return r

    return stepper(step, p, [i["x"].transpose(0, 2, 3, 1), i["y"]], result)


@reg("resnet_block_step")
def _(name, i):
    def bn(x, g, b):
        d = x - x.mean((0, 1, 2))
        return d * lax.rsqrt((d * d).mean((0, 1, 2)) + W.EPS) * g + b

    def loss(p, r):
        h = jax.nn.relu(bn(conv(p["x"], p["w1"], "SAME"), p["g1"], p["b1"]))
        y = jax.nn.relu(bn(conv(h, p["w2"], "SAME"), p["g2"], p["b2"]) + p["x"])
        return (y * r).mean()

    p = {k: i[k] for k in ["x", *W.RESNET_PARAMS]}
    p["x"] = p["x"].transpose(0, 2, 3, 1)
    for k in ("w1", "w2"):
        p[k] = p[k].transpose(2, 3, 1, 0)
    f = jax.jit(jax.value_and_grad(loss))
    p, r, box = jax.tree.map(jnp.asarray, p), dev(i["r"].transpose(0, 2, 3, 1))[0], [None]

    def call():
        box[0] = jax.block_until_ready(f(p, r))

    def result():
        v, g = box[0]
        out = {"d" + k: np.asarray(a) for k, a in g.items()}
        out["dx"] = out["dx"].transpose(0, 3, 1, 2)
        for k in ("dw1", "dw2"):
            out[k] = out[k].transpose(3, 2, 0, 1)
        return dict(out, loss=np.asarray(v))

    return Bench(call, result)


@reg("lstm_step")
def _(name, i):
    s = W.SIZE["lstm_step"]

    def loss(Wx, Wh, b, x):
        def cell(hc, z):
            h, c = hc
            ig, fg, gg, og = jnp.split(z + h @ Wh, 4, -1)
            c = jax.nn.sigmoid(fg) * c + jax.nn.sigmoid(ig) * jnp.tanh(gg)
            h = jax.nn.sigmoid(og) * jnp.tanh(c)
            return (h, c), h

        h0 = jnp.zeros((s["B"], s["H"]), x.dtype)
        _, h = lax.scan(cell, (h0, h0), x @ Wx + b)
        return (h * h).mean()

    def f(*a):
        v, g = jax.value_and_grad(loss, (0, 1, 2))(*a)
        return v, *g

    return fn(f, ["loss", "dWx", "dWh", "db"], *(i[k] for k in ("Wx", "Wh", "b", "x")))


@reg("transformer_block_step")
def _(name, i):
    B, S, D, H = W.SIZE["transformer_block_step"].values()

    def loss(ps, x, r):
        g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd = ps
        q = layernorm(x, g1, h1) @ Wqkv + bqkv
        q, k, v = q.reshape(B, S, 3, H, D // H).transpose(2, 0, 3, 1, 4)
        a = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) * (D // H) ** -0.5, -1)
        o = (a @ v).transpose(0, 2, 1, 3).reshape(B, S, D)
        x = x + o @ Wo + bo
        u = jax.nn.gelu(layernorm(x, g2, h2) @ Wu + bu, approximate=True)
        return ((x + u @ Wd + bd) * r).mean()

    def f(x, r, *ps):
        v, g = jax.value_and_grad(loss)(ps, x, r)
        return v, *g

    return fn(
        f, ["loss"] + ["d" + k for k in W.TR_PARAMS], i["x"], i["r"], *(i[k] for k in W.TR_PARAMS)
    )


@reg("recurrence_1e6")
def _(name, i):
    def f(x):
        def body(s, xt):
            s = 0.9 * s + jnp.tanh(xt + 0.1 * s)
            return s, s

        return lax.scan(body, jnp.float32(0), x)[1]

    return fn(f, ["s"], i["x"])


@reg("hvp")
def _(name, i):
    names = W.param_names(3)

    def f(x, y, ps, vs):
        g = jax.grad(lambda p: xent(mlp(dict(zip(names, p)), x, 3, jnp.tanh), y))
        return jax.jvp(g, (ps,), (vs,))[1]

    f = jax.jit(f)
    x, y = dev(i["x"], i["y"])
    ps, vs, box = (dev(*(i[k] for k in names)), dev(*(i["v" + k] for k in names)), [None])

    def call():
        box[0] = jax.block_until_ready(f(x, y, ps, vs))

    return Bench(call, lambda: {"h" + k: np.asarray(a) for k, a in zip(names, box[0])})


@reg("varying_batch")
def _(name, i):
    x, *ps = dev(*(i[k] for k in ["x", *W.param_names(2)]))
    xs, box = [jax.block_until_ready(x[:n]) for n in W.SIZE["varying_batch"]["batches"]], [None]

    def call():
        jax.clear_caches()
        f = jax.jit(lambda x, a, b, c, d: jax.nn.relu(x @ a + b) @ c + d)
        box[0] = jax.block_until_ready([f(v, *ps) for v in xs])

    return Bench(call, lambda: dict(out=np.concatenate(box[0])))


@reg("mcmc_logp_grad")
def _(name, i):
    G, _, N = W.SIZE["mcmc_logp_grad"].values()
    jax.config.update("jax_enable_x64", True)
    x, Z, y, grp = dev(*(i[k] for k in ("x", "Z", "y", "grp")))

    def logp(th):
        mu, ls = th[:2], th[2:5]
        a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
        sd = jnp.exp(ls)
        lp = -0.005 * (mu**2).sum() + (ls - 0.5 * sd**2).sum()
        lp -= 0.5 * (((a - mu[0]) / sd[0]) ** 2).sum() + G * ls[0]
        lp -= 0.5 * (((b - mu[1]) / sd[1]) ** 2).sum() + G * ls[1]
        lp -= 0.5 * (beta**2).sum()
        m = a[grp] + b[grp] * x + Z @ beta
        return lp - 0.5 * (((y - m) / sd[2]) ** 2).sum() - N * ls[2]

    f, th, box = jax.jit(jax.value_and_grad(logp)), i["theta"], [None]

    def call():
        v, g = f(th)
        box[0] = float(v), np.asarray(g)

    return Bench(call, lambda: dict(zip(["logp", "grad"], box[0])))


@reg("ceiling_sgemm")
def _(name, i):
    return fn(lambda a, b: a @ b, ["out"], i["a"], i["b"])
