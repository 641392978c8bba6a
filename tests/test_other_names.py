"""Names of other libraries in the modules of graphc."""

import re
from typing import Any

import pytest

import graphc as gc
import graphc.layers  # which advice names
from graphc.other_names import INSIDE


@pytest.mark.parametrize("module", INSIDE)
def test_advice_inside_of_modules_is_true(module: str) -> None:
    place: Any = getattr(gc, module)
    for name, here in INSIDE[module].items():
        with pytest.raises(AttributeError, match=f"graphc.{module} has no '{name}'; here that is"):
            getattr(place, name)
        if here.isidentifier():
            getattr(place, here)
        for path in re.findall(r"graphc\.([A-Za-z_0-9.]+)", here):
            found: Any = gc
            for part in path.split("."):
                found = getattr(found, part)


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("nn", "swish", "graphc.nn has no 'swish'; here that is graphc.nn.silu"),
        ("nn", "exp", "graphc.nn has no 'exp'; here that is graphc.exp"),
        ("nn", "concatenate", "here that is graphc.concat"),
        ("nn", "hard_swish", "here that is graphc.nn.hard_silu"),
        ("nn", "sigmoidd", "did you mean graphc.nn.sigmoid"),
        ("nn", "layer_norm", "here that is graphc.nn.standardize(x) * scale + offset"),
        ("fft", "rfft2", "here that is graphc.fft.rfftn(x, axes=(-2, -1))"),
        ("random", "PRNGKey", "here that is graphc.random.key(seed)"),
        ("random", "unifrom", "did you mean graphc.random.uniform?"),
        ("linalg", "einsum", "here that is graphc.einsum"),
        ("stats", "normal", "here that is graphc.stats.norm"),
        ("stats", "quite_else", "graphc.stats has no 'quite_else'"),
        ("linalg", "__wrapped__", "graphc.linalg has no '__wrapped__'"),
    ],
)
def test_names_that_are_missing(module: str, name: str, text: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(text)):
        getattr(getattr(gc, module), name)


def test_methods_that_streams_do_not_have() -> None:
    rng = gc.random.Stream(0)
    for name, text in {
        "standard_normal": "rng has no 'standard_normal'; here that is rng.normal",
        "randint": "here that is rng.integers",
        "quite_else": "rng has no 'quite_else'",
    }.items():
        with pytest.raises(AttributeError, match=re.escape(text)):
            getattr(rng, name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sliding_window_view", "graphc.moveaxis(graphc.sliding_windows(x, n, axis=k), 0, -1)"),
        ("special", "graphc itself: graphc.gammaln"),
        ("ogrid", "graphc.arange(m)[:, None] and graphc.arange(n)"),
        ("global_norm", "graphc.layers.updates.global_norm"),
    ],
)
def test_names_that_graphc_does_not_have(name: str, text: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"no {name!r}; here that is {text}")):
        getattr(gc, name)


def test_updates_of_entries_by_other_names() -> None:
    x = gc.placeholder("x", (3,))
    with pytest.raises(AttributeError, match=re.escape("x.at[key].multiply(values)")):
        x.at[0].mul(2.0)
    with pytest.raises(AttributeError, match=r"x\.at\[key\] has no 'quite_else'$"):
        x.at[0].quite_else  # noqa: B018
