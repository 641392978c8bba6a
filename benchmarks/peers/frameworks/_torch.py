"""Torch, eager and compiled, from one set of definitions."""

import os

import numpy as np
import torch
import torch.nn.functional as F
import workloads as W

from frameworks.common import Bench, NotSupported, Registry

THREADS = int(os.environ.get("BENCH_THREADS", "0"))
if THREADS:
    torch.set_num_threads(THREADS)
VERSION = torch.__version__


def ten(a):
    return torch.from_numpy(np.ascontiguousarray(a).copy())


def num(t):
    return t.detach().numpy().copy()


def make(compiled):
    reg = Registry()
    comp = torch.compile if compiled else (lambda f, **k: f)

    def fn(f, names, *args):
        """No gradient wanted: a function of resident tensors."""
        f, args, box = comp(f), [ten(a) for a in args], [None]
        many = len(names) > 1

        def call():
            with torch.inference_mode():
                box[0] = f(*args)

        return Bench(call, lambda: dict(zip(names, map(num, box[0] if many else box))))

    def grad_fn(f, names, wrt, args):
        """loss = f(*wrt, *args) and its gradients wrt `wrt`."""
        wrt, args, box = [ten(a) for a in wrt], [ten(a) for a in args], [None]
        if compiled:
            g = torch.compile(torch.func.grad_and_value(f, tuple(range(len(wrt)))))

            def call():
                with torch.no_grad():
                    gs, v = g(*wrt, *args)
                box[0] = (v, *gs)
        else:
            for p in wrt:
                p.requires_grad_()

            def call():
                v = f(*wrt, *args)
                box[0] = (v, *torch.autograd.grad(v, wrt))

        return Bench(call, lambda: dict(zip(names, map(num, box[0]))))

    def stepper(loss, names, params, data, lr, mu=0.0):
        """One SGD step of loss(params, *data), in place."""
        ps, data, box = [ten(a) for a in params], [ten(a) for a in data], [0]
        if compiled:
            g = torch.func.grad_and_value(loss)
            ms = [torch.zeros_like(p) for p in ps] if mu else []

            @torch.compile
            def step(ps, ms, *data):
                gs, v = g(ps, *data)
                for k, (p, d) in enumerate(zip(ps, gs)):
                    if mu:
                        d = ms[k].mul_(mu).add_(d)
                    p.sub_(lr * d)
                return v

            def call():
                with torch.no_grad():
                    box[0] = step(ps, ms, *data)
        else:
            for p in ps:
                p.requires_grad_()
            opt = torch.optim.SGD(ps, lr=lr, momentum=mu, fused=True)

            def call():
                opt.zero_grad(set_to_none=True)
                v = loss(ps, *data)
                v.backward()
                opt.step()
                box[0] = v

        return Bench(call, lambda: dict(loss=num(box[0]), **{k: num(p) for k, p in zip(names, ps)}))

    @reg("tiny_call")
    def _(name, i):
        return fn(lambda x, y: torch.tanh(x * y + 1).sum(), ["out"], i["x"], i["y"])

    @reg("elementwise_chain")
    def _(name, i):
        return fn(
            lambda a, b, c, d: torch.relu(a * b + c) * d - 0.5 * a, ["out"], *(i[k] for k in "abcd")
        )

    @reg("black_scholes")
    def _(name, i):
        def f(S, K, T):
            vs = W.BS_VOL * torch.sqrt(T)
            d1 = (torch.log(S / K) + (W.BS_RATE + 0.5 * W.BS_VOL**2) * T) / vs
            c1 = 0.5 + 0.5 * torch.erf(d1 * 0.5**0.5)
            c2 = 0.5 + 0.5 * torch.erf((d1 - vs) * 0.5**0.5)
            e = K * torch.exp(-W.BS_RATE * T)
            return S * c1 - e * c2, e * (1 - c2) - S * (1 - c1)

        return fn(f, ["call", "put"], i["S"], i["K"], i["T"])

    @reg("softmax_rows")
    def _(name, i):
        return fn(lambda x: torch.softmax(x, -1), ["out"], i["x"])

    @reg("layernorm_grad")
    def _(name, i):
        x, g, gain, bias = (ten(i[k]) for k in ("x", "g", "gain", "bias"))
        wrt, box = [x, gain, bias], [None]
        if compiled:

            @torch.compile
            def f(x, gain, bias, g):
                out, back = torch.func.vjp(
                    lambda *a: F.layer_norm(a[0], (len(i["gain"]),), a[1], a[2], W.EPS),
                    x,
                    gain,
                    bias,
                )
                return out, *back(g)

            def call():
                with torch.no_grad():
                    box[0] = f(x, gain, bias, g)
        else:
            for p in wrt:
                p.requires_grad_()

            def call():
                out = F.layer_norm(x, (len(i["gain"]),), gain, bias, W.EPS)
                box[0] = (out, *torch.autograd.grad(out, wrt, g))

        return Bench(call, lambda: dict(zip(["out", "dx", "dgain", "dbias"], map(num, box[0]))))

    @reg("sum_squares")
    def _(name, i):
        return fn(lambda x: ((x * x).sum(), torch.logsumexp(x, 0)), ["sumsq", "lse"], i["x"])

    @reg("pairwise_dist")
    def _(name, i):
        return fn(
            lambda x, y: ((x[:, None] - y[None]) ** 2).sum(-1).argmin(1), ["argmin"], i["x"], i["y"]
        )

    @reg("adam_update")
    def _(name, i):
        a = W.ADAM
        p, g = ten(i["p"]), ten(i["g"])
        if compiled:
            m, v = torch.zeros_like(p), torch.zeros_like(p)
            t = torch.zeros(())

            @torch.compile
            def step(p, m, v, t, g):
                t.add_(1)
                m.mul_(a["b1"]).add_((1 - a["b1"]) * g)
                v.mul_(a["b2"]).add_((1 - a["b2"]) * g * g)
                c1, c2 = 1 - a["b1"] ** t, 1 - a["b2"] ** t
                p.sub_(a["lr"] * (m / c1) / (torch.sqrt(v / c2) + a["eps"]))

            def call():
                with torch.no_grad():
                    step(p, m, v, t, g)

            return Bench(call, lambda: dict(p=num(p), m=num(m), v=num(v)))
        p.requires_grad_()
        p.grad = g
        opt = torch.optim.Adam([p], lr=a["lr"], betas=(a["b1"], a["b2"]), eps=a["eps"], fused=True)

        def result():
            s = opt.state[p]
            return dict(p=num(p), m=num(s["exp_avg"]), v=num(s["exp_avg_sq"]))

        return Bench(opt.step, result)

    @reg("logreg_step")
    def _(name, i):
        def loss(p, x, y):
            return F.cross_entropy(torch.addmm(p[1], x, p[0]), y) + W.L2 / 2 * (p[0] * p[0]).sum()

        return stepper(loss, ["W", "b"], [i["W"], i["b"]], [i["x"], i["y"]], W.LOGREG_LR)

    def mlp(p, x, act):
        n = len(p) // 2
        for k in range(n):
            x = torch.addmm(p[2 * k + 1], x, p[2 * k])
            if k < n - 1:
                x = act(x)
        return x

    @reg("mlp_small_step", "mlp_step", "deep_big_simple_step")
    def _(name, i):
        names = W.param_names(W.n_layers(name))
        deep = name.startswith("deep")
        act = torch.tanh if deep else torch.relu
        return stepper(
            lambda p, x, y: F.cross_entropy(mlp(p, x, act), y),
            names,
            [i[k] for k in names],
            [i["x"], i["y"]],
            W.LR,
            0.0 if deep else W.MU,
        )

    @reg("lenet_step")
    def _(name, i):
        def loss(p, x, y):
            k0, c0, k1, c1, W0, b0, W1, b1 = p
            h = torch.tanh(F.max_pool2d(F.conv2d(x, k0, c0), 2))
            h = torch.tanh(F.max_pool2d(F.conv2d(h, k1, c1), 2))
            h = torch.tanh(torch.addmm(b0, h.flatten(1), W0))
            return F.cross_entropy(torch.addmm(b1, h, W1), y)

        return stepper(loss, W.LENET_PARAMS, [i[k] for k in W.LENET_PARAMS], [i["x"], i["y"]], W.LR)

    @reg("resnet_block_step")
    def _(name, i):
        def bn(x, g, b):
            return F.batch_norm(x, None, None, g, b, training=True, eps=W.EPS)

        def loss(x, w1, g1, b1, w2, g2, b2, r):
            h = torch.relu(bn(F.conv2d(x, w1, padding=1), g1, b1))
            y = torch.relu(bn(F.conv2d(h, w2, padding=1), g2, b2) + x)
            return (y * r).mean()

        ks = ["x", *W.RESNET_PARAMS]
        return grad_fn(loss, ["loss"] + ["d" + k for k in ks], [i[k] for k in ks], [i["r"]])

    @reg("lstm_step")
    def _(name, i):
        s = W.SIZE["lstm_step"]
        if not compiled:
            net = torch.nn.LSTM(s["I"], s["H"])
            with torch.no_grad():
                net.weight_ih_l0.copy_(ten(i["Wx"].T))
                net.weight_hh_l0.copy_(ten(i["Wh"].T))
                net.bias_ih_l0.copy_(ten(i["b"]))
                net.bias_hh_l0.zero_()
            net.bias_hh_l0.requires_grad_(False)
            wrt = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0]
            x, box = ten(i["x"]), [None]

            def call():
                h, _ = net(x)
                v = (h * h).mean()
                box[0] = (v, *torch.autograd.grad(v, wrt))

            def result():
                v, a, b, c = map(num, box[0])
                return dict(loss=v, dWx=a.T, dWh=b.T, db=c)

            return Bench(call, result)

        def loss(Wx, Wh, b, x):
            h = c = x.new_zeros(s["B"], s["H"])
            xw, total = x @ Wx + b, 0.0
            for t in range(s["T"]):
                ig, fg, gg, og = torch.addmm(xw[t], h, Wh).chunk(4, -1)
                c = torch.sigmoid(fg) * c + torch.sigmoid(ig) * torch.tanh(gg)
                h = torch.sigmoid(og) * torch.tanh(c)
                total = total + (h * h).sum()
            return total / (s["T"] * s["B"] * s["H"])

        return grad_fn(
            loss, ["loss", "dWx", "dWh", "db"], [i[k] for k in ("Wx", "Wh", "b")], [i["x"]]
        )

    @reg("transformer_block_step")
    def _(name, i):
        B, S, D, H = W.SIZE["transformer_block_step"].values()

        def loss(g1, h1, Wqkv, bqkv, Wo, bo, g2, h2, Wu, bu, Wd, bd, x, r):
            q = F.layer_norm(x, (D,), g1, h1, W.EPS) @ Wqkv + bqkv
            q, k, v = q.view(B, S, 3, H, D // H).permute(2, 0, 3, 1, 4)
            if compiled:  # func.grad of the fused op has no batching rule
                a = torch.softmax(q @ k.transpose(-1, -2) * (D // H) ** -0.5, -1)
                o = a @ v
            else:
                o = F.scaled_dot_product_attention(q, k, v)
            x = x + o.transpose(1, 2).reshape(B, S, D) @ Wo + bo
            u = F.gelu(F.layer_norm(x, (D,), g2, h2, W.EPS) @ Wu + bu, approximate="tanh")
            return ((x + u @ Wd + bd) * r).mean()

        return grad_fn(
            loss,
            ["loss"] + ["d" + k for k in W.TR_PARAMS],
            [i[k] for k in W.TR_PARAMS],
            [i["x"], i["r"]],
        )

    @reg("recurrence_1e6")
    def _(name, i):
        raise NotSupported("a python loop")

    @reg("hvp")
    def _(name, i):
        names = W.param_names(3)
        ps = [ten(i[k]) for k in names]
        vs = [ten(i["v" + k]) for k in names]
        x, y, box = ten(i["x"]), ten(i["y"]), [None]

        def loss(ps):
            return F.cross_entropy(mlp(ps, x, torch.tanh), y)

        if compiled:

            @torch.compile
            def f(ps, vs):
                return torch.func.jvp(torch.func.grad(loss), (ps,), (vs,))[1]

            def call():
                with torch.no_grad():
                    box[0] = f(ps, vs)
        else:
            for p in ps:
                p.requires_grad_()

            def call():
                g = torch.autograd.grad(loss(ps), ps, create_graph=True)
                box[0] = torch.autograd.grad(g, ps, vs)

        return Bench(call, lambda: {"h" + k: num(a) for k, a in zip(names, box[0])})

    @reg("varying_batch")
    def _(name, i):
        x, *ps = (ten(i[k]) for k in ["x", *W.param_names(2)])
        xs, box = [x[:n].clone() for n in W.SIZE["varying_batch"]["batches"]], [None]
        if compiled:
            import torch._inductor.config as cfg

            cfg.force_disable_caches = True

        def call():
            if compiled:
                torch._dynamo.reset()
            f = comp(lambda x, *p: mlp(p, x, torch.relu))
            with torch.inference_mode():
                box[0] = [f(v, *ps) for v in xs]

        return Bench(call, lambda: dict(out=torch.cat(box[0]).numpy()))

    @reg("mcmc_logp_grad")
    def _(name, i):
        G, _, N = W.SIZE["mcmc_logp_grad"].values()
        x, Z, y, grp = (ten(i[k]) for k in ("x", "Z", "y", "grp"))

        def logp(th):
            mu, ls = th[:2], th[2:5]
            a, b, beta = th[5 : 5 + G], th[5 + G : 5 + 2 * G], th[5 + 2 * G :]
            sd = torch.exp(ls)
            lp = -0.005 * (mu * mu).sum() + (ls - 0.5 * sd * sd).sum()
            za, zb = (a - mu[0]) / sd[0], (b - mu[1]) / sd[1]
            lp = lp - 0.5 * (za * za).sum() - G * ls[0]
            lp = lp - 0.5 * (zb * zb).sum() - G * ls[1]
            lp = lp - 0.5 * (beta * beta).sum()
            z = (y - (a[grp] + b[grp] * x + Z @ beta)) / sd[2]
            return lp - 0.5 * (z * z).sum() - N * ls[2]

        th, box = i["theta"], [None]
        if compiled:
            f = torch.compile(torch.func.grad_and_value(logp))

            def call():
                with torch.no_grad():
                    g, v = f(torch.from_numpy(th))
                box[0] = v.item(), g.numpy()
        else:

            def call():
                t = torch.from_numpy(th).requires_grad_()
                v = logp(t)
                box[0] = v.item(), torch.autograd.grad(v, t)[0].numpy()

        return Bench(call, lambda: dict(zip(["logp", "grad"], box[0])))

    if not compiled:

        @reg("ceiling_sgemm")
        def _(name, i):
            a, b = ten(i["a"]), ten(i["b"])
            out = torch.empty_like(a)
            return Bench(lambda: torch.mm(a, b, out=out), lambda: dict(out=num(out)))

        @reg("ceiling_triad")
        def _(name, i):
            b, c = torch.from_numpy(i["b"]), torch.from_numpy(i["c"])
            a = torch.empty_like(b)
            return Bench(
                lambda: torch.add(b, c, alpha=3.0, out=a),
                lambda: dict(head=num(a[:1000]), tail=num(a[-1000:])),
            )

    return reg
