"""Event files: checksums and messages, read back here, and by TensorBoard where it is installed."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import callbacks, optimizers
from graphc.layers.tensorboard import EventWriter, wire


def fields(message: bytes) -> dict[int, list[Any]]:
    """A message as lists of values by the numbers of its fields."""
    found: dict[int, list[Any]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        value: Any
        if key & 7 == 0:
            value = varint()
        elif key & 7 == 2:
            size = varint()
            value, place = message[place : place + size], place + size
        else:
            code, size = ("<d", 8) if key & 7 == 1 else ("<f", 4)
            value, place = struct.unpack(code, message[place : place + size])[0], place + size
        found.setdefault(key >> 3, []).append(value)
    return found


def events(path: Path) -> list[dict[int, list[Any]]]:
    content, found = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        whole = content[: size + 16]
        assert wire.record(content[12 : 12 + size]) == whole
        found.append(fields(content[12 : 12 + size]))
        content = content[size + 16 :]
    return found


def test_known_checksums_and_numbers() -> None:
    assert wire.crc32c(b"123456789") == 0xE3069283
    assert wire.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720
    assert wire.int_field(1, 300) == b"\x08\xac\x02"
    assert fields(wire.int_field(2, -1)) == {2: [2**64 - 1]}


def write(folder: Path) -> Path:
    writer = EventWriter(folder)
    x = gc.placeholder("x", ("n", 3))
    w = gc.variable(np.ones((3, 2), "float32"), "w")
    writer.graph(gc.Graph((x,), (gc.tanh(x @ w),)))
    for step in range(3):
        writer.scalar("loss", 0.5**step, step)
    writer.histogram("w", [0.0, 1.0, 2.0, np.nan], 7, bins=2)
    writer.close()
    return writer.path


def test_events(tmp_path: Path) -> None:
    first, graph, *scalars, histogram = events(write(tmp_path))
    assert first[3] == [b"brain.Event:2"]
    nodes = [fields(node) for node in fields(graph[4][0])[1]]
    assert [node[1][0] for node in nodes] == [b"x", b"w", b"matmul", b"tanh"]
    assert nodes[2][3] == [b"x", b"w"]
    values = [fields(fields(event[5][0])[1][0]) for event in scalars]
    assert [event[2] for event in scalars] == [[0], [1], [2]]
    assert [(v[1], v[2]) for v in values] == [([b"loss"], [0.5**k]) for k in range(3)]
    shown = fields(fields(fields(histogram[5][0])[1][0])[5][0])
    assert [shown[n][0] for n in range(1, 6)] == [0, 2, 3, 3, 5]
    assert np.frombuffer(shown[6][0]).tolist() == [1, 2]
    assert np.frombuffer(shown[7][0]).tolist() == [1, 2]


def test_tensorboard_reads_the_file(tmp_path: Path) -> None:
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(module, reason="TensorBoard is not installed")
    write(tmp_path)
    found = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(0, 1.0), (1, 0.5), (2, 0.25)]
    (histogram,) = found.Histograms("w")
    assert histogram.step == 7 and histogram.histogram_value.num == 3
    assert [node.op for node in found.Graph().node] == ["placeholder", "variable", "matmul", "tanh"]


class Model:
    """What the callback sees of a model."""

    def __init__(self) -> None:
        x = gc.placeholder("x", ("n", 2))
        self.weights = [gc.variable(np.ones(2, "float32"), "w")]
        self.inputs, self.outputs = [x], [x @ self.weights[0]]
        self.optimizer = optimizers.SGD(0.25)


def test_callback(tmp_path: Path) -> None:
    board = callbacks.TensorBoard(
        tmp_path, histogram_freq=2, update_freq=2, gradients=lambda: {"w": np.zeros(2)}
    )
    board.set_model(Model())
    board.on_train_begin()
    for epoch in range(2):
        for batch in range(3):
            board.on_train_batch_end(batch, {"loss": 1.0})
        board.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 2.0})
    board.on_train_end()
    (train,) = (tmp_path / "train").iterdir()
    (validation,) = (tmp_path / "validation").iterdir()
    tags = [fields(fields(e[5][0])[1][0])[1][0].decode() for e in events(train) if 5 in e]
    assert tags == [
        "batch_loss",
        "epoch_loss",
        "epoch_learning_rate",
        "weights/0_w",
        "gradients/w",
        "batch_loss",
        "batch_loss",
        "epoch_loss",
        "epoch_learning_rate",
    ]
    assert any(4 in event for event in events(train))
    assert len(events(validation)) == 3
    with pytest.raises(gc.ParameterError, match="update_freq"):
        callbacks.TensorBoard(tmp_path, update_freq=0)
