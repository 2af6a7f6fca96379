"""Whose logits does a candidate learn from? Predictions on file, a function of the user's own, or
a network that an earlier run found. Knows nothing of losses or training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.errors import DatasetError
from harness.tflite import Tensor as ModelTensor
from harness.tflite import read_graph
from search.config import Distillation
from search.data.dataset import Dataset, Split
from search.data.numpy_files import open_arrays
from search.data.user_code import load_function, run_user_code
from search.export import int8_outputs
from search.train import EVALUATION_BATCH, to_inputs

NAMED_BY = "[distillation] teacher"
PREDICTIONS = ("logits", "labels")

Logits = NDArray[np.float32]  # (n, classes)


def ask_teacher(settings: Distillation, dataset: Dataset) -> Logits:
    """Logits (n, classes) for `dataset.train`, in its order, of the teacher that is named there.

    Raises:
        DatasetError: it is not there, fails, or is no teacher of this data set.
        ModelError: the earlier run's model is damaged.
    """
    place, name = settings.named
    path = Path(place)
    if not name:
        logits = _predicted(path, dataset.train)
    elif path.suffix == ".py":
        logits = _computed(path, name, dataset.train)
    else:
        logits = _of_earlier_run(path, name, dataset)
    expected = (len(dataset.train), dataset.classes)
    if logits.shape != expected:
        raise DatasetError(
            "the teacher's logits have another shape",
            where=settings.teacher,
            expected=f"{expected[0]} samples of {expected[1]} classes",
            got=logits.shape,
            hint="it was made for another data set",
        )
    if not np.isfinite(logits).all():
        bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise DatasetError(
            f"the teacher's logits for sample {bad} are not finite",
            where=settings.teacher,
            hint="give logits, not the logarithms of probabilities that may be zero",
        )
    return logits


def _predicted(path: Path, train: Split) -> Logits:
    """Rows of "logits" for the samples in `train`; "labels" prove that both mean the same ones."""
    names, read = open_arrays(path, NAMED_BY)
    if not set(PREDICTIONS) <= names:
        raise DatasetError(
            "holds other arrays",
            where=path,
            expected=" and ".join(PREDICTIONS),
            got=", ".join(sorted(names)[:8]) or "none",
            hint="see docs/training.md",
        )
    logits, labels = read("logits"), read("labels")
    rows = np.arange(len(train)) if train.rows is None else train.rows
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) <= rows.max():
        raise DatasetError(
            "has not one row for each training sample",
            where=path,
            expected=f"logits (n, classes) and labels (n,) with n above {rows.max()}",
            got=f"logits {logits.shape} and labels {labels.shape}",
            hint="predict all samples of the training files, in their order",
        )
    if (odd := np.flatnonzero(labels[rows] != train.labels)).size:
        raise DatasetError(
            f"{odd.size} of {len(rows)} labels are not the data set's",
            where=path,
            expected=f"label {train.labels[odd[0]]} in row {rows[odd[0]]}",
            got=labels[rows[odd[0]]],
            hint="predict the samples in the order of the data set's own files",
        )
    return logits[rows].astype(np.float32)


def _computed(path: Path, name: str, train: Split) -> Logits:
    """What the function's module, or callable, says of float images (b, c, h, w)."""
    signature = f"def {name}(): ... return a torch module"
    make = load_function(path, name, signature, named_by=NAMED_BY, page="training")
    teacher = run_user_code(path, make, f"{name}()")
    if not callable(teacher):
        raise DatasetError(
            f"{name}() returned something else",
            where=path,
            expected="a torch module, or a function of a batch of images",
            got=type(teacher).__name__,
            hint="see docs/training.md",
        )
    if isinstance(teacher, nn.Module):
        teacher.eval()
    parts = []
    for start in range(0, len(train), EVALUATION_BATCH):
        images = to_inputs(train, slice(start, start + EVALUATION_BATCH))

        def ask(images: Tensor = images) -> Any:
            with torch.no_grad():
                return teacher(images)

        logits = np.asarray(run_user_code(path, ask, "the teacher"))
        if logits.ndim != 2 or len(logits) != len(images) or logits.dtype.kind != "f":
            raise DatasetError(
                "the teacher returned no logits",
                where=path,
                expected=f"floats ({len(images)}, classes) for images {tuple(images.shape)}",
                got=f"{logits.dtype} {logits.shape}",
                hint="see docs/training.md",
            )
        parts.append(logits.astype(np.float32))
    return np.concatenate(parts)


def _of_earlier_run(run_dir: Path, archid: str, dataset: Dataset) -> Logits:
    """Of the int8 model that was measured there: what is known of a run's network is known of this
    file. Its logits are whole steps of the output's scale, small beside their differences."""
    path = run_dir / "models" / f"{archid}.tflite"
    try:
        model = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}",
            where=path,
            expected="a trained candidate of an earlier run",
            hint=f"check {NAMED_BY}",
        ) from None
    graph = read_graph(model, where=str(path))
    source, sink = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    encoding = dataset.encoding
    scale = float(np.float32(encoding.scale))
    expected: tuple[Any, ...] = (1, *dataset.input_shape), scale, encoding.zero_point
    found = source.shape, *_grid(source)
    if found != expected or sink.shape != (1, dataset.classes):
        raise DatasetError(
            "is a network for other data",
            where=path,
            expected="input {} of scale {:.6g}, zero point {}".format(*expected)
            + f", {dataset.classes} classes",
            got="{}, {:.6g}, {}".format(*found) + f", output {sink.shape}",
            hint="a teacher must see what its pupils see",
        )
    scale, zero_point = _grid(sink)
    outputs = int8_outputs(model, dataset.train.images, exact=False)
    return (outputs.astype(np.float32) - zero_point) * np.float32(scale)


def _grid(tensor: ModelTensor) -> tuple[float, int]:
    assert tensor.quantisation is not None, "a model of a run is int8"
    return tensor.quantisation.scales[0], tensor.quantisation.zero_points[0]
