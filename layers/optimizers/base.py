"""What all optimizer classes share: the rate, the count of updates, clipping, decay, averages."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypedDict

import numpy as np

import graphc as gc
from graphc.layers import schedules, updates
from graphc.layers.arguments import is_whole
from graphc.layers.configured import (
    Configured,
    described,
    parameter_error,
    with_plain_numbers,
)
from graphc.layers.limits import limit, within
from graphc.layers.updates.state import State, Updates, fitting, gradients, rounded, weights
from graphc.surface import surface


class Options(TypedDict, total=False):
    """The options of all optimizers."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    exclude_from_weight_decay: Sequence[str]
    name: str | None


def parts_of_names(
    owner: str, given: Any, setting: str = "exclude_from_weight_decay"
) -> tuple[str, ...]:
    """Several strings; one alone would be taken letter by letter."""
    if isinstance(given, str) or not all(isinstance(part, str) for part in given):
        raise parameter_error(
            f"{owner}: {setting}={given!r:.60}", "use a list of strings: ['bias']"
        )
    return tuple(given)


def _without_arrays(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that refuses arrays of numbers: a setting holds for whole weights."""

    @functools.wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        places = {f"argument {place}": value for place, value in enumerate(args, 1)}
        for name, value in (places | kwargs).items():
            if isinstance(value, np.ndarray) and value.dtype.kind not in "USOT":
                raise parameter_error(
                    f"{type(self).__name__}: {name}={value!r:.60}", "use a number"
                )
        init(self, *args, **kwargs)

    return call


class Optimizer(Configured):
    """Base of all optimizers: `optimizer.updates(loss, params)` is a dict for gc.function.

    learning_rate: a number, which can be set later, or a schedule of the step. weight_decay: all
    weights shrink by rate * weight_decay in each update, but for those whose names contain one of
    exclude_from_weight_decay. clipvalue, clipnorm, global_clipnorm: bounds of gradients by element,
    by weight, and of all together; one of them. use_ema: keeps a moving mean of the weights, by
    which they are replaced every ema_overwrite_frequency updates, and by
    `finalize_variable_values`. gradient_accumulation_steps: batches whose mean gradient makes one
    update.

    A subclass defines `rule` and names its own arguments in `settings`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("graphc.layers.") and "__init__" in vars(cls):
            cls.__init__ = with_plain_numbers(_without_arrays(surface(cls.__init__)))  # type: ignore[method-assign]

    settings: ClassVar[tuple[str, ...]] = ()
    decay_in_rule: ClassVar[bool] = False  # whether `rule` sees to weight_decay

    @with_plain_numbers
    @_without_arrays
    @surface
    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        exclude_from_weight_decay: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        if not isinstance(name, str | None):
            raise parameter_error(f"{type(self).__name__}: name={name!r:.60}", "use a string")
        self.name = name or type(self).__name__.lower()
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue = clipnorm, clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.exclude_from_weight_decay = parts_of_names(
            type(self).__name__, exclude_from_weight_decay
        )
        self._check()
        self.schedule: schedules.LearningRateSchedule | None = None
        self._rate: gc.Variable | None = None
        if isinstance(learning_rate, int | float | complex | np.number):
            number: Any = learning_rate
            within(type(self).__name__, learning_rate=number)
            self._rate = gc.variable(np.float64(number), "learning_rate")
        else:
            self.schedule = schedules.get(learning_rate)
        self.iterations = gc.variable(np.int64(0), "iterations")
        self._state = State()
        self._average = updates.ExponentialMovingAverage(ema_momentum, self._state)

    def _check(self) -> None:
        kind = type(self).__name__
        limits = ("clipvalue", "clipnorm", "global_clipnorm")
        given = [name for name in limits if getattr(self, name) is not None]
        if len(given) > 1:
            raise parameter_error(f"{kind}: {' and '.join(given)}", "use one way to clip")
        limit(kind, **{name: getattr(self, name) for name in given})
        for name in ("ema_overwrite_frequency", "gradient_accumulation_steps"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                raise parameter_error(f"{kind}: {name}={value!r:.60}", "use a whole number >= 1")
        if self.weight_decay is not None:
            within(kind, weight_decay=self.weight_decay)

    # --- the rate ----------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate of the next update; assign a number to change it."""
        if self._rate is not None:
            return float(self._rate.value)
        assert self.schedule is not None
        return self.schedule.value(int(self.iterations.value))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if self._rate is None:
            raise gc.FunctionError(
                f"the learning rate of this {type(self).__name__} follows a schedule",
                code="E207",
                fix="make the optimizer with a number, or change the schedule",
            )
        within(type(self).__name__, learning_rate=value)
        self._rate.value = float(value)

    # --- updates -----------------------------------------------------------------------------

    @property
    def variables(self) -> list[gc.Variable]:
        """Everything it keeps, in a fixed order, for saving: complete after `build`."""
        rate = [] if self._rate is None else [self._rate]
        return [self.iterations, *rate, *self._state.variables]

    def build(self, params: Any) -> Self:
        """Make the variables for these weights without training them."""
        wrt = weights(params)
        self.updates([gc.zeros_like(w) for w in wrt], wrt)
        return self

    @surface
    def updates(self, loss_or_grads: Any, params: Any) -> Updates:
        """The next values of the weights and of its own variables.

        loss_or_grads: a scalar loss, or the list of gradients. Called again with the same weights,
        for another compiled function, it goes on with the same variables.
        """
        grads, wrt = gradients(loss_or_grads, params)
        steps = self.gradient_accumulation_steps
        if steps is None or steps == 1:
            return self._updates(grads, wrt)
        return updates.accumulated(self._updates, grads, wrt, steps, state=self._state)

    def _updates(self, grads: list[gc.Tensor], wrt: list[gc.Variable]) -> Updates:
        rate = self._rate if self.schedule is None else self.schedule(self.iterations)
        assert rate is not None
        result = self.rule(self._clipped(grads), wrt, rate)
        for w in [] if self.decay_in_rule else wrt:
            decay = self.decay_of(w)
            if decay:
                result[w] = result[w] - fitting(rate, w) * decay * w
        result[self.iterations] = self.iterations + 1
        if self.use_ema:
            result = self._average.extend(result, wrt)
            if self.ema_overwrite_frequency is not None:
                due = (self.iterations + 1) % self.ema_overwrite_frequency == 0
                for w in wrt:
                    mean = result[self._average.averages[w]]
                    result[w] = gc.where(due, mean, result[w])
        return rounded(result)

    def decay_of(self, param: gc.Variable) -> float:
        """The weight decay of one weight, 0 if its name is excluded."""
        name = param.name or ""
        excluded = any(part in name for part in self.exclude_from_weight_decay)
        return 0.0 if excluded else self.weight_decay or 0.0

    def _clipped(self, grads: list[gc.Tensor]) -> list[gc.Tensor]:
        if self.clipvalue is not None:
            return updates.clip_by_value(grads, self.clipvalue)
        if self.clipnorm is not None:
            return updates.clip_by_norm(grads, self.clipnorm)
        if self.global_clipnorm is not None:
            return updates.clip_by_global_norm(grads, self.global_clipnorm)
        return grads

    def rule(self, grads: list[gc.Tensor], params: list[gc.Variable], rate: gc.Tensor) -> Updates:
        """Updates of the weights and of variables from `self.state`. Subclasses define it."""
        raise TypeError(f"{type(self).__name__} does not define rule(grads, params, rate)")

    @property
    def state(self) -> State:
        return self._state

    def finalize_variable_values(self, params: Any = None) -> None:
        """Give the weights their moving means, for use_ema; nothing happens without it."""
        averages = self._average.averages
        if averages and self.use_ema:
            chosen = list(averages) if params is None else weights(params)
            gc.function([], updates=rounded({w: averages[w] for w in chosen if w in averages}))()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain values; the rate is the present one."""
        rate = described(self.schedule) if self._rate is None else self.learning_rate
        names = (*Options.__annotations__, *self.settings)
        return {"learning_rate": rate} | {name: described(getattr(self, name)) for name in names}
