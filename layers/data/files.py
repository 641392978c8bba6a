"""MNIST and CIFAR from their original files, which must be there: nothing is downloaded.

MNIST: LeCun, Cortes and Burges; four IDX files, gzipped or not. CIFAR-10 and CIFAR-100:
Krizhevsky, Learning multiple layers of features from tiny images, 2009; the binary version.
"""

import gzip
import hashlib
import math
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np

from graphc.layers.configured import parameter_error

__all__ = ["load_cifar10", "load_cifar100", "load_mnist", "read_idx"]

Split = tuple[np.ndarray, np.ndarray]
PathLike = str | os.PathLike[str]

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
}
_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: PathLike) -> np.ndarray:
    """The array of an IDX file, gzipped if its name ends in .gz; in native byte order.

    IDX: two zero bytes, the type, the rank, the sizes as big-endian 32 bit integers, the elements.
    """
    file = Path(path)
    content = file.read_bytes()
    if file.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise _broken(file, f"it is no whole gzip file: {error}") from None
    known = len(content) >= 4 and content[:2] == b"\0\0" and content[2] in _IDX_DTYPES
    if not known or len(content) < 4 + 4 * content[3]:
        raise _broken(file, "it does not begin as an IDX file")
    dtype = np.dtype(_IDX_DTYPES[content[2]])
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", content[3], 4))
    start, wanted = 4 + 4 * len(shape), math.prod(shape) * dtype.itemsize
    if len(content) - start != wanted:
        raise _broken(
            file, f"{shape} needs {wanted} bytes of elements, there are {len(content) - start}"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def load_mnist(folder: PathLike, *, checksum: bool = True) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): uint8 [60000, 28, 28] and [60000], test 10000.

    folder: with the four files, gzipped or not. checksum: compares gzipped files with the
    originals; False for other data of this form, such as Fashion-MNIST.
    """
    found = []
    for name in MNIST_FILES:
        paths = [Path(folder) / f"{name}.gz", Path(folder) / name]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise _missing(Path(folder), MNIST_FILES, "each also with .gz")
        if checksum and path.suffix == ".gz":
            _check_sum(path)
        found.append(read_idx(path))
    for images, labels in (found[:2], found[2:]):
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise _broken(
                Path(folder), f"images {images.shape} and labels {labels.shape} do not fit"
            )
    return (found[0], found[1]), (found[2], found[3])


def load_cifar10(path: PathLike, *, checksum: bool = True) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): uint8 [50000, 32, 32, 3] and [50000], test 10000.

    path: cifar-10-binary.tar.gz, or the folder with its files data_batch_1.bin, ...,
    test_batch.bin. Channels are last, red, green, blue.
    """
    names = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
    return _cifar(Path(path), names, ("test_batch.bin",), 1, checksum)


def load_cifar100(path: PathLike, *, checksum: bool = True) -> tuple[Split, Split]:
    """As load_cifar10, with 100 classes ("fine" labels): cifar-100-binary.tar.gz, or the folder
    with train.bin and test.bin."""
    return _cifar(Path(path), ("train.bin",), ("test.bin",), 2, checksum)


def _cifar(
    path: Path, train: tuple[str, ...], test: tuple[str, ...], labels: int, checksum: bool
) -> tuple[Split, Split]:
    if path.is_file():
        if checksum:
            _check_sum(path)
        contents = _members(path, (*train, *test))
    else:
        missing = [name for name in (*train, *test) if not (path / name).is_file()]
        if missing:
            raise _missing(path, (*train, *test), "or give the path of the .tar.gz file")
        contents = {name: (path / name).read_bytes() for name in (*train, *test)}
    return (
        _records(path, [contents[name] for name in train], labels),
        _records(path, [contents[name] for name in test], labels),
    )


def _members(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The wanted files of a tar archive, read without unpacking it."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in names else None
                if file is not None:
                    found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise _broken(path, f"it is no whole archive: {error}") from None
    if set(found) != set(names):
        raise _broken(path, f"it has no {', '.join(sorted(set(names) - set(found)))}")
    return found


def _records(path: Path, contents: list[bytes], labels: int) -> Split:
    """Records of label bytes (the last one counts) and 3 x 32 x 32 pixels."""
    size = labels + 3 * 32 * 32
    joined = b"".join(contents)
    if len(joined) % size:
        raise _broken(path, f"{len(joined)} bytes are no whole number of records of {size}")
    records = np.frombuffer(joined, "u1").reshape(-1, size)
    images = records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, labels - 1].astype("u1")


def _check_sum(path: Path) -> None:
    wanted = MD5.get(path.name)
    if wanted is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != wanted:
        raise _broken(
            path,
            f"its MD5 is {found}, that of the original {wanted}",
            "fetch it again, or pass checksum=False if it is another data set of this form",
        )


def _broken(path: Path, why: str, fix: str = "fetch the file again") -> Exception:
    return parameter_error(f"{path} cannot be used: {why}", fix, code="E232")


def _missing(folder: Path, names: tuple[str, ...], also: str) -> Exception:
    return parameter_error(
        f"{folder} does not have the files of the data set",
        f"put there {', '.join(names)} ({also})",
        code="E232",
    )
