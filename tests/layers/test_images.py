"""Images that are changed at random, and numbers as rows."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers

X = np.random.default_rng(0).uniform(50, 200, (400, 4, 5, 2)).astype("float32")


def trained(layer: Any) -> np.ndarray:
    x = gc.placeholder("x", (None, *X.shape[1:]))
    f = gc.function([x], [layer(x, training=True), layer(x)])
    found, plain = f(X)
    np.testing.assert_array_equal(plain, X)
    assert (f(X)[0] != found).any()
    return np.asarray(found)


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_flips(mode: str) -> None:
    found = trained(layers.RandomFlip(mode))
    each = [X, X[:, :, ::-1], X[:, ::-1], X[:, ::-1, ::-1]]
    shares = [(found == one).all((1, 2, 3)).mean() for one in each]
    wanted = {
        "horizontal": [0.5, 0.5, 0, 0],
        "vertical": [0.5, 0, 0.5, 0],
        "horizontal_and_vertical": [0.25] * 4,
    }[mode]
    assert sum(shares) == 1
    np.testing.assert_allclose(shares, wanted, atol=0.1)
    first = layers.RandomFlip(mode, seed=1, data_format="channels_first")
    last = layers.RandomFlip(mode, seed=1)
    moved = gc.run(first(np.moveaxis(X, -1, 1), training=True))
    np.testing.assert_array_equal(np.moveaxis(moved, 1, -1), gc.run(last(X, training=True)))


def test_brightness_and_contrast() -> None:
    moves = trained(layers.RandomBrightness(0.1)) - X
    assert np.ptp(moves, axis=(1, 2, 3)).max() < 1e-4
    assert -25.51 < moves.min() < -20 and 20 < moves.max() < 25.51
    assert (trained(layers.RandomBrightness((0.5, 0.6), value_range=(0, 200))) <= 200).all()
    found = trained(layers.RandomContrast(0.2, value_range=(-1000, 1000)))
    np.testing.assert_allclose(found.mean((1, 2)), X.mean((1, 2)), rtol=1e-4)
    ratios = found.std((1, 2)) / X.std((1, 2))
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1], rtol=1e-4)
    assert 0.79 < ratios.min() < 0.85 and 1.15 < ratios.max() < 1.21


def test_integers_and_smaller_images() -> None:
    images = np.arange(2 * 6 * 8).reshape(2, 6, 8, 1).astype("uint8")
    assert gc.run(layers.RandomFlip()(images)).dtype == np.float32
    crop = layers.CenterCrop(4, 12)  # wider than the image: 2 rows of 8, made larger
    part = gc.nn.resize(images[:, 2:4].astype("float32"), (4, 12), method="bilinear", layout="NHWC")
    np.testing.assert_allclose(gc.run(crop(images)), gc.run(part))
    assert crop.compute_output_shape((None, 6, 8, 1)) == (None, 4, 12, 1)
    first = layers.CenterCrop(3, 2, data_format="channels_first")
    moved = np.moveaxis(images, -1, 1)
    np.testing.assert_array_equal(gc.run(first(moved)), moved[:, :, 1:4, 3:5])


def test_category_encoding() -> None:
    groups = np.array([[0, 2, 2], [3, 1, 1]])
    encoded = layers.CategoryEncoding(4)
    assert gc.run(encoded(groups)).tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]
    count = layers.CategoryEncoding(num_tokens=4, output_mode="count")
    assert gc.run(count(groups)).tolist() == [[1, 0, 2, 0], [0, 2, 0, 1]]
    weights = gc.constant([[1.0, 2, 3], [4, 5, 6]])
    assert gc.run(count(groups, count_weights=weights)).tolist() == [[1, 0, 5, 0], [0, 11, 0, 4]]
    one = layers.CategoryEncoding(4, "one_hot")
    assert gc.run(one(groups[:, :1])).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert gc.run(one(groups)).shape == (2, 3, 4)
    assert type(one).from_config(one.get_config()).get_config() == one.get_config()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: layers.Resizing(0, 4), "height"),
        (lambda: layers.Resizing(4, 4, "cubic"), "interpolation"),
        (lambda: layers.RandomFlip("diagonal"), "mode"),
        (lambda: layers.RandomBrightness(1.5), "factor"),
        (lambda: layers.RandomBrightness("0.5"), "factor"),  # type: ignore[arg-type]
        (lambda: layers.RandomContrast((0.2, 0.3, 0.4)), "factor"),
        (lambda: layers.RandomContrast(0.2, value_range=(1, 0)), "value_range"),
        (lambda: layers.CategoryEncoding(0), "num_tokens"),
        (lambda: layers.CategoryEncoding(3, "binary"), "output_mode"),
    ],
)
def test_settings(make: Any, match: str) -> None:
    with pytest.raises(gc.ParameterError, match=match):
        make()
