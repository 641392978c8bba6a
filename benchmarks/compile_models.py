"""Deep models: from the layers to the first training step, cold and from the cache.

    python benchmarks/compile_models.py [--rounds 3] [names]

Each measurement is a fresh process. `import` is the time of importing graphc, and layers where they
are used, after numpy; `build` that of the layers or expressions, with the first values of their
weights; `gradient` that of gc.grad, where it is taken apart from the step; `step` that of
compiling the training function and calling it once. The columns
`cold` and `cached` are build, gradient and step together, in seconds of the clock; `processor` are
the same in seconds of processor time, which a busy machine changes less. Least of the rounds.

transformer 30   30 layers in gc.* functions, loss and gradients of all parameters: no updates
transformer 24   24 TransformerBlocks of graphc.layers, Adam, train_on_batch
residual 100     100 residual blocks of graphc.layers, Adam, train_on_batch
logistic, mlp    one layer, and three: the fixed cost
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

CHILD = "--child"
GOALS = {  # seconds: cold, cached
    "transformer 30": (3.0, 0.3),
    "transformer 24": (10.0, 0.3),
    "residual 100": (10.0, 0.3),
    "mlp": (0.4, 0.05),
    "logistic": (0.15, 0.05),
}
Phase = Callable[[str], None]


def transformer(gc: Any, np: Any, phase: Phase) -> None:
    """Post-norm blocks with two heads on [batch, 16, 32]; a loss and the gradients of all."""
    rng = np.random.default_rng(0)
    steps, width, heads, inner = 16, 32, 2, 64
    parameters: list[Any] = []

    def weight(*shape: int) -> Any:
        scale = shape[0] ** -0.5 if len(shape) > 1 else 0.0
        value = rng.normal(size=shape).astype("float32") * np.float32(scale)
        parameters.append(gc.variable(value, f"p{len(parameters)}"))
        return parameters[-1]

    def normalized(x: Any) -> Any:
        centred = x - gc.mean(x, axis=-1, keepdims=True)
        variance = gc.mean(centred * centred, axis=-1, keepdims=True)
        return centred / gc.sqrt(variance + 1e-5) * (1 + weight(width)) + weight(width)

    def split(x: Any) -> Any:
        return gc.permute_dims(gc.reshape(x, (-1, steps, heads, width // heads)), (0, 2, 1, 3))

    x, y = gc.placeholder("x", ("n", steps, width)), gc.placeholder("y", ("n", steps, width))
    h = x
    for _ in range(30):
        q, k, v = (split(h @ weight(width, width) + weight(width)) for _ in range(3))
        scores = q @ gc.matrix_transpose(k) * (width // heads) ** -0.5
        mixed = gc.permute_dims(gc.softmax(scores, axis=-1) @ v, (0, 2, 1, 3))
        mixed = gc.reshape(mixed, (-1, steps, width))
        h = normalized(h + mixed @ weight(width, width) + weight(width))
        wide = gc.nn.relu(h @ weight(width, inner) + weight(inner))
        h = normalized(h + wide @ weight(inner, width) + weight(width))
    loss = gc.mean((h - y) ** 2)
    phase("build")
    gradients = gc.grad(loss, parameters)
    phase("gradient")
    step = gc.function([x, y], [loss, *gradients])
    step(np.zeros((2, steps, width), "float32"), np.zeros((2, steps, width), "float32"))
    phase("step")


def trained(model: Any, loss: str, x: Any, y: Any, phase: Phase) -> None:
    phase("build")
    model.compile("adam", loss)
    model.train_on_batch(x, y)
    phase("step")


def blocks(gc: Any, np: Any, phase: Phase) -> None:
    from graphc import layers  # noqa: PLC0415 - what is imported when is what is measured

    layers.set_random_seed(0)
    x = layers.Input((16, 32))
    h = x
    for _ in range(24):
        h = layers.TransformerBlock(2, 64)(h)
    model = layers.Model(x, layers.Dense(8)(h))
    zeros = np.zeros((4, 16, 32), "float32")
    trained(model, "mean_squared_error", zeros, zeros[..., :8], phase)


def residual(gc: Any, np: Any, phase: Phase) -> None:
    from graphc import layers  # noqa: PLC0415

    layers.set_random_seed(0)
    x = layers.Input((2,))
    h = layers.Dense(16)(x)
    for _ in range(100):
        inner = layers.Dense(16, activation="relu")(h)
        h = layers.Add()([h, layers.Dense(16)(inner)])
    model = layers.Model(x, layers.Dense(2, activation="softmax")(h))
    data, labels = np.zeros((32, 2), "float32"), np.zeros(32, "int64")
    trained(model, "sparse_categorical_crossentropy", data, labels, phase)


def perceptron(sizes: list[int]) -> Callable[[Any, Any, Phase], None]:
    def build(gc: Any, np: Any, phase: Phase) -> None:
        rng = np.random.default_rng(0)
        x, y = gc.placeholder("x", ("n", sizes[0])), gc.placeholder("y", ("n",), "int64")
        h, parameters = x, []
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            scale = np.float32(inputs**-0.5)
            w = gc.variable(rng.normal(size=(inputs, outputs)).astype("float32") * scale)
            b = gc.variable(np.zeros(outputs, "float32"))
            parameters += [w, b]
            h = (h if layer == 0 else gc.tanh(h)) @ w + b
        loss = gc.mean(gc.nn.sparse_softmax_cross_entropy(h, y))
        phase("build")
        gradients = gc.grad(loss, parameters)
        phase("gradient")
        updates = [(p, p - 0.1 * g) for p, g in zip(parameters, gradients, strict=True)]
        step = gc.function([x, y], loss, updates=updates)
        step(np.zeros((4, sizes[0]), "float32"), np.zeros(4, "int64"))
        phase("step")

    return build


MODELS: dict[str, Callable[[Any, Any, Phase], None]] = {
    "transformer 30": transformer,
    "transformer 24": blocks,
    "residual 100": residual,
    "mlp": perceptron([784, 512, 512, 10]),
    "logistic": perceptron([784, 10]),
}


def child(name: str) -> None:
    """One measurement, printed as JSON: seconds of the clock and of the processor by phase."""
    import numpy as np  # noqa: PLC0415

    found: dict[str, tuple[float, float]] = {}
    last = [time.perf_counter(), time.process_time()]

    def phase(label: str) -> None:
        now = [time.perf_counter(), time.process_time()]
        found[label] = (now[0] - last[0], now[1] - last[1])
        last[:] = now

    import graphc as gc  # noqa: PLC0415

    if name in ("transformer 24", "residual 100"):
        import graphc.layers  # noqa: PLC0415
    phase("import")
    MODELS[name](gc, np, phase)
    print(json.dumps(found))


def run_child(name: str, cache: str) -> dict[str, list[float]]:
    command = [sys.executable, os.path.abspath(__file__), CHILD, name]
    environment = {**os.environ, "GRAPHC_CACHE": cache, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each start compiles graphc itself
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def total(phases: dict[str, list[float]], clock: int) -> float:
    return sum(seconds[clock] for label, seconds in phases.items() if label != "import")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", choices=[*MODELS, []], help="which models")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    columns = ("import", "build", "gradient", "step", "cold", "processor", "cached", "processor")
    print(f"{'seconds':<16}" + "".join(f"{c:>11}" for c in columns) + "   goals")
    for name in arguments.names or MODELS:
        cold, cached = [], []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(run_child(name, folder))
                cached.append(run_child(name, folder))
        phases = min(cold, key=lambda one: total(one, 0))
        cells = [phases.get(label, [0.0])[0] for label in columns[:4]]
        cells += [min(total(one, clock) for one in cold) for clock in (0, 1)]
        cells += [min(total(one, clock) for one in cached) for clock in (0, 1)]
        goals = "  ".join(f"{goal:.2f}" for goal in GOALS[name])
        print(
            f"{name:<16}" + "".join(f"{cell:>11.3f}" for cell in cells) + f"   {goals}", flush=True
        )


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2])
    else:
        main()
