"""Writes truth_layers.npz: what PyTorch computes, in float64, for the layers it has too.

    python tests/layers/make_layer_truth.py        (needs torch; the tests do not)

For each case: the inputs, the weights in the layout of graphc.layers, the result y, and the
gradients of sum(y * c) with c = cos(0, 1, 2, ...).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

torch.set_default_dtype(torch.float64)
Arrays = list[np.ndarray]
CASES: dict[str, Arrays] = {}


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


def last(x: torch.Tensor) -> torch.Tensor:
    """Channels last."""
    return x.movedim(1, -1)


def same(x: torch.Tensor) -> torch.Tensor:
    return x


def kernel(w: torch.Tensor) -> torch.Tensor:
    """[out, in, k...] -> [k..., in, out]"""
    return w.movedim(0, -1).movedim(0, -2)


def case(
    name: str,
    inputs: list[torch.Tensor],
    weights: Sequence[tuple[Any, Callable[[Any], Any]]],
    y: torch.Tensor,
    layout: Callable[[torch.Tensor], torch.Tensor] = same,
) -> None:
    y = layout(y)
    c = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)
    leaves = [x for x in inputs if x.is_floating_point()] + [w for w, _ in weights]
    grads = torch.autograd.grad((y * c).sum(), leaves, retain_graph=True)
    shown: list[Any] = [layout(x) for x in inputs]
    count = len(inputs) - sum(not x.is_floating_point() for x in inputs)
    shown += [change(w) for w, change in weights] + [y] + [layout(g) for g in grads[:count]]
    shown += [change(g) for (_, change), g in zip(weights, grads[count:], strict=True)]
    CASES[name] = [array.detach().numpy() for array in shown]


def shake(module: nn.Module) -> nn.Module:
    """Weights that are not 0 or 1."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module


def convolutions() -> None:
    for name, module, shape, change in [
        ("conv1d", nn.Conv1d(3, 4, 3, dilation=2), (2, 3, 8), kernel),
        ("conv2d_strides", nn.Conv2d(3, 4, 3, stride=2), (2, 3, 7, 6), kernel),
        ("conv2d_same", nn.Conv2d(2, 4, 3, padding="same"), (2, 2, 5, 4), kernel),
        ("conv2d_groups", nn.Conv2d(4, 6, 2, groups=2), (2, 4, 4, 4), kernel),
        ("conv3d", nn.Conv3d(2, 3, 2), (1, 2, 3, 4, 3), kernel),
        ("conv1d_transpose", nn.ConvTranspose1d(3, 2, 3, stride=2), (2, 3, 4), kernel),
        ("conv2d_transpose", nn.ConvTranspose2d(3, 2, 3, stride=2), (2, 3, 3, 4), kernel),
    ]:
        x, module = random(*shape), shake(module)
        weights = [(module.weight, change), (module.bias, same)]
        case(name, [x], weights, module(x), last)
    x, depth = random(2, 3, 5, 4), shake(nn.Conv2d(3, 6, 3, groups=3))
    flat = [(depth.weight, lambda w: w.reshape(3, 2, 3, 3).permute(2, 3, 0, 1)), (depth.bias, same)]
    case("depthwise", [x], flat, depth(x), last)
    depth, point = shake(nn.Conv2d(3, 6, 2, groups=3, bias=False)), shake(nn.Conv2d(6, 4, 1))
    both = [
        (depth.weight, lambda w: w.reshape(3, 2, 2, 2).permute(2, 3, 0, 1)),
        (point.weight, kernel),
        (point.bias, same),
    ]
    case("separable", [x], both, point(depth(x)), last)


def pools() -> None:
    x = random(2, 3, 6, 5)
    case("max_pool", [x], [], functional.max_pool2d(x, (2, 3), (2, 1)), last)
    case("average_pool", [x], [], functional.avg_pool2d(x, 2), last)
    case("global_max", [x], [], x.amax((2, 3)).reshape(2, 3, 1, 1), last)
    case("global_average", [x], [], x.mean((2, 3)).reshape(2, 3, 1, 1), last)
    case("nearest", [x], [], functional.interpolate(x, scale_factor=2), last)
    y = functional.interpolate(x, scale_factor=(3, 2), mode="bilinear", align_corners=False)
    case("bilinear", [x], [], y, last)
    case("zero_padding", [x], [], functional.pad(x, (0, 3, 1, 2)), last)


def norms() -> None:
    x = random(4, 3, 2, 2)
    norm = shake(nn.BatchNorm2d(3, eps=1e-3, momentum=0.1))
    y = norm(x)
    case("batch_norm", [x], [(norm.weight, same), (norm.bias, same)], y, last)
    norm.eval()
    mean, variance = (t.clone().requires_grad_() for t in (norm.running_mean, norm.running_var))
    spread = [t.reshape(-1, 1, 1) for t in (norm.weight, norm.bias, mean, variance)]
    y = (x - spread[2]) / torch.sqrt(spread[3] + 1e-3) * spread[0] + spread[1]
    assert torch.allclose(y, norm(x), rtol=1e-13)
    weights = [(w, same) for w in (norm.weight, norm.bias, mean, variance)]
    case("batch_norm_predict", [x], weights, y, last)
    norm = shake(nn.GroupNorm(2, 4, eps=1e-3))
    x = random(2, 4, 3, 2)
    case("group_norm", [x], [(norm.weight, same), (norm.bias, same)], norm(x), last)
    x, norm = random(3, 2, 5), shake(nn.LayerNorm(5, eps=1e-3))
    case("layer_norm", [x], [(norm.weight, same), (norm.bias, same)], norm(x))
    norm = shake(nn.LayerNorm((2, 5), eps=1e-3))
    case("layer_norm_axes", [x], [(norm.weight, same), (norm.bias, same)], norm(x))
    norm = shake(nn.RMSNorm(5, eps=1e-6))
    case("rms_norm", [x], [(norm.weight, same)], norm(x))


def transposed(w: torch.Tensor) -> torch.Tensor:
    return w.T


def gru_order(w: torch.Tensor) -> torch.Tensor:
    """Reset, update, new -> update, reset, new; and features first."""
    r, z, n = w.chunk(3)
    w = torch.cat([z, r, n])
    return w.T if w.ndim == 2 else w


def recurrent() -> None:
    x = random(2, 4, 3)
    for name, module in (
        ("simple_rnn", nn.RNN(3, 5, batch_first=True)),
        ("lstm", nn.LSTM(3, 5, batch_first=True)),
    ):
        shake(module)
        with torch.no_grad():
            module.bias_hh_l0.zero_()  # PyTorch has two biases that are added
        weights = [
            (module.weight_ih_l0, transposed),
            (module.weight_hh_l0, transposed),
            (module.bias_ih_l0, same),
        ]
        y, state = module(x)
        case(name, [x], weights, y)
        case(f"{name}_last", [x], weights, (state[0] if name == "lstm" else state)[0])
    gru = shake(nn.GRU(3, 5, batch_first=True))
    bias = torch.stack([gru.bias_ih_l0, gru.bias_hh_l0]).detach().requires_grad_()
    values = {
        "weight_ih_l0": gru.weight_ih_l0,
        "weight_hh_l0": gru.weight_hh_l0,
        "bias_ih_l0": bias[0],
        "bias_hh_l0": bias[1],
    }
    y = torch.func.functional_call(gru, values, (x,))[0]
    both = lambda b: torch.stack([gru_order(b[0]), gru_order(b[1])])  # noqa: E731
    weights = [(gru.weight_ih_l0, gru_order), (gru.weight_hh_l0, gru_order), (bias, both)]
    case("gru", [x], weights, y)
    pair = shake(nn.LSTM(3, 4, batch_first=True, bidirectional=True))
    with torch.no_grad():
        pair.bias_hh_l0.zero_()
        pair.bias_hh_l0_reverse.zero_()
    weights = [
        (getattr(pair, f"{part}_l0{end}"), transposed if part != "bias_ih" else same)
        for end in ("", "_reverse")
        for part in ("weight_ih", "weight_hh", "bias_ih")
    ]
    case("bidirectional", [x], weights, pair(x)[0])


def dense_and_more() -> None:
    x, dense = random(3, 4, 5), shake(nn.Linear(5, 2))
    y = torch.tanh(dense(x))
    case("dense", [x], [(dense.weight, transposed), (dense.bias, same)], y)
    rows, table = torch.tensor([[1, 0, 3], [3, 3, 2]]), shake(nn.Embedding(4, 3))
    case("embedding", [rows], [(table.weight, same)], table(rows))
    x, slope = random(3, 4), nn.PReLU(4)
    case("prelu", [x], [(slope.weight, same)], slope(x))
    for name, function in {
        "relu": functional.relu,
        "relu6": functional.relu6,
        "elu": functional.elu,
        "selu": functional.selu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "mish": functional.mish,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softplus": functional.softplus,
        "softsign": functional.softsign,
        "softmax": lambda t: functional.softmax(t, -1),
        "log_softmax": lambda t: functional.log_softmax(t, -1),
        "hard_silu": functional.hardswish,
        "hard_sigmoid": functional.hardsigmoid,
    }.items():
        x = (random(2, 6) * 3).detach().requires_grad_()
        case(f"activation_{name}", [x], [], function(x))


def attention() -> None:
    heads = lambda w: w.T.reshape(w.shape[1], 2, -1)  # noqa: E731
    grouped = lambda b: b.reshape(2, -1)  # noqa: E731
    out = lambda w: w.T.reshape(2, -1, w.shape[0])  # noqa: E731
    query, value = random(2, 3, 6), random(2, 4, 6)
    module = shake(nn.MultiheadAttention(6, 2, batch_first=True))
    kernels = [w.detach().clone().requires_grad_() for w in module.in_proj_weight.chunk(3)]
    biases = [b.detach().clone().requires_grad_() for b in module.in_proj_bias.chunk(3)]
    values = {
        "in_proj_weight": torch.cat(kernels),
        "in_proj_bias": torch.cat(biases),
        "out_proj.weight": module.out_proj.weight,
        "out_proj.bias": module.out_proj.bias,
    }
    weights: list[Any] = []
    for w, b in zip(kernels, biases, strict=True):
        weights += [(w, heads), (b, grouped)]
    weights += [(module.out_proj.weight, out), (module.out_proj.bias, same)]
    y = torch.func.functional_call(module, values, (query, value, value))[0]
    case("attention", [query, value], weights, y)
    x = random(2, 3, 6)
    mask = torch.ones(3, 3, dtype=torch.bool).triu(1)
    y = torch.func.functional_call(module, values, (x, x, x), {"attn_mask": mask})[0]
    case("attention_causal", [x], weights, y)
    for name, first, activation in (
        ("transformer", False, "relu"),
        ("transformer_norm_first", True, "gelu"),
    ):
        block = shake(
            nn.TransformerEncoderLayer(6, 2, 8, 0.0, activation, batch_first=True, norm_first=first)
        ).train()
        own = dict(block.named_parameters())
        kernels = [
            w.detach().clone().requires_grad_() for w in own["self_attn.in_proj_weight"].chunk(3)
        ]
        biases = [
            b.detach().clone().requires_grad_() for b in own["self_attn.in_proj_bias"].chunk(3)
        ]
        own["self_attn.in_proj_weight"] = torch.cat(kernels)
        own["self_attn.in_proj_bias"] = torch.cat(biases)
        weights = []
        for w, b in zip(kernels, biases, strict=True):
            weights += [(w, heads), (b, grouped)]
        weights += [
            (own["self_attn.out_proj.weight"], out),
            (own["self_attn.out_proj.bias"], same),
            *((own[f"norm{n}.{part}"], same) for n in (1, 2) for part in ("weight", "bias")),
        ]
        for n in (1, 2):
            weights += [(own[f"linear{n}.weight"], transposed), (own[f"linear{n}.bias"], same)]
        case(name, [x], weights, torch.func.functional_call(block, own, (x,)))


def more_convolutions() -> None:
    for name, module, shape in [
        ("conv1d_strides", nn.Conv1d(3, 4, 3, stride=2), (2, 3, 8)),
        ("conv2d_dilation", nn.Conv2d(3, 2, 3, dilation=(2, 1)), (2, 3, 7, 6)),
        ("conv3d_strides", nn.Conv3d(2, 3, 2, stride=(1, 2, 2)), (1, 2, 3, 4, 5)),
        ("conv2d_transpose_more", nn.ConvTranspose2d(3, 2, (2, 3), stride=(1, 3)), (2, 3, 3, 4)),
        ("conv3d_transpose", nn.ConvTranspose3d(2, 3, 2, stride=2), (1, 2, 2, 3, 2)),
    ]:
        x, module = random(*shape), shake(module)
        case(name, [x], [(module.weight, kernel), (module.bias, same)], module(x), last)
    x, module = random(2, 3, 6, 5), shake(nn.Conv2d(3, 4, 3, stride=2))
    case("conv2d_first", [x], [(module.weight, kernel), (module.bias, same)], module(x))
    x, module = random(2, 3, 7), shake(nn.Conv1d(3, 4, 3, dilation=2))
    y = module(functional.pad(x, (4, 0)))
    case("conv1d_causal", [x], [(module.weight, kernel), (module.bias, same)], y, last)
    x, module = random(2, 3, 6, 5), shake(nn.Conv2d(3, 3, 2, stride=2, groups=3, bias=False))
    flat = [(module.weight, lambda w: w.reshape(3, 1, 2, 2).permute(2, 3, 0, 1))]
    case("depthwise_strides", [x], flat, module(x), last)
    x = random(3, 2, 4, 4)
    convs = [
        shake(nn.Conv2d(2, 4, 3, padding=1, bias=False)),
        shake(nn.Conv2d(4, 4, 3, padding=1, bias=False)),
    ]
    norms = [shake(nn.BatchNorm2d(4, eps=1e-3)) for _ in range(3)]
    around = shake(nn.Conv2d(2, 4, 1, bias=False))
    h = torch.relu(norms[0](convs[0](x)))
    y = torch.relu(norms[1](convs[1](h)) + norms[2](around(x)))
    weights: list[Any] = [(conv.weight, kernel) for conv in convs]
    for norm in norms[:2]:
        weights += [(norm.weight, same), (norm.bias, same)]
    weights += [(around.weight, kernel), (norms[2].weight, same), (norms[2].bias, same)]
    case("residual_block", [x], weights, y, last)


def more_pools() -> None:
    x, line, block = random(2, 3, 6, 5), random(2, 3, 7), random(1, 2, 3, 4, 5)
    case("max_pool1d", [line], [], functional.max_pool1d(line, 3, 2), last)
    case("average_pool1d", [line], [], functional.avg_pool1d(line, 2, 1), last)
    case("max_pool3d", [block], [], functional.max_pool3d(block, (2, 2, 3)), last)
    case("average_pool3d", [block], [], functional.avg_pool3d(block, 2, 1), last)
    case("global_max1d", [line], [], line.amax(2, keepdim=True), last)
    case("global_average3d", [block], [], block.mean((2, 3, 4), keepdim=True), last)
    case("nearest1d", [line], [], functional.interpolate(line, scale_factor=3), last)
    case("nearest3d", [block], [], functional.interpolate(block, scale_factor=(1, 2, 2)), last)
    case("cropping", [x], [], functional.pad(x, (-1, -2, -2, 0)), last)
    case("padding1d", [line], [], functional.pad(line, (2, 1)), last)


def more_recurrent() -> None:
    x = random(2, 4, 3)
    states = [random(2, 5), random(2, 5)]
    module = shake(nn.LSTM(3, 5, batch_first=True))
    with torch.no_grad():
        module.bias_hh_l0.zero_()
    weights = [
        (module.weight_ih_l0, transposed),
        (module.weight_hh_l0, transposed),
        (module.bias_ih_l0, same),
    ]
    y = module(x, (states[0][None], states[1][None]))[0]
    case("lstm_state", [x, *states], weights, y)
    case("lstm_backwards", [x], weights, module(x.flip(1))[0])
    relu = shake(nn.RNN(3, 4, nonlinearity="relu", batch_first=True, bias=False))
    weights = [(relu.weight_ih_l0, transposed), (relu.weight_hh_l0, transposed)]
    case("simple_rnn_relu", [x], weights, relu(x)[0])


def more_attention() -> None:
    heads = lambda w: w.T.reshape(w.shape[1], 2, -1)  # noqa: E731
    out = lambda w: w.T.reshape(2, -1, w.shape[0])  # noqa: E731
    query, value, key = random(2, 3, 6), random(2, 4, 4), random(2, 4, 5)
    module = shake(nn.MultiheadAttention(6, 2, kdim=5, vdim=4, bias=False, batch_first=True))
    weights = [
        (module.q_proj_weight, heads),
        (module.k_proj_weight, heads),
        (module.v_proj_weight, heads),
        (module.out_proj.weight, out),
    ]
    case("attention_sizes", [query, value, key], weights, module(query, key, value)[0])
    hides = torch.tensor([[False, False, True, True], [False, True, False, False]])
    y = module(query, key, value, key_padding_mask=hides)[0]
    case("attention_padded", [query, value, key], weights, y)


def more() -> None:
    a, b = random(3, 4), random(3, 4)
    case("add", [a, b], [], a + b)
    case("subtract", [a, b], [], a - b)
    case("multiply", [a, b], [], a * b)
    case("average", [a, b], [], (a + b) / 2)
    case("maximum", [a, b], [], torch.maximum(a, b))
    case("minimum", [a, b], [], torch.minimum(a, b))
    case("concatenate", [a, b], [], torch.cat([a, b], 1))
    case("dot", [a, b], [], (a * b).sum(1, keepdim=True))
    case("cosine", [a, b], [], functional.cosine_similarity(a, b)[:, None])
    x = random(2, 3, 4)
    case("flatten", [x], [], x.reshape(2, -1))
    case("permute", [x], [], x.permute(0, 2, 1))
    case("repeat_vector", [a], [], a[:, None].repeat(1, 3, 1))
    case("softmax_axis", [x], [], functional.softmax(x, 1))
    case("leaky_relu", [x], [], functional.leaky_relu(x, 0.3))
    case("elu_layer", [x], [], functional.elu(x, 0.7))
    x, dense = random(2, 4, 3), shake(nn.Linear(3, 2))
    case("time_distributed", [x], [(dense.weight, transposed), (dense.bias, same)], dense(x))
    x, centers = random(4, 3), random(2, 3)
    gamma = torch.tensor([0.5, 1.5], requires_grad=True)
    y = torch.exp(-gamma * torch.cdist(x, centers) ** 2)
    case("rbf", [x], [(centers, same), (gamma, same)], y)


def main() -> None:
    torch.manual_seed(0)
    for part in (
        dense_and_more,
        convolutions,
        pools,
        norms,
        recurrent,
        attention,
        more_convolutions,
        more_pools,
        more_recurrent,
        more_attention,
        more,
    ):
        part()
    arrays = {f"{name}.{n}": a for name, found in CASES.items() for n, a in enumerate(found)}
    path = Path(__file__).parent / "truth_layers.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{len(CASES)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
