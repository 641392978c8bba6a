"""Optimizer classes and schedules."""

import json
import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import optimizers, schedules, updates
from graphc.layers.optimizers.named import CLASSES


def problem() -> tuple[list[gc.Variable], gc.Tensor]:
    w = gc.variable(np.array([1.0, -2.0]), "w")
    b = gc.variable(np.float64(0.5), "b")
    return [w, b], gc.sum(gc.square(w - 0.5)) * (1 + gc.square(b))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_resumes_from_its_config_and_variables(cls: Any) -> None:
    params, loss = problem()
    optimizer = cls(learning_rate=0.05)
    train = gc.function([], loss, updates=optimizer.updates(loss, params))
    for _ in range(3):
        train()
    config = json.loads(json.dumps({"class_name": cls.__name__, "config": optimizer.get_config()}))
    other_params, other_loss = problem()
    other = optimizers.get(config).build(other_params)
    assert type(other) is cls and other.get_config() == optimizer.get_config()
    assert len(other.variables) == len(optimizer.variables)
    for new, old in zip(other.variables, optimizer.variables, strict=True):
        new.value = old.value
    for new, old in zip(other_params, params, strict=True):
        new.value = old.value
    go_on = gc.function([], other_loss, updates=other.updates(other_loss, other_params))
    for _ in range(3):
        assert train() == go_on()
    assert all(np.array_equal(a.value, b.value) for a, b in zip(params, other_params, strict=True))
    assert optimizer.iterations.value == 6


def test_classes_have_the_formulas_of_the_functions() -> None:
    params, loss = problem()
    gc.function([], updates=optimizers.Adam(0.1, epsilon=1e-8).updates(loss, params)).repeat(5)
    same, same_loss = problem()
    gc.function([], updates=updates.adam(same_loss, same, 0.1)).repeat(5)
    assert all(np.allclose(a.value, b.value, rtol=1e-14) for a, b in zip(params, same, strict=True))


def test_learning_rate_can_be_set() -> None:
    w = gc.variable(np.float64(1.0), "w")
    sgd = optimizers.SGD(0.5)
    train = gc.function([], updates=sgd.updates(2 * w, [w]))
    train()
    assert w.value == 0.0
    sgd.learning_rate = 0.25
    train()
    assert w.value == -0.5 and sgd.learning_rate == 0.25
    with pytest.raises(gc.ParameterError, match="learning_rate=-1"):
        sgd.learning_rate = -1


def test_learning_rate_of_a_schedule() -> None:
    w = gc.variable(np.float64(0.0), "w")
    sgd = optimizers.SGD(schedules.StepDecay(1.0, every=2))
    train = gc.function([], updates=sgd.updates(-w, [w]))
    path = [(train(), float(w.value))[1] for _ in range(5)]
    assert path == [1, 2, 2.5, 3, 3.25]
    assert sgd.learning_rate == 0.25
    with pytest.raises(gc.FunctionError, match="follows a schedule"):
        sgd.learning_rate = 1.0
    again = optimizers.get({"class_name": "SGD", "config": sgd.get_config()})
    assert again.schedule == sgd.schedule


def test_clipping_decay_and_exclusion() -> None:
    w, bias = gc.variable(np.array([3.0, 4.0]), "w"), gc.variable(np.array([2.0]), "bias")
    loss = gc.sum(w * np.array([3.0, 4.0])) + gc.sum(12.0 * bias)
    sgd = optimizers.SGD(
        1.0, global_clipnorm=6.5, weight_decay=0.5, exclude_from_weight_decay=["bias"]
    )
    gc.function([], updates=sgd.updates(loss, [w, bias]))()
    assert np.allclose(w.value, np.array([3.0, 4.0]) * (1 - 0.5 - 0.5))
    assert np.allclose(bias.value, 2 - 6)
    for option in ("clipvalue", "clipnorm"):
        v = gc.variable(np.array([3.0, 4.0]), "v")
        options: dict[str, Any] = {option: 2.5}
        gc.function([], updates=optimizers.SGD(1.0, **options).updates(gc.sum(v * v / 2), [v]))()
        assert np.allclose(v.value, [0.5, 1.5] if option == "clipvalue" else [1.5, 2.0])


def test_lamb_decays_within_its_step() -> None:
    w, same = gc.variable(np.array([1.0, 2.0]), "w"), gc.variable(np.array([1.0, 2.0]), "same")
    lamb = optimizers.Lamb(0.1, epsilon=1e-6, weight_decay=0.3)
    gc.function([], updates=lamb.updates(gc.sum(w**3), [w])).repeat(4)
    rule = updates.lamb(gc.sum(same**3), [same], 0.1, weight_decay=0.3)
    gc.function([], updates=rule).repeat(4)
    assert np.allclose(w.value, same.value, rtol=1e-14)


@pytest.mark.parametrize("name", ["lars", "novograd"])
def test_decay_of_single_weights(name: str) -> None:
    """The bias has the path that it has without decay, and the weight that of the function."""
    params, alone = problem()[0], problem()[0]
    params[1].name, params[0].name = "bias", "w"

    def loss(pair: list[gc.Variable]) -> gc.Tensor:
        return gc.sum(gc.square(pair[0] - 0.5)) + gc.square(pair[1] + 1)

    cls = type(optimizers.get(name))
    optimizer = cls(0.1, weight_decay=0.3, exclude_from_weight_decay=["bias"])
    gc.function([], updates=optimizer.updates(loss(params), params)).repeat(4)
    function = getattr(updates, name)
    rules = function(loss(alone), [alone[0]], 0.1, weight_decay=0.3)
    rules |= function(loss(alone), [alone[1]], 0.1)
    gc.function([], updates=rules).repeat(4)
    for one, other in zip(params, alone, strict=True):
        assert np.allclose(one.value, other.value, rtol=1e-14)


def test_muon_leaves_embeddings_and_vectors_to_adam() -> None:
    rng = np.random.default_rng(0)
    shapes = {"w": (3, 2), "word_embedding": (2, 2), "b": (2,)}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    params = [gc.variable(array, name) for name, array in arrays.items()]
    same = [gc.variable(array, name) for name, array in arrays.items()]

    def loss(weights: list[gc.Variable]) -> gc.Tensor:
        return gc.add_n([gc.sum(w**4) for w in weights])

    muon = optimizers.Muon(0.1, epsilon=1e-8)
    gc.function([], updates=muon.updates(loss(params), params)).repeat(3)
    rules = updates.muon(loss(same), same[:1], 0.1, rms_rate=0.2)
    rules |= updates.adam(loss(same), same[1:], 0.1)
    gc.function([], updates=rules).repeat(3)
    for one, other in zip(params, same, strict=True):
        assert np.allclose(one.value, other.value, rtol=1e-12)


def test_accumulation_counts_updates_not_batches() -> None:
    w, x = gc.variable(np.float64(0.0), "w"), gc.placeholder("x", (), "float64")
    sgd = optimizers.SGD(1.0, gradient_accumulation_steps=2)
    train = gc.function([x], updates=sgd.updates(w * x, [w]))
    path = [(train(value), float(w.value))[1] for value in (1.0, 3.0, 5.0, 7.0)]
    assert path == [0, -2, -2, -8] and sgd.iterations.value == 2


def test_moving_means_overwrite() -> None:
    w = gc.variable(np.float64(0.0), "w")
    sgd = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    train = gc.function([], updates=sgd.updates(-w, [w]))
    path = [(train(), float(w.value))[1] for _ in range(4)]
    assert path == [1, 2, 2.25, 3.25]  # means 1, 1.5, (1.5 + 3) / 2
    sgd.finalize_variable_values()
    assert w.value == 2.75


def test_names_and_errors() -> None:
    assert type(optimizers.get("adam")) is optimizers.Adam
    assert type(optimizers.get("rmsprop")) is optimizers.RMSprop
    with pytest.raises(gc.ParameterError, match="did you mean AMSGrad"):
        optimizers.get("amsgrat")
    assert type(optimizers.get("adabelief")) is optimizers.AdaBelief
    with pytest.raises(gc.ParameterError, match="Muon: exclude='embedding'"):
        optimizers.Muon(exclude="embedding")
    with pytest.raises(gc.ParameterError, match="smallest <= largest"):
        optimizers.Rprop(smallest=2.0, largest=1.0)
    with pytest.raises(gc.ParameterError, match=r"beta_2_decay=-2\.0"):
        optimizers.Adafactor(beta_2_decay=-2.0)
    with pytest.raises(gc.ParameterError, match="one way to clip"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(gc.ParameterError, match="momentum=1"):
        optimizers.SGD(momentum=1)
    with pytest.raises(gc.ParameterError, match="gradient_accumulation_steps=0"):
        optimizers.SGD(gradient_accumulation_steps=0)
    with pytest.raises(gc.ParameterError, match="weight_decay=-1"):
        optimizers.AdamW(weight_decay=-1)


def half_cosine(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (schedules.get(0.3), lambda t: 0.3),
        (schedules.ExponentialDecay(0.2, 10, 0.5), lambda t: 0.2 * 0.5 ** (t / 10)),
        (schedules.ExponentialDecay(0.2, 10, 0.5, True), lambda t: 0.2 * 0.5 ** (t // 10)),
        (schedules.StepDecay(0.2, 10, 0.1), lambda t: 0.2 * 0.1 ** (t // 10)),
        (schedules.InverseTimeDecay(0.2, 10, 0.5), lambda t: 0.2 / (1 + 0.5 * t / 10)),
        (schedules.InverseTimeDecay(0.2, 10, 0.5, True), lambda t: 0.2 / (1 + 0.5 * (t // 10))),
        (
            schedules.PolynomialDecay(0.2, 20, 0.1, 2.0),
            lambda t: 0.1 + 0.1 * (1 - min(t, 20) / 20) ** 2,
        ),
        (
            schedules.PolynomialDecay(0.2, 20, 0.1, cycle=True),
            lambda t: 0.1 + 0.1 * (1 - t / (20 * max(1, math.ceil(t / 20)))),
        ),
        (
            schedules.PiecewiseConstantDecay([10, 20], [3.0, 2.0, 1.0]),
            lambda t: 3.0 if t <= 10 else 2.0 if t <= 20 else 1.0,
        ),
        (
            schedules.CosineDecay(0.2, 20, 0.1),
            lambda t: 0.2 * (0.9 * (1 + math.cos(math.pi * min(t, 20) / 20)) / 2 + 0.1),
        ),
        (
            schedules.CosineDecay(0.0, 20, warmup_target=0.4, warmup_steps=10),
            lambda t: 0.04 * t if t < 10 else 0.2 * (1 + math.cos(math.pi * min(t - 10, 20) / 20)),
        ),
        (
            schedules.CosineDecayRestarts(0.2, 10, 2.0, 0.5),
            lambda t: (
                0.1 * (1 + math.cos(math.pi * t / 10))
                if t < 10
                else 0.05 * (1 + math.cos(math.pi * (t - 10) / 20))
                if t < 30
                else 0.025 * (1 + math.cos(math.pi * (t - 30) / 40))
            ),
        ),
        (
            schedules.CosineDecayRestarts(0.2, 10, 1.0),
            lambda t: 0.1 * (1 + math.cos(math.pi * (t % 10) / 10)),
        ),
        (
            schedules.WarmUp(schedules.StepDecay(0.2, 10), 5),
            lambda t: 0.04 * t if t < 5 else 0.2 * 0.5 ** ((t - 5) // 10),
        ),
        (
            schedules.InverseSquareRootDecay(0.2, 10),
            lambda t: 0.2 * math.sqrt(10 / max(t, 10)),
        ),
        (
            schedules.PiecewiseLinear([5, 10, 30], [1.0, 3.0, 0.0]),
            lambda t: np.interp(t, [5, 10, 30], [1.0, 3.0, 0.0]),
        ),
        (
            schedules.OneCycle(0.5, 40, 0.25, 10.0, 100.0),
            lambda t: (
                0.05 + 0.45 * half_cosine(t / 10)
                if t < 10
                else 0.5 - 0.4995 * half_cosine(min(t - 10, 30) / 30)
            ),
        ),
        (
            schedules.OneCycle(0.5, 30, 1 / 3, 10.0, 100.0, "linear", True),
            lambda t: np.interp(t, [0, 10, 20, 30], [0.05, 0.5, 0.05, 0.0005]),
        ),
        (
            schedules.Cyclic(0.1, 0.5, 5, 15, 0.5),
            lambda t: 0.1 + 0.4 * 0.5 ** (t // 20) * np.interp(t % 20, [0, 5, 20], [0.0, 1.0, 0.0]),
        ),
        (
            schedules.Joined([0.3, schedules.StepDecay(0.2, 10), 0.1], [5, 30]),
            lambda t: 0.3 if t < 5 else 0.2 * 0.5 ** ((t - 5) // 10) if t < 30 else 0.1,
        ),
        (schedules.get(lambda step: 1 / (1 + step)), lambda t: 1 / (1 + t)),
    ],
)
def test_schedules(schedule: schedules.LearningRateSchedule, formula: Any) -> None:
    step = gc.placeholder("step", (), "int64")
    rate = schedule(step)
    assert rate.dtype == np.float64 and rate.shape == ()
    f = gc.function([step], rate, on_unused_input="ignore", backend="reference")
    times = [0, 1, 5, 9, 10, 11, 20, 21, 29, 31, 45]
    assert np.allclose([f(t) for t in times], [formula(t) for t in times], rtol=1e-12, atol=1e-12)
    assert schedule.value(7) == pytest.approx(formula(7))
    if not isinstance(schedule, schedules.FunctionSchedule):
        config = {"class_name": type(schedule).__name__, "config": schedule.get_config()}
        assert schedules.get(json.loads(json.dumps(config))).value(7) == schedule.value(7)


def test_schedule_errors() -> None:
    with pytest.raises(gc.ParameterError, match="decay_steps=0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(gc.ParameterError, match="one value more"):
        schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0])
    with pytest.raises(gc.ParameterError, match="as many values"):
        schedules.PiecewiseLinear([2, 1], [1.0, 2.0])
    with pytest.raises(gc.ParameterError, match=r"pct_start=0\.6"):
        schedules.OneCycle(0.1, 10, 0.6, three_phase=True)
    with pytest.raises(gc.ParameterError, match="anneal='exponential'"):
        schedules.OneCycle(0.1, 10, anneal="exponential")
    with pytest.raises(gc.ParameterError, match="step_size_down=0"):
        schedules.Cyclic(0.1, 0.2, 10, 0)
    with pytest.raises(gc.ParameterError, match="one schedule more"):
        schedules.Joined([0.1], [3])
    with pytest.raises(gc.ParameterError, match="schedules='cosine'"):
        schedules.Joined("cosine", [3])
    with pytest.raises(gc.ParameterError, match="t_mul"):
        schedules.CosineDecayRestarts(0.1, 10, 0.5)
    with pytest.raises(gc.ParameterError, match="no schedule"):
        schedules.get("cosine")


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.SM3, optimizers.SignSGD])
def test_settings_are_single_numbers(kind: Any) -> None:
    pair = np.array([0.1, 0.2])
    for options in ({"weight_decay": pair}, {"clipnorm": pair}, {"ema_momentum": pair}):
        with pytest.raises(gc.GraphcError, match=rf"{next(iter(options))}=array"):
            kind(**options)
    with pytest.raises(gc.GraphcError, match="argument 2=array"):
        kind(0.1, pair)
    with pytest.raises(gc.GraphcError, match="name=3"):
        kind(name=3)
    assert kind(np.array(0.5), weight_decay=np.array(0.25)).weight_decay == 0.25


@pytest.mark.parametrize("name", ["pct_start", "anneal"])
def test_arrays_as_settings_of_one_cycle(name: str) -> None:
    options: dict[str, Any] = {name: np.array([0.1, 0.2])}
    with pytest.raises(gc.GraphcError, match=rf"OneCycle: {name}=array"):
        schedules.OneCycle(0.1, 10, **options)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("cls", CLASSES)
def test_weights_in_half_precision_go_where_those_of_float32_go(cls: Any, dtype: str) -> None:
    """Gradients whose squares are 0 or infinite in float16; what is kept of them is float32."""
    rng = np.random.default_rng(3)
    sizes = np.array([[3e-4, 1.0, 300.0], [0.0, 1e-6, 0.1]])
    start = rng.normal(size=(2, 3)).astype(gc.constant([0.0], dtype).dtype)
    fed = gc.placeholder("g", (2, 3), dtype)
    half = gc.variable(gc.run(gc.constant(start).astype(dtype), {}), "half")
    full = gc.variable(half.value.astype("float32"), "full")
    rate = {"Adadelta": 60.0, "Muon": 1.0, "Lars": 100.0, "Nesterov": 0.1, "Momentum": 0.1}.get(
        cls.__name__, 0.5
    )
    trains = []
    for w in (half, full):
        optimizer = cls(rate, weight_decay=0.01, global_clipnorm=2000.0, use_ema=True)
        trains.append(gc.function([fed], updates=optimizer.updates([fed], [w])))
        kept = {v.dtype for v in optimizer.variables}
        assert kept <= {gc.float32, gc.float64, gc.int64}
    for _ in range(steps := 5):
        gradient = (sizes * rng.normal(size=(2, 3))).astype(half.value.dtype)
        for train in trains:
            train(gradient)
    moved, right = half.value.astype("float32"), full.value
    ulp = np.spacing(np.abs(right).max().astype(half.value.dtype)).astype("float32")
    assert half.dtype == dtype and np.abs(right - start).max() > 10 * ulp
    assert np.abs(moved - right).max() <= steps * ulp
