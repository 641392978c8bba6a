"""Datasets, augmentation, and the files of MNIST and CIFAR."""

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import data
from graphc.layers.data import augmentation, files

X, Y = np.arange(10).reshape(10, 1), np.arange(10) * 10


def rows(dataset: data.Dataset) -> list[Any]:
    return [np.asarray(element).tolist() for element in dataset]


def test_batches_of_arrays() -> None:
    batches = list(data.Dataset.from_arrays(X, Y).batch(4))
    assert [b[0].shape for b in batches] == [(4, 1), (4, 1), (2, 1)]
    assert np.array_equal(np.concatenate([b[1] for b in batches]), Y)
    dataset = data.Dataset.from_arrays({"x": X, "y": Y}).batch(4, drop_remainder=True)
    assert len(dataset) == 2 and [set(b) for b in dataset] == [{"x", "y"}] * 2
    assert rows(data.Dataset.from_arrays(Y).take(2)) == [0, 10]
    assert list(data.Dataset.from_arrays(X[:0]).batch(3)) == []


def test_shuffles_are_seeded_and_differ_between_passes() -> None:
    dataset = data.Dataset.from_arrays(Y).shuffle(seed=1).batch(10)
    first, second = rows(dataset)[0], rows(dataset)[0]
    assert sorted(first) == sorted(second) == Y.tolist() and first != second
    again = data.Dataset.from_arrays(Y).shuffle(seed=1).batch(10)
    assert [rows(again)[0], rows(again)[0]] == [first, second]
    fixed = data.Dataset.from_arrays(Y).shuffle(seed=1, reshuffle_each_iteration=False)
    assert rows(fixed) == rows(fixed) == first
    pairs = list(data.Dataset.from_arrays(X, Y).shuffle(seed=3))
    assert all(x[0] * 10 == y for x, y in pairs)


def test_buffers_of_generators() -> None:
    dataset = data.Dataset.from_generator(lambda: range(20), 20).shuffle(5, seed=0)
    order = rows(dataset)
    assert sorted(order) == list(range(20)) and order != list(range(20))
    assert all(value <= place + 5 for place, value in enumerate(order))
    assert len(dataset.batch(6)) == 4
    assert rows(dataset.take(0)) == []


def test_steps() -> None:
    dataset = data.Dataset.from_arrays(X, Y).map(lambda x, y: y + x[0])
    assert rows(dataset.skip(7)) == [77, 88, 99] and len(dataset.skip(7)) == 3
    assert rows(dataset.filter(lambda v: v > 70)) == [77, 88, 99]
    assert rows(dataset.take(2).repeat(2)) == [0, 11, 0, 11] and len(dataset.repeat(2)) == 20
    assert rows(dataset.repeat().take(12))[-2:] == [0, 11]
    assert rows(data.Dataset.from_arrays(Y[:0]).repeat()) == []
    with pytest.raises(TypeError, match="not known"):
        len(dataset.filter(bool))
    assert dataset.repeat().cardinality() is None


def test_prefetch_keeps_order_raises_and_ends() -> None:
    assert rows(data.Dataset.from_arrays(Y).prefetch(3)) == Y.tolist()

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    source = iter(data.Dataset.from_generator(failing).prefetch())
    assert next(source) == 1
    with pytest.raises(ValueError, match="no more"):
        next(source)
    endless = iter(data.Dataset.from_arrays(Y).repeat().prefetch(2))
    next(endless)
    threads = [t for t in threading.enumerate() if t.name == "graphc-prefetch"]
    del endless
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()


def test_dataset_errors() -> None:
    with pytest.raises(gc.ParameterError, match="arrays of 10, 9 rows"):
        data.Dataset.from_arrays(X, Y[:9])
    with pytest.raises(gc.ParameterError, match="batch: 0"):
        data.Dataset.from_arrays(X).batch(0)
    with pytest.raises(gc.ParameterError, match="buffer_size"):
        data.Dataset.from_generator(lambda: range(3)).shuffle()
    with pytest.raises(gc.ParameterError, match="once alone"):
        data.Dataset.from_generator(iter(range(3)))  # type: ignore[arg-type]
    ragged = data.Dataset.from_generator(lambda: [np.zeros(2), np.zeros(3)])
    with pytest.raises(gc.ParameterError, match="different shapes"):
        list(ragged.batch(2))


IMAGES = np.random.default_rng(0).uniform(size=(64, 6, 8, 3)).astype("float32")


def test_flips_and_crops() -> None:
    flipped = augmentation.RandomFlip(seed=0)(IMAGES)
    same = [np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)]
    assert 16 < sum(same) < 48 and all(a or b for a, b in zip(same, turned, strict=True))
    first = augmentation.RandomFlip(seed=0, channels="first")(IMAGES.transpose(0, 3, 1, 2))
    assert np.array_equal(first, flipped.transpose(0, 3, 1, 2))
    images, labels = augmentation.RandomCrop(4, 4, padding=1, seed=0)(IMAGES, np.arange(64))
    assert images.shape == (64, 4, 4, 3) and labels[-1] == 63
    padded = np.pad(IMAGES, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(1, 2))
    found = windows.transpose(0, 1, 2, 4, 5, 3).reshape(64, -1, 4, 4, 3)
    assert all((found[i] == images[i]).all((1, 2, 3)).any() for i in range(64))


def test_rotation() -> None:
    square = IMAGES[:, :, :6]
    assert np.allclose(
        augmentation.rotated(square, np.full(64, 90.0)), np.rot90(square, 1, (1, 2)), atol=1e-6
    )
    assert np.allclose(augmentation.rotated(IMAGES, np.zeros(64)), IMAGES)
    small = augmentation.RandomRotation(10, seed=0)(IMAGES)
    assert small.dtype == np.float32 and 0 < np.abs(small - IMAGES).mean() < 0.3
    whole = augmentation.rotated((square * 255).astype("u1"), np.full(64, 180.0))
    assert np.array_equal(whole, (square * 255).astype("u1")[:, ::-1, ::-1])


def test_contrast_and_brightness() -> None:
    contrast = augmentation.RandomContrast(0.5, seed=0)(IMAGES)
    assert np.allclose(contrast.mean((1, 2)), IMAGES.mean((1, 2)), atol=1e-5)
    bytes_ = (IMAGES * 255).astype("u1")
    bright = augmentation.RandomBrightness(200.0, seed=0)(bytes_)
    assert bright.dtype == np.uint8 and bright.max() == 255 and bright.min() == 0
    every = augmentation.Compose(augmentation.RandomFlip(seed=1), augmentation.RandomContrast(0.1))
    batches = data.Dataset.from_arrays(IMAGES, np.arange(64)).batch(16).map(every).prefetch()
    assert [x.shape for x, _ in batches] == [(16, 6, 8, 3)] * 4
    with pytest.raises(gc.ParameterError, match="no batch of images"):
        every(IMAGES[0])
    with pytest.raises(gc.ParameterError, match="fits into images"):
        augmentation.RandomCrop(7, 7)(IMAGES)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_mnist_files(tmp_path: Path) -> None:
    images = np.arange(5 * 28 * 28, dtype="u1").reshape(5, 28, 28)
    labels = np.array([3, 1, 4, 1, 5], "u1")
    for name in files.MNIST_FILES:
        array = images if "images" in name else labels
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    with pytest.raises(gc.ParameterError, match=r"E232.*MD5") as caught:
        data.load_mnist(tmp_path)
    assert "checksum=False" in str(caught.value)
    (x, y), (x_test, _) = data.load_mnist(tmp_path, checksum=False)
    assert np.array_equal(x, images) and y.tolist() == labels.tolist() and len(x_test) == 5
    plain = tmp_path / "numbers"
    plain.write_bytes(idx(labels)[:-1])
    with pytest.raises(gc.ParameterError, match="needs 5 bytes of elements, there are 4"):
        data.read_idx(plain)
    plain.write_bytes(b"\0\0\x0c\1\0\0\0\1\0\0\1\0")
    assert data.read_idx(plain).tolist() == [256]
    plain.write_bytes(b"GIF89a")
    with pytest.raises(gc.ParameterError, match="begin as an IDX file"):
        data.read_idx(plain)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(gc.ParameterError, match="no whole gzip file"):
        data.load_mnist(tmp_path, checksum=False)
    with pytest.raises(gc.ParameterError, match="t10k-labels"):
        data.load_mnist(tmp_path / "nowhere")


def test_cifar_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 3, 32, 32)).astype("u1")
    record = b"".join(bytes([label]) + one.tobytes() for label, one in enumerate(image))
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    archive = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in names:
            (tmp_path / name).write_bytes(record)
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(record)
            tar.addfile(entry, io.BytesIO(record))
    for path in (tmp_path, archive):
        (x, y), (x_test, y_test) = data.load_cifar10(path, checksum=False)
        assert x.shape == (15, 32, 32, 3) and y.tolist() == [0, 1, 2] * 5
        assert np.array_equal(x_test, image.transpose(0, 2, 3, 1)) and len(y_test) == 3
    with pytest.raises(gc.ParameterError, match="MD5"):
        data.load_cifar10(archive)
    (tmp_path / "test_batch.bin").write_bytes(record[:-1])
    with pytest.raises(gc.ParameterError, match="whole number of records"):
        data.load_cifar10(tmp_path)
    with pytest.raises(gc.ParameterError, match=r"train\.bin, test\.bin"):
        data.load_cifar100(tmp_path)
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(gc.ParameterError, match="no whole archive"):
        data.load_cifar10(archive, checksum=False)


# --- arrays for training


def test_to_categorical() -> None:
    rows = layers.to_categorical([[1], [0], [3]])
    assert rows.dtype == np.float64 and rows.tolist() == np.eye(4)[[1, 0, 3]].tolist()
    assert layers.to_categorical(np.array([[0, 2], [1, 1]], "uint8"), 5).shape == (2, 2, 5)
    assert layers.to_categorical(2.0).tolist() == [0, 0, 1]
    for wrong in ([-1, 0], [5], [0.5], ["a"]):
        with pytest.raises(gc.ParameterError, match="to_categorical"):
            layers.to_categorical(wrong, 3)


def test_pad_sequences() -> None:
    lists = [[1, 2, 3], [4], [], [5, 6, 7, 8]]
    padded = layers.pad_sequences(lists)
    assert padded.dtype == np.int32
    assert padded.tolist() == [[0, 1, 2, 3], [0, 0, 0, 4], [0, 0, 0, 0], [5, 6, 7, 8]]
    short = layers.pad_sequences(lists, 2, "float32", "post", "post", value=-1)
    assert short.tolist() == [[1, 2], [4, -1], [-1, -1], [5, 6]]
    assert layers.pad_sequences(lists, 2)[3].tolist() == [7, 8]
    assert layers.pad_sequences([np.ones((2, 3)), np.ones((1, 3))]).shape == (2, 2, 3)
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ([1, 2], {}, "is a number"),
        ([np.ones((1, 2)), np.ones((1, 3))], {}, "steps of shapes"),
        ([["a"]], {}, "no array of int32"),
        (lists, {"padding": "left"}, "padding"),
        (lists, {"maxlen": 0}, "maxlen"),
    ]
    for given, settings, match in cases:
        with pytest.raises(gc.ParameterError, match=match):
            layers.pad_sequences(given, **settings)


def test_windows_of_a_series() -> None:
    series, goals = np.arange(20), np.arange(20) * 10
    windows = data.timeseries_dataset_from_array(series, goals, 3, 2, 4, batch_size=4)
    batches = list(windows)
    assert len(windows) == len(batches) == 2
    assert batches[0][0].tolist() == [[0, 4, 8], [2, 6, 10], [4, 8, 12], [6, 10, 14]]
    assert batches[1][1].tolist() == [80, 100]
    plain = data.timeseries_dataset_from_array(series, None, 5, start_index=10, batch_size=None)
    assert [w.tolist() for w in plain] == [list(range(n, n + 5)) for n in range(10, 16)]
    mixed = data.timeseries_dataset_from_array(series, goals, 3, shuffle=True, seed=1)
    ((x, y),) = mixed
    assert (y == 10 * x[:, 0]).all() and sorted(x[:, 0]) == list(range(18))
    with pytest.raises(gc.ParameterError, match="span 30"):
        data.timeseries_dataset_from_array(series, None, 30)


def test_names_of_tf_data() -> None:
    x, y = np.arange(6), np.arange(6) * 2
    source = data.Dataset.from_tensor_slices((x, y))
    assert [tuple(map(int, one)) for one in source.take(2)] == [(0, 0), (1, 2)]
    nested = data.Dataset.from_tensor_slices(({"a": x, "b": y}, y)).batch(4)
    first = next(iter(nested))
    assert first[0]["b"].tolist() == [0, 2, 4, 6] and len(nested) == 2
    batches = list(source.shuffle(6, seed=0).batch(4).prefetch(-1))
    assert sorted(np.concatenate([b[0] for b in batches])) == list(range(6))
    both = data.Dataset.zip(source, data.Dataset.from_arrays(x[:4]))
    assert len(both) == 4 and list(both)[3][1] == 3
    assert len(source.concatenate(source)) == len(list(source.concatenate(source))) == 12
    calls: list[int] = []

    def counted(a: Any, b: Any) -> Any:
        calls.append(int(a))
        return a, b

    kept = source.map(counted).cache()
    list(kept.take(2))
    assert len(list(kept)) == len(list(kept)) == 6 and len(calls) == 8
    with pytest.raises(gc.ParameterError, match="no datasets"):
        data.Dataset.zip(x, y)
