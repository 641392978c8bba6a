"""Random graphs on every way to run them, against the reference without optimisation."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import graphc as gc
from tests.random_graphs import RandomGraph, random_graphs

TOLERANCE = {True: 2e-4, False: 1e-9}  # with float32 values, without
WAYS = [("interpreter", False), ("interpreter", True), ("llvm", False), ("llvm", True)]

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
thorough = settings(quick, max_examples=500, derandomize=False)


def results(case: RandomGraph, backend: str, optimize: bool) -> list[np.ndarray]:
    """Outputs, then the new values of the variables, which are set back."""
    function = gc.function(
        case.inputs,
        case.outputs,
        case.updates,
        backend=backend,
        optimize=optimize,
        check=True,
        on_unused_input="ignore",
    )
    old = [variable.value for variable in case.variables]
    fed = [array.copy() for array in case.arrays]
    try:
        found = [*function(*fed), *(variable.value for variable in case.variables)]
    finally:
        for variable, value in zip(case.variables, old, strict=True):
            variable.value = value
    for array, original in zip(fed, case.arrays, strict=True):
        np.testing.assert_array_equal(array, original, "a feed was written to")
    return found


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


def check_case(case: RandomGraph) -> None:
    with np.errstate(all="ignore"):
        expected = results(case, "reference", optimize=False)
        for backend, optimize in WAYS:
            for one, other in zip(results(case, backend, optimize), expected, strict=True):
                assert_close(one, other, TOLERANCE[case.is_single])


@quick
@given(random_graphs(max_nodes=12))
def test_random_graphs(case: RandomGraph) -> None:
    check_case(case)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@thorough
@given(random_graphs(max_nodes=40, min_nodes=12))
def test_many_random_graphs(case: RandomGraph) -> None:
    check_case(case)
