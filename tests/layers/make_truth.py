"""Writes tests/layers/truth_*.json with PyTorch, for those definitions that agree with it.

    python tests/layers/make_truth.py

The tests read the files and need no PyTorch. Numbers are float64, written in full.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent


def losses() -> dict[str, Any]:
    """Per-sample losses and the gradient of their weighted sum by the predictions."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    rng = np.random.default_rng(0)
    table: dict[str, Any] = {}

    def case(name: str, y_true: Any, y_pred: Any, function: Callable[[Any, Any], Any]) -> None:
        target, prediction = torch.tensor(y_true), torch.tensor(y_pred, requires_grad=True)
        values = function(prediction, target)
        weights = torch.arange(1, values.numel() + 1, dtype=torch.float64)
        (values.flatten() * weights).sum().backward()
        table[name] = {
            "y_true": np.asarray(y_true).tolist(),
            "y_pred": np.asarray(y_pred).tolist(),
            "values": values.tolist(),
            "gradient": prediction.grad.tolist(),
        }

    real, other = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    p = 1 / (1 + np.exp(-other))
    rows = np.exp(other) / np.exp(other).sum(1, keepdims=True)
    chances = rng.dirichlet(np.ones(3), size=5)
    numbers = rng.integers(0, 3, 5)
    one_hot = np.eye(3)[numbers]
    bits = rng.integers(0, 2, (5, 3)).astype(float)

    case("MeanSquaredError", real, other, lambda p, y: F.mse_loss(p, y, reduction="none").mean(1))
    case("MeanAbsoluteError", real, other, lambda p, y: F.l1_loss(p, y, reduction="none").mean(1))
    case("Huber", 2 * real, other, lambda p, y: F.huber_loss(p, y, reduction="none").mean(1))
    case(
        "BinaryCrossentropy",
        bits,
        p,
        lambda p, y: F.binary_cross_entropy(p, y, reduction="none").mean(1),
    )
    case(
        "BinaryCrossentropy logits",
        bits,
        30 * other,
        lambda p, y: F.binary_cross_entropy_with_logits(p, y, reduction="none").mean(1),
    )
    case(
        "CategoricalCrossentropy logits",
        chances,
        30 * other,
        lambda p, y: F.cross_entropy(p, y, reduction="none"),
    )
    case(
        "SparseCategoricalCrossentropy logits",
        numbers,
        30 * other,
        lambda p, y: F.cross_entropy(p, y, reduction="none"),
    )
    case(
        "KLDivergence",
        chances,
        rows,
        lambda p, y: F.kl_div(p.log(), y, reduction="none").sum(1),
    )
    case("CosineSimilarity", real, other, lambda p, y: -F.cosine_similarity(p, y, dim=1))
    case(
        "CategoricalCrossentropy",
        one_hot,
        rows,
        lambda p, y: -(y * (p / p.sum(1, keepdim=True)).log()).sum(1),
    )
    case(
        "Triplet",
        np.zeros(5),
        rng.normal(size=(5, 3, 4)),
        lambda p, y: F.triplet_margin_loss(p[:, 0], p[:, 1], p[:, 2], reduction="none"),
    )
    labels = np.array([[1, 2, 2, 0], [3, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]])
    case(
        "CTC",
        labels,
        rng.normal(size=(4, 9, 5)),
        lambda p, y: F.ctc_loss(
            p.log_softmax(2).transpose(0, 1),
            y,
            torch.full((4,), 9),
            torch.tensor([3, 1, 4, 0]),
            reduction="none",
        ),
    )
    return table


def optimizers() -> dict[str, Any]:
    """Two weights after each of ten steps with given gradients. epsilon is 0 where PyTorch adds it
    outside the root and the papers inside."""
    import torch

    rng = np.random.default_rng(1)
    start = [rng.normal(size=(3, 2)), rng.normal(size=2)]
    grads = [[rng.normal(size=(3, 2)), rng.normal(size=2)] for _ in range(10)]
    optim = torch.optim
    rules: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
        "sgd": (optim.SGD, {"lr": 0.1}, {}),
        "momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9}, {}),
        "nesterov_momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {}),
        "adagrad": (optim.Adagrad, {"lr": 0.1, "eps": 0}, {"epsilon": 0}),
        "rmsprop": (
            optim.RMSprop,
            {"lr": 0.1, "alpha": 0.8, "eps": 0, "momentum": 0.5, "centered": True},
            {"rho": 0.8, "epsilon": 0, "momentum": 0.5, "centered": True},
        ),
        "adadelta": (optim.Adadelta, {"lr": 0.1, "rho": 0.8}, {"rho": 0.8}),
        "adam": (optim.Adam, {"lr": 0.1}, {}),
        "amsgrad": (optim.Adam, {"lr": 0.1, "amsgrad": True, "betas": (0.9, 0.5)}, {"beta2": 0.5}),
        "adamw": (optim.AdamW, {"lr": 0.1, "weight_decay": 0.05}, {"weight_decay": 0.05}),
        "adamax": (optim.Adamax, {"lr": 0.1, "eps": 1e-30}, {"epsilon": 1e-30}),
        "nadam": (optim.NAdam, {"lr": 0.1}, {}),
        "radam": (
            optim.RAdam,
            {"lr": 0.1, "eps": 0, "betas": (0.9, 0.99)},
            {"epsilon": 0, "beta2": 0.99},
        ),
        "rprop": (
            optim.Rprop,
            {"lr": 0.1, "step_sizes": (0.01, 0.15)},
            {"smallest": 0.01, "largest": 0.15},
        ),
    }
    table: dict[str, Any] = {}
    for name, (cls, options, ours) in rules.items():
        weights = [torch.tensor(w, requires_grad=True) for w in start]
        optimizer = cls(weights, **options)
        path = []
        for step in grads:
            for w, g in zip(weights, step, strict=True):
                w.grad = torch.tensor(g)
            optimizer.step()
            path.append([w.detach().tolist() for w in weights])
        table[name] = {"options": ours, "path": path}
    return {
        "start": [w.tolist() for w in start],
        "gradients": [[g.tolist() for g in step] for step in grads],
        "rules": table,
    }


def main() -> None:
    for make in (losses, optimizers):
        path = HERE / f"truth_{make.__name__}.json"
        path.write_text(json.dumps(make()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
