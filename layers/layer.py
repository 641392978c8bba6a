"""Layer: settings, weights, and a call that makes an expression of tensors."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

import graphc as gc
from graphc.layers import configs, regularizers
from graphc.layers.calls import FirstCall, InputSpec, LayerCall, LayerOutput, Shape
from graphc.layers.configured import parameter_error, undefined, with_plain_numbers, written
from graphc.layers.context import CallContext, current_context
from graphc.layers.masks import mask_of, masks_of
from graphc.layers.naming import automatic_name, snake_case
from graphc.layers.parameters import Parameter, ParameterOwner, found_in
from graphc.layers.reuse import state_of
from graphc.layers.structures import as_tensors, key_of, leaves, mapped, tensors_in
from graphc.surface import surface

__all__ = ["InputSpec", "Layer", "LayerCall", "LayerOutput", "Parameter"]


class Layer(ParameterOwner):
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
    _call_names: ClassVar[tuple[str, ...]] = ()
    supports_masking = False  # whether results carry masks: see compute_mask
    input = FirstCall("input", lambda call: call.inputs)
    output = FirstCall("output", lambda call: leaves(call.outputs))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("graphc.layers."):
            configs.REGISTRY.classes[cls.__name__] = cls
            if "__init__" in vars(cls):
                checked = surface(cls.__init__, always=True)
                cls.__init__ = with_plain_numbers(checked)  # type: ignore[method-assign]
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        cls._call_names = tuple(p.name for p in parameters if p.kind in named)
        cls._wants_training = "training" in cls._call_names
        if "compute_mask" in vars(cls) and "supports_masking" not in vars(cls):
            cls.supports_masking = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if not cls.takes_tensors:
            _refuse_tensors(cls, args, kwargs)
        name = kwargs.get("name")
        if name is not None and not isinstance(name, str):
            raise parameter_error(f"{cls.__name__}: name={name!r:.60}", "a name is a string")
        layer = super().__new__(cls)
        layer._given = (args, kwargs)
        layer._params: list[Parameter] = []  # type: ignore[misc]
        layer._automatic = name is None
        layer._name = name or automatic_name(snake_case(cls.__name__))
        layer._trainable = True
        layer._wanted_dtype = None
        layer._dtype = None
        layer.built = False
        layer.input_spec = None
        layer.activity_regularizer = None
        layer.example_shape = None
        layer._first_call = None
        return layer

    @surface
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
        self._first_call: LayerCall | None
        if name is not None:
            self._name, self._automatic = str(name), False
        self._trainable = bool(trainable)
        self._wanted_dtype = None if dtype is None else gc.as_dtype(dtype)
        self._dtype: np.dtype[Any] | None = self._wanted_dtype
        self.activity_regularizer = found_in(regularizers, activity_regularizer)
        self.example_shape = None if input_shape is None else tuple(input_shape)

    # --- what subclasses define --------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The expression of the result for tensors."""
        raise undefined(self, "call(self, inputs)")

    # --- the call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """The layer applied to tensors: a tensor that can be used, printed and differentiated.

        training: how this call and the layers inside behave; by default as the open CallContext
        says, and False outside of all contexts. Masks that tensors carry reach `call` as `mask`,
        for its first argument, or as `<argument>_mask`, if it has such arguments. ShapeError
        (E241): an input that does not fit.
        """
        args, kwargs = self._positional(as_tensors(args), as_tensors(kwargs))
        if not args:
            self._check_call(args, kwargs | ({"training": False} if self._wants_training else {}))
        outer = current_context()
        recorded = dict(kwargs) if training is None else {**kwargs, "training": bool(training)}
        wanted = (outer is not None and outer._training) if training is None else bool(training)
        context = CallContext(wanted) if outer is None else outer.switched(wanted)
        call = LayerCall(self, args, recorded)
        masks = self._masks(args, kwargs)
        given = (self._cast(args), self._cast(kwargs) | masks)
        with context:
            self.ensure_built(*given[0])
            key = (id(self), wanted, key_of(args), key_of(kwargs), key_of(masks_of([args, kwargs])))
            # The arguments are kept, so that nothing else gets their identities.
            (kept, _), made = context.remembered(
                key, lambda: ((call, given), self._made(call, *given, context))
            )
            if kept.has_touched:
                context.touch()
            elif outer is None:
                kept.state = state_of(self)
        if outer is None and self._first_call is None and call.is_symbolic:
            self._first_call = call
        return made

    def _made(self, call: LayerCall, args: Any, kwargs: Any, context: CallContext) -> Any:
        before = context.touches
        extra = {"training": context._training} if self._wants_training else {}
        if extra and self.differs_in_training:
            context.touch()
        try:
            result = self.call(*args, **kwargs, **extra)
        except TypeError:
            self._check_call(args, {**kwargs, **extra})
            raise
        seen = {tensor.key for tensor in [*call.inputs, *tensors_in([args, kwargs])]}
        masks = iter(self._output_masks(call.args, kwargs.get("mask"), result))

        def output(leaf: Any) -> LayerOutput:
            tensor = gc.as_tensor(leaf)
            if tensor.key in seen:  # each result of a layer is a value of its own
                tensor = gc.logical_or(tensor, False) if tensor.dtype == gc.bool else tensor * 1
            return LayerOutput(tensor, call, next(masks))

        call.outputs = mapped(output, result)
        if self.activity_regularizer is not None:
            context.losses += map(self.activity_regularizer, tensors_in(call.outputs))
        call.has_touched = context.touches != before
        return call.outputs

    @property
    def differs_in_training(self) -> bool:
        """Whether a `call` that is told `training` gives another result in training."""
        return True

    def _check_call(self, args: Any, kwargs: Any) -> None:
        """ArgumentError for what `call` has no parameters for."""
        signature = inspect.signature(self.call)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise gc.ArgumentError(
                f"{type(self).__name__} {self.name!r}: {error}",
                source=written(),
                fix=f"it takes {', '.join(signature.parameters)}",
            ) from None

    def _positional(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Tensors that were given by the names of the next arguments of `call`, in their order."""
        kwargs = dict(kwargs)
        for name in self._call_names[len(args) :]:
            if name.endswith("mask") or not tensors_in(kwargs.get(name)):
                break
            args = (*args, kwargs.pop(name))
        return args, kwargs

    # --- masks ---------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the result, or a list for several results; None for none.

        mask: that of the first argument, in its structure. A layer that defines this, or sets
        `supports_masking`, passes masks on; others drop them, with a warning.
        """
        return mask

    def _masks(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The masks that `call` takes and was not given."""
        names = self._call_names
        wanted = {f"{name}_mask": value for name, value in [*zip(names, args, strict=False)]}
        wanted |= {f"{name}_mask": value for name, value in kwargs.items()}
        if args:
            wanted["mask"] = args[0]
        return {
            name: masks_of(value)
            for name, value in wanted.items()
            if name in names and kwargs.get(name) is None and masks_of(value) is not None
        }

    def _output_masks(self, args: Any, mask: Any, result: Any) -> list[gc.Tensor | None]:
        """A mask or None for each result."""
        own = [mask_of(leaf) for leaf in leaves(result)]  # of layers inside
        previous = masks_of(args[0]) if mask is None and args else mask
        if not self.supports_masking:
            if previous is not None and not tensors_in(own):
                warnings.warn(
                    f"{type(self).__name__} {self.name!r} was given a mask of padded steps, and "
                    "does not pass it on: layers and losses behind it take padding for data",
                    stacklevel=5,
                )
            return own
        found = self.compute_mask(args[0] if args else None, previous)
        listed = list(found) if isinstance(found, list | tuple) else [found]
        listed += [None] * (len(own) - len(listed))
        return [a if a is not None else b for a, b in zip(own, listed, strict=False)]

    # --- checks --------------------------------------------------------------------------------

    def _cast(self, value: Any) -> Any:
        """Floating inputs in the dtype that the layer was given."""
        wanted = self._wanted_dtype
        if wanted is None:
            return value

        def cast(leaf: Any) -> Any:
            if not isinstance(leaf, gc.Tensor) or not gc.isdtype(leaf.dtype, "real floating"):
                return leaf
            found = leaf.astype(wanted)
            if isinstance(leaf, LayerOutput) and leaf.mask is not None:
                return LayerOutput(found, leaf.call, leaf.mask)
            return found

        return mapped(cast, value)

    def ensure_built(self, *inputs: Any) -> None:
        """Check the first input, and make the weights if there are none yet."""
        shape = mapped(lambda leaf: tuple(getattr(leaf, "shape", ())), inputs[0] if inputs else ())
        if inputs and inputs[0] is None:
            raise self.error("was called with None", fix="call it with a tensor: layer(x)")
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
        for several inputs. A size that is not known is None in the result. Keras calls this
        `compute_output_shape`.
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
        with CallContext():
            result = self(given if many else given[0])
        return mapped(
            lambda leaf: tuple(s if isinstance(s, int) else None for s in leaf.shape), result
        )

    compute_output_shape = output_shape

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
