"""PyTensor, with whichever linker the caller set through PYTENSOR_FLAGS."""

import os


def flags(**more):
    f = dict(floatX="float32", base_compiledir=os.environ.get("PYTENSOR_COMPILEDIR", ""), **more)
    old = os.environ.get("PYTENSOR_FLAGS", "")
    os.environ["PYTENSOR_FLAGS"] = ",".join(
        [f"{k}={v}" for k, v in f.items() if v] + ([old] if old else [])
    )


def make():
    import numpy as np
    import pytensor
    import pytensor.tensor as pt
    import workloads as W
    from pytensor.tensor.special import log_softmax, softmax

    from frameworks.common import Bench, NotSupported, Registry

    reg = Registry()
    f32 = np.float32

    def var(a, name=None, shape=None):
        return pt.tensor(name, shape=a.shape if shape is None else shape, dtype=a.dtype)

    def compile_(ins, outs, **kw):
        many = isinstance(outs, (list, tuple))
        outs = (
            [pytensor.Out(o, borrow=True) for o in outs]
            if many
            else (None if outs is None else pytensor.Out(outs, borrow=True))
        )
        f = pytensor.function([pytensor.In(v, borrow=True) for v in ins], outs, **kw)
        f.trust_input = True
        return f

    def fn(expr, names, *args):
        vs, box = [var(a) for a in args], [None]
        out = expr(*vs)
        f = compile_(vs, list(out) if len(names) > 1 else out)

        def call():
            box[0] = f(*args)

        return Bench(
            call,
            lambda: dict(zip(names, [np.array(o) for o in (box[0] if len(names) > 1 else box)])),
        )

    def grad_fn(loss, names, wrt, args):
        def expr(*vs):
            v = loss(*vs)
            return [v, *pytensor.grad(v, list(vs[: len(wrt)]))]

        return fn(expr, names, *wrt, *args)

    def stepper(loss, names, params, data, lr, mu=0.0, fix=lambda r: r):
        ps = [pytensor.shared(a.copy(), name=k, shape=a.shape) for k, a in zip(names, params)]
        vs, box = [var(a) for a in data], [None]
        v = loss(ps, *vs)
        ups = []
        for p, g in zip(ps, pytensor.grad(v, ps)):
            if mu:
                m = pytensor.shared(np.zeros_like(p.get_value()), shape=p.type.shape)
                g = f32(mu) * m + g
                ups.append((m, g))
            ups.append((p, p - f32(lr) * g))
        f = compile_(vs, v, updates=ups)

        def call():
            box[0] = f(*data)

        return Bench(
            call,
            lambda: fix(
                dict(loss=np.array(box[0]), **{k: p.get_value() for k, p in zip(names, ps)})
            ),
        )

    @reg("tiny_call")
    def _(name, i):
        return fn(lambda x, y: pt.tanh(x * y + f32(1)).sum(), ["out"], i["x"], i["y"])

    def relu(x):
        return pt.maximum(x, f32(0))

    @reg("elementwise_chain")
    def _(name, i):
        return fn(
            lambda a, b, c, d: relu(a * b + c) * d - f32(0.5) * a, ["out"], *(i[k] for k in "abcd")
        )

    @reg("black_scholes")
    def _(name, i):
        r, v, h, q = map(f32, (W.BS_RATE, W.BS_VOL, 0.5, 0.5**0.5))

        def f(S, K, T):
            vs = v * pt.sqrt(T)
            d1 = (pt.log(S / K) + (r + h * v * v) * T) / vs
            c1 = h + h * pt.erf(d1 * q)
            c2 = h + h * pt.erf((d1 - vs) * q)
            e = K * pt.exp(-r * T)
            return S * c1 - e * c2, e * (f32(1) - c2) - S * (f32(1) - c1)

        return fn(f, ["call", "put"], i["S"], i["K"], i["T"])

    @reg("softmax_rows")
    def _(name, i):
        return fn(lambda x: softmax(x, axis=-1), ["out"], i["x"])

    def layernorm(x, gain, bias):
        d = x - x.mean(-1, keepdims=True)
        s = pt.sqrt((d * d).mean(-1, keepdims=True) + f32(W.EPS))
        return d / s * gain + bias

    @reg("layernorm_grad")
    def _(name, i):
        def f(x, gain, bias, g):
            out = layernorm(x, gain, bias)
            return [out, *pytensor.grad((out * g).sum(), [x, gain, bias])]

        return fn(f, ["out", "dx", "dgain", "dbias"], *(i[k] for k in ("x", "gain", "bias", "g")))

    @reg("sum_squares")
    def _(name, i):
        return fn(lambda x: ((x * x).sum(), pt.logsumexp(x)), ["sumsq", "lse"], i["x"])

    @reg("pairwise_dist")
    def _(name, i):
        return fn(
            lambda x, y: pt.argmin(((x[:, None] - y[None]) ** 2).sum(-1), 1),
            ["argmin"],
            i["x"],
            i["y"],
        )

    @reg("adam_update")
    def _(name, i):
        a = {k: f32(v) for k, v in W.ADAM.items()}
        p, m, v = (
            pytensor.shared(z, shape=z.shape)
            for z in (i["p"].copy(), np.zeros_like(i["p"]), np.zeros_like(i["p"]))
        )
        t = pytensor.shared(f32(0))
        g = var(i["g"])
        one = f32(1)
        t1 = t + one
        m1 = a["b1"] * m + (one - a["b1"]) * g
        v1 = a["b2"] * v + (one - a["b2"]) * g * g
        c1, c2 = one - a["b1"] ** t1, one - a["b2"] ** t1
        p1 = p - a["lr"] * (m1 / c1) / (pt.sqrt(v1 / c2) + a["eps"])
        f = compile_([g], None, updates=[(t, t1), (m, m1), (v, v1), (p, p1)])
        return Bench(
            lambda: f(i["g"]), lambda: dict(p=p.get_value(), m=m.get_value(), v=v.get_value())
        )

    def xent(z, y):
        return -log_softmax(z, axis=-1)[pt.arange(y.shape[0]), y].mean(dtype="float32")

    @reg("logreg_step")
    def _(name, i):
        def loss(p, x, y):
            return xent(x @ p[0] + p[1], y) + f32(W.L2 / 2) * (p[0] * p[0]).sum()

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
        act = pt.tanh if deep else relu
        return stepper(
            lambda p, x, y: xent(mlp(p, x, act), y),
            names,
            [i[k] for k in names],
            [i["x"], i["y"]],
            W.LR,
            0.0 if deep else W.MU,
        )

    # PyTensor has no batched conv2d: shifted views, one matrix product
    def conv(x, w, n, h, wd, c, kh, kw, o):
        ho, wo = h - kh + 1, wd - kw + 1
        m = pt.concatenate(
            [x[:, a : a + ho, b : b + wo] for a in range(kh) for b in range(kw)], axis=-1
        )
        y = m.reshape((n * ho * wo, kh * kw * c)) @ w.reshape((kh * kw * c, o))
        return y.reshape((n, ho, wo, o))

    def pool(x, n, h, w, c):
        return x.reshape((n, h // 2, 2, w // 2, 2, c)).max((2, 4))

    @reg("lenet_step")
    def _(name, i):
        n, s, (ca, cb), _ = W.SIZE["lenet_step"].values()

        def loss(p, x, y):
            k0, c0, k1, c1, W0, b0, W1, b1 = p
            h = conv(x, k0, n, s, s, 1, 5, 5, ca)
            h = pt.tanh(pool(h, n, s - 4, s - 4, ca) + c0)
            t = (s - 4) // 2
            h = conv(h, k1, n, t, t, ca, 5, 5, cb)
            h = pt.tanh(pool(h, n, t - 4, t - 4, cb) + c1)
            h = pt.tanh(h.reshape((n, len(i["W0"]))) @ W0 + b0)
            return xent(h @ W1 + b1, y)

        p = {k: i[k] for k in W.LENET_PARAMS}
        for k in ("k0", "k1"):
            p[k] = np.ascontiguousarray(p[k].transpose(2, 3, 1, 0))
        p["W0"] = W.channels_last(p["W0"], cb)

        def fix(r):
            for k in ("k0", "k1"):
                r[k] = r[k].transpose(3, 2, 0, 1)
            r["W0"] = W.channels_first(r["W0"], cb)
            return r

        x = np.ascontiguousarray(i["x"].transpose(0, 2, 3, 1))
        return stepper(loss, W.LENET_PARAMS, list(p.values()), [x, i["y"]], W.LR, fix=fix)

    @reg("resnet_block_step")
    def _(name, i):
        n, c, s = W.SIZE["resnet_block_step"].values()

        def bn(x, g, b):
            d = x - x.mean((0, 1, 2))
            return d / pt.sqrt((d * d).mean((0, 1, 2)) + f32(W.EPS)) * g + b

        def same(x, w):
            p = pt.zeros((n, s + 2, s + 2, c), dtype="float32")
            return conv(p[:, 1:-1, 1:-1].set(x), w, n, s + 2, s + 2, c, 3, 3, c)

        def loss(x, w1, g1, b1, w2, g2, b2, r):
            h = relu(bn(same(x, w1), g1, b1))
            y = relu(bn(same(h, w2), g2, b2) + x)
            return (y * r).mean(dtype="float32")

        p = {k: i[k] for k in ["x", *W.RESNET_PARAMS, "r"]}
        for k in ("x", "r"):
            p[k] = np.ascontiguousarray(p[k].transpose(0, 2, 3, 1))
        for k in ("w1", "w2"):
            p[k] = np.ascontiguousarray(p[k].transpose(2, 3, 1, 0))
        args = list(p.values())
        names = ["loss"] + ["d" + k for k in list(p)[:-1]]
        b = grad_fn(loss, names, args[:-1], args[-1:])

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
        H = s["H"]

        def loss(Wx, Wh, b, x):
            xw = (x.reshape((s["T"] * s["B"], s["I"])) @ Wx + b).reshape((s["T"], s["B"], 4 * H))

            def cell(z, h, c, Wh):
                z = z + h @ Wh
                ig, fg = z[:, :H], z[:, H : 2 * H]
                gg, og = z[:, 2 * H : 3 * H], z[:, 3 * H :]
                c = pt.sigmoid(fg) * c + pt.sigmoid(ig) * pt.tanh(gg)
                return pt.sigmoid(og) * pt.tanh(c), c

            h0 = pt.zeros((s["B"], H), dtype="float32")
            h, _ = pytensor.scan(
                cell,
                sequences=[xw],
                outputs_info=[h0, h0],
                non_sequences=[Wh],
                strict=True,
                return_updates=False,
            )
            return (h * h).mean(dtype="float32")

        return grad_fn(
            loss, ["loss", "dWx", "dWh", "db"], [i[k] for k in ("Wx", "Wh", "b")], [i["x"]]
        )

    @reg("transformer_block_step")
    def _(name, i):
        B, S, D, H = W.SIZE["transformer_block_step"].values()

        def loss(g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd, x, r):
            q = layernorm(x, g1, h1).reshape((B * S, D)) @ Wqkv + bqkv
            q = q.reshape((B, S, 3, H, D // H)).transpose((2, 0, 3, 1, 4))
            q, k, v = q[0], q[1], q[2]
            a = softmax(q @ k.transpose((0, 1, 3, 2)) * f32((D // H) ** -0.5), axis=-1)
            o = (a @ v).transpose((0, 2, 1, 3)).reshape((B * S, D))
            x = x + (o @ Wo + bo).reshape((B, S, D))
            u = layernorm(x, g2, h2).reshape((B * S, D)) @ Wu + bu
            c = f32((2 / np.pi) ** 0.5)
            u = u * f32(0.5) * (f32(1) + pt.tanh(c * (u + f32(0.044715) * u * u * u)))
            y = x + (u @ Wd + bd).reshape((B, S, D))
            return (y * r).mean(dtype="float32")

        return grad_fn(
            loss,
            ["loss"] + ["d" + k for k in W.TR_PARAMS],
            [i[k] for k in W.TR_PARAMS],
            [i["x"], i["r"]],
        )

    @reg("recurrence_1e6")
    def _(name, i):
        def f(x):
            return pytensor.scan(
                lambda xt, s: f32(0.9) * s + pt.tanh(xt + f32(0.1) * s),
                sequences=[x],
                outputs_info=[pt.constant(f32(0))],
                return_updates=False,
            )

        return fn(f, ["s"], i["x"])

    @reg("hvp")
    def _(name, i):
        names = W.param_names(3)

        def f(x, y, *pv):
            ps, vs = list(pv[:6]), pv[6:]
            g = pytensor.grad(xent(mlp(ps, x, pt.tanh), y), ps)
            return pytensor.grad(sum((a * b).sum() for a, b in zip(g, vs)), ps)

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
        ps = [i[k] for k in W.param_names(2)]
        xs = [np.ascontiguousarray(i["x"][:n]) for n in W.SIZE["varying_batch"]["batches"]]
        box = [None]

        def call():
            vs = [var(xs[0], shape=(None, xs[0].shape[1]))] + [var(p) for p in ps]
            f = compile_(vs, mlp(vs[1:], vs[0], relu))
            box[0] = [np.array(f(x, *ps)) for x in xs]

        return Bench(call, lambda: dict(out=np.concatenate(box[0])))

    @reg("mcmc_logp_grad")
    def _(name, i):
        G, _, N = W.SIZE["mcmc_logp_grad"].values()
        x, Z, y, grp = (pt.constant(i[k]) for k in ("x", "Z", "y", "grp"))
        th = var(i["theta"])
        mu, ls = th[:2], th[2:5]
        a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
        sd = pt.exp(ls)
        lp = -0.005 * (mu * mu).sum() + (ls - 0.5 * sd * sd).sum()
        lp -= 0.5 * (((a - mu[0]) / sd[0]) ** 2).sum() + G * ls[0]
        lp -= 0.5 * (((b - mu[1]) / sd[1]) ** 2).sum() + G * ls[1]
        lp -= 0.5 * (beta**2).sum()
        m = a[grp] + b[grp] * x + Z @ beta
        lp -= 0.5 * (((y - m) / sd[2]) ** 2).sum() + N * ls[2]
        f, t, box = compile_([th], [lp, pytensor.grad(lp, th)]), i["theta"], [None]

        def call():
            box[0] = f(t)

        return Bench(call, lambda: dict(zip(["logp", "grad"], box[0])))

    @reg("ceiling_triad")
    def _(name, i):
        raise NotSupported(name)

    return reg
