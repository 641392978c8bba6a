"""What layers hold: weights with tags, and the layers inside."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import constraints, initializers, regularizers
from graphc.layers.context import current_context
from graphc.layers.naming import identifier
from graphc.layers.seeds import SeedGenerator, new_seed
from graphc.layers.values import assign
from graphc.records import dataclass
from graphc.surface import surface

__all__ = ["Parameter"]

_UNTRACKED = {"_given", "_first_call", "_replaced", "_params"}
_NO_LAYERS = frozenset({bool, int, float, str, type(None), gc.Variable})


@dataclass(frozen=True, eq=False)
class Parameter:
    """A variable of a layer, and how it is to be treated."""

    name: str
    variable: gc.Variable
    trainable: bool
    regularizer: Any = None
    constraint: Any = None
    tags: frozenset[str] = frozenset()


class ParameterOwner:
    """Variables of a layer, and of the layers inside it."""

    _params: list[Parameter]
    _trainable: bool

    @property
    def name(self) -> str:
        raise TypeError(f"{type(self).__name__} has no name")

    @property
    def dtype(self) -> np.dtype[Any]:
        raise TypeError(f"{type(self).__name__} has no dtype")

    def error(
        self, problem: str, details: Sequence[str] = (), fix: str | None = None, code: str = "E241"
    ) -> gc.ShapeError:
        raise TypeError(f"{type(self).__name__} does not define error")

    @surface
    def add_param(
        self,
        name: str,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        regularizable: bool = True,
        *,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: Any = None,
        tags: Sequence[str] = (),
        **options: Any,
    ) -> gc.Variable:
        """A new weight: a variable float[shape].

        initializer: a name, a function, or a number or array; also a variable, which is shared
        instead of made. regularizable: whether penalties that a whole model is given apply to it;
        leave biases out. regularizer, constraint: of this weight alone. tags: names by which
        `get_params` finds it. options: of the initializer, such as in_axis.
        """
        if isinstance(initializer, gc.Variable):
            variable = initializer
            if variable.shape != tuple(shape):
                raise self.error(
                    f"the variable for {name!r} has another shape",
                    details=[f"got     {variable.type}", f"allowed {tuple(shape)}"],
                )
        else:
            make, seed = initializers.get(initializer), new_seed()
            rng = np.random.default_rng(seed) if make.is_random else None
            value = make(tuple(shape), dtype or self.dtype, rng, **options)
            variable = gc.variable(value, identifier(f"{self.name}_{name}"))
        found = set(tags)
        found |= {"trainable"} if trainable else set()
        found |= {"regularizable"} if regularizable and trainable else set()
        self._params.append(
            Parameter(
                name,
                variable,
                trainable,
                found_in(regularizers, regularizer),
                found_in(constraints, constraint),
                frozenset(found),
            )
        )
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str = "weight",
    ) -> gc.Variable:
        """`add_param` with the arguments in Keras's order."""
        return self.add_param(
            name,
            shape,
            initializer,
            trainable,
            regularizer=regularizer,
            constraint=constraint,
            dtype=dtype,
        )

    def add_loss(self, loss: gc.Tensor) -> None:
        """A scalar that the cost of the model gets in addition; call it inside `call`."""
        context = current_context()
        if context is not None:
            context.losses.append(loss)

    def sublayers(self) -> Iterator[tuple[str, Any]]:
        """The layers among the attributes, also in lists, tuples and dicts, with their places."""
        for name, value in vars(self).items():
            if type(value) in _NO_LAYERS or name in _UNTRACKED:
                continue
            if isinstance(value, ParameterOwner):
                yield name, value
            elif isinstance(value, list | tuple | dict):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                yield from (
                    (f"{name}.{key}", v) for key, v in items if isinstance(v, ParameterOwner)
                )

    def all_layers(self) -> list[tuple[str, Any]]:
        """This layer and all inside, each once, with the path that leads to it."""
        found: list[tuple[str, Any]] = []
        seen: set[int] = set()
        waiting: list[tuple[str, Any]] = [("", self)]
        while waiting:
            path, layer = waiting.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            found.append((path, layer))
            inner = [(f"{path}/{name}" if path else name, sub) for name, sub in layer.sublayers()]
            waiting += reversed(inner)
        return found

    def parameters(self) -> list[tuple[str, Parameter]]:
        """All parameters, each variable once, with their paths: `dense/kernel`."""
        found: dict[tuple[int, int], tuple[str, Parameter]] = {}
        for path, layer in self.all_layers():
            for parameter in layer._params:
                full = f"{path}/{parameter.name}" if path else parameter.name
                found.setdefault(parameter.variable.key, (full, parameter))
        return list(found.values())

    def get_params(self, **tags: bool) -> list[gc.Variable]:
        """Variables by tags, as in Lasagne: get_params(trainable=True, regularizable=True)."""
        return [
            parameter.variable
            for _, parameter in self.parameters()
            if all((tag in parameter.tags) == wanted for tag, wanted in tags.items())
        ]

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for _, layer in self.all_layers():
            layer._trainable = bool(value)

    @property
    def trainable_parameters(self) -> list[Parameter]:
        """What an optimizer changes: of layers that are trainable, what is trainable in them."""
        return trained_in(layer for _, layer in self.all_layers())

    @property
    def trainable_weights(self) -> list[gc.Variable]:
        return [parameter.variable for parameter in self.trainable_parameters]

    @property
    def non_trainable_weights(self) -> list[gc.Variable]:
        trained = {variable.key for variable in self.trainable_weights}
        return [p.variable for _, p in self.parameters() if p.variable.key not in trained]

    @property
    def weights(self) -> list[gc.Variable]:
        """All weights, those that are trained first."""
        trained: dict[tuple[int, int], gc.Variable] = {}
        others: dict[tuple[int, int], gc.Variable] = {}
        for _, layer in self.all_layers():
            for parameter in layer._params:
                chosen = trained if parameter.trainable and layer._trainable else others
                chosen.setdefault(parameter.variable.key, parameter.variable)
        return [*trained.values(), *(v for key, v in others.items() if key not in trained)]

    @property
    def variables(self) -> list[gc.Variable]:
        """All weights, and what calls carry on: see `states`."""
        return [*self.weights, *self._state_variables()]

    @property
    def trainable_variables(self) -> list[gc.Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[gc.Variable]:
        return [*self.non_trainable_weights, *self._state_variables()]

    def _state_variables(self) -> list[gc.Variable]:
        return list({variable.key: variable for _, variable in self.states()}.values())

    @property
    def losses(self) -> list[gc.Tensor]:
        """The penalties of the weights that have a regularizer."""
        return [
            parameter.regularizer(parameter.variable)
            for parameter in self.trainable_parameters
            if parameter.regularizer is not None
        ]

    def states(self) -> list[tuple[str, gc.Variable]]:
        """What calls carry on, with paths: positions of random numbers, states of sequences."""
        found: list[tuple[str, gc.Variable]] = []
        for path, layer in self.all_layers():
            kept = {n: v.state for n, v in vars(layer).items() if isinstance(v, SeedGenerator)}
            kept |= {f"carried_{n}": v for n, v in enumerate(layer.carried)}
            found += [(f"{path}/{name}" if path else name, v) for name, v in kept.items()]
        return found

    @property
    def carried(self) -> Sequence[gc.Variable]:
        """The states that a layer of sequences carries from call to call."""
        return ()

    def reset_states(self) -> None:
        """Begin anew with sequences: the states that layers inside carry become 0."""
        for _, layer in self.all_layers():
            for variable in layer.carried:
                variable.value = np.zeros(variable.value.shape, variable.dtype)

    reset_state = reset_states

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values, in the order of `weights`."""
        return [variable.value for variable in self.weights]

    @surface
    def set_weights(self, values: Sequence[Any]) -> None:
        """Set all weights, in the order of `weights`; all of them or, after an error, none.

        ShapeError (E245): another number of arrays, or one of another shape.
        """
        assign(self, [(str(v.name), v) for v in self.weights], list(values))

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(variable.value.size for variable in self.weights)


def found_in(kind: Any, given: Any) -> Any:
    return None if given is None else kind.get(given)


def trained_in(layers: Iterable[Any]) -> list[Parameter]:
    """The parameters that are trained, each once, of layers that are."""
    found: dict[tuple[int, int], Parameter] = {}
    for layer in layers:
        for parameter in layer._params:
            if parameter.trainable and layer._trainable:
                found.setdefault(parameter.variable.key, parameter)
    return list(found.values())
