"""Variants of every op's examples on every backend, against the interpreted graph.

Every dtype that inference takes, sizes 0 and 1, more axes and fewer, broadcasting, symbolic sizes,
and feeds in any layout. The default run takes a few variants of each op; `-m slow` takes them all.
"""

import numpy as np
import pytest

from tests.backends.grouped import check_all
from tests.variants import NAMES, sampled, seed_of, thinned, variants_of

TOLERANCE = {
    "float16": 4e-3,
    "bfloat16": 3e-2,
    "float32": 2e-5,
    "complex64": 2e-5,
    "float64": 1e-11,
    "complex128": 1e-11,
}
TOGETHER = 12  # ops in one test
SAMPLE = {"interpreter": 1, "llvm": 2}
NUMBA_SAMPLE = 12  # Numba takes a tenth of a second or more for each


@pytest.mark.parametrize("backend", SAMPLE)
@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_some(backend: str, first: int) -> None:
    rng = np.random.default_rng(seed_of(backend, first))
    names = NAMES[first : first + TOGETHER]
    variants = [v for name in names for v in sampled(name, SAMPLE[backend], rng)]
    check_all(variants, backend, TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("name", NAMES)
def test_all(backend: str, name: str) -> None:
    check_all(variants_of(name), backend, TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_every_size_and_width_interpreted(name: str) -> None:
    """What stands for the product above on the loop interpreter, where it takes days."""
    check_all(thinned(name, "interpreter"), "interpreter", TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_more_with_numba(name: str) -> None:
    rng = np.random.default_rng(seed_of(name, "numba"))
    check_all(sampled(name, NUMBA_SAMPLE, rng), "numba_cpu", TOLERANCE)
