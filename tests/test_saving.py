"""Variables and functions in files: round trips, damage, and what does not fit."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FileFormatError, MissingExtraError

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def variables_of_all_dtypes() -> dict[str, gc.Variable]:
    rng = np.random.default_rng(0)
    made = {
        name: gc.variable(rng.integers(0, 2, (2, 3)).astype(gc.dtypes.as_dtype(name)), name)
        for name in DTYPES
    }
    made["scalar"] = gc.variable(np.float32(3.5), "scalar")
    made["empty"] = gc.variable(np.zeros((0, 3)), "empty")
    made["complex scalar"] = gc.variable(np.complex128(2 + 3j), "z")
    return made


def test_values_of_every_dtype_come_back(tmp_path: Path) -> None:
    variables = variables_of_all_dtypes()
    gc.save(tmp_path / "all.safetensors", variables)
    old = {name: variable.value for name, variable in variables.items()}
    for variable in variables.values():
        variable.value = np.zeros_like(variable.value)
    assert gc.load(tmp_path / "all.safetensors", variables) == list(variables)
    for name, variable in variables.items():
        assert variable.value.dtype == old[name].dtype and variable.value.shape == old[name].shape
        np.testing.assert_array_equal(variable.value, old[name])


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    gc.save(tmp_path / "w.safetensors", [gc.variable(np.arange(3.0), "w")])
    np.testing.assert_array_equal(load_file(tmp_path / "w.safetensors")["w"], np.arange(3.0))


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    w = gc.variable(np.arange(3.0), "w")
    gc.save(path, [w])
    w.value = np.zeros(3)

    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        gc.save(path, [w])
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["w.safetensors"]
    gc.load(path, [w])
    np.testing.assert_array_equal(w.value, np.arange(3.0))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    w = gc.variable(np.arange(30.0), "w")
    gc.save(path, [w])
    content = path.read_bytes()
    for cut in (0, 4, 8, 20, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(FileFormatError, match="E602"):
            gc.load(path, [w])
    path.write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(FileFormatError, match="E602"):
        gc.load(path, [w])


def test_all_variables_are_set_or_none(tmp_path: Path) -> None:
    path = tmp_path / "two.safetensors"
    gc.save(path, {"a": gc.variable(np.ones(2), "a"), "b": gc.variable(np.ones(3), "b")})
    a, b = gc.variable(np.zeros(2), "a"), gc.variable(np.zeros(4), "b")
    with pytest.raises(FileFormatError, match=r"b: the file has float64\[3\].*float64\[4\]") as e:
        gc.load(path, [a, b])
    assert e.value.source is not None and "test_saving" in e.value.source.describe()
    assert not a.value.any()
    with pytest.raises(FileFormatError, match="c: not in the file\n    b: only in the file"):
        gc.load(path, {"a": a, "c": b})
    assert gc.load(path, {"a": a, "c": b}, strict=False) == ["a"]
    assert a.value.all()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ([gc.variable(np.zeros(2))], "name that changes"),
        ([gc.variable(np.zeros(2), "w"), gc.variable(np.zeros(2), "w")], "two variables"),
        ({"w": np.zeros(2)}, "no variable but ndarray"),
    ],
)
def test_names_that_do_not_tell_variables_apart(
    variables: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(gc.FeedError, match=message):
        gc.save(tmp_path / "w.safetensors", variables)
    assert not list(tmp_path.iterdir())


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"graphc\[save\]"):
        gc.save(tmp_path / "w.safetensors", [gc.variable(np.zeros(2), "w")])


# --- functions -----------------------------------------------------------------------------------


def trainer() -> tuple[gc.Function, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    x = gc.placeholder("x", ("n", 4))
    y = gc.placeholder("y", ("n",), "int64")
    rate = gc.placeholder("rate", ())
    w = gc.variable(rng.standard_normal((4, 3)).astype("float32"), "w")
    table = gc.constant(rng.standard_normal((20, 3)).astype("float32"))
    stream = gc.random.Stream(3)
    kept = gc.cast(stream.bernoulli(x.shape, 0.9), "float32")
    sums, _ = gc.scan(lambda total, row: (total + row, total), gc.zeros((3,)), (x * kept) @ w)
    cost = gc.mean(gc.square(gc.take(table, y, axis=0) - x @ w)) + gc.sum(sums) * 1e-3
    train = gc.function(
        [x, y, rate],
        {"cost": cost, "more": [w, (sums,)]},
        updates={w: w - rate * gc.grad(cost, w)},
        defaults={rate: 0.1},
    )
    return train, [rng.standard_normal((5, 4)).astype("float32"), np.array([0, 1, 2, 19, 1])]


def test_a_loaded_function_goes_on_bit_by_bit(tmp_path: Path) -> None:
    train, feeds = trainer()
    train(*feeds)
    train.save(tmp_path / "train.safetensors")
    loaded = gc.load_function(tmp_path / "train.safetensors")
    assert str(loaded.__signature__) == str(train.__signature__)
    for _ in range(3):
        mine, its = train(*feeds), loaded(*feeds)
        assert mine["cost"] == its["cost"]
        np.testing.assert_array_equal(mine["more"][0], its["more"][0])
        np.testing.assert_array_equal(mine["more"][1][0], its["more"][1][0])
    assert set(loaded.variables) == set(train.variables) and "w" in loaded.variables
    np.testing.assert_array_equal(loaded.variables["w"].value, train.variables["w"].value)


def test_a_loaded_function_may_share_variables(tmp_path: Path) -> None:
    train, feeds = trainer()
    train.save(tmp_path / "train.safetensors")
    loaded = gc.load_function(tmp_path / "train.safetensors", train.variables, backend="reference")
    before = train.variables["w"].value
    loaded(*feeds)
    assert (train.variables["w"].value != before).any()
    with pytest.raises(FileFormatError, match=r"w: .* needs float32\[4, 3\], given float64\[2\]"):
        gc.load_function(tmp_path / "train.safetensors", {"w": gc.variable(np.zeros(2), "w")})


def test_sizes_that_givens_tie_together_are_checked_after_loading(tmp_path: Path) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    mean = gc.placeholder("mean", ("n",))
    f = gc.function([x, y], gc.sum(x * mean), givens={mean: y / 2}, name="tied")
    feeds = np.ones(3, "float32"), np.ones(4, "float32")
    f.save(tmp_path / "f.safetensors")
    for called in (f, gc.load_function(tmp_path / "f.safetensors")):
        with pytest.raises(gc.FeedError, match="sizes differ: n = 3, m = 4"):
            called(*feeds)


def test_python_code_is_not_saved(tmp_path: Path) -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], gc.debug.print("x = {}", x) + 1, name="talking")
    with pytest.raises(gc.FunctionError, match="cannot be saved"):
        f.save(tmp_path / "f.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_of_variables_is_no_function(tmp_path: Path) -> None:
    gc.save(tmp_path / "w.safetensors", [gc.variable(np.zeros(2), "w")])
    with pytest.raises(FileFormatError, match="holds no function"):
        gc.load_function(tmp_path / "w.safetensors")
