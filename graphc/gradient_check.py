"""verify_grad: derivatives against central finite differences.

It stands above autodiff and the backends, which do not know each other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.autodiff.forward import jvp
from graphc.autodiff.gradient import vjp
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.dtypes import double, is_complex, is_inexact
from graphc.errors import GradientError, ParameterError
from graphc.function import Function
from graphc.function import function as compile_function
from graphc.ir.leaf import placeholder
from graphc.ir.opdef import Generator
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import whole_number
from graphc.surface import surface

__all__ = ["verify_grad"]

Arrays = list[np.ndarray]
LOCATED = 256  # elements that are looked at one by one after a mismatch
REPORTED = 5  # lines of an error


@surface
def verify_grad(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    epsilon: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    rng: Generator | int | None = None,
    directions: int = 2,
    backend: str = "reference",
) -> None:
    """Check both derivatives of a function against central finite differences, in float64.

    function(*tensors) builds an expression, or a list or tuple of them, of any shape. inputs: an
    array or number per argument; floating ones become float64 (complex ones complex128) and are
    differentiated, integers and truth values are passed as they are. The function must be smooth
    around them.

    Along `directions` random directions t, with random cotangents u:
    jvp(t)         is compared with  (f(x + h t) - f(x - h t)) / 2h     for every output element,
    <vjp(u)_i, t_i> with the inner product of u and that quotient       for every input i.
    Complex inputs move in both parts; the inner product of complex numbers is Re(sum(conj(u) * v)).
    epsilon: h, by default 6e-6 (the cube root of float64's precision) times max(1, max |x|).
    rtol, atol: |analytic - numeric| <= atol + rtol * size, where size is the sum of the absolute
    values of the terms. rng: generator or seed, by default 0: the same check every time.
    backend: what computes both sides; "reference" interprets, others compile.

    Raises GradientError E308 that lists the worst elements: input, position, analytic, numeric;
    ParameterError (E404): a negative tolerance or seed, a step that is not positive,
    no directions.

    >>> gc.verify_grad(lambda x: gc.tanh(x).sum(), [np.linspace(-1, 1, 5)])
    """
    if epsilon is not None:
        check_number("epsilon", epsilon, above=0)
    check_number("rtol", rtol)
    check_number("atol", atol)
    if (whole_number(directions) or 0) < 1:
        raise ParameterError(
            f"verify_grad: directions={directions!r:.60}",
            source=current_source(),
            fix="use a whole number >= 1",
        )
    generator = generator_of(rng)
    check = Check(function, inputs, epsilon, rtol, atol, evaluator(backend))
    for _ in range(directions):
        cotangents = [
            draw(generator, o.shape, is_complex(o.dtype)).astype(o.dtype) for o in check.outputs
        ]
        tangents = [draw(generator, a.shape, is_complex(a.dtype)) for a in check.moving_arrays]
        check.forward(tangents, cotangents)
        check.reverse(tangents, cotangents)


Evaluate = Callable[[Sequence[Tensor], Mapping[Tensor, np.ndarray]], Arrays]


def evaluator(backend: str) -> Evaluate:
    """How expressions get values: interpreted, or compiled once and called again."""
    if backend == "reference":
        return evaluate_tensors
    compiled: dict[tuple[tuple[int, int], ...], Function] = {}

    def evaluate(outputs: Sequence[Tensor], feeds: Mapping[Tensor, np.ndarray]) -> Arrays:
        key = tuple(tensor.key for tensor in (*outputs, *feeds))
        if key not in compiled:
            compiled[key] = compile_function(
                list(feeds), list(outputs), backend=backend, on_unused_input="ignore"
            )
        return list(compiled[key](*feeds.values()))

    return evaluate


def check_number(name: str, value: Any, above: float | None = None) -> None:
    """ParameterError for what is no real number, or not one that is allowed."""
    fits = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not fits or not (value >= 0 if above is None else above < value < np.inf):
        raise ParameterError(
            f"verify_grad: {name}={value!r:.60}",
            source=current_source(),
            fix="use a number >= 0" if above is None else f"use a finite number > {above}",
        )


def generator_of(rng: Any) -> Generator:
    """A generator, or the one of a seed; ParameterError for what is neither."""
    try:
        return np.random.default_rng(0 if rng is None else rng)
    except (TypeError, ValueError):
        raise ParameterError(
            f"verify_grad: rng={rng!r:.60}",
            source=current_source(),
            fix="use a generator, np.random.default_rng(0), or a seed: a whole number >= 0",
        ) from None


def draw(generator: Generator, shape: tuple[Any, ...], of_complex: bool = False) -> np.ndarray:
    """Numbers of size 0.5 to 1 with random signs: no element hides behind a larger one."""
    if of_complex:
        return np.asarray(draw(generator, shape) + 1j * draw(generator, shape))
    signs = generator.choice([-1.0, 1.0], size=shape)
    return np.asarray(signs * generator.uniform(0.5, 1.0, size=shape))


@dataclass(frozen=True, slots=True)
class Difference:
    """Two numbers that should be equal."""

    where: str
    analytic: complex
    numeric: complex

    @property
    def error(self) -> float:
        error = abs(self.analytic - self.numeric)
        return np.inf if np.isnan(error) else error

    def __str__(self) -> str:
        return f"{self.where}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}"


class Check:
    """One function at one point, with its derivatives as expressions."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        epsilon: float | None,
        rtol: float,
        atol: float,
        evaluate: Evaluate,
    ) -> None:
        arrays = [np.asarray(value) for value in inputs]
        arrays = [a.astype(double(a.dtype)) if is_inexact(a.dtype) else a for a in arrays]
        self.placeholders = [
            placeholder(f"input{number}", array.shape, array.dtype)
            for number, array in enumerate(arrays)
        ]
        built = function(*self.placeholders)
        several = list(built) if isinstance(built, tuple | list) else [built]
        self.outputs = [output for output in several if is_inexact(output.dtype)]
        self.moving = [n for n, array in enumerate(arrays) if is_inexact(array.dtype)]
        self.arrays, self.rtol, self.atol, self.evaluate = arrays, rtol, atol, evaluate
        largest = max((float(np.abs(a).max(initial=0.0)) for a in self.moving_arrays), default=0.0)
        self.epsilon = epsilon or float(np.finfo(np.float64).eps ** (1 / 3)) * max(1.0, largest)
        if not self.outputs or not self.moving:
            raise GradientError(
                "verify_grad: a floating input and a floating output are needed",
                code="E306",
                source=current_source(),
                fix="give inputs as floating-point arrays",
            )
        targets = [self.placeholders[number] for number in self.moving]
        self.directions = [placeholder(None, t.shape, t.dtype) for t in targets]
        self.weights = [placeholder(None, output.shape, output.dtype) for output in self.outputs]
        self.tangents = jvp(self.outputs, targets, self.directions, disconnected="zero")
        self.gradients = vjp(self.outputs, targets, self.weights, disconnected="zero")

    @property
    def moving_arrays(self) -> Arrays:
        return [self.arrays[number] for number in self.moving]

    def value(
        self, tensors: Sequence[Tensor], arrays: Arrays, extra: Mapping[Tensor, np.ndarray]
    ) -> Arrays:
        return self.evaluate(
            tensors, {**dict(zip(self.placeholders, arrays, strict=True)), **extra}
        )

    def quotient(self, steps: Mapping[int, np.ndarray]) -> Arrays:
        """(f(x + h t) - f(x - h t)) / 2h for each output; steps: t by number of the input."""
        ends: list[Arrays] = []
        for sign in (1.0, -1.0):
            moved = list(self.arrays)
            for number, step in steps.items():
                moved[number] = moved[number] + sign * self.epsilon * step
            ends.append([a.astype(double(a.dtype)) for a in self.value(self.outputs, moved, {})])
        return [(up - down) / (2 * self.epsilon) for up, down in zip(*ends, strict=True)]

    def agrees(self, analytic: Any, numeric: Any, size: Any) -> Any:
        return np.abs(analytic - numeric) <= self.atol + self.rtol * size

    def forward(self, tangents: Arrays, cotangents: Arrays) -> None:
        """jvp against the quotient."""
        extra = dict(zip(self.directions, tangents, strict=True))
        analytic = self.value(self.tangents, self.arrays, extra)
        numeric = self.quotient(dict(zip(self.moving, tangents, strict=True)))
        wrong: list[Difference] = []
        for number, (a, n) in enumerate(zip(analytic, numeric, strict=True)):
            for position in np.argwhere(~self.agrees(a, n, np.abs(n))):
                place = tuple(position)
                wrong.append(difference(f"output {number}", place, a[place], n[place]))
        if wrong:
            raise mismatch("jvp", wrong)

    def reverse(self, tangents: Arrays, cotangents: Arrays) -> None:
        """vjp against the quotient, one input at a time."""
        extra = dict(zip(self.weights, cotangents, strict=True))
        gradients = self.value(self.gradients, self.arrays, extra)
        for number, gradient, tangent in zip(self.moving, gradients, tangents, strict=True):
            terms = inner(np.asarray(gradient, double(gradient.dtype)), tangent)
            numeric = self.weighed({number: tangent}, cotangents)
            if not self.agrees(terms.sum(), numeric, np.abs(terms).sum()):
                raise mismatch("vjp", self.locate(number, gradient, cotangents))

    def weighed(self, steps: Mapping[int, np.ndarray], cotangents: Arrays) -> float:
        quotients = self.quotient(steps)
        return float(sum(inner(u, q).sum() for u, q in zip(cotangents, quotients, strict=True)))

    def locate(self, number: int, gradient: np.ndarray, cotangents: Arrays) -> list[Difference]:
        """The elements of one input whose derivatives differ, from one quotient each."""
        found: list[Difference] = []
        for flat in range(min(gradient.size, LOCATED)):
            place = tuple(int(i) for i in np.unravel_index(flat, gradient.shape))
            numeric: complex = 0.0
            for unit in (1.0, 1j) if is_complex(gradient.dtype) else (1.0,):
                step = np.zeros(gradient.shape, type(unit))
                step[place] = unit
                numeric += unit * self.weighed({number: step}, cotangents)
            found.append(difference(f"input {number}", place, gradient[place], numeric))
        return found


def difference(label: str, place: tuple[Any, ...], analytic: Any, numeric: Any) -> Difference:
    position = f" [{', '.join(str(int(i)) for i in place)}]" if place else ""
    return Difference(label + position, analytic.item(), np.asarray(numeric).item())


def inner(u: np.ndarray, v: np.ndarray) -> Any:
    """The terms of the real inner product."""
    return np.real(np.conj(u) * v)


def mismatch(rule: str, differences: list[Difference]) -> GradientError:
    worst = sorted(differences, key=lambda d: -d.error)[:REPORTED]
    return GradientError(
        f"{rule} differs from finite differences",
        code="E308",
        details=[str(d) for d in worst],
        source=current_source(),
        fix="check the derivative rule; at kinks and ties there is none to compare",
    )
