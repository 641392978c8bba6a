"""Writes truth_keras.npz: what Keras computes, in float64, for layers that both have.

    python tests/layers/make_keras_truth.py        (needs keras and tensorflow; the tests do not)

The settings of a case are the arguments of both constructors. For each case: the inputs, the
weights, the results, and the gradients of the sum of results * cos(0, 1, 2, ...) by the inputs and
by the trained weights.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"  # the one that computes all of it in float64

import keras
import numpy as np
import tensorflow as tf

keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
CASES: dict[str, dict[str, Any]] = {}
LOSSES: dict[str, dict[str, Any]] = {}
METRICS: dict[str, dict[str, Any]] = {}
ARRAYS: dict[str, np.ndarray] = {}


def made(value: Any) -> Any:
    """Layers in the place of {"layer", "config"}, also inside of settings and lists."""
    if isinstance(value, list):
        return [made(one) for one in value]
    if isinstance(value, dict) and "config" in value:
        return getattr(keras.layers, value["layer"])(**made(value["config"]))
    return {k: made(v) for k, v in value.items()} if isinstance(value, dict) else value


def case(name: str, kind: str, shapes: Sequence[tuple[int, ...]], /, **settings: Any) -> None:
    """settings: of the layer; and of its call `call`, `states`, how many of the last inputs are the
    initial state, and `mask`, as lists."""
    call, states = settings.pop("call", {}), settings.pop("states", 0)
    mask = settings.pop("mask", None)
    spec = {"layer": kind, "config": settings, "states": states, "mask": mask, "call": call}
    CASES[name] = spec
    own = made(spec)
    inputs = [tf.constant(rng.normal(size=shape)) for shape in shapes]
    options: dict[str, Any] = dict(call)
    if mask is not None:
        masks = [None if one is None else tf.constant(one) for one in mask]
        options["mask"] = masks if len(masks) > 1 else masks[0]
    kept = len(inputs) - states
    if states:
        options["initial_state"] = inputs[kept:]
    given = inputs[:kept] if kept > 1 else inputs[0]
    own(given, **options)
    own.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in own.get_weights()])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        found = keras.tree.flatten(own(given, **options))
        waves = [np.cos(np.arange(tf.size(y))).reshape(y.shape) for y in found]
        total = sum(tf.reduce_sum(y * c) for y, c in zip(found, waves, strict=True))
    trained = [w.value for w in own.trainable_variables]
    gradients = tape.gradient(total, [*inputs, *trained], unconnected_gradients="zero")
    for part, arrays in {
        "input": inputs,
        "weight": [w.value for w in own.weights],
        "result": found,
        "by_input": gradients[: len(inputs)],
        "by_weight": gradients[len(inputs) :],
    }.items():
        spec[part] = len(arrays)
        ARRAYS.update({f"{name}.{part}{n}": np.asarray(a) for n, a in enumerate(arrays)})


def simple() -> None:
    case("rescaling", "Rescaling", [(2, 3)], scale=0.5, offset=-1.0)
    case("rescaling_each", "Rescaling", [(2, 3)], scale=[0.5, 2, 3], offset=[1.0, 0, 0.5])
    case("normalization", "Normalization", [(4, 3)], mean=[1.0, 2, 3], variance=[0.5, 4, 1])
    case("normalization_invert", "Normalization", [(4, 3)], mean=2.0, variance=3.0, invert=True)
    several = {"mean": [[1.0], [2]], "variance": [[0.5], [4]]}
    case("normalization_axes", "Normalization", [(4, 2, 5, 3)], axis=[1, -1], **several)
    case("normalization_all", "Normalization", [(4, 3)], axis=None, mean=1.0, variance=0.25)
    case("identity", "Identity", [(2, 3)])
    case("unit_normalization", "UnitNormalization", [(2, 3, 4)], axis=[1, 2])


def images() -> None:
    shape = [(2, 6, 9, 3)]
    for method in ("bilinear", "nearest"):
        for size in ((12, 18), (4, 5)):
            name = f"resizing_{method}_{size[0]}"
            settings = {"height": size[0], "width": size[1], "interpolation": method}
            case(name, "Resizing", shape, **settings)
    case("resizing_ratio", "Resizing", shape, height=8, width=8, crop_to_aspect_ratio=True)
    case("center_crop", "CenterCrop", shape, height=3, width=4)


def activations() -> None:
    for name in (
        "celu",
        "glu",
        "hard_shrink",
        "hard_tanh",
        "log_sigmoid",
        "soft_shrink",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "tanh_shrink",
    ):
        case(f"activation_{name}", "Activation", [(5, 6)], activation=name)


def einsum() -> None:
    both = {"activation": "tanh", "bias_axes": "c"}
    case("einsum", "EinsumDense", [(2, 4)], equation="ab,bc->ac", output_shape=3, **both)
    case("einsum_any", "EinsumDense", [(2, 3, 5, 4)], equation="...b,bc->...c", output_shape=3)
    heads = {"equation": "abc,cde->abde", "output_shape": [None, 2, 3]}
    case("einsum_heads", "EinsumDense", [(2, 5, 4)], bias_axes="de", **heads)
    right = {"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c"}
    case("einsum_right", "EinsumDense", [(2, 4, 5)], **right)
    steps = {"equation": "abc,bd->adc", "output_shape": [6, None], "bias_axes": "d"}
    case("einsum_steps", "EinsumDense", [(2, 4, 3)], **steps)


def attention() -> None:
    pair, triple = [(2, 3, 4), (2, 5, 4)], [(2, 3, 4), (2, 5, 6), (2, 5, 4)]
    masks = [[[True, True, False]] * 2, [[True] * 4 + [False], [True, False, True, True, False]]]
    both = {"return_attention_scores": True}
    for layer in ("Attention", "AdditiveAttention"):
        case(layer, layer, pair)
        case(f"{layer}_key", layer, triple, use_scale=layer == "Attention", call=both)
        case(f"{layer}_mask", layer, pair, mask=masks, call=both)
        case(f"{layer}_values", layer, pair, mask=[None, masks[1]])
        case(f"{layer}_causal", layer, pair, mask=masks, call={"use_causal_mask": True})
    case("Attention_concat", "Attention", triple, score_mode="concat", use_scale=True)
    case("Attention_concat_plain", "Attention", pair, score_mode="concat")


def separable() -> None:
    for layer, first in (("DepthwiseConv1D", {}), ("SeparableConv1D", {"filters": 5})):
        shape = [(2, 9, 3)]
        settings = {**first, "kernel_size": 3}
        case(layer, layer, shape, **settings)
        case(f"{layer}_strides", layer, shape, strides=2, depth_multiplier=2, **settings)
        case(f"{layer}_same", layer, shape, padding="same", activation="relu", **settings)
        case(f"{layer}_dilated", layer, shape, dilation_rate=2, use_bias=False, **settings)
    case("SeparableConv2D", "SeparableConv2D", [(2, 5, 6, 3)], filters=4, kernel_size=(2, 3))


def cell(name: str, units: int = 4, **config: Any) -> dict[str, Any]:
    return {"layer": name, "config": {"units": units, **config}}


def recurrent() -> None:
    x, shown = [(2, 5, 3)], [[[True, True, False, True, False], [False, True, True, True, True]]]
    every: dict[str, Any] = {"return_sequences": True, "return_state": True}
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        case(f"RNN_{name}", "RNN", x, cell=cell(name))
        case(f"RNN_{name}_all", "RNN", x, mask=shown, cell=cell(name), **every)
    case("RNN_state", "RNN", [*x, (2, 4), (2, 4)], states=2, cell=cell("LSTMCell"), **every)
    plain = cell("GRUCell", reset_after=False, use_bias=False, activation="relu")
    case("RNN_GRU_plain", "RNN", x, cell=plain, go_backwards=True, return_sequences=True)
    cells = [cell("LSTMCell", 4), cell("GRUCell", 2), cell("SimpleRNNCell", 3)]
    case("RNN_stacked", "RNN", x, cell=cells)
    case("RNN_stacked_backwards", "RNN", x, mask=shown, cell=cells, go_backwards=True, **every)
    stacked = {"layer": "StackedRNNCells", "config": {"cells": cells[:2]}}
    zero = {"return_sequences": True, "zero_output_for_mask": True}
    case("RNN_stacked_zero", "RNN", x, mask=shown, cell=stacked, **zero)
    inner = {"layer": "RNN", "config": {"cell": cell("LSTMCell"), "return_sequences": True}}
    case("Bidirectional_RNN", "Bidirectional", x, layer=inner)

    image = {"filters": 3, "kernel_size": (2, 3)}
    case("ConvLSTM2D", "ConvLSTM2D", [(2, 3, 5, 6, 2)], **image)
    case("ConvLSTM2D_same", "ConvLSTM2D", [(2, 3, 5, 4, 2)], padding="same", **image, **every)
    first = {"return_sequences": True, "go_backwards": True, "use_bias": False, "strides": 2}
    case("ConvLSTM2D_strides", "ConvLSTM2D", [(2, 3, 6, 5, 2)], **image, **first)
    row = {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}
    mask = [[[True, False, True], [False, True, True]]]
    case("ConvLSTM1D_mask", "ConvLSTM1D", [(2, 3, 7, 2)], mask=mask, return_sequences=True, **row)
    state = [(2, 3, 4, 2), (2, 2, 3), (2, 2, 3)]
    case("ConvLSTM1D_state", "ConvLSTM1D", state, states=2, filters=3, kernel_size=3)
    case("ConvLSTM3D", "ConvLSTM3D", [(1, 2, 3, 4, 3, 2)], filters=2, kernel_size=2)


def loss(name: str, kind: str, y_true: Any, y_pred: Any, /, **settings: Any) -> None:
    """The losses of samples, and the gradient of their sum * cos(0, 1, ...)."""
    prediction = tf.constant(np.asarray(y_pred, "float64"))
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        own = getattr(keras.losses, kind)(reduction="none", dtype="float64", **settings)
        values = own(tf.constant(y_true), prediction)
        waves = np.cos(np.arange(tf.size(values))).reshape(values.shape)
        total = tf.reduce_sum(values * waves)
    LOSSES[name] = {"class_name": kind, "config": {"reduction": "none", **settings}}
    arrays = [y_true, y_pred, values, tape.gradient(total, prediction)]
    ARRAYS.update({f"{name}.loss{n}": np.asarray(a) for n, a in enumerate(arrays)})


def metric(name: str, kind: str, batches: list[tuple[Any, ...]], /, **settings: Any) -> None:
    """What a metric says after batches (y_true, y_pred) or (y_true, y_pred, weights)."""
    keras.utils.clear_session()  # names without numbers
    own = getattr(keras.metrics, kind)(**settings)
    for batch in batches:
        own.update_state(*batch)
    METRICS[name] = {"class_name": kind, "config": settings, "name": own.name}
    METRICS[name]["batches"] = [len(batch) for batch in batches]
    arrays = [*(array for batch in batches for array in batch), own.result()]
    ARRAYS.update({f"{name}.metric{n}": np.asarray(a) for n, a in enumerate(arrays)})


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def losses() -> None:
    scores = rng.normal(size=(6, 4)) * 2
    classes, bits = rng.integers(0, 4, 6), rng.integers(0, 2, (6, 4)).astype(float)
    one_hot, p, chances = np.eye(4)[classes], 1 / (1 + np.exp(-scores)), softmax(scores)
    name = "BinaryFocalCrossentropy"
    loss(name, name, bits, p)
    balanced = {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}
    loss(f"{name}_balanced", name, bits, scores, from_logits=True, **balanced)
    loss(f"{name}_smooth", name, bits, p, label_smoothing=0.2, gamma=0.0)
    name = "CategoricalFocalCrossentropy"
    loss(name, name, one_hot, chances)
    loss(f"{name}_logits", name, one_hot, scores, from_logits=True, gamma=3.0, alpha=0.5)
    several = {"alpha": [0.1, 0.2, 0.3, 0.4], "label_smoothing": 0.1, "gamma": 1.0}
    loss(f"{name}_classes", name, one_hot, chances, **several)
    loss("GeneralizedCross", "CategoricalGeneralizedCrossEntropy", classes, chances, q=0.7)
    images = rng.integers(0, 2, (3, 4, 5, 1)).astype(float), rng.uniform(size=(3, 4, 5, 1))
    loss("Dice", "Dice", *images)
    loss("Dice_each", "Dice", *images, axis=[1, 2, 3])
    loss("Tversky", "Tversky", *images, alpha=0.3, beta=0.7)
    loss("Tversky_each", "Tversky", *images, alpha=0.3, beta=0.7, axis=[1, 2])
    vectors = rng.normal(size=(8, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    loss("Circle", "Circle", np.array([0, 0, 1, 1, 0, 2, 2, 1]), vectors, gamma=5.0, margin=0.3)


def metrics() -> None:
    def batches(make: Any, weights: bool = True) -> list[tuple[Any, ...]]:
        return [(*make(n), *([rng.uniform(size=n)] if weights and n == 7 else [])) for n in (5, 7)]

    def binary(n: int) -> Any:
        return rng.integers(0, 2, (n,)).astype(float), rng.uniform(size=n)

    def numbers(n: int) -> Any:
        return rng.integers(0, 3, n), rng.integers(0, 3, n)

    def rows(n: int) -> Any:
        return np.eye(3)[rng.integers(0, 3, n)], softmax(rng.normal(size=(n, 3)))

    def real(n: int) -> Any:
        return rng.normal(size=(n, 4)), rng.normal(size=(n, 4))

    for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"):
        metric(name, name, batches(binary))
        metric(f"{name}_several", name, batches(binary), thresholds=[0.2, 0.7])
    for name, first in {
        "SensitivityAtSpecificity": "specificity",
        "SpecificityAtSensitivity": "sensitivity",
        "PrecisionAtRecall": "recall",
        "RecallAtPrecision": "precision",
    }.items():
        metric(name, name, batches(binary), **{first: 0.6}, num_thresholds=50)
    metric("MeanIoU", "MeanIoU", batches(numbers, False), num_classes=4)
    metric("MeanIoU_ignore", "MeanIoU", batches(numbers, False), num_classes=3, ignore_class=1)
    metric("IoU", "IoU", batches(numbers, False), num_classes=3, target_class_ids=[0, 2])
    metric("BinaryIoU", "BinaryIoU", batches(binary, False), threshold=0.4)
    metric("OneHotIoU", "OneHotIoU", batches(rows, False), num_classes=3, target_class_ids=[1])
    metric("OneHotMeanIoU", "OneHotMeanIoU", batches(rows, False), num_classes=3)
    metric("FBetaScore", "FBetaScore", batches(rows), beta=2.0, average="macro")
    metric("FBetaScore_micro", "FBetaScore", batches(rows), beta=0.5, average="micro")
    for name in ("CategoricalCrossentropy", "KLDivergence", "CategoricalHinge"):
        metric(name, name, batches(rows))
    metric("BinaryCrossentropy", "BinaryCrossentropy", batches(rows), label_smoothing=0.1)
    metric(
        "SparseCategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        [
            (rng.integers(0, 3, 5), softmax(rng.normal(size=(5, 3)))),
        ],
    )
    for name in ("Hinge", "SquaredHinge"):
        metric(name, name, batches(rows))
    for name in ("CosineSimilarity", "LogCoshError", "PearsonCorrelation"):
        metric(name, name, batches(real))
    metric("Poisson", "Poisson", batches(rows))
    metric("Sum", "Sum", [(rng.normal(size=4),), (rng.normal(size=3), rng.uniform(size=3))])
    metric("Mean", "Mean", [(rng.normal(size=4),), (rng.normal(size=3), rng.uniform(size=3))])


def main() -> None:
    for part in (
        simple,
        images,
        activations,
        einsum,
        attention,
        separable,
        recurrent,
        losses,
        metrics,
    ):
        part()
    path = Path(__file__).parent / "truth_keras.npz"
    tables = {"cases": CASES, "losses": LOSSES, "metrics": METRICS}
    texts = {name: json.dumps(table) for name, table in tables.items()}
    np.savez_compressed(path, **texts, **ARRAYS)  # type: ignore[arg-type]
    print({name: len(table) for name, table in tables.items()}, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
