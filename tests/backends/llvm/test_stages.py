"""Loops cut into stages: the same bits, from shorter chains."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import stages
from graphc.ir.tensor import Tensor

BODY = """\
  %i = xor i64 %index, 0
  %at = getelementptr float, ptr %x, i64 %i
  %x0 = load <8 x float>, ptr %at, align 4
  %a = fmul <8 x float> %x0, splat (float 0x4000000000000000)
  %b = call <8 x float> @llvm.sqrt.v8f32(<8 x float> %a)
  %c = fadd <8 x float> %b, %x0
  %to = getelementptr float, ptr %out, i64 %i
  store <8 x float> %c, ptr %to, align 4
""".splitlines()
SIZES = [0, 1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1023, 1024, 1031, 5000]

Formula = Callable[[Tensor, Tensor], list[Tensor]]


def prices(x: Tensor, y: Tensor) -> list[Tensor]:
    low, high = gc.log(gc.abs(x) + 0.25) / gc.sqrt(gc.abs(y)), gc.exp(-y)
    return [x * gc.erf(low) - high * gc.erf(low - y), high * (1 - gc.erf(low))]


def gates(x: Tensor, y: Tensor) -> list[Tensor]:
    return [gc.sigmoid(x) * y + gc.tanh(y) * gc.sigmoid(x + y), gc.tanh(gc.sigmoid(x) * y)]


def sums(x: Tensor, y: Tensor) -> list[Tensor]:
    z = gc.erf(gc.tanh(x) * gc.exp(-y * y))
    return [gc.sum(z), gc.max(z), gc.argmin(z * y), z]


def chosen(x: Tensor, y: Tensor) -> list[Tensor]:
    long = gc.tanh(gc.log1p(gc.abs(x)) - gc.erf(y))
    return [gc.where(x < y, long, gc.floor(y)), gc.where(long > 0.1, 1, 2)]


def rare(x: Tensor, y: Tensor) -> list[Tensor]:
    return [gc.sin(gc.erf(gc.tanh(x)) * 1e6) * y]  # a branch for large arguments


def other_dtypes(x: Tensor, y: Tensor) -> list[Tensor]:
    single = gc.astype(gc.tanh(gc.erf(x) + gc.exp(y)), "float32")
    return [gc.astype(single, "float16"), gc.astype(gc.floor(100 * gc.tanh(gc.erf(y))), "int64")]


def shifted(x: Tensor, y: Tensor) -> list[Tensor]:
    return [gc.flip(gc.tanh(gc.erf(x)), axis=0) * gc.tanh(gc.erf(y))]


def picked(x: Tensor, y: Tensor) -> list[Tensor]:
    place = gc.argsort(y)  # lane by lane: scalars are not kept
    return [gc.tanh(gc.erf(x[place])) * gc.tanh(gc.erf(gc.tanh(y[place]) - x))]


FORMULAS: list[Formula] = [prices, gates, sums, chosen, rare, other_dtypes, shifted, picked]


def compiled(formula: Formula, dtype: str) -> gc.Function:
    x, y = (gc.placeholder(name, ("n",), dtype) for name in "xy")
    return gc.function([x, y], formula(x, y), backend="llvm", cache=False, threads=1)


def is_cut(f: gc.Function) -> bool:
    return "%kept.0" in f.llvm()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_bits_are_those_of_the_uncut_loop(
    formula: Formula, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "WORTH", 2.0)
    cut = compiled(formula, dtype)
    assert is_cut(cut)
    monkeypatch.setattr(stages, "SHORT", 10**6)
    uncut = compiled(formula, dtype)
    assert not is_cut(uncut)
    rng = np.random.default_rng(0)
    sizes = SIZES if formula is not sums else SIZES[1:]
    for n in sizes:
        x, y = (rng.normal(size=n).astype(dtype) for _ in range(2))
        if n > 8:
            x[3], y[5], x[8] = np.nan, np.inf, -np.inf
        for one, other in zip(cut(x, y), uncut(x, y), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n", [64, 1000, 4096])
def test_updates_in_place(n: int) -> None:
    start = np.linspace(-2, 2, n, dtype=np.float32)
    x, y = gc.variable(start, name="x"), gc.variable(start[::-1].copy(), name="y")
    f = gc.function(
        [], updates=[(x, gc.erf(gc.tanh(y) + gc.erf(x))), (y, gc.tanh(gc.erf(x * y)))], cache=False
    )
    erf = np.vectorize(math.erf)
    for _ in range(3):
        old_x, old_y = (v.value.astype(np.float64) for v in (x, y))
        f()
        np.testing.assert_allclose(x.value, erf(np.tanh(old_y) + erf(old_x)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(y.value, np.tanh(erf(old_x * old_y)), rtol=1e-5, atol=1e-6)


def test_rows_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector loop inside a loop over rows, with sums that pass through the strips."""
    monkeypatch.setattr(stages, "WORTH", 2.0)
    x = gc.placeholder("x", (5, 1100))
    y = gc.nn.softmax(gc.tanh(gc.erf(x)), axis=-1)
    values = np.random.default_rng(1).normal(size=(5, 1100)).astype(np.float32)
    got = gc.function([x], y, backend="llvm", cache=False)(values)
    wanted = gc.function([x], y, backend="reference")(values)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_text_of_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What crosses the cut is kept; the load is repeated; what is stored stands at the end."""
    monkeypatch.setattr(stages, "SHORT", 10)
    monkeypatch.setattr(stages, "WORTH", 100.0)
    monkeypatch.setattr(stages._Body, "cuts", lambda body: [3])
    found = stages.cut(BODY, [], 32, 8)
    assert found is not None
    assert found.kept == (("%a", 8, "float"),)
    (first,) = found.first
    assert [line.split()[0] for line in first] == ["%i", "%at", "%x0", "%a", "%a.to"]
    assert "store <8 x float> %a, ptr %a.to" in first[-1]
    assert "%a = load <8 x float>, ptr %a.from" in found.last[0]
    assert found.last[-1] == BODY[-1]
    assert sum("load <8 x float>, ptr %at" in line for line in found.last) == 1


def test_short_chains_and_unknown_calls_stay() -> None:
    assert stages.cut(BODY, [], 32, 8) is None
    unknown = "  %c = call <8 x float> @somewhere(<8 x float> %b)"
    assert stages.cut([*BODY[:5], unknown, *BODY[6:]], [], 32, 8) is None


def test_values_of_fewer_lanes_than_an_iteration_has_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept lies at the places of the elements: two of them would need room for all."""
    monkeypatch.setattr(stages, "SHORT", 10)
    monkeypatch.setattr(stages, "WORTH", 100.0)
    monkeypatch.setattr(stages, "WINDOW", 1)
    assert stages.cut(BODY, [], 32, 8) is not None
    assert stages.cut(BODY, [], 32, 16) is None


def test_many_constants_stand_outside() -> None:
    """Few stay where they are: the code generator has registers for them."""
    x = gc.placeholder("x", ("n",))
    many = gc.function([x], gc.sin(x), backend="llvm", cache=False)
    few = gc.function([x], 2 * x + 3, backend="llvm", cache=False)
    assert "@constant." in many.llvm() and "@constant." not in few.llvm()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "uint32", "int64", "float16"])
def test_values_of_every_type_may_be_kept(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions and shuffles make other types than they take; truth values stay in registers."""
    monkeypatch.setattr(stages, "WORTH", 10.0)
    monkeypatch.setattr(stages, "SHORT", 1)
    x = gc.placeholder("x", ("n",), dtype)
    data = (np.arange(200) % 2).astype(dtype)
    for value in (gc.softplus(x), gc.tanh(x) * gc.exp(x), gc.zeta(x + 3.0, x + 2.0)):
        found = gc.function([x], value, cache=False)(data)
        expected = gc.function([x], value, backend="reference")(data)
        np.testing.assert_allclose(found, expected, rtol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kept_values_lie_at_different_places_of_a_page(dtype: str) -> None:
    """Else loads of one wait for stores of another, and all fall into the same sets of a cache."""
    text = compiled(prices, dtype).llvm()
    sizes = [int(size) for size in re.findall(r"%kept\.\d+ = alloca \[(\d+) x i8\]", text)]
    places = [sum(sizes[:slot]) % 4096 for slot in range(len(sizes))]
    assert len(set(places)) == len(places) > 3
    assert sum(sizes) < 16384  # half of a small first-level cache
