"""Numbers as settings: what each must lie between, and the one error for those that do not."""

import math
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import parameter_error


def is_real(value: Any) -> bool:
    """Whether it is a finite real number; truth values and strings are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _check(owner: str, fits: bool, name: str, value: Any, allowed: str) -> None:
    # What a tensor or an array of real numbers holds is known later.
    if isinstance(value, gc.Tensor | np.ndarray) and value.dtype.kind not in "bcmMOSU":
        fits = not value.dtype.names
    if not fits:
        raise parameter_error(f"{owner}: {name}={value!r:.60}", f"use a {allowed}")


def flag(owner: str, **values: Any) -> None:
    """True or False."""
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_) and not (type(value) is int and value in (0, 1)):
            raise parameter_error(f"{owner}: {name}={value!r:.60}", "use True or False")


def real(owner: str, **values: Any) -> None:
    """Any finite numbers."""
    for name, value in values.items():
        _check(owner, is_real(value), name, value, "finite number")


def within(owner: str, low: float = 0.0, **values: Any) -> None:
    """Numbers that must be at least `low`."""
    for name, value in values.items():
        _check(owner, is_real(value) and value >= low, name, value, f"finite number >= {low:g}")


def positive(owner: str, **values: Any) -> None:
    """Numbers above 0."""
    for name, value in values.items():
        _check(owner, is_real(value) and value > 0, name, value, "finite number > 0")


def limit(owner: str, **values: Any) -> None:
    """Numbers above 0; the largest float, inf, limits nothing."""
    for name, value in values.items():
        endless = isinstance(value, float | np.floating) and value == math.inf
        _check(owner, endless or (is_real(value) and value > 0), name, value, "number > 0")


def fraction(owner: str, **values: Any) -> None:
    """Numbers that must lie in [0, 1)."""
    for name, value in values.items():
        _check(owner, is_real(value) and 0 <= value < 1, name, value, "number from 0 to below 1")
