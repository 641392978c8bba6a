"""What the code generator must know of the processor it generates for."""

from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm


@dataclass(frozen=True, slots=True)
class Target:
    """A processor: how LLVM names it, and the few properties that shape the emitted text.

    vector_bytes   width of a native vector register that code should use
    has_fma        fused multiply-add in hardware
    masked_sizes   element sizes in bytes whose masked loads and stores are single instructions
    """

    triple: str
    cpu: str
    features: str
    data_layout: str
    vector_bytes: int
    has_fma: bool
    masked_sizes: frozenset[int]

    def native_lanes(self, element_bytes: int) -> int:
        """Elements of that size in one vector register."""
        return max(1, self.vector_bytes // element_bytes)

    @property
    def function_attributes(self) -> str:
        """What stands behind every function's parameters."""
        if self.vector_bytes == 64:
            return 'nounwind "prefer-vector-width"="512"'
        return "nounwind"

    def machine(self) -> llvm.TargetMachine:
        """A new code generator: optimisation level 2, addresses relative to the code."""
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=2,
            reloc="pic",
            codemodel="small",
            jit=True,
        )


def describe(triple: str, cpu: str, features: str, enabled: frozenset[str]) -> Target:
    """The target of these LLVM names; `enabled` are the features the processor has."""
    x86 = triple.startswith(("x86_64", "i386", "i686"))
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= enabled:
        vector_bytes, masked_sizes = 64, frozenset((1, 2, 4, 8))
    elif "avx2" in enabled:
        vector_bytes, masked_sizes = 32, frozenset((4, 8))
    else:
        vector_bytes, masked_sizes = 16, frozenset[int]()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=2, jit=True
    )
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        data_layout=str(machine.target_data),
        vector_bytes=vector_bytes,
        has_fma="fma" in enabled if x86 else True,
        masked_sizes=masked_sizes,
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
    )
