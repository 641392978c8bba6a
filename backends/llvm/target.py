"""What the code generator must know of the processor it generates for."""

from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm

from graphc.processor import WIDE, has_pairs, has_quads

LINE = 64  # bytes of a line of a cache
CACHE_BYTES = 32 << 20  # of a processor that does not say
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Target(NamedTuple):
    """A processor: how LLVM names it, and the few properties that shape the emitted text.

    vector_bytes   width of a native vector register that code should use
    has_fma        fused multiply-add in hardware
    masked_sizes   element sizes in bytes whose masked loads and stores are single instructions
    cache_bytes    size of the last-level cache
    has_pairs      one instruction adds the products of pairs of bfloat16 to float32
    has_quads      one instruction adds four products of unsigned and signed bytes to int32
    """

    triple: str
    cpu: str
    features: str
    data_layout: str
    vector_bytes: int
    has_fma: bool
    masked_sizes: frozenset[int]
    cache_bytes: int = CACHE_BYTES
    has_pairs: bool = False
    has_quads: bool = False

    def native_lanes(self, element_bytes: int) -> int:
        """Elements of that size in one vector register."""
        return max(1, self.vector_bytes // element_bytes)

    @property
    def function_attributes(self) -> str:
        """What stands behind every function's parameters."""
        if self.vector_bytes == 64:
            return 'nounwind "prefer-vector-width"="512"'
        return "nounwind"

    @property
    def has_avx512(self) -> bool:
        """Whether instructions take floats apart and put them together, see text.py."""
        return self.vector_bytes == 64

    @property
    def has_masked_stores(self) -> bool:
        """Whether a masked store takes no longer than a whole one. AMD's of AVX2 do."""
        return self.vector_bytes == 64

    @property
    def has_gathers(self) -> bool:
        """Whether one instruction for an address per lane beats a load for each lane.

        On AMD's processors with AVX-512 it takes two to five times as long.
        """
        return self.vector_bytes == 64 and not self.cpu.startswith("znver")

    @property
    def is_x86(self) -> bool:
        return is_x86(self.triple)

    def machine(self, level: int) -> llvm.TargetMachine:
        """A new code generator of an optimisation level; addresses are relative to the code."""
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=level,
            reloc="pic",
            codemodel="small",
            jit=True,
        )


def is_x86(triple: str) -> bool:
    return triple.startswith(("x86_64", "i386", "i686"))


def describe(
    triple: str,
    cpu: str,
    features: str,
    enabled: frozenset[str],
    cache_bytes: int = CACHE_BYTES,
) -> Target:
    """The target of these LLVM names; `enabled` are the features the processor has."""
    x86 = is_x86(triple)
    if enabled >= WIDE:
        vector_bytes, masked_sizes = 64, frozenset((1, 2, 4, 8))
    elif "avx2" in enabled:
        vector_bytes, masked_sizes = 32, frozenset((4, 8))
    else:
        vector_bytes, masked_sizes = 16, frozenset[int]()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=0, jit=True
    )
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        data_layout=str(machine.target_data),
        vector_bytes=vector_bytes,
        has_fma="fma" in enabled if x86 else True,
        masked_sizes=masked_sizes,
        cache_bytes=cache_bytes,
        has_pairs=has_pairs(enabled),
        has_quads=has_quads(enabled),
    )


@cache
def host() -> Target:
    """The processor of this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    return describe(
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        features.flatten(),
        frozenset(name for name, present in features.items() if present),
        _cache_bytes(),
    )


def _cache_bytes() -> int:
    """The size of the largest cache; of a very large one, which others share, the usual part."""
    words = []
    with suppress(OSError):
        for number in count():
            file = Path(f"/sys/devices/system/cpu/cpu0/cache/index{number}/size")
            words.append(file.read_text().strip())
    sizes = [int(w[:-1]) * UNITS[w[-1]] for w in words if w[:-1].isdigit() and w[-1] in UNITS]
    return min(max(sizes, default=CACHE_BYTES), 2 * CACHE_BYTES)
