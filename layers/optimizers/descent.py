"""Optimizers that follow the gradient, its mean or its sign: SGD, momentum, signSGD, Rprop."""

from typing import Any, Unpack

import graphc as gc
from graphc.layers import updates
from graphc.layers.limits import fraction
from graphc.layers.optimizers.base import Optimizer, Options
from graphc.layers.updates.state import Updates

__all__ = ["Momentum", "Nesterov", "Rprop", "SGD", "SignSGD"]


class SGD(Optimizer):
    """`updates.sgd`, with momentum > 0 `updates.momentum`, with nesterov
    `updates.nesterov_momentum`."""

    settings = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction(type(self).__name__, momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        if not self.momentum:
            return updates.sgd(grads, params, rate)
        rule = updates.nesterov_momentum if self.nesterov else updates.momentum
        return rule(grads, params, rate, self.momentum, state=self.state)


class Momentum(SGD):
    """SGD with momentum 0.9."""

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, momentum, nesterov, **options)


class Nesterov(Momentum):
    """SGD with Nesterov's momentum, 0.9."""

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, momentum, nesterov, **options)


class SignSGD(Optimizer):
    """`updates.sign_sgd`."""

    settings = ("momentum",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        momentum: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("SignSGD", momentum=momentum)
        self.momentum = momentum

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.sign_sgd(grads, params, rate, self.momentum, state=self.state)


class Rprop(Optimizer):
    """`updates.rprop`: the rate is that of the first update."""

    settings = ("shrink", "grow", "smallest", "largest")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        shrink: float = 0.5,
        grow: float = 1.2,
        smallest: float = 1e-6,
        largest: float = 50.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.shrink, self.grow, self.smallest, self.largest = shrink, grow, smallest, largest
        updates.rprop([], [], 0.0, **self.own())

    def own(self) -> dict[str, Any]:
        """The arguments of the function."""
        return {name: getattr(self, name) for name in self.settings}

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.rprop(grads, params, rate, **self.own(), state=self.state)
