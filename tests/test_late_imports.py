"""What is imported late: children of a fork meanwhile find it whole; and no more than needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphc.late_imports import late_extension

ROOT = Path(__file__).resolve().parents[1]
# The thread is in the middle of an import, which takes a while, when the process forks.
SCRIPT = """
import os, sys, threading, time, warnings
import numpy as np
import graphc as gc
from tests.children import child_of

module = sys.argv[1]
assert module not in sys.modules
begun = threading.Event()


class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            begun.set()
            time.sleep(0.5)
        return None


x = gc.placeholder("x", (5, 5), "float64")
z = gc.placeholder("z", (), "float64")
data = np.eye(5) * 4
plain = gc.function([z], z * 2)


def transform():
    rows = gc.placeholder("rows", ("n", "m"), "float64")
    f = gc.function([rows], gc.abs(gc.fft.fft(rows)))
    assert module in sys.modules  # before the first call
    np.testing.assert_allclose(f(data), np.full((5, 5), 4.0))


def factorise():
    np.testing.assert_allclose(gc.run(gc.linalg.cholesky(x), {x: data}), np.eye(5) * 2)


def native():
    assert plain.c_function("double (double)").ctypes(3.0) == 6


def interpreted():
    assert gc.function([z], z * 2, backend="interpreter")(3.0) == 6


def contract():
    found = gc.function([x], gc.einsum("ij,jk,kl->il", x, x, x))(data)
    np.testing.assert_allclose(found, data @ data @ data)


task = {
    "scipy.fft": transform,
    "scipy": factorise,
    "graphc.backends.llvm.c_entry": native,
    "graphc.backends.interpreter.backend": interpreted,
    "opt_einsum": contract,
}[module]
warnings.simplefilter("ignore")  # of forks beside threads
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=task)
thread.start()
assert begun.wait(60)
child_of(task)
thread.join()
task()
print("done")
"""
MODULES = (
    "scipy.fft",
    "scipy",
    "graphc.backends.llvm.c_entry",
    "graphc.backends.interpreter.backend",
    "opt_einsum",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("module", MODULES)
def test_a_fork_waits_for_late_imports(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAPHC_CACHE": "off"},
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


ALONE = """
import sys
import numpy as np
import graphc as gc

x = gc.placeholder("x", (5, 5), "float64")
gc.run(gc.linalg.svd(x)[1], {x: np.eye(5)})
assert "scipy.linalg" not in sys.modules and "scipy.linalg.cython_lapack" not in sys.modules

import scipy.linalg.cython_lapack
from graphc.late_imports import late_extension

assert late_extension("scipy.linalg.cython_lapack") is scipy.linalg.cython_lapack
np.testing.assert_allclose(scipy.linalg.sqrtm(np.eye(2) * 4), np.eye(2) * 2)
print("done")
"""


def test_lapack_is_there_without_the_rest_of_scipy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAPHC_CACHE": "off"},
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_an_extension_of_a_package_that_is_there_is_imported_as_usual() -> None:
    assert late_extension("numpy.linalg._umath_linalg").__name__ == "numpy.linalg._umath_linalg"
