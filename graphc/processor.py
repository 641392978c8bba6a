"""What passes may know of the processor that code is compiled for: this one."""

from functools import cache

import llvmlite.binding as llvm

PAIRS_SINCE = 17  # version of LLVM whose intrinsics for bfloat16 take vectors of it
WIDE = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})


def has_pairs(features: frozenset[str]) -> bool:
    """Whether one instruction adds the products of pairs of bfloat16 to float32 (AVX512_BF16).

    features: those of a processor, as LLVM calls them.
    """
    return features >= WIDE | {"avx512bf16"} and llvm.llvm_version_info[0] >= PAIRS_SINCE


def has_quads(features: frozenset[str]) -> bool:
    """Whether one instruction adds four products of unsigned and signed 8-bit integers to int32
    (AVX512_VNNI, AVX_VNNI).
    """
    return features >= WIDE | {"avx512vnni"} or features >= {"avx2", "avxvnni"}


@cache
def multiplies_pairs() -> bool:
    """The same of this processor."""
    features = llvm.get_host_cpu_features()
    return has_pairs(frozenset(name for name, present in features.items() if present))
