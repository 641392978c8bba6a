"""Arguments of a wrong kind: which one, what was got, what is allowed, and the user's own line."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.surface import surface

FILE = Path(__file__).name
ROOT = Path(__file__).resolve().parents[1]
GC: Any = gc  # what these calls are given, types do not allow
METHODS: Any = gc.Tensor


DEFECTS = ("VerificationError", "RewriteError")  # of graphc itself


def matrix() -> gc.Tensor:
    return gc.placeholder("x", ("n", 3))


def image() -> gc.Tensor:
    return gc.placeholder("image", ("n", 3, 8, 8))


FILTER = np.ones((3, 3, 2, 2), "float32")
CASES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: GC.sum(matrix(), dim=1), "sum: got an unexpected keyword argument 'dim'", "use axis="),
    (lambda: GC.sum(matrix(), keep_dims=True), "'keep_dims'", "use keepdims="),
    (lambda: GC.sum(matrix(), where=True), "'where'", "gc.sum(gc.where(mask, x, 0))"),
    (lambda: GC.round(matrix(), decimals=2), "'decimals'", "x.round(decimals)"),
    (lambda: METHODS.std(matrix(), ddof=1), "std: got an unexpected", "use correction="),
    (lambda: GC.function([], 1, update={}), "'update'", "use updates="),
    (lambda: GC.random.normal(gc.random.key(0), size=3), "'size'", "use shape="),
    (lambda: GC.grad(lambda x: x)(matrix()), "missing a required argument: 'wrt'", "grad(f(x), x)"),
    (lambda: GC.vjp(lambda x: x, matrix()), "'cotangents'", "gc.vjp(f(x), x), not gc.vjp(f)"),
    (lambda: GC.hessian(lambda x: x, argnums=0), "'argnums'", "gc.hessian(f(x), x)"),
    (lambda: GC.add(matrix()), "add: missing a required argument: 'x2'", "pass the arguments"),
    (lambda: GC.where(matrix() > 0), "where: missing a required argument", "gc.nonzero(condition)"),
    (lambda: GC.where(matrix(), 1), "missing a required argument: 'x2'", "pass the arguments"),
    (lambda: GC.exp(matrix(), 1), "exp: too many positional arguments", "pass the arguments"),
    (lambda: GC.sum(matrix(), 0, "float64"), "keepdims='float64' is not True or", "True or False"),
    (lambda: GC.sum(matrix(), keepdims=None), "keepdims=None", "True or False"),
    (lambda: GC.sort(matrix(), descending="no"), "descending='no'", "True or False"),
    (lambda: GC.concat(3), "concat: arrays=3 is not a list", "pass a list"),
    (lambda: GC.permute_dims(matrix(), None), "axes=None", "a list of integers"),
    (lambda: GC.tensordot(matrix(), matrix(), None), "axes=None", "an integer or a list"),
    (lambda: GC.tril(matrix(), 1.5), "k=1.5 is not an integer", "an integer"),
    (lambda: GC.eye(3, k=0.5), "k=0.5 is not an integer", "an integer"),
    (lambda: GC.diagonal(matrix(), None), "offset=None is not an integer", "an integer"),
    (lambda: GC.meshgrid([1], indexing=np.ones(2)), "is not 'xy' or 'ij'", "'xy' or 'ij'"),
    (lambda: GC.scan(3, 0.0, matrix()), "step=3 is not a function", "pass a function"),
    (lambda: GC.checkpoint(gc.sum(matrix())), "is not a function", "pass a function"),
    (lambda: GC.jit(3), "jit: traced=3", "pass a function or None"),
    (lambda: GC.run([], True), "feed=True is not a dict or None", "pass a dict or None"),
    (lambda: GC.nn.conv2d(image(), FILTER, strides=2), "'strides'", "use stride="),
    (lambda: GC.nn.conv_transpose2d(image(), FILTER, data_format=""), "'data_format'", "layout="),
    (lambda: GC.nn.depthwise_conv2d(image(), FILTER, groups=2), "'groups'", "use the names above"),
    (lambda: GC.placeholder("x", 1.5), "shape=1.5", "a list or a string or a size or None"),
]


@pytest.mark.parametrize(("call", "said", "fix"), CASES)
def test_arguments_of_a_wrong_kind(call: Callable[[], Any], said: str, fix: str) -> None:
    with pytest.raises(gc.ArgumentError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("[E220] ") and said in message
    assert re.search(rf"\n  written   {FILE}:\d+   ", message), message
    assert fix in message[message.index("\n  fix  ") :]
    assert isinstance(caught.value, TypeError)


def test_what_fits_is_let_through() -> None:
    array: Any = np.ones((2, 3), "float32")
    one: Any = np.int64(1)
    yes: Any = np.True_
    assert gc.sum(array, one, yes).shape == (2, 1)
    assert gc.sum(array, 1, 1).shape == (2, 1)  # type: ignore[arg-type]
    assert gc.permute_dims(array, np.array([1, 0])).shape == (3, 2)  # type: ignore[arg-type]
    assert gc.concat(array).shape == (6,)
    assert gc.sum.__name__ == "sum" and "axis" in str(gc.sum.__doc__)


def test_errors_of_the_users_own_functions_pass() -> None:
    def step(carry: Any, row: Any) -> Any:
        raise KeyError("of the user")

    with pytest.raises(KeyError, match="of the user"):
        gc.scan(step, 0.0, matrix())


def test_what_is_wrong_for_other_reasons_passes() -> None:
    @surface
    def build(x: int, fill: str | None = None) -> int:
        raise ValueError("of another kind")

    with pytest.raises(ValueError, match="of another kind"):
        build(1)
    with pytest.raises(gc.ArgumentError, match="fill=3 is not a string or None"):
        build(1, fill=3)  # type: ignore[arg-type]


def test_lines_of_numpy_are_not_the_users() -> None:
    x: Any = matrix()
    shift: Any = gc.dim("m")
    calls: list[Callable[[], Any]] = [lambda: np.sum(x), lambda: np.roll(np.ones(3), shift)]
    for call in calls:
        with pytest.raises(gc.GraphcError, match=rf"written   {FILE}:\d+   "):
            call()


def test_sizes_that_nothing_gives() -> None:
    x = matrix()
    for outputs in (gc.dim("m"), x * gc.dim("m")):
        with pytest.raises(gc.FunctionError, match="the size 'm' does not follow"):
            gc.function([x], outputs, on_unused_input="ignore")


def test_numbers_without_end() -> None:
    for start, stop in ((0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(gc.ParameterError, match="has no end"):
            gc.arange(start, stop)
    assert gc.diff(np.ones(4), n=10**9).shape == (0,)
    for steps in (1.5, float("nan"), "a"):
        with pytest.raises(gc.ParameterError, match="max_steps"):
            GC.while_loop(lambda c: c < 1, lambda c: c + 1, 0.0, max_steps=steps)


def test_rows_that_are_no_arrays_are_told_as_in_calls() -> None:
    x = gc.placeholder("x", (3,))
    f = gc.function([x], x * 2)
    for rows in (np.array([["a"] * 3] * 2), [[1, 2], [3]], [x[0], 1]):
        with pytest.raises(gc.FeedTypeError, match="'x' was fed something that is no array") as one:
            f.repeat(2, rows)
        assert str(one.value).count("[E") == 1


def test_default_updates_are_functions() -> None:
    v: Any = gc.variable(1.0, "v")
    with pytest.raises(gc.FunctionError, match=rf"no function[\s\S]*{FILE}[\s\S]*lambda old"):
        v.default_update = v + 1
    assert v.default_update is None


def test_errors_that_name_a_line_say_what_to_do() -> None:
    """Every error that is raised with the user's line has a way out."""
    missing = []
    for folder in ("graphc", "backends", "layers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
                if not name.endswith("Error") or not hasattr(gc, name) or name in DEFECTS:
                    continue
                keywords = {one.arg for one in node.keywords}  # type: ignore[attr-defined]
                if "source" in keywords and not keywords & {"fix", None}:
                    missing.append(f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    assert not missing


def test_layers_and_models() -> None:
    lib: Any = layers
    model: Any = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    cases: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: lib.Dense(unit=3), "Dense: missing a required argument: 'units'", "use units="),
        (lambda: lib.Conv2D(3), "Conv2D: missing a required argument: 'kernel_size'", "pass"),
        (lambda: lib.LSTM(4, return_sequences="x"), "LSTM: return_sequences='x'", "True or False"),
        (lambda: lib.Sequential(None), "layers=None is not a list", "a list"),
        (lambda: model.fit(x, y, epoch=3), "fit: got an unexpected keyword", "use epochs="),
        (lambda: model.fit(x, y, shuffle="batch"), "shuffle='batch'", "True or False"),
        (lambda: model.save(None), "path=None is not a string or a path", "a path"),
    ]
    for call, said, fix in cases:
        with pytest.raises(gc.ArgumentError, match=rf"written   {FILE}") as caught:
            call()
        assert said in str(caught.value) and fix in str(caught.value)
    x0 = layers.Input((3,))
    unfit: list[Callable[[], Any]] = [
        lambda: lib.Reshape((None, 3)),
        lambda: lib.BatchNormalization(axis="a"),
        lambda: lib.Dense(3)(None),
        lambda: lib.Reshape((2, 2))(x0),
    ]
    for wrong in unfit:
        with pytest.raises(gc.GraphcError, match=rf"written   {FILE}"):
            wrong()
    with pytest.raises(gc.FeedError, match="no array of numbers"):
        model.predict("abc")
    with pytest.raises(gc.ParameterError, match=rf"reduction=True\n  written   {FILE}"):
        lib.losses.SparseCategoricalCrossentropy(reduction=True)


def test_data_of_models_are_plain_numbers() -> None:
    model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    mask = np.eye(4, 2, dtype=bool)
    for wrong in (np.ma.masked_array(x, mask), np.zeros((4, 2), [("a", "f4")])):
        for inputs, targets in ((wrong, y), (x, wrong)):
            with pytest.raises(gc.FeedError, match=rf"[\s\S]*{FILE}"):
                model.fit(inputs, targets, verbose=0)
    model.fit(np.ma.masked_array(x, mask & False), y, verbose=0)


def test_fractions_among_integers() -> None:
    x: Any = np.array([1, 2], "int32")
    small: Any = np.array([1, 2], "uint8")
    keep: Any = np.array([True, False])
    for call in (
        lambda: gc.boolean_mask(x, keep, size=3, fill_value=0.5),
        lambda: gc.repeat(x, x, size=5, fill_value=0.5),
        lambda: gc.unique_values(small, size=3, fill_value=300),
        lambda: GC.nonzero(x, size=3, fill_value=0.5),
        lambda: gc.full((2,), 300, "uint8"),
    ):
        with pytest.raises(gc.DTypeError, match=rf"[\s\S]*written   {FILE}"):
            call()
    np.testing.assert_array_equal(gc.run(gc.diff(x, prepend=0.5)), [0.5, 1.0])
    np.testing.assert_array_equal(gc.run(gc.boolean_mask(keep, keep, size=2)), [True, False])
    with pytest.raises(gc.ShapeError, match="an axis is an integer, got ''"):
        GC.sum(x, axis="")


def test_arguments_of_which_a_part_would_be_taken() -> None:
    x: Any = np.ones((3, 3), "float32")
    calls: list[Callable[[], Any]] = [
        lambda: gc.linspace(x[0], 2 * x[0], 3),
        lambda: GC.expand_dims(x, None),
        lambda: GC.tensordot(x, x, axes=range(3)),
        lambda: GC.roll(x, ""),
        lambda: gc.searchsorted(x[0], x[0], sorter=[0, 1]),
    ]
    for call in calls:
        with pytest.raises(gc.ShapeError, match=rf"[\s\S]*written   {FILE}[\s\S]*fix"):
            call()
    order = gc.searchsorted([3.0, 1.0], [2.0], sorter=[1, 0])
    np.testing.assert_array_equal(gc.run(order), [1])


def test_functions_that_numba_does_not_take() -> None:
    for wrong in (np.sin, len, lambda *a, **k: a):
        with pytest.raises(gc.CustomOpError, match="a function of numbers"):
            GC.custom_elementwise(wrong)(matrix())
