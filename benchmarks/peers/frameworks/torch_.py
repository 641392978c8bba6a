"""Torch, eager."""

from frameworks._torch import VERSION, make  # noqa: F401

build = make(False).build
