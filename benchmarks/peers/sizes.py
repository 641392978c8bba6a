"""The sizes of the workloads: the first is of record, the others tell whether it holds elsewhere.

`NAME` is a workload at its first size, `NAME:1` to `NAME:3` at the others: smaller ones, primes
and other odd numbers that no vector, tile or page divides, and a larger or longer one where it is
still quick.
"""

DIGITS = ("batch", "widths")


def each(fields, *values):
    return [dict(zip(fields, v)) for v in values]


SIZES = {
    "tiny_call": each(["n"], (8,), (1,), (37,), (1000,)),
    "elementwise_chain": each(["n"], (1 << 24,), (10_007,), (1_000_003,), (6_291_469,)),
    "black_scholes": each(["n"], (1 << 22,), (1009,), (100_003,), (1_000_003,)),
    "softmax_rows": each(["rows", "columns"], (4096, 1024), (1009, 37), (513, 1001), (64, 50_021)),
    "layernorm_grad": each(["rows", "columns"], (4096, 1024), (1009, 37), (513, 1001), (1531, 769)),
    "sum_squares": each(["n"], (1 << 24,), (10_007,), (1_000_003,), (6_291_469,)),
    "pairwise_dist": each(
        ["rows", "others", "columns"],
        (2000, 500, 16),
        (313, 97, 3),
        (1009, 251, 17),
        (499, 1009, 31),
    ),
    "adam_update": each(["n"], (1 << 22,), (10_007,), (333_667,), (2_500_009,)),
    "logreg_step": each(
        ["batch", "features", "classes"],
        (1797, 64, 10),
        (150, 4, 3),
        (569, 30, 2),
        (4999, 127, 7),
    ),
    "mlp_small_step": each(
        DIGITS,
        (32, (64, 32, 10)),
        (5, (13, 7, 3)),
        (33, (31, 17, 5)),
        (61, (100, 50, 12)),
    ),
    "mlp_step": each(
        DIGITS,
        (128, (784, 512, 512, 10)),
        (50, (300, 200, 100, 10)),
        (67, (509, 251, 127, 7)),
        (97, (1000, 777, 333, 11)),
    ),
    "deep_big_simple_step": each(
        DIGITS,
        (128, (784, 2500, 2000, 1500, 1000, 500, 10)),
        (64, (784, 500, 400, 300, 200, 100, 10)),
        (37, (301, 1201, 907, 601, 307, 101, 13)),
        (101, (1001, 1501, 1201, 901, 601, 301, 11)),
    ),
    "lenet_step": each(
        ["batch", "side", "channels", "width"],
        (64, 28, (20, 50), 500),
        (7, 28, (6, 16), 120),
        (33, 32, (13, 29), 127),
        (50, 40, (16, 32), 256),
    ),
    "resnet_block_step": each(
        ["batch", "channels", "side"],
        (32, 64, 32),
        (3, 32, 17),
        (5, 48, 28),
        (7, 100, 14),
    ),
    "lstm_step": each(
        ["T", "B", "I", "H"],
        (64, 32, 64, 128),
        (20, 1, 13, 32),
        (33, 17, 50, 100),
        (100, 8, 31, 77),
    ),
    "transformer_block_step": each(
        ["B", "S", "D", "H"],
        (8, 128, 256, 8),
        (2, 50, 96, 6),
        (3, 197, 192, 3),
        (1, 333, 320, 5),
    ),
    "recurrence_1e6": each(["n"], (1_000_000,), (1009,), (99_991,), (2_000_003,)),
    "hvp": each(
        DIGITS,
        (256, (64, 128, 128, 10)),
        (50, (13, 32, 16, 3)),
        (569, (30, 65, 33, 2)),
        (101, (100, 201, 150, 10)),
    ),
    "varying_batch": each(
        ["batches", "widths"],
        (tuple(range(1, 250, 8)), (784, 512, 10)),
        ((2, 3, 7, 13, 29, 37, 53, 61, 79, 97, 113, 128, 149, 181, 211, 251), (784, 512, 10)),
        ((1, 5, 11, 23, 31, 47, 64, 83, 101, 127, 151, 173, 199, 227, 256, 263), (301, 1203, 7)),
        ((100, 101, 128, 150, 191, 200, 256, 300, 333, 400, 450, 500), (1000, 257, 33)),
    ),
    "mcmc_logp_grad": each(
        ["groups", "slopes", "n"],
        (8, 9, 1000),
        (3, 2, 101),
        (5, 31, 333),
        (20, 5, 5003),
    ),
    "ceiling_sgemm": each(["n"], (2048,)),
    "ceiling_divide": each(["n"], (1 << 13,)),
    "ceiling_triad": each(["n"], (1 << 26,)),
}
# rows whose time depends on how the memory of large new arrays is found
LARGE = [
    "elementwise_chain",
    "black_scholes",
    "softmax_rows",
    "layernorm_grad",
    "adam_update",
    "recurrence_1e6",
]
HUGE = "+hugepages"  # at the end of a workload's name: malloc asks for huge pages


def parts(workload):
    """The name, which of its sizes, and whether with huge pages."""
    plain = workload.removesuffix(HUGE)
    name, _, which = plain.partition(":")
    return name, int(which or 0), plain != workload


def size_of(workload):
    name, which, _ = parts(workload)
    return SIZES[name][which]


def others(name):
    return [f"{name}:{k}" for k in range(1, len(SIZES[name]))]


def shown(workload):
    """A size in words: `batch 32, widths 64-32-10`."""

    def text(value):
        if not isinstance(value, tuple):
            return f"{value:,}" if value > 9999 else str(value)
        if len(value) > 8:
            return f"{value[0]}, {value[1]} ... {value[-1]} ({len(value)})"
        return "-".join(map(str, value))

    return ", ".join(f"{k} {text(v)}" for k, v in size_of(workload).items())
