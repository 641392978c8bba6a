"""Initializers: shapes, scales, structure, names."""

import math

import numpy as np
import pytest

import graphc as gc
from graphc.layers import initializers

NAMES = [
    "zeros",
    "ones",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "lecun_normal",
    "lecun_uniform",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (5, 3), (3, 3, 4, 8)])
def test_every_shape(name: str, shape: tuple[int, ...]) -> None:
    value = initializers.get(name)(shape, "float64", np.random.default_rng(0))
    assert value.shape == shape and value.dtype == np.float64
    again = initializers.get(name)(shape, "float64", np.random.default_rng(0))
    assert np.array_equal(value, again)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("lecun_normal", 1 / 600),
        ("lecun_uniform", 1 / 600),
        ("glorot_normal", 2 / 1000),
        ("glorot_uniform", 2 / 1000),
        ("he_normal", 2 / 600),
        ("he_uniform", 2 / 600),
        ("random_normal", 0.05**2),
        ("random_uniform", 0.05**2 / 3),
    ],
)
def test_variance(name: str, variance: float) -> None:
    value = initializers.get(name)((600, 400), "float64", np.random.default_rng(1))
    assert abs(value.mean()) < 4 * math.sqrt(variance / value.size)
    assert np.isclose(value.var(), variance, rtol=0.02)


def test_limits() -> None:
    rng = np.random.default_rng(2)
    assert np.abs(initializers.TruncatedNormal(stddev=1.0)((1000,), "float64", rng)).max() <= 2
    uniform = initializers.GlorotUniform()((30, 20), "float64", rng)
    assert np.abs(uniform).max() <= math.sqrt(6 / 50)


def test_fans_of_kernels() -> None:
    assert initializers.fans((3, 5, 7, 11)) == (105, 165)
    assert initializers.fans((11, 7, 3, 5), in_axis=1, out_axis=0) == (105, 165)
    assert initializers.fans((4,)) == (4, 4)
    assert initializers.fans(()) == (1, 1)
    wide = initializers.HeNormal()((8, 64, 5, 5), "float64", None, in_axis=1, out_axis=0)
    assert np.isclose(wide.var(), 2 / (64 * 25), rtol=0.1)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    value = initializers.Orthogonal(gain=2.0, seed=0)(shape, "float64").reshape(-1, shape[-1])
    few = value.T @ value if value.shape[0] >= value.shape[1] else value @ value.T
    assert np.allclose(few, 4 * np.eye(len(few)))


def test_orthogonal_of_a_kernel_with_outputs_first() -> None:
    value = initializers.Orthogonal(seed=0)((4, 3, 2, 2), "float64", in_axis=1, out_axis=0)
    rows = value.reshape(4, -1)
    assert np.allclose(rows @ rows.T, np.eye(4))


def test_seeds_and_generators() -> None:
    seeded = initializers.HeNormal(seed=7)
    assert np.array_equal(seeded((3, 4)), seeded((3, 4), "float32", np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    free = initializers.HeNormal()
    assert not np.array_equal(free((3, 4), "float32", rng), free((3, 4), "float32", rng))
    assert not np.array_equal(free((3, 4)), free((3, 4)))


def test_values() -> None:
    assert np.array_equal(initializers.Identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    assert np.array_equal(initializers.get(2.5)((2,)), [2.5, 2.5])
    assert np.array_equal(initializers.Constant([1, 2])((3, 2)), [[1, 2]] * 3)
    own = initializers.get(lambda shape, dtype: np.full(shape, 4))
    assert own((2,), "float32").dtype == np.float32


def test_names_and_configs() -> None:
    assert initializers.get("HeNormal") == initializers.get("he_normal") == initializers.HeNormal()
    assert initializers.get(initializers.Zeros) == initializers.Zeros()
    assert initializers.get("normal") == initializers.RandomNormal()
    for one in (initializers.RandomUniform(-1, 1, 3), initializers.Constant(np.arange(3))):
        config = {"class_name": type(one).__name__, "config": one.get_config()}
        assert np.array_equal(initializers.get(config)((3,)), one((3,)))


def test_errors() -> None:
    with pytest.raises(gc.ParameterError, match=r"E231.*he_norml") as caught:
        initializers.get("he_norml")
    assert "did you mean HeNormal" in str(caught.value)
    assert "test_initializers.py" in str(caught.value)
    with pytest.raises(gc.ParameterError, match="no initializer"):
        initializers.get(None)
    with pytest.raises(gc.ParameterError, match="stddev=-1"):
        initializers.RandomNormal(stddev=-1)
    with pytest.raises(gc.ParameterError, match="no size of a weight"):
        initializers.Zeros()((3, None))  # type: ignore[arg-type]
    with pytest.raises(gc.ParameterError, match="no rows and columns"):
        initializers.Orthogonal()((3,))
    with pytest.raises(gc.ParameterError, match="no matrix"):
        initializers.Identity()((3,))
    with pytest.raises(gc.ParameterError, match="shape"):
        initializers.Constant([1, 2])((3,))
    with pytest.raises(gc.ParameterError, match="returned shape"):
        initializers.get(lambda shape, dtype: np.zeros(1))((3,))
    with pytest.raises(gc.ParameterError, match="mode"):
        initializers.VarianceScaling(mode="fan")  # type: ignore[arg-type]
