"""The workloads: one row each, with its sizes, the work done, and the goal.

Each row says what one `call` is. Inputs are already resident in the framework's own arrays when
the clock starts (converted in `build`), except in `mcmc_logp_grad`, whose call takes a numpy vector
and hands numpy back as a sampler would. Training steps update their parameters in place (or by
donation); they are checked after exactly two calls.

Conventions shared by all frameworks: dense layers are x @ W + b with W (in, out); convolutions are
NCHW / OIHW correlations here (a framework may hold another layout and convert in `result`);
cross-entropy is the mean over the batch; momentum is v = mu*v + g, p = p - lr*v; batch-norm uses
the batch's biased variance and eps 1e-5; gelu is the tanh approximation.
"""

import itertools

from workload import SIZE, WORKLOADS, row, sizes

LR, MU, L2 = 0.01, 0.9, 1e-3  # SGD rate, momentum, logreg's L2
LOGREG_LR = 0.1
ADAM = dict(lr=1e-3, b1=0.9, b2=0.999, eps=1e-8)
BS_RATE, BS_VOL = 0.02, 0.3
EPS = 1e-5
LENET_PARAMS = ["k0", "c0", "k1", "c1", "W0", "b0", "W1", "b1"]
RESNET_PARAMS = ["w1", "g1", "b1", "w2", "g2", "b2"]
TR_PARAMS = ["g1", "h1", "Wqkv", "bqkv", "Wo", "bo", "g2", "h2", "Wu", "bu", "Wd", "bd"]
MEAN_GOAL = 0.6  # of the geometric mean over all rows


# Parameters and work of models


def n_layers(name):
    return len(SIZE[name]["widths"]) - 1


def param_names(n):
    return [f"{c}{k}" for k in range(n) for c in "Wb"]


def macs(widths):
    return [a * b for a, b in itertools.pairwise(widths)]


def step_flops(batch, widths):
    m = macs(widths)
    return 2 * batch * (3 * sum(m) - m[0])


def lenet_side(side):
    """Of the pictures after both convolutions and poolings."""
    return ((side - 4) // 2 - 4) // 2


def channels_last(W0, channels):
    """The rows of the first dense layer for features in the order height, width, channel."""
    return W0.reshape(channels, -1, W0.shape[1]).transpose(1, 0, 2).reshape(W0.shape)


def channels_first(W0, channels):
    return W0.reshape(-1, channels, W0.shape[1]).transpose(1, 0, 2).reshape(W0.shape)


def lenet_flops(batch, side, channels, width):
    a, b = channels
    first = (side - 4) ** 2 * a * 25
    second = ((side - 4) // 2 - 4) ** 2 * b * a * 25
    dense = b * lenet_side(side) ** 2 * width + 10 * width
    return 2 * batch * (2 * first + 3 * second + 3 * dense)


def lenet_bytes(batch, side, channels, width):
    a, b = channels
    return 8 * (25 * a + 25 * a * b + b * lenet_side(side) ** 2 * width + 10 * width)


# The rows

LAYERED = ["batch", "widths"]

row(
    "tiny_call",
    "tanh(x*y+1).sum() on (8,); one evaluation",
    sizes(
        ["n"],
        (8,),
        (1,),
        (37,),
        (1000,),
    ),
    flops=lambda n: 4 * n,
    nbytes=lambda n: 8 * n + 4,
    goal=0.2,
)
row(
    "elementwise_chain",
    "relu(a*b+c)*d - 0.5*a over 2**24 floats",
    sizes(
        ["n"],
        (1 << 24,),
        (10_007,),
        (1_000_003,),
        (6_291_469,),
    ),
    flops=lambda n: 6 * n,
    nbytes=lambda n: 5 * 4 * n,
    goal=0.8,
    kind="stream",
    large=True,
)
row(
    "black_scholes",
    "call and put price of 2**22 European options",
    sizes(
        ["n"],
        (1 << 22,),
        (1009,),
        (100_003,),
        (1_000_003,),
    ),
    flops=lambda n: 60 * n,
    nbytes=lambda n: 5 * 4 * n,
    goal=0.8,
    kind="stream",
    large=True,
)
row(
    "softmax_rows",
    "softmax over the rows of (4096, 1024)",
    sizes(
        ["rows", "columns"],
        (4096, 1024),
        (1009, 37),
        (513, 1001),
        (64, 50_021),
    ),
    flops=lambda rows, columns: 5 * rows * columns,
    nbytes=lambda rows, columns: 2 * 4 * rows * columns,
    goal=0.8,
    kind="stream",
    large=True,
)
row(
    "layernorm_grad",
    "layer norm of (4096, 1024) and the gradient of sum(out*g) wrt x, gain and bias; out is "
    "returned too",
    sizes(
        ["rows", "columns"],
        (4096, 1024),
        (1009, 37),
        (513, 1001),
        (1531, 769),
    ),
    flops=lambda rows, columns: 20 * rows * columns,
    nbytes=lambda rows, columns: 4 * 4 * rows * columns,
    goal=0.8,
    kind="stream",
    large=True,
)
row(
    "sum_squares",
    "sum(x*x) and logsumexp(x) over 2**24 floats",
    sizes(
        ["n"],
        (1 << 24,),
        (10_007,),
        (1_000_003,),
        (6_291_469,),
    ),
    flops=lambda n: 5 * n,
    nbytes=lambda n: 4 * n,
    goal=0.8,
    kind="stream",
)
row(
    "pairwise_dist",
    "argmin_j sum_k (x_ik - y_jk)**2, written with broadcasting; x (2000,16), y (500,16)",
    sizes(
        ["rows", "others", "columns"],
        (2000, 500, 16),
        (313, 97, 3),
        (1009, 251, 17),
        (499, 1009, 31),
    ),
    flops=lambda rows, others, columns: 3 * rows * others * columns,
    nbytes=lambda rows, others, columns: 4 * ((rows + others) * columns + rows),
    goal=0.8,
)
row(
    "adam_update",
    "one Adam update of 2**22 parameters (p, m, v in place, bias-corrected, step count kept)",
    sizes(
        ["n"],
        (1 << 22,),
        (10_007,),
        (333_667,),
        (2_500_009,),
    ),
    flops=lambda n: 12 * n,
    nbytes=lambda n: 7 * 4 * n,
    goal=0.8,
    kind="stream",
    large=True,
    calls=2,
)
row(
    "logreg_step",
    "full-batch softmax regression, 1797x64 -> 10, gradient + L2 + SGD update",
    sizes(
        ["batch", "features", "classes"],
        (1797, 64, 10),
        (150, 4, 3),
        (569, 30, 2),
        (4999, 127, 7),
    ),
    flops=lambda batch, features, classes: 4 * batch * features * classes,
    nbytes=lambda batch, features, classes: 4 * batch * features,
    goal=0.6,
    kind="product",
    calls=2,
)
row(
    "mlp_small_step",
    "64-32-10 relu, batch 32, SGD + momentum step",
    sizes(
        LAYERED,
        (32, (64, 32, 10)),
        (5, (13, 7, 3)),
        (33, (31, 17, 5)),
        (61, (100, 50, 12)),
    ),
    flops=step_flops,
    nbytes=lambda batch, widths: 16 * sum(macs(widths)),
    goal=0.4,
    kind="product",
    calls=2,
    norm="l2",
)
row(
    "mlp_step",
    "784-512-512-10 relu, batch 128, cross-entropy, SGD + momentum step",
    sizes(
        LAYERED,
        (128, (784, 512, 512, 10)),
        (50, (300, 200, 100, 10)),
        (67, (509, 251, 127, 7)),
        (97, (1000, 777, 333, 11)),
    ),
    flops=step_flops,
    nbytes=lambda batch, widths: 16 * sum(macs(widths)),
    goal=0.9,
    kind="product",
    calls=2,
    norm="l2",
)
row(
    "deep_big_simple_step",
    "784-2500-2000-1500-1000-500-10 tanh, batch 128, SGD step",
    sizes(
        LAYERED,
        (128, (784, 2500, 2000, 1500, 1000, 500, 10)),
        (64, (784, 500, 400, 300, 200, 100, 10)),
        (37, (301, 1201, 907, 601, 307, 101, 13)),
        (101, (1001, 1501, 1201, 901, 601, 301, 11)),
    ),
    flops=step_flops,
    nbytes=lambda batch, widths: 8 * sum(macs(widths)),
    goal=0.9,
    kind="product",
    calls=2,
)
row(
    "lenet_step",
    "conv5x5x20, maxpool2, tanh, conv5x5x50, maxpool2, tanh, dense500 tanh, dense10 on "
    "(64,1,28,28); SGD step",
    sizes(
        ["batch", "side", "channels", "width"],
        (64, 28, (20, 50), 500),
        (7, 28, (6, 16), 120),
        (33, 32, (13, 29), 127),
        (50, 40, (16, 32), 256),
    ),
    flops=lenet_flops,
    nbytes=lenet_bytes,
    goal=0.9,
    kind="product",
    calls=2,
)
row(
    "resnet_block_step",
    "relu(bn(conv(relu(bn(conv(x)))))+x) with 3x3x64 convolutions on (32,64,32,32), training-"
    "mode batch norm; mean(y*r) and its gradient wrt x and all parameters",
    sizes(
        ["batch", "channels", "side"],
        (32, 64, 32),
        (3, 32, 17),
        (5, 48, 28),
        (7, 100, 14),
    ),
    flops=lambda batch, channels, side: 12 * batch * side**2 * channels**2 * 9,
    nbytes=lambda batch, channels, side: 3 * 4 * batch * channels * side**2,
    goal=0.9,
    kind="product",
    rtol=5e-3,
    norm="l2",
)
row(
    "lstm_step",
    "LSTM (gates i f g o, no initial state), T=64, batch 32, 64 -> 128; mean(h**2) and its "
    "gradient wrt Wx, Wh, b",
    sizes(
        ["T", "B", "I", "H"],
        (64, 32, 64, 128),
        (20, 1, 13, 32),
        (33, 17, 50, 100),
        (100, 8, 31, 77),
    ),
    flops=lambda T, B, I, H: T * 2 * B * 4 * H * (2 * I + 3 * H),  # noqa: E741
    nbytes=lambda T, B, I, H: 4 * (T * B * I + 8 * H * (I + H + 1)),  # noqa: E741
    goal=0.7,
    kind="product",
    rtol=1e-3,
)
row(
    "transformer_block_step",
    "pre-norm block, batch 8, seq 128, d 256, 8 heads, gelu MLP x4, no mask; mean(y*r) and "
    "its gradient wrt all parameters",
    sizes(
        ["B", "S", "D", "H"],
        (8, 128, 256, 8),
        (2, 50, 96, 6),
        (3, 197, 192, 3),
        (1, 333, 320, 5),
    ),
    flops=lambda B, S, D, H: 6 * B * S * (12 * D * D + 2 * S * D),
    nbytes=lambda B, S, D, H: 4 * (2 * B * S * D + 2 * 12 * D * D),
    goal=0.9,
    kind="product",
    rtol=1e-3,
)
row(
    "recurrence_1e6",
    "s = 0.9*s + tanh(x_t + 0.1*s) over 1e6 scalar steps from 0; returns every s",
    sizes(
        ["n"],
        (1_000_000,),
        (1009,),
        (99_991,),
        (2_000_003,),
    ),
    flops=lambda n: 10 * n,
    nbytes=lambda n: 8 * n,
    goal=0.3,
    large=True,
)
row(
    "hvp",
    "Hessian-vector product of the 64-128-128-10 tanh MLP's cross-entropy, batch 256, wrt all "
    "parameters",
    sizes(
        LAYERED,
        (256, (64, 128, 128, 10)),
        (50, (13, 32, 16, 3)),
        (569, (30, 65, 33, 2)),
        (101, (100, 201, 150, 10)),
    ),
    flops=lambda batch, widths: 2 * batch * (8 * sum(macs(widths)) - 5 * macs(widths)[0]),
    nbytes=lambda batch, widths: 12 * sum(macs(widths)),
    goal=0.6,
    kind="product",
    rtol=1e-3,
)
row(
    "varying_batch",
    "784-512-10 relu forward on x[:n] for 32 batch sizes n = 1, 9, ... 249, from a freshly "
    "compiled function, compilation included",
    sizes(
        ["batches", "widths"],
        (tuple(range(1, 250, 8)), (784, 512, 10)),
        ((2, 3, 7, 13, 29, 37, 53, 61, 79, 97, 113, 128, 149, 181, 211, 251), (784, 512, 10)),
        ((1, 5, 11, 23, 31, 47, 64, 83, 101, 127, 151, 173, 199, 227, 256, 263), (301, 1203, 7)),
        ((100, 101, 128, 150, 191, 200, 256, 300, 333, 400, 450, 500), (1000, 257, 33)),
    ),
    flops=lambda batches, widths: 2 * sum(batches) * sum(macs(widths)),
    nbytes=lambda batches, widths: (
        4 * (sum(macs(widths)) + sum(batches) * (widths[0] + widths[-1]))
    ),
    goal=0.8,
    goal_of="torch",
    kind="product",
    once=True,
)
row(
    "mcmc_logp_grad",
    "float64 log-posterior and gradient of a hierarchical linear regression (8 groups, 1000 "
    "observations, 30 parameters in one vector); numpy in, numpy out",
    sizes(
        ["groups", "slopes", "n"],
        (8, 9, 1000),
        (3, 2, 101),
        (5, 31, 333),
        (20, 5, 5003),
    ),
    flops=lambda groups, slopes, n: n * (4 * slopes + 20),
    nbytes=lambda groups, slopes, n: 8 * n * (slopes + 3),
    goal=0.3,
    rtol=1e-9,
)

# Ceilings: what the machine can do

row(
    "ceiling_sgemm",
    "2048^3 float32 matrix product",
    sizes(["n"], (2048,)),
    flops=lambda n: 2 * n**3,
    nbytes=lambda n: 3 * 4 * n**2,
    kind="ceiling",
)
row(
    "ceiling_triad",
    "a = b + 3*c in place over 2**26 floats (12 bytes counted per element)",
    sizes(["n"], (1 << 26,)),
    flops=lambda n: 2 * n,
    nbytes=lambda n: 12 * n,
    kind="ceiling",
)
row(
    "ceiling_divide",
    "a / b over 2**13 floats that stay in the cache (divisions are counted)",
    sizes(["n"], (1 << 13,)),
    flops=lambda n: n,
    nbytes=lambda n: 12 * n,
    kind="ceiling",
)

CEILINGS = [name for name, w in WORKLOADS.items() if w.kind == "ceiling"]
ORDER = [name for name in WORKLOADS if name not in CEILINGS]
