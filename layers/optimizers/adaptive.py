"""Optimizers that divide gradients by their own size so far."""

from typing import Any, Unpack

import graphc as gc
from graphc.layers import updates
from graphc.layers.limits import flag, fraction, positive, within
from graphc.layers.optimizers.base import Optimizer, Options
from graphc.layers.updates.state import Updates

__all__ = ["Adadelta", "Adafactor", "Adagrad", "RMSprop", "SM3"]


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


class Adafactor(Optimizer):
    """`updates.adafactor`."""

    settings = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        within("Adafactor", epsilon_1=epsilon_1, epsilon_2=epsilon_2)
        within("Adafactor", low=-1.0, beta_2_decay=beta_2_decay)
        positive("Adafactor", clip_threshold=clip_threshold)
        flag("Adafactor", relative_step=relative_step)
        self.beta_2_decay, self.clip_threshold = beta_2_decay, clip_threshold
        self.epsilon_1, self.epsilon_2 = epsilon_1, epsilon_2
        self.relative_step = relative_step

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.adafactor(
            grads,
            params,
            rate,
            self.beta_2_decay,
            self.epsilon_1,
            self.epsilon_2,
            clip_threshold=self.clip_threshold,
            relative_step=self.relative_step,
            state=self.state,
            step=self.iterations,
        )


class SM3(Optimizer):
    """`updates.sm3`."""

    settings = ("momentum",)

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        fraction("SM3", momentum=momentum)
        self.momentum = momentum

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        return updates.sm3(grads, params, rate, self.momentum, state=self.state)
