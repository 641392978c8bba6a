"""The optimizers, each on top of the function of graphc.layers.updates that has its formula."""

from typing import Any, ClassVar, Unpack

import graphc as gc
from graphc.layers import updates
from graphc.layers.configured import Names
from graphc.layers.limits import fraction, within
from graphc.layers.optimizers.base import Optimizer, Options
from graphc.layers.updates.state import Updates

__all__ = [
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lamb",
    "Lion",
    "Momentum",
    "Nadam",
    "Nesterov",
    "RMSprop",
    "SGD",
    "get",
]


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


class Adagrad(Optimizer):
    """`updates.adagrad`."""

    settings = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        within("Adagrad", initial_accumulator_value=initial_accumulator_value, epsilon=epsilon)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        start = self.initial_accumulator_value
        return updates.adagrad(
            grads,
            params,
            rate,
            self.epsilon,
            initial_accumulator_value=start,
            state=self.state,
        )


class RMSprop(Optimizer):
    """`updates.rmsprop`."""

    settings = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("RMSprop", rho=rho, momentum=momentum)
        within("RMSprop", epsilon=epsilon)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.rmsprop(
            grads,
            params,
            rate,
            self.rho,
            self.epsilon,
            momentum=self.momentum,
            centered=self.centered,
            state=self.state,
        )


class Adadelta(Optimizer):
    """`updates.adadelta`; the rate of the paper is 1."""

    settings = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("Adadelta", rho=rho)
        within("Adadelta", epsilon=epsilon)
        self.rho, self.epsilon = rho, epsilon

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adadelta(grads, params, rate, self.rho, self.epsilon, state=self.state)


class _Moments(Optimizer):
    """Those with two betas and an epsilon."""

    settings: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        within(type(self).__name__, epsilon=epsilon)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def own(self) -> dict[str, Any]:
        """The arguments that the functions call by other names."""
        return {
            "beta1": self.beta_1,
            "beta2": self.beta_2,
            "epsilon": self.epsilon,
            "state": self.state,
            "step": self.iterations,
        }


class Adam(_Moments):
    """`updates.adam`."""

    settings = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        self.amsgrad = amsgrad

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adam(grads, params, rate, amsgrad=self.amsgrad, **self.own())


class AdamW(Adam):
    """`updates.adamw`: Adam with weight decay beside the gradient."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options
        )


class AMSGrad(Adam):
    """`updates.amsgrad`: Adam with the largest mean square so far."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, **options)


class Adamax(_Moments):
    """`updates.adamax`."""

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adamax(grads, params, rate, **self.own())


class Nadam(_Moments):
    """`updates.nadam`."""

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.nadam(grads, params, rate, **self.own())


class Lamb(_Moments):
    """`updates.lamb`. weight_decay is part of the step whose length is made that of the weight."""

    decay_in_rule = True

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        result: Updates = {}
        for g, w in zip(grads, params, strict=True):
            decay = self.decay_of(w)
            result |= updates.lamb([g], [w], rate, weight_decay=decay, **self.own())
        return result


class Lion(Optimizer):
    """`updates.lion`."""

    settings = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("Lion", beta_1=beta_1, beta_2=beta_2)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.lion(grads, params, rate, self.beta_1, self.beta_2, state=self.state)


_CLASSES: list[type[Optimizer]] = [
    SGD,
    Momentum,
    Nesterov,
    Adagrad,
    RMSprop,
    Adadelta,
    Adam,
    AdamW,
    AMSGrad,
    Adamax,
    Nadam,
    Lion,
    Lamb,
]
_names = Names("optimizer", Optimizer, _CLASSES)


def get(given: Any) -> Optimizer:
    """The optimizer of a name, a class, a config, or itself."""
    return _names.get(given)
