"""Layer: settings, weights, and a call that makes an expression of tensors."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

import graphc as gc
from graphc.layers import configs, constraints, initializers, regularizers
from graphc.layers.configured import written
from graphc.layers.context import CallContext, current_context
from graphc.layers.naming import automatic_name, identifier, snake_case
from graphc.layers.seeds import SeedGenerator, new_generator
from graphc.layers.structures import as_tensors, key_of, leaves, mapped, tensors_in
from graphc.layers.values import assign

__all__ = ["InputSpec", "Layer", "LayerCall", "LayerOutput", "Parameter"]

Shape = tuple[Any, ...]
_UNTRACKED = {"_given", "_replaced"}


@dataclass(frozen=True)
class InputSpec:
    """What a layer demands of its input: a rank, and sizes of some axes."""

    ndim: int | None = None
    min_ndim: int | None = None
    axes: Mapping[int, int] = field(default_factory=dict)

    def complaint(self, shape: Shape) -> tuple[str, str] | None:
        """What is wrong with the shape, and what is allowed; None if nothing is."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim:
            return f"the input has {rank} axes", f"{self.ndim} axes, the batch first"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"the input has {rank} axes", f"{self.min_ndim} axes or more, the batch first"
        for axis, size in self.axes.items():
            if isinstance(shape[axis], int) and shape[axis] != size:
                return f"axis {axis} of the input has size {shape[axis]}", f"size {size}"
        return None


@dataclass(frozen=True, eq=False)
class Parameter:
    """A variable of a layer, and how it is to be treated."""

    name: str
    variable: gc.Variable
    trainable: bool
    regularizer: Any = None
    constraint: Any = None
    tags: frozenset[str] = frozenset()


@dataclass(eq=False)
class LayerCall:
    """One call of a layer: what it was given and what it gave."""

    layer: "Layer"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any = None

    @property
    def inputs(self) -> list[gc.Tensor]:
        return tensors_in([self.args, self.kwargs])


class LayerOutput(gc.Tensor):
    """What a layer returns: a tensor like any other, that knows the call it came from."""

    __slots__ = ("call",)

    def __init__(self, tensor: gc.Tensor, call: LayerCall) -> None:
        super().__init__(tensor.node, tensor.index, tensor.name)
        self.call = call


class Layer:
    """Base of all layers. A subclass defines `call`, and `build` if it has weights.

    `build(input_shape)` is called once, before the first call; it makes weights by `add_param`.
    `call(inputs)` returns an expression; if it has an argument `training`, that is True or False.
    input_shape: the shape of the first argument, ints and symbolic sizes, the batch first; of
    several inputs a list or dict of shapes.

    name: in errors, summaries and files; made of the class by default. dtype: of the weights; that
    of the first floating input by default. trainable: whether optimizers change the weights.
    activity_regularizer: a penalty of what the layer returns. input_shape: of one example, so that
    a Sequential model is built at once.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_param("scale", (input_shape[-1],), "ones")
    ...     def call(self, x):
    ...         return x * self.scale
    """

    takes_tensors: ClassVar[bool] = False  # whether the constructor does
    _wants_training: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("graphc.layers."):
            configs.REGISTRY.classes[cls.__name__] = cls
        cls._wants_training = "training" in inspect.signature(cls.call).parameters

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if not cls.takes_tensors:
            _refuse_tensors(cls, args, kwargs)
        layer = super().__new__(cls)
        layer._given = (args, kwargs)
        layer._params: list[Parameter] = []  # type: ignore[misc]
        layer._automatic = kwargs.get("name") is None
        layer._name = str(kwargs.get("name") or automatic_name(snake_case(cls.__name__)))
        layer._trainable = True
        layer._wanted_dtype = None
        layer._dtype = None
        layer.built = False
        layer.input_spec = None
        layer.activity_regularizer = None
        layer.example_shape = None
        return layer

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
    ) -> None:
        self._given: tuple[tuple[Any, ...], dict[str, Any]]
        self._params: list[Parameter]
        self._automatic: bool
        self._name: str
        self.built: bool
        self.input_spec: InputSpec | None
        if name is not None:
            self._name, self._automatic = str(name), False
        self._trainable = bool(trainable)
        self._wanted_dtype = None if dtype is None else gc.as_dtype(dtype)
        self._dtype: np.dtype[Any] | None = self._wanted_dtype
        self.activity_regularizer = _found(regularizers, activity_regularizer)
        self.example_shape = None if input_shape is None else tuple(input_shape)

    # --- what subclasses define --------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The expression of the result for tensors."""
        raise TypeError(f"{type(self).__name__} does not define call(self, inputs)")

    # --- the call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """The layer applied to tensors: a tensor that can be used, printed and differentiated.

        training: how this call and the layers inside behave; by default as the open CallContext
        says, and False outside of all contexts. ShapeError (E241): an input that does not fit.
        """
        args, kwargs = as_tensors(args), as_tensors(kwargs)
        outer = current_context()
        if training is not None:
            recorded = {**kwargs, "training": bool(training)}
        else:
            recorded = kwargs
        wanted = (outer is not None and outer.training) if training is None else bool(training)
        context = CallContext(wanted) if outer is None else outer.switched(wanted)
        args, kwargs = self._cast(args), self._cast(kwargs)
        with context:
            self.ensure_built(*args)
            key = (id(self), wanted, key_of(args), key_of(kwargs))
            # The arguments are kept, so that nothing else gets their identities.
            _, made = context.remembered(
                key, lambda: ((args, kwargs), self._made(args, kwargs, recorded, context))
            )
        return made

    def _made(self, args: Any, kwargs: Any, recorded: Any, context: CallContext) -> Any:
        call = LayerCall(self, args, recorded)
        extra = {"training": context.training} if self._wants_training else {}
        result = self.call(*args, **kwargs, **extra)
        seen = {tensor.key for tensor in call.inputs}

        def output(leaf: Any) -> LayerOutput:
            tensor = gc.as_tensor(leaf)
            if tensor.key in seen:  # each result of a layer is a value of its own
                tensor = gc.logical_or(tensor, False) if tensor.dtype == gc.bool else tensor * 1
            return LayerOutput(tensor, call)

        call.outputs = mapped(output, result)
        if self.activity_regularizer is not None:
            context.losses += map(self.activity_regularizer, tensors_in(call.outputs))
        return call.outputs

    def _cast(self, value: Any) -> Any:
        """Floating inputs in the dtype that the layer was given."""
        wanted = self._wanted_dtype
        if wanted is None:
            return value
        return mapped(
            lambda leaf: (
                leaf.astype(wanted)
                if isinstance(leaf, gc.Tensor) and gc.isdtype(leaf.dtype, "real floating")
                else leaf
            ),
            value,
        )

    def ensure_built(self, *inputs: Any) -> None:
        """Check the first input, and make the weights if there are none yet."""
        shape = mapped(lambda leaf: tuple(getattr(leaf, "shape", ())), inputs[0] if inputs else ())
        self.check_input(inputs[0] if inputs else None)
        if self.built:
            return
        if self._dtype is None:
            floats = [t.dtype for t in tensors_in(inputs) if gc.isdtype(t.dtype, "real floating")]
            self._dtype = floats[0] if floats else np.dtype("float32")
        before = len(self._params)
        try:
            self.build(shape)
        except BaseException:
            del self._params[before:]
            raise
        self.built = True
        self.check_input(inputs[0] if inputs else None)

    def check_input(self, value: Any) -> None:
        """ShapeError (E241) if the first argument is not what `input_spec` says."""
        if self.input_spec is None or not isinstance(value, gc.Tensor):
            return
        found = self.input_spec.complaint(value.shape)
        if found is not None:
            problem, allowed = found
            raise self.error(
                problem,
                details=[f"got     {value.type}", f"allowed {allowed}"],
                fix="give the layer before it the size that this one needs, or make a new layer"
                if self.built
                else "reshape the input, or use the layer for inputs of this rank",
            )

    def error(
        self, problem: str, details: Sequence[str] = (), fix: str | None = None, code: str = "E241"
    ) -> gc.ShapeError:
        """An error that names this layer."""
        return gc.ShapeError(
            f"{type(self).__name__} {self.name!r}: {problem}",
            code=code,
            details=details,
            source=written(),
            fix=fix,
        )

    def output_shape(self, input_shape: Any) -> Any:
        """The shape of the result for an input of this shape; the layer is built by it.

        input_shape: ints, None or names for sizes of any number, the batch first; a list of shapes
        for several inputs. A size that is not known is None in the result.
        """
        many = bool(input_shape) and isinstance(input_shape[0], list | tuple)
        shapes = list(input_shape) if many else [input_shape]
        dtype = self._dtype or np.dtype("float32")
        given = [
            gc.placeholder(
                f"input_{n}",
                [s if s is not None else f"axis_{a}" for a, s in enumerate(shape)],
                dtype,
            )
            for n, shape in enumerate(shapes)
        ]
        result = self(given if many else given[0])
        return mapped(
            lambda leaf: tuple(s if isinstance(s, int) else None for s in leaf.shape), result
        )

    def known_size(self, shape: Shape, axis: int = -1) -> int:
        """The size of an axis on which the weights depend; ShapeError (E241) if it is symbolic."""
        if len(shape) > axis >= -len(shape):
            size = shape[axis]
            if isinstance(size, int):
                return size
        raise self.error(
            f"the size of axis {axis} must be known",
            details=[f"got     {gc.placeholder('input', shape).type}"],
            fix="declare it in Input(shape=...): sizes of weights depend on it",
        )

    # --- weights -------------------------------------------------------------------------------

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
            value = initializers.get(initializer)(
                tuple(shape), dtype or self.dtype, new_generator(), **options
            )
            variable = gc.variable(value, identifier(f"{self.name}_{name}"))
        found = set(tags)
        found |= {"trainable"} if trainable else set()
        found |= {"regularizable"} if regularizable and trainable else set()
        self._params.append(
            Parameter(
                name,
                variable,
                trainable,
                _found(regularizers, regularizer),
                _found(constraints, constraint),
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

    def sublayers(self) -> Iterator[tuple[str, "Layer"]]:
        """The layers among the attributes, also in lists, tuples and dicts, with their places."""
        for name, value in vars(self).items():
            if name in _UNTRACKED:
                continue
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list | tuple | dict):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}.{key}", v) for key, v in items if isinstance(v, Layer))

    def all_layers(self) -> list[tuple[str, "Layer"]]:
        """This layer and all inside, each once, with the path that leads to it."""
        found: list[tuple[str, Layer]] = []
        seen: set[int] = set()
        waiting: list[tuple[str, Layer]] = [("", self)]
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
        found: dict[tuple[int, int], Parameter] = {}
        for _, layer in self.all_layers():
            for parameter in layer._params:
                if parameter.trainable and layer._trainable:
                    found.setdefault(parameter.variable.key, parameter)
        return list(found.values())

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
        return self.trainable_weights + self.non_trainable_weights

    @property
    def losses(self) -> list[gc.Tensor]:
        """The penalties of the weights that have a regularizer."""
        return [
            parameter.regularizer(parameter.variable)
            for parameter in self.trainable_parameters
            if parameter.regularizer is not None
        ]

    def seed_states(self) -> list[tuple[str, gc.Variable]]:
        """The positions of random numbers, with their paths."""
        return [
            (f"{path}/{name}" if path else name, value.state)
            for path, layer in self.all_layers()
            for name, value in vars(layer).items()
            if isinstance(value, SeedGenerator)
        ]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values, in the order of `weights`."""
        return [variable.value for variable in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Set all weights, in the order of `weights`; all of them or, after an error, none.

        ShapeError (E245): another number of arrays, or one of another shape.
        """
        assign(self, [(str(v.name), v) for v in self.weights], list(values))

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(variable.value.size for variable in self.weights)

    # --- what it is ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the weights."""
        return self._dtype or np.dtype("float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as plain values, for JSON; the name if it was given."""
        return configs.arguments_of(self, *self._given) | self.given_name()

    def given_name(self) -> dict[str, Any]:
        """The name as a setting; nothing if it was made of the class."""
        return {} if self._automatic else {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A layer with these settings; its weights are new."""
        return cls(**configs.restored(dict(config)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ', not built'}>"


def _found(kind: Any, given: Any) -> Any:
    return None if given is None else kind.get(given)


def _refuse_tensors(cls: type[Layer], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """`Dense(hidden)` for `Dense(n)(hidden)`."""
    for leaf in leaves([args, kwargs]):
        if isinstance(leaf, gc.Tensor) and not isinstance(leaf, gc.Variable):
            name = leaf.name or "h"
            raise gc.DTypeError(
                f"{cls.__name__} was given a tensor where its settings belong",
                code="E240",
                details=[f"got     {leaf.name or leaf.op.name}: {leaf.type}"],
                source=written(),
                fix=f"make the layer first, then call it: {cls.__name__}({_first(cls)})({name})",
            )


def _first(cls: type[Layer]) -> str:
    """The arguments that the constructor cannot do without."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return ", ".join(p.name for p in parameters if p.kind in kinds and p.default is p.empty)
