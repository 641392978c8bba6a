"""Optimizers by their names."""

from typing import Any

from graphc.layers.configured import Names
from graphc.layers.optimizers.adaptive import SM3, Adadelta, Adafactor, Adagrad, RMSprop
from graphc.layers.optimizers.base import Optimizer
from graphc.layers.optimizers.descent import SGD, Momentum, Nesterov, Rprop, SignSGD
from graphc.layers.optimizers.layerwise import Lamb, Lars, Muon, NovoGrad
from graphc.layers.optimizers.moments import (
    AdaBelief,
    Adam,
    Adamax,
    AdamW,
    Adan,
    AMSGrad,
    Lion,
    Nadam,
    RAdam,
    Yogi,
)

__all__ = ["get"]

CLASSES: list[type[Optimizer]] = [
    SGD,
    Momentum,
    Nesterov,
    SignSGD,
    Rprop,
    Adagrad,
    RMSprop,
    Adadelta,
    Adafactor,
    SM3,
    Adam,
    AdamW,
    AMSGrad,
    Adamax,
    Nadam,
    RAdam,
    AdaBelief,
    Yogi,
    Adan,
    Lion,
    Lamb,
    Lars,
    NovoGrad,
    Muon,
]
_names = Names("optimizer", Optimizer, CLASSES)


def get(given: Any) -> Optimizer:
    """The optimizer of a name, a class, a config, or itself."""
    return _names.get(given)
