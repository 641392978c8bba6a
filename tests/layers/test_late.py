"""Training steps in the cache: found without gradients and updates, and the same bit for bit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.backends.llvm import cache, routines
from graphc.late_updates import LateGraph
from graphc.layers import constraints, optimizers, schedules

RNG = np.random.default_rng(3)
X = RNG.normal(size=(12, 5)).astype("float32")
Y = RNG.integers(0, 3, 12)
LOSS = "sparse_categorical_crossentropy"


_alive: list[Any] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHC_CACHE", str(tmp_path / "folder"))
    monkeypatch.setattr(cache, "_told", set())
    # Programs that share routines of a process without a cache are not kept.
    tables: dict[Any, Any] = {}
    monkeypatch.setattr(routines, "_tables", tables)
    _alive.append(tables)
    return tmp_path / "folder"


def compiled(optimizer: Any = "adam", loss: Any = LOSS, **settings: Any) -> layers.Model:
    """A model with names and values that are the same every time."""
    layers.set_random_seed(7)
    given: dict[str, Any] = {
        "activation": "tanh",
        "constraint": None,
        "regularizer": None,
        "drop": 0.3,
    }
    given |= {name: settings.pop(name) for name in list(given) if name in settings}
    x = layers.Input((5,), name="given")
    h = layers.Dense(
        8,
        activation=given["activation"],
        kernel_constraint=given["constraint"],
        kernel_regularizer=given["regularizer"],
        name="inner",
    )(x)
    h = layers.BatchNorm(name="norm")(h)
    h = layers.Dropout(given["drop"], name="drop")(h)
    model = layers.Model(x, layers.Dense(3, activation="softmax", name="outer")(h), name="model")
    model.compile(optimizer, loss, **settings)
    return model


def steps_of(model: layers.Model) -> gc.Function:
    """The compiled training step."""
    assert model._steps is not None
    (step,) = (f for key, f in model._steps._functions.items() if key[0] == "train")
    return step


def state_of(model: layers.Model) -> list[np.ndarray]:
    held = [v.value for v in model.weights]
    held += [v.value for _, v in model.states()]
    return held + [v.value for v in model.optimizer.variables]


def trained(model: layers.Model, **given: Any) -> tuple[str, list[Any], list[np.ndarray]]:
    """Where the step came from, what it gave, and all that it changed."""
    sizes = (12, 5, 1, 12, 12, 12, 12, 12)
    given = {name: value for name, value in given.items() if value is not None}
    values = [
        model.train_on_batch(X[:n], Y[:n], **{name: value[:n] for name, value in given.items()})
        for n in sizes
    ]
    return steps_of(model).stages.found, values, state_of(model)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, 0.5),
    "nesterov": lambda: optimizers.SGD(0.1, 0.5, nesterov=True),
    "other momentum": lambda: optimizers.SGD(0.1, 0.75),
    "integer momentum": lambda: optimizers.SGD(0.1, 0),
    "adam": lambda: optimizers.Adam(0.01),
    "beta_1": lambda: optimizers.Adam(0.01, beta_1=0.8),
    "beta_2": lambda: optimizers.Adam(0.01, beta_2=0.99),
    "epsilon": lambda: optimizers.Adam(0.01, epsilon=1e-5),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "AMSGrad": lambda: optimizers.AMSGrad(0.01),
    "adamw": lambda: optimizers.AdamW(0.01),
    "weight_decay": lambda: optimizers.Adam(0.01, weight_decay=0.01),
    "excluded": lambda: optimizers.Adam(
        0.01, weight_decay=0.01, exclude_from_weight_decay=["bias"]
    ),
    "clipvalue": lambda: optimizers.Adam(0.01, clipvalue=0.01),
    "clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.01),
    "global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.01),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "schedule": lambda: optimizers.Adam(schedules.ExponentialDecay(0.01, 10, 0.9)),
    "other schedule": lambda: optimizers.Adam(schedules.ExponentialDecay(0.01, 10, 0.8)),
    "staircase": lambda: optimizers.Adam(schedules.ExponentialDecay(0.01, 10, 0.9, True)),
    "cosine": lambda: optimizers.Adam(schedules.CosineDecay(0.01, 10)),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "lamb": lambda: optimizers.Lamb(0.01),
    "lion": lambda: optimizers.Lion(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "accumulator": lambda: optimizers.Adagrad(0.01, initial_accumulator_value=0.2),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "centered": lambda: optimizers.RMSprop(0.01, centered=True),
    "adadelta": lambda: optimizers.Adadelta(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "absolute step": lambda: optimizers.Adafactor(0.01, relative_step=False),
    "sm3": lambda: optimizers.SM3(0.01),
    "rprop": lambda: optimizers.Rprop(0.01),
    "novograd": lambda: optimizers.NovoGrad(0.01),
    "muon": lambda: optimizers.Muon(0.01),
    "muon without names": lambda: optimizers.Muon(0.01, exclude=()),
}

MODELS: dict[str, dict[str, Any]] = {
    "maxnorm": {"constraint": constraints.MaxNorm(0.5)},
    "maxnorm of another value": {"constraint": constraints.MaxNorm(0.6)},
    "maxnorm of an integer": {"constraint": constraints.MaxNorm(1)},
    "maxnorm of a float": {"constraint": constraints.MaxNorm(1.0)},
    "maxnorm of another axis": {"constraint": constraints.MaxNorm(0.5, axis=1)},
    "nonneg": {"constraint": "non_neg"},
    "unitnorm": {"constraint": constraints.UnitNorm()},
    "l2": {"regularizer": "l2"},
    "activation": {"activation": "relu"},
    "no dropout": {"drop": 0.0},
    "dropout": {"drop": 0.4},
    "metrics": {"metrics": ["accuracy"]},
    "weighted metrics": {"weighted_metrics": ["accuracy"]},
    "two metrics": {"metrics": ["accuracy", LOSS]},
    "loss weights": {"loss_weights": [0.5]},
}


def _with_optimizer(make: Callable[[], Any]) -> layers.Model:
    return compiled(make())


def table() -> dict[str, Callable[[], layers.Model]]:
    found: dict[str, Callable[[], layers.Model]] = {"as it is": compiled}
    for name, make in OPTIMIZERS.items():
        found[name] = partial(_with_optimizer, make)
    for name, settings in MODELS.items():
        found[name] = partial(compiled, **settings)
    return found


# A rate is a variable, and without weights of samples there is one kind of metrics.
SAME = {"adam": "as it is", "weighted metrics": "metrics"}


def test_every_setting_that_matters_gives_a_step_a_name_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class StopError(Exception):
        """The name is known."""

    known = LateGraph.fingerprint

    def name_of(make: Callable[[], layers.Model]) -> bytes:
        found: list[bytes | None] = []

        def fingerprint(graph: LateGraph) -> bytes | None:
            found.append(known(graph))
            raise StopError

        monkeypatch.setattr(LateGraph, "fingerprint", fingerprint)
        with pytest.raises(StopError):
            make().train_on_batch(X, Y)
        assert found[0] is not None
        return found[0]

    names: dict[str, bytes] = {}
    for label, make in table().items():
        name = name_of(make)
        assert name == name_of(make), label
        same = [other for other, taken in names.items() if taken == name]
        assert same == ([SAME[label]] if label in SAME else []), label
        names[label] = name


def found_and_the_same(make: Callable[[], layers.Model]) -> None:
    first, second = trained(make()), trained(make())
    assert (first[0], second[0]) == ("compiled: first time", "found")
    assert first[1] == second[1]
    assert len(first[2]) == len(second[2])
    for a, b in zip(first[2], second[2], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


FEW = ("as it is", "sgd", "accumulation", "cosine", "nadam", "accumulator", "maxnorm", "metrics")


@pytest.mark.parametrize("label", FEW)
def test_a_step_that_is_found_trains_the_same(label: str) -> None:
    found_and_the_same(table()[label])


@pytest.mark.slow
@pytest.mark.parametrize("label", [label for label in table() if label not in FEW])
def test_every_step_that_is_found_trains_the_same(label: str) -> None:
    found_and_the_same(table()[label])


def test_a_step_that_is_found_is_that_of_a_process_without_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for settings in ({}, {"constraint": "unit_norm", "metrics": ["accuracy"]}):
        kept = compiled(**settings)
        kept.train_on_batch(X, Y)
        found = trained(compiled(**settings))
        plain = trained(compiled(cache=False, **settings))
        assert found[0] == "found" and plain[0] == "not looked for"
        assert found[1] == plain[1]
        for a, b in zip(found[2], plain[2], strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_trained_and_weighted_matters() -> None:
    weight = np.linspace(0.5, 2, 12).astype("float32")
    for given in ({}, {"sample_weight": weight}):
        for frozen in ((), ("inner",), ("outer", "norm")):
            answers = []
            for _ in range(2):
                model = compiled()
                for name in frozen:
                    model.get_layer(name).trainable = False
                answers.append(trained(model, **given))
            first, second = answers
            assert (first[0], second[0]) == ("compiled: first time", "found")
            assert first[1] == second[1]
            for a, b in zip(first[2], second[2], strict=True):
                np.testing.assert_array_equal(a, b)


class Damped(optimizers.Adam):
    """Somebody's own optimizer."""

    factor = 1.0

    def rule(self, grads: Any, params: Any, rate: Any) -> Any:
        return super().rule([g * self.factor for g in grads], params, rate)


class Halved(constraints.MaxNorm):
    """Somebody's own constraint, with a name of its own."""

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        return weight * 0.5


def test_code_of_the_user_is_run_every_time() -> None:
    """Its updates are made, and the step is named by what they are."""
    calls: list[str] = []

    def loss(true: Any, predicted: Any) -> Any:
        calls.append("loss")
        return gc.mean((predicted - 1) ** 2) + 0 * gc.sum(true)

    def bound(weight: Any) -> Any:
        calls.append("constraint")
        return gc.clip(weight, -1, 1)

    def rate(step: Any) -> Any:
        calls.append("rate")
        return 0.01 / (1 + step)

    cases: list[Callable[[], layers.Model]] = [
        lambda: compiled(loss=loss),
        lambda: compiled(constraint=bound),
        lambda: compiled(optimizers.Adam(rate)),
        lambda: compiled(Damped(0.01)),
        lambda: compiled(constraint=Halved(0.5)),
        lambda: compiled(optimizers.Adam(use_ema=True)),
    ]
    for case in cases:
        first = trained(case())
        before = len(calls)
        second = trained(case())
        assert (first[0], second[0]) == ("compiled: first time", "found")
        assert first[1] == second[1]
        if case in cases[:3]:
            assert len(calls) > before
        for a, b in zip(first[2], second[2], strict=True):
            np.testing.assert_array_equal(a, b)
    Damped.factor = 2.0
    try:
        assert trained(compiled(Damped(0.01)))[0] == "compiled: first time"
    finally:
        Damped.factor = 1.0


def test_a_rule_that_was_replaced_on_one_object_is_seen() -> None:
    trained(compiled())
    optimizer = optimizers.Adam()
    optimizer.rule = lambda grads, params, rate: {w: w - g for w, g in zip(params, grads)}  # type: ignore[method-assign] # noqa: B905
    assert trained(compiled(optimizer))[0] == "compiled: first time"


def test_custom_derivatives_are_seen() -> None:
    """An op with a derivative rule of the user's own has no name."""

    def model(factor: float) -> layers.Model:
        @gc.custom_gradient
        def own(x: Any) -> Any:
            return gc.tanh(x), lambda dy: dy * factor

        return compiled(activation=own)

    first, second = trained(model(1.0)), trained(model(0.5))
    assert any(not np.array_equal(a, b) for a, b in zip(first[2], second[2], strict=True))


def test_stages_and_errors_of_a_step_that_was_found() -> None:
    def step() -> gc.Function:
        model = compiled()
        model.train_on_batch(X, Y)
        return steps_of(model)

    first, second = step(), step()
    assert second.stages.found == "found"
    assert second.__doc__ == first.__doc__
    for look in ("rewrites", "kernels", "loops", "memory_plan", "source", "llvm"):
        assert str(getattr(second, look)()) == str(getattr(first, look)())
    assert str(second.graph_text("before")) == str(first.graph_text("before"))
    assert str(second.graph_text()) == str(first.graph_text())
    assert list(second.variables) == list(first.variables)
    assert second.stats() | {"seconds": 0} == first.stats() | {
        "seconds": 0,
        "program": "found",
        "origin": "found",
    }
    assert "train" in str(second.profile(X, Y, seconds=0.01))


def test_settings_after_a_step_was_found_are_for_other_steps() -> None:
    texts = []
    for change in (False, True):
        model = compiled()
        model.train_on_batch(X, Y)
        if change:
            assert steps_of(model).stages.found == "found"
            model.optimizer.beta_1 = 0.5
            model.optimizer.clipvalue = 0.1
        texts.append(str(steps_of(model).graph_text("before")))
    assert texts[0] == texts[1]


def test_errors_leave_weights_and_optimizer_as_they_were() -> None:
    compiled().train_on_batch(X, Y)
    model = compiled()
    model.train_on_batch(X, Y)
    before = state_of(model)
    with pytest.raises(gc.NumericsError, match="E248"):
        model.train_on_batch(np.full_like(X, np.nan), Y)
    for a, b in zip(before, state_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_goes_on_from_a_file(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        model = compiled()
        model.train_on_batch(X, Y)
        model.save(tmp_path / "m.gcx")
        again = layers.load_model(tmp_path / "m.gcx")
        assert [v.name for v in again.optimizer.variables] == [
            v.name for v in model.optimizer.variables
        ]
        answers.append((trained(model)[1:], trained(again)[1:]))
    for values, state in [*answers[0], *answers[1]]:
        assert values == answers[0][0][0]
        for a, b in zip(state, answers[0][0][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_broken_entries_are_made_anew(folder: Path) -> None:
    first = trained(compiled())
    for path in folder.glob("*.gcp"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="damaged"):
        second = trained(compiled())
    third = trained(compiled())
    assert third[0] == "found" and first[1] == second[1] == third[1]


def test_updates_in_two_places_are_those_of_the_optimizer() -> None:
    """A layer that updates a weight which is trained too."""

    class Both(layers.Dense):
        def call(self, inputs: Any, **given: Any) -> Any:
            context = layers.context.current_context()
            if context is not None and context.training:
                context.update(self.kernel, self.kernel * 0)
            return super().call(inputs, **given)

    def step() -> tuple[list[float], np.ndarray]:
        layers.set_random_seed(1)
        x = layers.Input((5,), name="given")
        model = layers.Model(x, Both(3, activation="softmax", name="both")(x), name="m")
        model.compile("sgd", LOSS)
        values = [model.train_on_batch(X, Y) for _ in range(3)]
        return values, model.weights[0].value

    first, second = step(), step()
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert np.any(first[1] != 0)
