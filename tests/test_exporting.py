"""f.export: object files that need C's own library alone, and their headers."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.export import LINKABLE
from graphc.backends.llvm.jit import Library, library_symbols


def call(path: Path, name: str, *arguments: Any) -> int:
    """The exported function on arrays and sizes, linked with nothing but C's library."""
    library = Library([path.read_bytes()], [name], library_symbols(tuple(sorted(LINKABLE))))
    kinds = [ctypes.c_int64 if isinstance(a, int) else ctypes.c_void_p for a in arguments]
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(library.address(name))
    result: int = function(*[a if isinstance(a, int) else a.ctypes.data for a in arguments])
    return result


def test_values_are_those_of_the_function(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w = gc.variable(rng.normal(size=(64, 8)).astype("float32"), "w")
    x = gc.placeholder("x", ("n", 64))
    i = gc.placeholder("for", ("k",), "int64")
    hidden = gc.softmax(gc.tanh(x @ w) + gc.constant(np.arange(8, dtype="float32")))
    outputs = [gc.take(hidden, i, axis=0), gc.sum(hidden), gc.sin(x), gc.sort(x, axis=0)]
    f = gc.function([x, i], outputs, name="net")
    path, header = f.export(tmp_path / "net.o")
    rows, places = rng.normal(size=(300, 64)).astype("float32"), np.array([1, 5, 299, 0])
    results = [np.empty(shape, "float32") for shape in ((4, 8), (), (300, 64), (300, 64))]
    expected = f(rows, places)
    w.value = np.zeros((64, 8), "float32")  # the file keeps the values of its moment
    assert call(path, "net", rows, places, 300, 4, *results) == 0
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert call(path, "net", rows, places + 9, 300, 4, *results) != 0  # beyond the rows
    assert call(path, "net", rows, places, -1, 4, *results) != 0
    text = header.read_text(encoding="utf-8")
    assert "int64_t net(const float *x, const int64_t *for_, int64_t n, int64_t k," in text
    assert " * x: float32[n, 64]\n" in text and " * result1: float32[], written\n" in text


def test_long_constants_are_in_the_file_as_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    arrays = [rng.integers(0, 256, size).astype("uint8") for size in (0, 1, 4095, 4096, 4097)]
    arrays += [arrays[-1].copy(), np.zeros(9000, "uint8"), rng.integers(0, 256, 5_000_000, "uint8")]
    x = gc.placeholder("x", (), "uint8")
    outputs = [gc.variable(array, f"v{i}") ^ x for i, array in enumerate(arrays)]
    path, _ = gc.function([x], outputs, name="bytes_").export(tmp_path / "bytes.o")
    results = [np.empty_like(array) for array in arrays]
    assert call(path, "bytes_", np.array(255, "uint8"), *results) == 0
    for array, result in zip(arrays, results, strict=True):
        np.testing.assert_array_equal(result, array ^ np.uint8(255))


def test_loops_branches_and_dtypes(tmp_path: Path) -> None:
    x = gc.placeholder("x", (6,), "float64")
    z = gc.placeholder("z", (6,), "complex128")
    b = gc.placeholder("b", (), "bool")
    _, path_of = gc.scan(lambda s, v: (s * 0.5 + v, s), gc.constant(0.0, "float64"), x)
    outputs = [path_of, z * gc.conj(z[::-1]), gc.cond(b, lambda: x + 1, lambda: x * 2)]
    f = gc.function([x, z, b], outputs, name="loops")
    path, header = f.export(tmp_path / "loops.o", name="other")
    rng = np.random.default_rng(1)
    feeds = [rng.normal(size=6), rng.normal(size=6) + 1j * rng.normal(size=6), np.array(False)]
    results = [np.empty(6), np.empty(6, "complex128"), np.empty(6)]
    assert call(path, "other", *feeds, *results) == 0
    for one, other in zip(results, f(*feeds), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "other(const double *x, const double *z, const bool *b, " in header.read_text()


@pytest.mark.parametrize("name", ["entry", "call", "k0", "record", "context"])
def test_names_that_code_has_inside(name: str, tmp_path: Path) -> None:
    x = gc.placeholder("x", (3,), "float64")
    path, _ = gc.function([x], gc.exp(x)).export(tmp_path / "f.o", name=name)
    result = np.empty(3)
    assert call(path, name, np.ones(3), result) == 0
    np.testing.assert_allclose(result, np.e)


def test_sizes_that_disagree(tmp_path: Path) -> None:
    x, y = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("m",), "float64")
    f = gc.function([x, y], x + y, name="add")
    path, _ = f.export(tmp_path / "add.o")
    result = np.empty(3)
    assert call(path, "add", np.ones(3), np.ones(3), 3, 3, result) == 0 and result.sum() == 6
    assert call(path, "add", np.ones(3), np.ones(2), 3, 2, result) != 0


def refusals() -> dict[str, tuple[Any, str]]:
    x = gc.placeholder("x", (3, 3), "float64")
    v = gc.variable(np.zeros(()), "v")
    steps = gc.while_loop(lambda s: s < 10, lambda s: s * 2 + 1, gc.sum(x))
    return {
        "updates": (gc.function([x], updates={v: gc.sum(x)}), "updates variables"),
        "LAPACK": (gc.function([x], gc.linalg.svdvals(x)), "LAPACK"),
        "Python": (gc.function([x], gc.debug.print("x", x)), "Python"),
        "steps": (gc.function([x], steps), "count"),
        "numba": (gc.function([x], x + 1, backend="numba_cpu"), "not compiled by LLVM"),
    }


@pytest.mark.parametrize("case", ["updates", "LAPACK", "Python", "steps", "numba"])
def test_what_cannot_be_exported(case: str, tmp_path: Path) -> None:
    f, text = refusals()[case]
    with pytest.raises(gc.FunctionError, match=text):
        f.export(tmp_path / "f.o")
    assert not list(tmp_path.iterdir())


def test_bad_paths_and_names(tmp_path: Path) -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], x + 1)
    with pytest.raises(gc.FunctionError, match="is no object file"):
        f.export(tmp_path / "f.so")
    with pytest.raises(gc.FunctionError, match=r"f\.o"):
        f.export(tmp_path)
    paths: tuple[Any, ...] = (None, b"f.o", 3, ["f.o"])
    for path in paths:
        with pytest.raises(gc.ArgumentError, match="is not a string or a path"):
            f.export(path)
    names: tuple[Any, ...] = ("a b", "1f", "main", "malloc", "é", "", b"f", 3, "catch", "int64_t")
    for name in (*names, "exp", "sqrtf", "lgamma", "INT64_MAX", "_Bool"):
        with pytest.raises(gc.FunctionError, match="no name of a C function"):
            f.export(tmp_path / "f.o", name=name)


def test_arguments_that_mean_something_in_c(tmp_path: Path) -> None:
    words = ("int64_t", "INT64_MAX", "catch", "asm", "nullptr", "alignas", "wchar_t")
    feeds = [gc.placeholder(word, (word,)) for word in words]
    _, header = gc.function(feeds, [gc.sum(x) for x in feeds], name="sums").export(
        tmp_path / "sums.o"
    )
    text = header.read_text(encoding="utf-8")
    for word in words:
        assert f"*{word}_, " in text and f"int64_t {word}__, " in text


def test_both_files_or_none(tmp_path: Path) -> None:
    (tmp_path / "f.h").mkdir()
    x = gc.placeholder("x", (3,))
    with pytest.raises(IsADirectoryError, match=r"f\.h"):
        gc.function([x], x + 1).export(tmp_path / "f.o")
    assert [path.name for path in tmp_path.iterdir()] == ["f.h"]
