"""Processors other than the one that the tests run on."""

import platform

import llvmlite.binding as llvm
import pytest

from graphc.backends.llvm.target import Target, describe, host


def other_target(name: str) -> Target:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    match name:
        case "sse2":
            return describe("x86_64-unknown-linux-gnu", "x86-64", "", frozenset({"sse2"}))
        case "avx2":
            enabled: tuple[str, ...] = ("avx", "avx2", "fma", "f16c", "bmi", "bmi2")
            features = ",".join(f"+{feature}" for feature in enabled)
            return describe("x86_64-unknown-linux-gnu", "x86-64", features, frozenset(enabled))
        case "avxvnni":
            enabled = ("avx", "avx2", "avxvnni", "fma", "f16c", "bmi", "bmi2")
            features = ",".join(f"+{feature}" for feature in enabled)
            return describe("x86_64-unknown-linux-gnu", "x86-64", features, frozenset(enabled))
        case "avx512":
            enabled = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx2", "fma", "f16c")
            features = ",".join(f"+{feature}" for feature in enabled)
            return describe("x86_64-unknown-linux-gnu", "x86-64-v4", features, frozenset(enabled))
        case "pairs":
            enabled = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512bf16", "avx512vnni")
            enabled = (*enabled, "avx2", "fma", "f16c")
            features = ",".join(f"+{feature}" for feature in enabled)
            return describe("x86_64-unknown-linux-gnu", "x86-64-v4", features, frozenset(enabled))
    return describe("aarch64-unknown-linux-gnu", "", "+neon", frozenset({"neon"}))


def lesser_target(name: str) -> Target:
    """A processor whose code runs here, or the test is skipped."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        pytest.skip("needs an x86-64 processor")
    target = other_target(name)
    if target.vector_bytes > host().vector_bytes:
        pytest.skip("this processor has less")
    return target
