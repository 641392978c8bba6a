"""Stream: random numbers that are new at every call of a function."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, NoReturn, ParamSpec

import numpy as np

from graphc.dtypes import uint64
from graphc.errors import DTypeError, ParameterError
from graphc.ir.leaf import Variable, constant, variable
from graphc.ir.source import current_source
from graphc.ir.step_numbers import step_numbers
from graphc.ir.tensor import Tensor
from graphc.ops.elementwise import add
from graphc.other_names import missing
from graphc.random import (
    continuous,
    counts,
    derived,
    directions,
    keys,
    rejection,
    selection,
    truncated,
    uniforms,
)
from graphc.random.keys import MASK, Draws, Key

__all__ = ["Stream"]

SITES = 1 << 16  # arrays of one stream, and how far a call moves its counter: none share an offset
STREAM_TWEAK = 0x8CB92BA72F3D8DD7  # a stream has nothing in common with the key of its seed

P = ParamSpec("P")


def _method(
    function: Callable[Concatenate[Key, P], Tensor],
) -> "Callable[Concatenate[Stream, P], Tensor]":
    """The function of a key as a method of streams; `size=` of numpy and Theano is the shape."""
    has_shape = "shape" in inspect.signature(function).parameters

    @functools.wraps(function)
    def draw(self: "Stream", /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        if has_shape and "size" in kwargs and "shape" not in kwargs:
            kwargs["shape"] = kwargs.pop("size")
        return function(self._draws(), *args, **kwargs)

    first, *others = inspect.signature(function).parameters.values()
    parameters = [first.replace(name="self", annotation=inspect.Parameter.empty), *others]
    draw.__signature__ = inspect.signature(function).replace(  # type: ignore[attr-defined]
        parameters=parameters
    )
    del draw.__wrapped__
    return draw


def _advanced(state: Tensor) -> Tensor:
    """The state after a call."""
    return add(state, constant(np.array([0, SITES], np.uint64)))


class Stream:
    """A source of random numbers whose position is a variable.

    Its methods are the functions of gc.random without the key; each call of a method makes an
    expression with numbers of its own. Every call of a compiled function that uses them moves the
    stream on, so that the next call has other numbers: the variable carries this update by
    default. A function called twice gives different numbers; the same seed, program and order of
    calls give the same numbers, on every backend and in every process.

    `size=` is another name of `shape=`, for programs that were written for numpy or Theano.

    Within one function call an expression has one value, however often it is used. In the body of
    a loop it has one for each step, in a function under `gc.vmap` one for each example: what is
    drawn there is drawn anew. An error leaves the stream where it was.

    >>> rng = gc.random.Stream(seed=0)
    >>> noisy = x + 0.1 * rng.normal(x.shape)
    >>> f = gc.function([x], noisy)                # two calls give different noise
    """

    def __init__(self, seed: int = 0, name: str | None = None) -> None:
        """seed: an int, 0 <= seed < 2^64. name: of the variable, for errors and checkpoints."""
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
            raise DTypeError(
                f"Stream: the seed is no int: {seed!r:.60}",
                code="E214",
                source=current_source(),
                fix="seeds are whole numbers: gc.random.Stream(seed=0)",
            )
        if not 0 <= seed <= MASK:
            raise ParameterError(
                f"Stream: the seed is {seed}",
                details=["allowed: 0 <= seed < 2**64"],
                source=current_source(),
                fix="give a seed in that range",
            )
        start = np.array([int(seed) ^ STREAM_TWEAK, 0], np.uint64)
        self.variable: Variable = variable(start, name)
        self.variable.default_update = _advanced
        self._numbers = iter(range(SITES))

    @property
    def state(self) -> np.ndarray:
        """uint64[2], key and counter: a copy. Assign it to go on from there."""
        return self.variable.value

    @state.setter
    def state(self, new: Any) -> None:
        self.variable.value = new

    def updates(self) -> list[tuple[Variable, Tensor]]:
        """The update that functions make of their own accord, to pass it on explicitly."""
        return [(self.variable, _advanced(self.variable))]

    def __getattr__(self, name: str) -> NoReturn:
        raise missing("random", name, dir(type(self)), "rng")

    def _draws(self) -> Draws:
        key = self.variable[0]
        for number in step_numbers():
            key = keys.fold_in(key, number)
        return Draws(key, self.variable[1], self._numbers)

    def key(self) -> Tensor:
        """A key for the functions of gc.random, another one at each call of a function."""
        return self._draws().bits((), uint64)

    bits = _method(keys.bits)
    uniform = _method(uniforms.uniform)
    integers = _method(uniforms.integers)
    bernoulli = _method(uniforms.bernoulli)
    rademacher = _method(uniforms.rademacher)
    normal = _method(continuous.normal)
    truncated_normal = _method(truncated.truncated_normal)
    exponential = _method(continuous.exponential)
    laplace = _method(continuous.laplace)
    gumbel = _method(continuous.gumbel)
    logistic = _method(continuous.logistic)
    cauchy = _method(continuous.cauchy)
    gamma = _method(rejection.gamma)
    beta = _method(rejection.beta)
    loggamma = _method(rejection.loggamma)
    dirichlet = _method(derived.dirichlet)
    chisquare = _method(derived.chisquare)
    student_t = _method(derived.student_t)
    lognormal = _method(derived.lognormal)
    multivariate_normal = _method(derived.multivariate_normal)
    rayleigh = _method(derived.rayleigh)
    weibull = _method(derived.weibull)
    pareto = _method(derived.pareto)
    maxwell = _method(derived.maxwell)
    double_sided_maxwell = _method(derived.double_sided_maxwell)
    wald = _method(derived.wald)
    triangular = _method(derived.triangular)
    f = _method(derived.f)
    generalized_normal = _method(derived.generalized_normal)
    ball = _method(directions.ball)
    orthogonal = _method(directions.orthogonal)
    poisson = _method(counts.poisson)
    binomial = _method(counts.binomial)
    geometric = _method(counts.geometric)
    negative_binomial = _method(counts.negative_binomial)
    multinomial = _method(counts.multinomial)
    categorical = _method(selection.categorical)
    choice = _method(selection.choice)
    permutation = _method(selection.permutation)
    permuted = _method(selection.permuted)
    shuffle = _method(selection.shuffle)
