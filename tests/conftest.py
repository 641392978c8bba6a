"""Random tests draw the same cases in every run; what they find elsewhere becomes a test."""

import gc
import os
from collections.abc import Iterator

import llvmlite.binding as llvm
import pytest
import scipy
from hypothesis import settings

import graphc.garbage

os.environ["GRAPHC_CACHE"] = "off"  # tests compile, and leave nothing behind

settings.register_profile("repeatable", derandomize=True, database=None)
settings.load_profile("repeatable")


# What scipy before 1.17 computes wrongly: graphc is compared with it.
BEFORE_1_17 = (
    *(f"test_lowering_is_the_reference[{name}-int64]" for name in ("betainc", "betaincc")),
    "test_lowering_is_the_reference[log_betainc-int64]",
    "test_lowering_is_the_reference[student_quantile-float64]",
    "test_nothing_composite_is_left_and_values_are_kept[student_quantile]",
    "test_quantiles[cauchy]",
    "test_quantiles[t]",
    "test_quantiles_of_many_whole_numbers",
)
LESSER = {"avx512": ("avx512",), "avx2": ("avx512", "avx", "fma", "f16c")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", choices=LESSER, help="instructions that code is to do without")


def pytest_configure(config: pytest.Config) -> None:
    """Code is made for a lesser processor than this one, except in processes that tests start."""
    prefixes = LESSER.get(config.getoption("--without"), ())
    if not prefixes:
        return
    features = llvm.get_host_cpu_features()
    for name in features:
        features[name] = features[name] and not name.startswith(prefixes)
    llvm.get_host_cpu_features = lambda: features


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17):
        return
    for item in items:
        if item.name in BEFORE_1_17:
            item.add_marker(pytest.mark.xfail(reason="scipy before 1.17 is wrong"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays: Python would look through all of it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where no bytecode is to be written, it goes to a temporary folder of the run.

    Else each of the hundreds of processes that tests start would compile all of graphc's source.
    """
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            own = tmp_path_factory.getbasetemp()
            shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", str(shared / "bytecode"))
        yield


@pytest.fixture(scope="session", autouse=True)
def seldom_collected() -> Iterator[None]:
    """Twenty thousand collected tests are millions of objects to look through, each time in vain.

    It takes a second. `tests.test_garbage` has the limit of graphc.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphc.garbage, "FEWEST", 20 * graphc.garbage.FEWEST)
        yield
