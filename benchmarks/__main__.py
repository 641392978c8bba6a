"""python -m benchmarks [names]: runs the benchmarks, all of them by default.

compile   cold compile time and import time, each model in a fresh process
models    deep models: from the layers to the first training step, cold and from the cache
steps     training steps and typical kernels against numpy by hand, calls taking turns
kernels   kernels at several sizes, and their share of the memory bandwidth
calls     what a call costs by how arguments are given, and JAX and torch where installed
conv      convolutions and their gradients against numpy, and PyTorch where installed
entries   loops that change or read entries of an array, and JAX where installed
linalg    linear algebra against numpy
ulp       accuracy and speed of the elementary functions against numpy

python benchmarks/peers/run.py compares with other frameworks: see benchmarks/peers/README.md.
"""

import argparse
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
NAMES = {
    "compile": "compile_time.py",
    "models": "compile_models.py",
    "steps": "steps.py",
    "kernels": "kernels.py",
    "calls": "calls.py",
    "conv": "convolution.py",
    "entries": "loop_entries.py",
    "linalg": "linear_algebra.py",
    "ulp": "ulp.py",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which to run")
    names = parser.parse_args().names or list(NAMES)
    status = 0
    for name in names:
        print(f"== {name}", flush=True)
        status |= subprocess.call([sys.executable, os.path.join(FOLDER, NAMES[name])])
    return status


if __name__ == "__main__":
    sys.exit(main())
