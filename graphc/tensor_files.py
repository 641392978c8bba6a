"""Files of named arrays in the safetensors format: no code in them, whole or not there at all.

Format: https://huggingface.co/docs/safetensors (a JSON header with names, dtypes, shapes and
offsets, then the bytes).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphc.dtypes import bfloat16
from graphc.errors import FileFormatError, MissingExtraError
from graphc.whole_files import write_whole

COMPLEX = "complex128"  # metadata: the names of arrays that the format has no dtype for

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "I8": np.dtype(np.int8),
    "I16": np.dtype(np.int16),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "U8": np.dtype(np.uint8),
    "U16": np.dtype(np.uint16),
    "U32": np.dtype(np.uint32),
    "U64": np.dtype(np.uint64),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "C64": np.dtype(np.complex64),
}


def write_tensors(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name. A kill at any moment leaves the old file or the new one, both whole.

    Raises MissingExtraError (E601) without the package safetensors, OSError as open() does.
    """
    written = _library()
    pairs = [name for name, array in arrays.items() if array.dtype == np.complex128]
    contents = {name: _plain(array) for name, array in arrays.items()}
    notes = {**(metadata or {}), **({COMPLEX: json.dumps(pairs)} if pairs else {})}
    write_whole(path, lambda file: file.write(written.numpy.save(contents, notes or None)))


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file, by name, and its metadata.

    Raises FileFormatError (E602) for anything that is no whole file of tensors, MissingExtraError
    (E601) without the package safetensors, OSError as open() does.
    """
    library = _library()
    content = Path(path).read_bytes()
    try:
        found = library.deserialize(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
        arrays = {
            name: np.frombuffer(view["data"], _DTYPES[view["dtype"]]).reshape(view["shape"])
            for name, view in found
        }
        for name in json.loads(metadata.pop(COMPLEX, "[]")):
            arrays[name] = arrays[name].view(np.complex128)[..., 0]
    except (library.SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise FileFormatError(
            f"{os.fspath(path)} is no whole file of tensors",
            details=[str(error) or type(error).__name__, f"{len(content)} bytes"],
            fix="write it again: gc.save(path, variables) and f.save(path) make such files",
        ) from None
    return arrays, metadata


def _plain(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array).reshape(array.shape)  # ascontiguousarray makes 0-d 1-d
    if array.dtype == np.complex128:
        return array[..., None].view(np.float64)
    return array


def _library() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError(
            "files of tensors need the package safetensors",
            code="E601",
            fix="pip install 'graphc[save]'",
        ) from None
    return safetensors
