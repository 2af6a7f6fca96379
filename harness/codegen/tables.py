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


def pad_lines(filters: Array) -> Array:
    """[n][lines][length] -> [n][lines * (length rounded up to 4)], zeros behind each line."""
    padded = np.pad(filters, ((0, 0), (0, 0), (0, -filters.shape[2] % 4)))
    return padded.reshape(filters.shape[0], -1)


def filter_records(rows: Array, bias: Array, rescaling: tuple[Array, Array] | None) -> Array:
    """int8 rows [n][depth], depth % 4 == 0, folded bias uint32 [n] and, where rows have their own,
    (multipliers, shifts) [n] -> words of filters_t.records (firmware/kernels/matmul.h)."""
    count, depth = rows.shape
    odd_sums = rows[:, 1::2].sum(axis=1, dtype=np.int64)
    bias = (bias.astype(np.int64) + 128 * odd_sums).astype(np.uint64).astype(np.uint32)
    stored = rows.view(np.uint8).copy()
    stored[:, 0::2] ^= 0x80
    stored = np.pad(stored, ((0, count % 2), (0, 0)))
    pairs = -(-count // 2)
    # [pair][four of depth][filter][4]
    weights = stored.reshape(pairs, 2, depth // 4, 4).transpose(0, 2, 1, 3)
    columns = [
        np.pad(bias, (0, count % 2)).reshape(pairs, 2),
        np.ascontiguousarray(weights).reshape(pairs, -1).view("<u4"),
    ]
    if rescaling is not None:
        multipliers, shifts = (np.pad(values, (0, count % 2)) for values in rescaling)
        columns.append(multipliers.astype(np.int32).view(np.uint32).reshape(pairs, 2))
        columns.append(pack_shifts(shifts))
    records: Array = np.concatenate(columns, axis=1)
    return records


def pack_shifts(shifts: Array) -> Array:
    """[2 n] -> words [n][1], the first of each two in the lowest byte, the other above it."""
    pairs = np.pad(shifts.astype(np.int8).reshape(-1, 2), ((0, 0), (0, 2)))
    words: Array = np.ascontiguousarray(pairs).view("<u4")
    return words


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
