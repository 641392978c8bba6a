"""Callbacks: objects that a training loop tells what it does. Hooks are those of Keras."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.layers.configured import parameter_error, with_plain_numbers
from graphc.surface import surface

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback"]

HOOKS = tuple(
    f"on_{what}_{when}"
    for what in (
        "train",
        "epoch",
        "train_batch",
        "test",
        "test_batch",
        "predict",
        "predict_batch",
    )
    for when in ("begin", "end")
)


class Callback:
    """Base of all callbacks. `logs` maps names of metrics to numbers; setting
    `self.model.stop_training = True` ends training after the epoch or batch.

    params: what fit was called with: epochs, steps, verbose. model: what is trained.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("graphc.layers.") and "__init__" in vars(cls):
            checked = surface(cls.__init__, always=True)
            cls.__init__ = with_plain_numbers(checked)  # type: ignore[method-assign]

    model: Any = None
    params: Mapping[str, Any] = {}

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_predict_begin(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_predict_end(self, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None: ...


class CallbackList(Callback):
    """Several callbacks as one: each hook calls theirs, in their order."""

    def __init__(
        self,
        callbacks: Iterable[Callback] | Callback | None = None,
        add_history: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        for one in given:
            if isinstance(one, type) or not hasattr(one, "on_epoch_end"):
                raise parameter_error(
                    f"callbacks: {one!r:.60} is no callback",
                    "give objects such as EarlyStopping(), or a subclass of Callback of your own",
                )
        self.callbacks = given
        if add_history and not any(isinstance(one, History) for one in given):
            self.callbacks.append(History())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    @property
    def history(self) -> "History | None":
        """The History among them."""
        return next((one for one in self.callbacks if isinstance(one, History)), None)

    def append(self, callback: Callback) -> None:
        self.callbacks.append(callback)

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)


def _to_all(hook: str) -> Callable[..., None]:
    def tell(self: CallbackList, *args: Any, **kwargs: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args, **kwargs)

    tell.__name__ = hook
    return tell


for _hook in HOOKS:
    setattr(CallbackList, _hook, _to_all(_hook))


class History(Callback):
    """What every epoch ended with: `history["loss"]` is a list, `epoch` the numbers of epochs."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """Functions as hooks: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))`."""

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        unknown = sorted(set(hooks) - set(HOOKS))
        if unknown:
            raise TypeError(f"LambdaCallback has no hook {unknown[0]!r}; hooks: {', '.join(HOOKS)}")
        for name, function in hooks.items():
            if function is not None:
                setattr(self, name, function)
