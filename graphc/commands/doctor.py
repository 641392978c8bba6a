"""`graphc doctor`: what graphc finds on this machine, and whether each backend works."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata

import llvmlite.binding as llvm
import numpy as np
from rich.console import Console

from graphc.backends.llvm.cache import cache_folder, distrust, usage
from graphc.backends.llvm.target import host
from graphc.backends.registry import backend_names
from graphc.commands.terminal import heading, status
from graphc.function import function
from graphc.ir.leaf import placeholder, variable
from graphc.ir.registry import call
from graphc.records import dataclass

PACKAGES = ("numpy", "scipy", "llvmlite", "numba", "networkx", "typer", "rich")
SHOWN_FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "neon", "sve")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: whether it is well, what was found, and what to do if it is not."""

    ok: bool
    text: str
    advice: str = ""


def examine(console: Console) -> bool:
    """Print all findings; whether everything is well."""
    well = True
    for title, check in (
        ("software", software),
        ("processor", processor),
        ("cache", cache),
        ("backends", backends),
    ):
        heading(console, title)
        for finding in check():
            console.print(status(finding.ok, finding.text))
            if not finding.ok:
                console.print(f"        {finding.advice}", style="yellow")
            well = well and finding.ok
    console.print("\nall is well" if well else "\nsomething is missing: see the advice above")
    return well


def software() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding(
        sys.version_info >= (3, 11),
        f"Python {version} ({platform.python_implementation()}), {platform.platform()}",
        "graphc needs Python 3.11 or newer",
    )
    for package in ("graphc", *PACKAGES):
        try:
            yield Finding(True, f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Finding(False, f"{package} is not installed", f"pip install {package}")
    yield Finding(True, f"LLVM {'.'.join(map(str, llvm.llvm_version_info))}")


def processor() -> Iterator[Finding]:
    try:
        target = host()
    except (RuntimeError, OSError) as error:
        yield Finding(False, f"LLVM does not know this processor: {error}", "update llvmlite")
        return
    features = llvm.get_host_cpu_features()
    known = ", ".join(name for name in SHOWN_FEATURES if features.get(name)) or "none that matter"
    yield Finding(True, f"{target.cpu} ({target.triple}), {os.cpu_count()} logical cores")
    lanes = target.native_lanes(4)
    yield Finding(True, f"vectors of {lanes} x float32; features: {known}")


def cache() -> Iterator[Finding]:
    folder = cache_folder()
    if folder is None:
        yield Finding(True, "compiled objects are not kept")
        return
    doubt = distrust(folder)
    count, size = usage(folder)
    yield Finding(
        doubt is None,
        doubt or f"{folder}: {count} compiled objects, {size / 2**20:.1f} MiB",
        "make the folder your own with mode 700, or set GRAPHC_CACHE to another one",
    )


def backends() -> Iterator[Finding]:
    for name in backend_names():
        try:
            seconds, difference = try_backend(name)
        except Exception as error:  # the purpose is to report whatever is wrong
            first = str(error).splitlines() or [""]
            text = f"{name}: {type(error).__name__}: {first[0]}"
            yield Finding(False, text, getattr(error, "fix", None) or "please report this")
            continue
        ok = difference < 1e-5
        text = f"{name}: compiled and ran a test function in {1000 * seconds:.0f} ms"
        yield Finding(
            ok,
            text if ok else f"{text}, but its result is wrong by {difference:.1e}",
            "please report this, with the lines above",
        )


def try_backend(name: str) -> tuple[float, float]:
    """Seconds to compile and run a step of a small perceptron, and its largest error."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 3)).astype(np.float32)
    given = rng.standard_normal((4, 5)).astype(np.float32)
    start = time.perf_counter()
    x = placeholder("x", ("n", 5))
    w = variable(weights, name="w")
    step = function([x], call("tanh", x @ w), updates={w: w * 0.5}, backend=name)
    output = step(given)
    seconds = time.perf_counter() - start
    pairs = ((output, np.tanh(given @ weights)), (w.value, weights / 2))
    return seconds, max(float(np.abs(got - wanted).max()) for got, wanted in pairs)
