"""What new users write: each slip is told with the user's own line and a way out."""

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import callbacks

FILE = Path(__file__).name


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


def vector() -> gc.Tensor:
    return gc.placeholder("x", ("n",))


def anything(value: Any) -> Any:
    return value


def leaked() -> None:
    kept: list[Any] = []

    def step(total: Any, row: Any) -> tuple[Any, None]:
        kept.append(total)
        return total + row, None

    x = vector()
    gc.scan(step, 0.0, x)
    gc.function([x], kept[0] + gc.sum(x))


def fitted(**options: Any) -> None:
    model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(floats(4, 2), floats(4, 1), verbose=0, **options)


def too_small(size: int) -> None:
    x = gc.placeholder("x", (1, 1, "h", 9))
    gc.function([x], gc.nn.conv2d(x, floats(1, 1, 5, 5)))(floats(1, 1, size, 9))


Slip = Callable[[], Any]
GC: Any = gc  # what these calls are given, types do not allow
SLIPS: list[tuple[Slip, str, str, str]] = [
    (lambda: np.exp(vector()), "E211", "asked to convert a symbolic tensor", "gc.exp"),
    (lambda: range(vector().shape[0]), "E108", "n is not an integer", "symbolic expressions"),
    (lambda: 0.5 * anything(vector().shape[0]), "E108", "sizes are whole numbers", "as_tensor"),
    (lambda: anything(vector().shape[0]) / 2, "E108", "n / 2: sizes are whole numbers", "//"),
    (lambda: anything(vector().shape[0]) - 1j, "E108", "1j beside a size", "//"),
    (lambda: anything(vector().shape[0]) ** 0.5, "E108", "0.5 beside a size", "as_tensor"),
    (lambda: anything(vector().shape[0]) ** -1, "E108", "n ** -1: sizes are whole", "as_tensor"),
    (lambda: GC.zeros(3, 3), "E110", "not a dtype: 3", "one tuple: (2, 3)"),
    (lambda: GC.concat(vector(), vector()), "E220", "a tensor is no list", "gc.concat([a, b])"),
    (lambda: GC.grad(lambda w: w * w, vector()), "E301", "got function", "gc.grad(f(w), w)"),
    (lambda: GC.run(vector(), floats(2)), "E220", "run: feed=array([1., 1.]", "pass a dict"),
    (lambda: f"{anything(vector()):.3f}", "E211", "has no value yet", "gc.run(x, feed)"),
    (lambda: anything(vector()).numpy(), "E211", "has no .numpy", "gc.run(x, feed)"),
    (lambda: anything(vector()).backward(), "E211", "has no .backward", "gc.grad(cost"),
    (lambda: anything(gc.variable(1.0)).set_value(2), "E211", "no .set_value", "v.value"),
    (lambda: repr(GC.Variable(floats(2))), "E211", "makes no variable", "gc.variable(value)"),
    (lambda: gc.placeholder("x", (2,), "float33"), "E110", "not a dtype: 'float33'", "float32"),
    (lambda: 3 in vector(), "E211", "contains is not known", "gc.any(x == value)"),
    (lambda: vector() == None, "E110", "None is no array", "x is None"),  # noqa: E711
    (lambda: gc.sum(vector(), axis=1), "E101", "axis 1 is out of range", "the last one is 0"),
    (lambda: gc.permute_dims(floats(2, 2), (0, 0)), "E101", "name an axis twice", "once"),
    (lambda: vector().reshape("a"), "E101", "a size is an integer", "x.shape[0]"),
    (lambda: gc.constant([[1, 2], [3]]), "E110", "along axis 1: 2 in the first, 1", "lists"),
    (lambda: gc.constant([1, 10**40]), "E110", "64 bits have no dtype; write them as", ""),
    (lambda: gc.constant([[1], 2]), "E110", "numbers and lists side by side along axis 0", ""),
    (lambda: GC.grad([gc.sum(vector())], vector()), "E301", "got list", "add up"),
    (lambda: gc.random.key(1.5), "E214", "got 1.5", "whole number"),
    (lambda: GC.scan(lambda c: c, 0.0, vector()), "E121", "got <lambda>(c)", "the carry and one"),
    (lambda: GC.map(lambda a, b: a, vector()), "E121", "does not take 1 argument", "one element"),
    (lambda: GC.fori_loop(0, 3, lambda c: c, 0.0), "E121", "the step", "the position and"),
    (lambda: GC.while_loop(lambda: True, lambda c: c, 0.0), "E121", "the condition", "the carry"),
    (lambda: GC.while_loop(lambda c: c > 0, lambda: 0, 0.0), "E121", "the body", "the carry"),
    (lambda: GC.cond(vector()[0] > 0, lambda: 0, lambda: 0, 1), "E121", "otherwise", "operands"),
    (lambda: GC.pad(vector(), [1, (1, 2)]), "E101", "pad: 2 pairs of widths", "(before, after)"),
    (lambda: GC.from_dlpack(None), "E110", "from_dlpack: None gives no array", "gc.asarray"),
    (lambda: GC.promote("int8", "float33"), "E110", "not a dtype: 'float33'", "float32"),
    (lambda: GC.grad(gc.sum(vector()), [], known_grads=floats(2)), "E307", "a dict or", "known_"),
    (leaked, "E201", "placeholder 'carry0'", "let the step return"),
    (lambda: too_small(3), "E107", "h = 3, allowed is 5 or more", "larger array"),
    (lambda: gc.function([], gc.max(vector())), "E201", "placeholder 'x'", "list x in the inputs"),
    (lambda: layers.Sequential([layers.Dense]), "E246", "no layer that can stand", "Dense(...)"),
    (lambda: fitted(callbacks=[1]), "E404", "1 is no callback", "EarlyStopping()"),
    (lambda: fitted(callbacks=[callbacks.EarlyStopping]), "E404", "no callback", "objects"),
    (lambda: fitted(epochs=-1), "E404", "epochs=-1", ">= 0"),
]


@pytest.mark.parametrize(("slip", "code", "said", "fix"), SLIPS)
def test_a_slip(slip: Slip, code: str, said: str, fix: str) -> None:
    with pytest.raises(gc.GraphcError) as caught:
        slip()
    message = str(caught.value)
    assert message.startswith(f"[{code}] ") and said in message
    assert re.search(rf"\n  written   {FILE}:\d+   ", message), message
    assert fix in message[message.index("\n  fix  ") :]


def test_a_step_that_fails_inside_says_so_itself() -> None:
    def step(carry: Any, row: Any) -> Any:
        return len(3), carry + row  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len"):
        gc.scan(step, 0.0, vector())


def test_tensors_have_no_other_attributes() -> None:
    x = anything(vector())
    assert not hasattr(x, "numpy") and not hasattr(x, "nothing")
    assert "numpy" not in dir(x) and "shape" in dir(x)
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nothing'"):
        x.nothing  # noqa: B018


def test_arrays_on_the_left_leave_operators_to_tensors() -> None:
    x = gc.placeholder("x", (2,))
    array = np.array([1, 2], "float32")
    found = gc.run([array + x, array[0] * x, array < x, np.eye(2, dtype="float32") @ x], {x: array})
    for one, wanted in zip(found, ([2, 4], [1, 2], [False, False], [1, 2]), strict=True):
        np.testing.assert_array_equal(one, wanted)
    array += x
    assert isinstance(array, gc.Tensor)


def test_paths_that_cannot_be_written_are_named_as_given(tmp_path: Path) -> None:
    v = gc.variable(floats(2), "v")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        gc.save(tmp_path, {"v": v})
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*none'"):
        gc.save(tmp_path / "none" / "v.safetensors", {"v": v})
    path = tmp_path / "v.safetensors"
    gc.save(path, {"v": v})
    with pytest.raises(gc.FileFormatError, match="it holds 1 arrays: v"):
        gc.load_function(path)
    path.write_bytes(b"print(1)")
    with pytest.raises(gc.FileFormatError, match=rf"written   {FILE}"):
        gc.load_function(path)


def test_a_number_of_classes_is_a_size() -> None:
    x: Any = gc.placeholder("x", ("n",), "int32")
    with pytest.raises(gc.ShapeError, match=r"a size is an integer[\s\S]*test_slips.py"):
        gc.one_hot(x, x)


def test_what_cannot_be_pickled_says_what_to_do() -> None:
    x, v = gc.placeholder("x", ("n",)), gc.variable(floats(2), "v")
    f = gc.function([x], x + 1)
    for item, fix in ((f, "f.save"), (f.bind(floats(2)), "f.save"), (x, "f.save"), (v, "gc.save")):
        for way in (pickle.dumps, copy.deepcopy):
            with pytest.raises(gc.SymbolicValueError, match=rf"E219[\s\S]*{re.escape(fix)}"):
                way(item)
    with pytest.raises(gc.SymbolicValueError, match=FILE):
        pickle.dumps(f)
    assert copy.copy(f) is f


def test_integers_of_numpy_are_integers() -> None:
    """As they come from shapes, products and indices of arrays."""
    one: Any = np.int64(1)
    two: Any = np.int32(2)
    x = gc.placeholder("x", ("n", 4))
    image = floats(1, 1, 5, 5)
    f = gc.function([x], x + 1, threads=one, memory_limit=(1000 * two, {"n": two}))
    assert f.memory_plan(n=two).splitlines()[0].endswith("at n=2: 0 temporaries in 0 areas")
    for checkpoint_every, unroll in ((two, 1), (None, two)):
        total, _ = gc.scan(
            lambda c, row: (c + row, None),
            gc.zeros((4,)),
            x,
            checkpoint_every=checkpoint_every,
            unroll=unroll,
        )
        np.testing.assert_array_equal(gc.run(total, {x: floats(5, 4)}), [5] * 4)
    shape = gc.nn.conv2d(image, image[..., :2, :2], stride=two, padding=one, dilation=one).shape
    assert shape == (1, 1, 3, 3)
    assert [part.shape[1] for part in gc.split(x, two, axis=one)] == [2, 2]
    assert gc.linalg.matrix_power(image, two).shape == image.shape
    assert gc.diff(x, n=two).shape[1] == 2


def test_switches_are_true_or_false() -> None:
    x = vector()
    for name in ("cache", "optimize", "allow_downcast"):
        for wrong in ("off", None, 0.5):
            options: Any = {name: wrong}
            with pytest.raises(gc.ArgumentError, match=rf"{name}={wrong!r} is not True or False"):
                gc.function([x], x + 1, **options)
    yes: Any = np.True_
    assert gc.function([x], x + 1, allow_downcast=yes)([0.5]) == 1.5


def test_kernels_by_number_and_name() -> None:
    x = gc.placeholder("x", ("n", 8))
    f = gc.function([x], [gc.exp(x), gc.sum(x * x, axis=0)], backend="numba_cpu")
    names = [one.name for one in f.stages.program.kernels] if f.stages.program else []
    for number, name in enumerate(names):
        assert f.source(name) == f.source(number) and name in f.source(number)
    for wrong in (len(names), -1, "k99", 1.5):
        with pytest.raises(gc.BackendError, match=rf"no kernel {wrong}\n    it has 0 \({names[0]}"):
            f.source(wrong)  # type: ignore[arg-type]
    plain = gc.function([x], x + 1, backend="reference")
    with pytest.raises(gc.BackendError, match="it has no memory plan"):
        plain.memory_plan()
    with pytest.raises(gc.BackendError, match="backend 'reference' does not profile"):
        plain.profile(floats(2, 8))
