"""Torch with torch.compile (inductor) around the whole call."""

from frameworks._torch import VERSION, make  # noqa: F401

build = make(True).build
