"""gc.autocast: products in half precision, in graphs and in models."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DTypeError

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def test_products_are_in_half_precision_and_nothing_else() -> None:
    x, w = gc.placeholder("x", ("n", 30)), gc.variable(normal(30, 20), "w")
    z = x @ w
    cost = gc.mean(gc.square(gc.tanh(z)))
    cast = gc.autocast(cost)
    assert cast.dtype == gc.float32
    assert gc.grad(cast, w).dtype == gc.float32
    values = normal(50, 30)
    f = gc.function([x], [cost, cast, gc.grad(cost, w), gc.grad(cast, w)])
    exact, found, slope, cast_slope = f(values)
    assert exact != found
    np.testing.assert_allclose(found, exact, rtol=0.01)
    np.testing.assert_allclose(cast_slope, slope, atol=0.05 * np.abs(slope).max())
    text = gc.function([x], [cast, gc.grad(cast, w)]).graph_text()
    assert text.count("wide_matmul") == 2
    assert " matmul" not in text
    assert z.dtype == gc.float32  # the given expressions stay


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_results_are_those_of_casts_by_hand(dtype: str) -> None:
    x, w = gc.placeholder("x", (2, 3, 9, 9)), gc.placeholder("w", (4, 3, 3, 3))
    by_hand = gc.nn.conv2d(x.astype(dtype), w.astype(dtype)).astype("float32") + 1
    cast = gc.autocast({"y": [gc.nn.conv2d(x, w) + 1]}, dtype)["y"][0]
    f = gc.function([x, w], [by_hand, cast])
    one, other = f(normal(2, 3, 9, 9), normal(4, 3, 3, 3))
    np.testing.assert_array_equal(one, other)


def test_sums_over_shared_axes() -> None:
    x, w = gc.placeholder("x", (5, 6, 7)), gc.placeholder("w", (7, 6, 8))
    results = gc.autocast([gc.einsum("ijk,kjl->il", x, w), gc.einsum("ijk->ij", x)])
    f = gc.function([x, w], results)
    a, b = normal(5, 6, 7), normal(7, 6, 8)
    products, sums = f(a, b)
    np.testing.assert_allclose(products, np.einsum("ijk,kjl->il", a, b), atol=0.2)
    np.testing.assert_allclose(sums, a.sum(2), atol=1e-5)  # no product
    assert "wide_matmul" in f.graph_text()


def test_products_in_loops_and_branches() -> None:
    xs, w = gc.placeholder("xs", (5, 4, 8)), gc.placeholder("w", (8, 8))

    def step(h: gc.Tensor, x: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        h = gc.cond(gc.sum(h) > 0, lambda: gc.tanh(h @ w + x), lambda: gc.tanh(x @ w))
        return h, h

    last = gc.sum(gc.scan(step, gc.zeros((4, 8)), xs)[0])
    results = [last, gc.autocast(last)]
    f = gc.function([xs, w], [*results, *gc.grad(results[1], [xs, w])])
    exact, found, *slopes = f(normal(5, 4, 8), normal(8, 8))
    assert exact != found
    assert found == pytest.approx(exact, rel=0.05, abs=0.2)
    assert all(np.isfinite(slope).all() and slope.dtype == np.float32 for slope in slopes)


def test_other_dtypes_are_refused_or_stay() -> None:
    x = gc.placeholder("x", (3, 3), "float64")
    assert gc.autocast(x @ x).dtype == gc.float64
    with pytest.raises(DTypeError, match="float32 is no half precision"):
        gc.autocast(x, "float32")


def made(**options: Any) -> Any:
    layers.set_random_seed(0)
    model = layers.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def test_models_train_in_mixed_precision(tmp_path: Any) -> None:
    x = normal(64, 8, 8, 3)
    y = (x.mean((1, 2, 3)) > 0).astype("int64")
    plain, mixed = made(), made(autocast="bfloat16")
    losses = [m.fit(x, y, epochs=4, verbose=0).history["loss"] for m in (plain, mixed)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.1)
    assert all(w.value.dtype == np.float32 for w in mixed.trainable_weights)
    assert mixed.evaluate(x, y, verbose=0)[0] == pytest.approx(losses[1][-1], rel=2)
    path = tmp_path / "model.graphc"
    mixed.save(path)
    again = layers.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), mixed.predict(x, verbose=0))
    with pytest.raises(DTypeError, match="no half precision"):
        made(autocast="int8")
