"""Events: scalars, histograms and graphs in files that TensorBoard reads."""

import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.tensorboard.wire import (
    bytes_field,
    double_field,
    float_field,
    int_field,
    packed_doubles,
    record,
)

__all__ = ["EventWriter"]

_serial = itertools.count()


class EventWriter:
    """Writes one event file into a folder, which is made if it is not there.

    Events are of one step each. Other processes may read while it writes.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self.path = Path(folder) / f"{name}.{os.getpid()}.{next(_serial)}"
        self._file = self.path.open("xb")
        self._write(bytes_field(3, "brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """One number."""
        summary = bytes_field(1, tag) + float_field(2, float(value))
        self._write(bytes_field(5, bytes_field(1, summary)), step)

    def histogram(self, tag: str, values: Any, step: int, bins: int = 30) -> None:
        """How the finite elements of an array are distributed."""
        flat = np.ravel(np.asarray(values, np.float64))
        flat = flat[np.isfinite(flat)]
        if flat.size == 0:
            return
        counts, edges = np.histogram(flat, bins)
        message = (
            double_field(1, flat.min())
            + double_field(2, flat.max())
            + double_field(3, flat.size)
            + double_field(4, flat.sum())
            + double_field(5, float(flat @ flat))
            + packed_doubles(6, edges[1:])
            + packed_doubles(7, counts)
        )
        summary = bytes_field(1, tag) + bytes_field(5, message)
        self._write(bytes_field(5, bytes_field(1, summary)), step)

    def graph(self, graph: gc.Graph) -> None:
        """A graph: a node for each operation, with types, and the user's lines."""
        self._write(bytes_field(4, graph_message(graph)))

    def _write(self, event: bytes, step: int = 0) -> None:
        self._file.write(record(double_field(1, time.time()) + int_field(2, step) + event))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def graph_message(graph: gc.Graph) -> bytes:
    """A GraphDef: nodes with name, op, inputs and attributes."""
    names: dict[int, str] = {}
    used: set[str] = set()
    result = b""
    for node in graph.nodes:
        wanted = str(node.attrs.get("name") or node.op.name)
        name = next(
            label
            for label in itertools.chain([wanted], (f"{wanted}_{n}" for n in itertools.count(1)))
            if label not in used
        )
        used.add(name)
        names[id(node)] = name
        message = bytes_field(1, name) + bytes_field(2, node.op.name)
        for tensor in node.inputs:
            place = f":{tensor.index}" if tensor.index else ""
            message += bytes_field(3, names[id(tensor.node)] + place)
        shapes = b"".join(bytes_field(7, _shape(kind.shape)) for kind in node.types)
        message += _attribute("_output_shapes", bytes_field(1, shapes))
        message += _attribute("type", bytes_field(2, ", ".join(str(t) for t in node.types)))
        if node.sources:
            message += _attribute("source", bytes_field(2, node.sources[0].describe()))
        result += bytes_field(1, message)
    return result + bytes_field(4, int_field(1, 22))


def _shape(sizes: tuple[Any, ...]) -> bytes:
    return b"".join(
        bytes_field(2, int_field(1, size if isinstance(size, int) else -1)) for size in sizes
    )


def _attribute(name: str, value: bytes) -> bytes:
    return bytes_field(5, bytes_field(1, name) + bytes_field(2, value))
