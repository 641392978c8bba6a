"""Accuracy and speed of the inline elementary functions, on this machine, in one run.

    python benchmarks/ulp.py              all functions
    python benchmarks/ulp.py exp sin      some of them

One line a function and dtype: instructions of IR, largest error in units in the last place (also
numpy's), nanoseconds per element on one thread (also numpy's) at the native vector width, and
milliseconds to compile a loop with it. The reference is numpy in extended precision (mpmath for
erf in float64): on machines where longdouble is float64, float64 errors cannot be measured.
"""

import argparse
import ctypes
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import mpmath
import numpy as np
import scipy.special

from graphc.backends.llvm.text import module_text
from graphc.backends.llvm.vector_math import EMITTERS
from graphc.backends.llvm.vector_math.sample import TWO_ARGUMENTS, sample_function

Array = np.ndarray[Any, Any]

DTYPES: dict[str, Any] = {"float": np.float32, "double": np.float64}
SIZE = 1 << 16  # elements timed: in the second-level cache
ACCURACY_SIZE = 1 << 18


def numpy_function(name: str) -> Callable[..., Array]:
    if name == "erf":
        return scipy.special.erf  # type: ignore[no-any-return]
    if name == "sigmoid":
        return scipy.special.expit  # type: ignore[no-any-return]
    return getattr(np, {"pow": "power"}.get(name, name))  # type: ignore[no-any-return]


def exact(name: str, arguments: tuple[Array, ...]) -> Array:
    if name == "erf":
        if arguments[0].dtype == np.float32:
            return np.asarray(scipy.special.erf(arguments[0].astype(np.float64)), np.longdouble)
        with mpmath.workprec(80):
            values = [mpmath.nstr(mpmath.erf(mpmath.mpf(v)), 25) for v in arguments[0].tolist()]
        return np.array([np.longdouble(v) for v in values])
    wide = [a.astype(np.longdouble) for a in arguments]
    if name == "sigmoid":
        power = np.exp(-np.abs(wide[0]))
        return np.asarray(np.where(wide[0] < 0, power, 1) / (1 + power))
    return numpy_function(name)(*wide)


def samples(name: str, type: str, size: int) -> list[tuple[Array, ...]]:
    """Where accuracy is measured: ranges that lie where the function is finite."""
    rng = np.random.default_rng(3)
    single = type == "float"
    dtype = DTYPES[type]
    top, bottom = (88.7, -103.0) if single else (709.7, -744.0)
    tiny = -87.0 if single else -708.0
    digits = -16.0 if single else -36.0

    def uniform(low: float, high: float) -> Array:
        return np.asarray(rng.uniform(low, high, size), dtype)

    def spread(low: float, high: float) -> Array:
        return np.asarray(np.exp(rng.uniform(low, high, size)), dtype)

    def signed(low: float, high: float) -> Array:
        return np.asarray(spread(low, high) * rng.choice(np.array([-1, 1], dtype), size))

    if name == "atan2":
        return [(signed(-5, 5), signed(-5, 5)), (uniform(-1, 1), uniform(-1, 1))]
    if name == "pow":
        base = spread(-1, 1)
        exponent = rng.uniform(bottom, top, size) / np.log(base.astype(np.float64))
        return [(base, exponent.astype(dtype)), (spread(-5, 5), uniform(-8, 8))]
    one: dict[str, list[Array]] = {
        "exp": [uniform(bottom, top), uniform(-1, 1)],
        "exp2": [uniform(bottom * 1.44, top * 1.44), uniform(-1, 1)],
        "expm1": [uniform(-40, top), uniform(-1, 1), signed(-40, 0)],
        "sigmoid": [uniform(bottom, -bottom), uniform(-5, 5)],
        "log1p": [uniform(-0.999, 2), signed(-40, -1), spread(0, top)],
        "asin": [uniform(-1, 1), signed(-40, 0), 1 - spread(digits, -0.5)],
        "atan": [uniform(-3, 3), signed(tiny, top)],
        "tanh": [uniform(-10, 10), uniform(-1, 1), signed(-40, 3)],
        "asinh": [uniform(-3, 3), signed(tiny, top)],
        "acosh": [1 + spread(digits, 2), spread(0, top)],
        "atanh": [uniform(-1, 1), signed(-40, -1)],
        "erf": [uniform(-6, 6), uniform(-1.2, 1.2)],
        "cbrt": [signed(bottom, top)],
    }
    one["acos"] = one["asin"]
    for alias in ("log", "log2", "log10"):
        one[alias] = [spread(bottom, top), uniform(0.4, 2.1), 1 + signed(digits, -1)]
    for alias in ("sin", "cos", "tan"):
        one[alias] = [uniform(-10, 10), uniform(-1e5, 1e5), signed(0, top)]
    for alias in ("sinh", "cosh"):
        one[alias] = [uniform(-top, top), uniform(-2, 2), signed(-40, 1)]
    return [(x,) for x in one[name]]


def timed(name: str, type: str) -> tuple[Array, ...]:
    """Where speed is measured: everyday values."""
    rng = np.random.default_rng(4)
    low, high = {
        "acosh": (1.0, 20.0),
        "asin": (-1.0, 1.0),
        "acos": (-1.0, 1.0),
        "atanh": (-1.0, 1.0),
    }.get(name, (0.01, 20.0))
    x = rng.uniform(low, high, SIZE).astype(DTYPES[type])
    if name in TWO_ARGUMENTS:
        return x, rng.uniform(-4, 4, SIZE).astype(DTYPES[type])
    return (x,)


def largest_error(got: Array, reference: Array) -> float:
    rounded = reference.astype(got.dtype)
    unit = np.spacing(np.abs(rounded)).astype(np.longdouble)
    errors = np.abs(got.astype(np.longdouble) - reference) / unit
    return float(np.nanmax(np.where(np.isfinite(rounded), errors, 0)))


def nanoseconds(call: Callable[[], object]) -> float:
    """Per element: the least of several runs, of the time this thread was running."""
    call()
    best = float("inf")
    for _ in range(9):
        start = time.thread_time()
        for _ in range(4):
            call()
        best = min(best, (time.thread_time() - start) / 4)
    return best / SIZE * 1e9


class Native:
    """The sample loop, compiled for this machine at its own vector width."""

    def __init__(self, name: str, type: str) -> None:
        features = llvm.get_host_cpu_features().flatten()
        enabled = features.split(",")
        width = 64 if "+avx512f" in enabled else 32 if "+avx2" in enabled else 16
        has_fma = "+fma" in enabled or "+neon" in enabled
        target = llvm.Target.from_triple(llvm.get_process_triple())
        machine = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True
        )
        function = sample_function(
            name, type, width // (4 if type == "float" else 8), has_fma, has_avx512=width == 64
        )
        text = module_text([function])
        start = time.perf_counter()
        code = machine.emit_object(llvm.parse_assembly(text))
        self.compile_ms = (time.perf_counter() - start) * 1e3
        around = 12 if name in TWO_ARGUMENTS else 10  # lines of the loop itself
        self.instructions = function.text.count("\n  ") - around
        self.linker = llvm.create_lljit_compiler(machine)
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        self.tracker = library.export_symbol("sample").link(self.linker, "sample")
        pointer = ctypes.c_void_p
        prototype = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, ctypes.c_int64)
        self.native = prototype(self.tracker["sample"])

    def __call__(self, arguments: tuple[Array, ...], out: Array) -> Array:
        x, y = arguments[0], arguments[-1]
        self.native(x.ctypes.data, y.ctypes.data, out.ctypes.data, x.size)
        return out


def report(name: str, type: str) -> str:
    native, other = Native(name, type), numpy_function(name)
    size = 1 << 13 if name == "erf" and type == "double" else ACCURACY_SIZE
    ours, theirs = 0.0, 0.0
    for arguments in samples(name, type, size):
        reference = exact(name, arguments)
        ours = max(ours, largest_error(native(arguments, np.empty_like(arguments[0])), reference))
        theirs = max(theirs, largest_error(other(*arguments), reference))
    arguments = timed(name, type)
    out = np.empty_like(arguments[0])
    ns, numpy_ns = (
        nanoseconds(lambda: native(arguments, out)),
        nanoseconds(lambda: other(*arguments, out=out)),
    )
    dtype = DTYPES[type].__name__
    return (
        f"{name:8} {dtype:8} {native.instructions:5d} {ours:8.2f} {theirs:8.2f}"
        f" {ns:8.2f} {numpy_ns:8.2f} {native.compile_ms:8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("functions", nargs="*", choices=[*EMITTERS, []], metavar="function")
    names = parser.parse_args().functions or list(EMITTERS)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    print("                 instr  max ulp    numpy  ns/elem    numpy  compile ms")
    with np.errstate(all="ignore"):
        for name in names:
            for type in DTYPES:
                print(report(name, type), flush=True)


if __name__ == "__main__":
    main()
