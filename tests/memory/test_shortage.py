"""Calls for which there is not enough memory: an error that names sizes, buffers and lines."""

import numpy as np
import pytest

import graphc as gc

MANY = np.ones(20_000_000, "float32")  # squared: more than addresses of any machine reach to


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_results_and_temporaries(backend: str) -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    v = gc.variable(np.zeros(2, "float32"), "v")
    table = x[:, None] * y
    f = gc.function([x, y], table, updates={v: v + 1}, backend=backend, name="f")
    g = gc.function([x, y], gc.sum(gc.sort(table, axis=1)), backend=backend, name="g")
    for function, kind in ((f, "a result"), (g, "alive at the fullest step")):
        for _ in range(5):
            with pytest.raises(gc.MemoryLimitError) as caught:
                function(MANY, MANY)
            assert caught.value.code == "E605"
            text = str(caught.value)
            assert "sizes: n = 20000000, m = 20000000" in text
            assert f"float32[20000000, 20000000], 1600000000000000 bytes, {kind}" in text
            assert "test_shortage.py" in text and "table = x[:, None] * y" in text
        assert isinstance(caught.value, MemoryError)
        np.testing.assert_array_equal(v.value, 0)
    np.testing.assert_array_equal(f(MANY[:3], MANY[:2]), np.ones((3, 2)))
    np.testing.assert_array_equal(v.value, 1)


def test_functions_that_were_direct_and_repeated_steps() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.function([x, y], x[:, None] * y, name="f")
    for _ in range(6):
        f(MANY[:3], MANY[:2])
    with pytest.raises(gc.MemoryLimitError, match=r"f: there is not enough memory"):
        f(MANY, MANY)
    with pytest.raises(gc.MemoryLimitError, match=r"f: there is not enough memory"):
        f.bind(MANY, MANY)()
    with pytest.raises(gc.MemoryLimitError, match=r"f: there is not enough memory"):
        f.repeat(2, np.broadcast_to(MANY, (2, len(MANY))), MANY)
    assert f(MANY[:3], MANY[:2]).shape == (3, 2)
