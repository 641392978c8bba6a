"""Optimizers that keep means of gradients and of their squares: Adam and its kin."""

from typing import Any, ClassVar, Unpack

import graphc as gc
from graphc.layers import updates
from graphc.layers.limits import fraction, within
from graphc.layers.optimizers.base import Optimizer, Options
from graphc.layers.updates.state import Updates

__all__ = [
    "AMSGrad",
    "AdaBelief",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "Lion",
    "Nadam",
    "RAdam",
    "Yogi",
]


class MomentOptimizer(Optimizer):
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


class Adam(MomentOptimizer):
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


class Adamax(MomentOptimizer):
    """`updates.adamax`."""

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adamax(grads, params, rate, **self.own())


class Nadam(MomentOptimizer):
    """`updates.nadam`."""

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.nadam(grads, params, rate, **self.own())


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


class RAdam(MomentOptimizer):
    """`updates.radam`."""

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.radam(grads, params, rate, **self.own())


class AdaBelief(MomentOptimizer):
    """`updates.adabelief`."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adabelief(grads, params, rate, **self.own())


class Yogi(MomentOptimizer):
    """`updates.yogi`."""

    settings = ("beta_1", "beta_2", "epsilon", "initial_accumulator_value")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-3,
        initial_accumulator_value: float = 1e-6,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        within("Yogi", initial_accumulator_value=initial_accumulator_value)
        self.initial_accumulator_value = initial_accumulator_value

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        start = self.initial_accumulator_value
        return updates.yogi(grads, params, rate, initial_accumulator_value=start, **self.own())


class Adan(MomentOptimizer):
    """`updates.adan`."""

    settings = ("beta_1", "beta_2", "beta_3", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.98,
        beta_2: float = 0.92,
        beta_3: float = 0.99,
        epsilon: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        fraction("Adan", beta_3=beta_3)
        self.beta_3 = beta_3

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adan(grads, params, rate, beta3=self.beta_3, **self.own())
