"""Small CIFAR sets in each published form. Pickles are written as Python 2's cPickle wrote the
published ones (protocol 2), which Python 3 cannot: its strings would be another type."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path

import numpy as np

BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))


def python2_pickle(value: object) -> bytes:
    memo = iter(range(1 << 20))
    return b"\x80\x02" + _written(value, memo) + b"."


def _written(value: object, memo) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_written(k, memo) + _written(v, memo) for k, v in value.items())
        return b"}" + _put(memo) + b"(" + items + b"u"
    if isinstance(value, list):
        batches = [value[i : i + 1000] for i in range(0, len(value), 1000)]
        items = [b"(" + b"".join(_written(v, memo) for v in batch) + b"e" for batch in batches]
        return b"]" + _put(memo) + b"".join(items)
    if isinstance(value, np.ndarray):
        return _array(value, memo)
    if isinstance(value, str):
        text = value.encode("latin-1")
        size = (
            b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<i", len(text))
        )
        return size + text + _put(memo)
    assert isinstance(value, int)
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return (
        b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)
    )


def _put(memo) -> bytes:
    key = next(memo)
    return b"q" + bytes([key]) if key < 256 else b"r" + struct.pack("<I", key)


def _array(array: np.ndarray, memo) -> bytes:
    def name(text: str) -> bytes:
        return b"c" + text.replace(" ", "\n").encode() + b"\n" + _put(memo)

    def text(value: str) -> bytes:
        return _written(value, memo)

    reconstruct = name("numpy.core.multiarray _reconstruct") + name("numpy ndarray")
    empty = reconstruct + b"K\0\x85" + _put(memo) + text("b") + b"\x87" + _put(memo) + b"R"
    shape = b"".join(_written(size, memo) for size in array.shape) + b"\x86" + _put(memo)
    dtype = name("numpy dtype") + text("u1") + b"K\0K\x01\x87" + _put(memo) + b"R" + _put(memo)
    minus = b"J\xff\xff\xff\xff"
    dtype += b"(K\x03" + text("|") + b"NNN" + minus + minus + b"K\0t" + _put(memo) + b"b"
    state = b"(K\x01" + shape + dtype + b"\x89" + text(array.tobytes().decode("latin-1")) + b"t"
    return empty + _put(memo) + state + _put(memo) + b"b"


def rows_and_labels(count: int, classes: int, seed: int) -> tuple[np.ndarray, list[int]]:
    rows = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return rows, [i % classes for i in range(count)]


def python_batch(
    count: int = 10, classes: int = 10, *, seed: int = 0, key: str = "labels"
) -> dict:
    rows, labels = rows_and_labels(count, classes, seed)
    return {
        "batch_label": "training batch 1 of 5",
        key: labels,
        "data": rows,
        "filenames": [f"image_{i}.png" for i in range(count)],
    }


def write_cifar10_python(folder: Path, count: int = 10) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate((*BATCHES, "test_batch")):
        (folder / name).write_bytes(python2_pickle(python_batch(count, seed=seed)))
    meta = {"num_cases_per_batch": count, "label_names": [f"class{i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))
    (folder / "readme.html").write_text("<meta>")
    return folder


def write_cifar10_binary(folder: Path, count: int = 10) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate((*BATCHES, "test_batch")):
        rows, labels = rows_and_labels(count, 10, seed)
        records = np.hstack([np.array(labels, np.uint8)[:, None], rows])
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("".join(f"class{i}\n" for i in range(10)) + "\n")
    return folder


def write_cifar100_python(folder: Path, count: int = 200) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate(("train", "test")):
        batch = python_batch(count, 100, seed=seed, key="fine_labels")
        batch["coarse_labels"] = [label // 5 for label in batch["fine_labels"]]
        (folder / name).write_bytes(python2_pickle(batch))
    meta = {
        "fine_label_names": [f"fine{i}" for i in range(100)],
        "coarse_label_names": [f"coarse{i}" for i in range(20)],
    }
    (folder / "meta").write_bytes(python2_pickle(meta))
    return folder


def write_cifar100_binary(folder: Path, count: int = 200) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate(("train.bin", "test.bin")):
        rows, labels = rows_and_labels(count, 100, seed)
        fine = np.array(labels, np.uint8)[:, None]
        (folder / name).write_bytes(np.hstack([fine // 5, fine, rows]).tobytes())
    (folder / "fine_label_names.txt").write_text("".join(f"fine{i}\n" for i in range(100)))
    (folder / "coarse_label_names.txt").write_text("".join(f"coarse{i}\n" for i in range(20)))
    return folder


def pack(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    return archive
