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


def main() -> None:
    for make in (losses,):
        path = HERE / f"truth_{make.__name__}.json"
        path.write_text(json.dumps(make()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
