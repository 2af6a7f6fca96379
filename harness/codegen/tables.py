"""How are constants written so that a C compiler reads them fast? As 32-bit words in hexadecimal:
a quarter of the literals that bytes would need. Little-endian, which the generated file checks."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def write_words(name: str, values: Array) -> str:
    """A definition `static const uint32_t name[]` holding the bytes of `values`, zero-padded."""
    raw = np.ascontiguousarray(values).tobytes()
    raw += bytes(-len(raw) % 4)
    words = np.frombuffer(raw, "<u4").tolist()
    lines = [
        "    " + ",".join(f"0x{word:x}" for word in words[i : i + 12]) + ","
        for i in range(0, len(words), 12)
    ]
    return f"static const uint32_t {name}[{len(words)}] = {{\n" + "\n".join(lines) + "\n};\n"


def pad_rows(rows: Array) -> Array:
    """[n][depth] -> [n][depth rounded up to 4], zeros behind."""
    padded: Array = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return padded


def pair_rows(rows: Array) -> Array:
    """[n][depth], depth % 4 == 0 -> bytes with rows 2i and 2i + 1 interleaved word by word, the
    order in which the matrix product reads them."""
    count, depth = rows.shape
    even = count - count % 2
    pairs = rows[:even].reshape(even // 2, 2, depth // 4, 4).transpose(0, 2, 1, 3)
    return np.concatenate([pairs.reshape(-1), rows[even:].reshape(-1)])


def fold_bias(bias: Array | None, rows: Array, zero_point: int) -> Array:
    """int32 bias[c] - zero_point * sum(rows[c]), wrapping as the accumulator does."""
    folded: Array = -zero_point * rows.sum(axis=1, dtype=np.int64)
    if bias is not None:
        folded = folded + bias.astype(np.int64).ravel()
    return folded.astype(np.uint64).astype(np.uint32)


def sum_ranges(folded: Array, rows: Array) -> tuple[Array, Array]:
    """The least and the greatest accumulator of each row over all int8 inputs."""
    bias = folded.view(np.int32).astype(np.int64)
    up = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
    down = np.minimum(rows, 0).sum(axis=1, dtype=np.int64)
    return bias - 128 * up + 127 * down, bias + 127 * up - 128 * down
