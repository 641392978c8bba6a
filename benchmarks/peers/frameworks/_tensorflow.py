"""TensorFlow through tf.function, with or without XLA (jit_compile)."""

import os

import numpy as np
import tensorflow as tf
import workloads as W

from frameworks.common import Bench, NotSupported, Registry

_n = int(os.environ.get("BENCH_THREADS", "0"))
if _n:
    tf.config.threading.set_intra_op_parallelism_threads(_n)
    tf.config.threading.set_inter_op_parallelism_threads(1)
VERSION = tf.__version__


def make(xla):
    reg = Registry()

    def comp(f):
        return tf.function(f, jit_compile=xla)

    def fn(f, names, *args):
        f, args, box = comp(f), [tf.constant(a) for a in args], [None]
        many = len(names) > 1

        def call():
            box[0] = f(*args)

        return Bench(call, lambda: dict(zip(names, [o.numpy() for o in (box[0] if many else box)])))

    def grad_fn(loss, names, wrt, args):
        n = len(wrt)

        def f(*a):
            with tf.GradientTape() as t:
                t.watch(a[:n])
                v = loss(*a)
            return v, *t.gradient(v, a[:n])

        return fn(f, names, *wrt, *args)

    def stepper(loss, names, params, data, lr, mu=0.0, fix=lambda r: r):
        ps = [tf.Variable(a) for a in params]
        ms = [tf.Variable(tf.zeros_like(a)) for a in params] if mu else []
        data, box = [tf.constant(a) for a in data], [None]

        @comp
        def step(*data):
            with tf.GradientTape() as t:
                v = loss(ps, *data)
            for k, (p, g) in enumerate(zip(ps, t.gradient(v, ps))):
                if mu:
                    g = ms[k].assign(mu * ms[k] + g)
                p.assign_sub(lr * g)
            return v

        def call():
            box[0] = step(*data)

        return Bench(
            call,
            lambda: fix(dict(loss=box[0].numpy(), **{k: p.numpy() for k, p in zip(names, ps)})),
        )

    @reg("tiny_call")
    def _(name, i):
        return fn(lambda x, y: tf.reduce_sum(tf.tanh(x * y + 1)), ["out"], i["x"], i["y"])

    @reg("elementwise_chain")
    def _(name, i):
        return fn(
            lambda a, b, c, d: tf.nn.relu(a * b + c) * d - 0.5 * a, ["out"], *(i[k] for k in "abcd")
        )

    @reg("black_scholes")
    def _(name, i):
        def f(S, K, T):
            vs = W.BS_VOL * tf.sqrt(T)
            d1 = (tf.math.log(S / K) + (W.BS_RATE + 0.5 * W.BS_VOL**2) * T) / vs
            c1 = 0.5 + 0.5 * tf.math.erf(d1 * 0.5**0.5)
            c2 = 0.5 + 0.5 * tf.math.erf((d1 - vs) * 0.5**0.5)
            e = K * tf.exp(-W.BS_RATE * T)
            return S * c1 - e * c2, e * (1 - c2) - S * (1 - c1)

        return fn(f, ["call", "put"], i["S"], i["K"], i["T"])

    @reg("softmax_rows")
    def _(name, i):
        return fn(lambda x: tf.nn.softmax(x), ["out"], i["x"])

    def layernorm(x, gain, bias):
        d = x - tf.reduce_mean(x, -1, True)
        return d * tf.math.rsqrt(tf.reduce_mean(d * d, -1, True) + W.EPS) * gain + bias

    @reg("layernorm_grad")
    def _(name, i):
        def f(x, gain, bias, g):
            with tf.GradientTape() as t:
                t.watch((x, gain, bias))
                out = layernorm(x, gain, bias)
            return out, *t.gradient(out, (x, gain, bias), g)

        return fn(f, ["out", "dx", "dgain", "dbias"], *(i[k] for k in ("x", "gain", "bias", "g")))

    @reg("sum_squares")
    def _(name, i):
        return fn(
            lambda x: (tf.reduce_sum(x * x), tf.reduce_logsumexp(x)), ["sumsq", "lse"], i["x"]
        )

    @reg("pairwise_dist")
    def _(name, i):
        return fn(
            lambda x, y: tf.argmin(tf.reduce_sum((x[:, None] - y[None]) ** 2, -1), 1),
            ["argmin"],
            i["x"],
            i["y"],
        )

    @reg("adam_update")
    def _(name, i):
        a = W.ADAM
        p, m, v, t = (
            tf.Variable(z)
            for z in (i["p"], np.zeros_like(i["p"]), np.zeros_like(i["p"]), np.float32(0))
        )

        @comp
        def step(g):
            t.assign_add(1)
            m.assign(a["b1"] * m + (1 - a["b1"]) * g)
            v.assign(a["b2"] * v + (1 - a["b2"]) * g * g)
            c1, c2 = 1 - a["b1"] ** t, 1 - a["b2"] ** t
            p.assign_sub(a["lr"] * (m / c1) / (tf.sqrt(v / c2) + a["eps"]))

        g = tf.constant(i["g"])
        return Bench(lambda: step(g), lambda: dict(p=p.numpy(), m=m.numpy(), v=v.numpy()))

    def xent(z, y):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z))

    @reg("logreg_step")
    def _(name, i):
        def loss(p, x, y):
            return xent(x @ p[0] + p[1], y) + W.L2 / 2 * tf.reduce_sum(p[0] * p[0])

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
        act = tf.tanh if deep else tf.nn.relu
        return stepper(
            lambda p, x, y: xent(mlp(p, x, act), y),
            names,
            [i[k] for k in names],
            [i["x"], i["y"]],
            W.LR,
            0.0 if deep else W.MU,
        )

    # the CPU kernels are channels-last only
    @reg("lenet_step")
    def _(name, i):
        def loss(p, x, y):
            k0, c0, k1, c1, W0, b0, W1, b1 = p
            h = tf.tanh(tf.nn.max_pool2d(tf.nn.conv2d(x, k0, 1, "VALID"), 2, 2, "VALID") + c0)
            h = tf.tanh(tf.nn.max_pool2d(tf.nn.conv2d(h, k1, 1, "VALID"), 2, 2, "VALID") + c1)
            h = tf.tanh(tf.reshape(h, (len(i["y"]), len(i["W0"]))) @ W0 + b0)
            return xent(h @ W1 + b1, y)

        p = {k: i[k] for k in W.LENET_PARAMS}
        for k in ("k0", "k1"):
            p[k] = p[k].transpose(2, 3, 1, 0)
        p["W0"] = W.channels_last(p["W0"], len(i["c1"]))

        def fix(r):
            for k in ("k0", "k1"):
                r[k] = r[k].transpose(3, 2, 0, 1)
            r["W0"] = W.channels_first(r["W0"], len(i["c1"]))
            return r

        return stepper(
            loss,
            W.LENET_PARAMS,
            list(p.values()),
            [i["x"].transpose(0, 2, 3, 1), i["y"]],
            W.LR,
            fix=fix,
        )

    @reg("resnet_block_step")
    def _(name, i):
        def bn(x, g, b):
            if not xla:
                return tf.compat.v1.nn.fused_batch_norm(x, g, b, epsilon=W.EPS, is_training=True)[0]
            d = x - tf.reduce_mean(x, (0, 1, 2))
            return d * tf.math.rsqrt(tf.reduce_mean(d * d, (0, 1, 2)) + W.EPS) * g + b

        def loss(x, w1, g1, b1, w2, g2, b2, r):
            h = tf.nn.relu(bn(tf.nn.conv2d(x, w1, 1, "SAME"), g1, b1))
            y = tf.nn.relu(bn(tf.nn.conv2d(h, w2, 1, "SAME"), g2, b2) + x)
            return tf.reduce_mean(y * r)

        p = {k: i[k] for k in ["x", *W.RESNET_PARAMS, "r"]}
        for k in ("x", "r"):
            p[k] = p[k].transpose(0, 2, 3, 1)
        for k in ("w1", "w2"):
            p[k] = p[k].transpose(2, 3, 1, 0)
        args = list(p.values())
        b = grad_fn(loss, ["loss"] + ["d" + k for k in list(p)[:-1]], args[:-1], args[-1:])

        def result():
            r = old()
            r["dx"] = r["dx"].transpose(0, 3, 1, 2)
            for k in ("dw1", "dw2"):
                r[k] = r[k].transpose(3, 2, 0, 1)
            return r

        old, b.result = b.result, result
        return b

    @reg("lstm_step")
    def _(name, i):
        s = W.SIZE["lstm_step"]

        def loss(Wx, Wh, b, x):
            xw = tf.reshape(tf.reshape(x, (-1, s["I"])) @ Wx + b, (s["T"], s["B"], 4 * s["H"]))

            def cell(hc, z):
                h, c = hc
                ig, fg, gg, og = tf.split(z + h @ Wh, 4, -1)
                c = tf.sigmoid(fg) * c + tf.sigmoid(ig) * tf.tanh(gg)
                return tf.sigmoid(og) * tf.tanh(c), c

            h0 = tf.zeros((s["B"], s["H"]))
            h, _ = tf.scan(cell, xw, (h0, h0))
            return tf.reduce_mean(h * h)

        return grad_fn(
            loss, ["loss", "dWx", "dWh", "db"], [i[k] for k in ("Wx", "Wh", "b")], [i["x"]]
        )

    @reg("transformer_block_step")
    def _(name, i):
        B, S, D, H = W.SIZE["transformer_block_step"].values()

        def loss(g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd, x, r):
            q = tf.reshape(layernorm(x, g1, h1), (B * S, D)) @ Wqkv + bqkv
            q, k, v = tf.unstack(tf.transpose(tf.reshape(q, (B, S, 3, H, D // H)), (2, 0, 3, 1, 4)))
            a = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (D // H) ** -0.5)
            o = tf.reshape(tf.transpose(a @ v, (0, 2, 1, 3)), (B * S, D))
            x = x + tf.reshape(o @ Wo + bo, (B, S, D))
            u = tf.nn.gelu(tf.reshape(layernorm(x, g2, h2), (B * S, D)) @ Wu + bu, approximate=True)
            return tf.reduce_mean((x + tf.reshape(u @ Wd + bd, (B, S, D))) * r)

        return grad_fn(
            loss,
            ["loss"] + ["d" + k for k in W.TR_PARAMS],
            [i[k] for k in W.TR_PARAMS],
            [i["x"], i["r"]],
        )

    @reg("recurrence_1e6")
    def _(name, i):
        if not xla:
            raise NotSupported("a million turns of a graph while-loop")

        def f(x):
            return tf.scan(lambda s, xt: 0.9 * s + tf.tanh(xt + 0.1 * s), x, tf.constant(0.0))

        return fn(f, ["s"], i["x"])

    @reg("hvp")
    def _(name, i):
        names = W.param_names(3)

        def f(x, y, *pv):
            ps, vs = pv[:6], pv[6:]
            with tf.GradientTape() as o:
                o.watch(ps)
                with tf.GradientTape() as t:
                    t.watch(ps)
                    v = xent(mlp(ps, x, tf.tanh), y)
                g = t.gradient(v, ps)
            return o.gradient(g, ps, vs)

        return fn(
            f,
            ["h" + k for k in names],
            i["x"],
            i["y"],
            *(i[k] for k in names),
            *(i["v" + k] for k in names),
        )

    @reg("varying_batch")
    def _(name, i):
        x, *ps = (tf.constant(i[k]) for k in ["x", *W.param_names(2)])
        xs, box = [tf.identity(x[:n]) for n in W.SIZE["varying_batch"]["batches"]], [None]

        def call():
            f = tf.function(
                lambda x, *p: mlp(p, x, tf.nn.relu),
                jit_compile=xla,
                input_signature=[tf.TensorSpec((None, x.shape[1]), tf.float32)]
                + [tf.TensorSpec(p.shape, tf.float32) for p in ps],
            )
            box[0] = [f(v, *ps) for v in xs]

        return Bench(call, lambda: dict(out=np.concatenate([o.numpy() for o in box[0]])))

    @reg("mcmc_logp_grad")
    def _(name, i):
        G, _, N = W.SIZE["mcmc_logp_grad"].values()
        x, Z, y, grp = (tf.constant(i[k]) for k in ("x", "Z", "y", "grp"))

        def f(th):
            with tf.GradientTape() as t:
                t.watch(th)
                mu, ls = th[:2], th[2:5]
                a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
                sd, s = tf.exp(ls), tf.reduce_sum
                lp = -0.005 * s(mu * mu) + s(ls - 0.5 * sd * sd)
                lp -= 0.5 * s(((a - mu[0]) / sd[0]) ** 2) + G * ls[0]
                lp -= 0.5 * s(((b - mu[1]) / sd[1]) ** 2) + G * ls[1]
                lp -= 0.5 * s(beta**2)
                m = tf.gather(a, grp) + tf.gather(b, grp) * x + tf.linalg.matvec(Z, beta)
                lp -= 0.5 * s(((y - m) / sd[2]) ** 2) + N * ls[2]
            return lp, tf.convert_to_tensor(t.gradient(lp, th))

        f, th, box = comp(f), i["theta"], [None]

        def call():
            v, g = f(tf.constant(th))
            box[0] = float(v), g.numpy()

        return Bench(call, lambda: dict(zip(["logp", "grad"], box[0])))

    if not xla:

        @reg("ceiling_sgemm")
        def _(name, i):
            return fn(lambda a, b: a @ b, ["out"], i["a"], i["b"])

    return reg
