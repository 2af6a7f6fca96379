"""How does a network learn from another one? The teacher's part of the loss, and the place where
its logits lie during a run. Whose logits they are is teachers.py's matter; knows nothing of
training loops, boards or the search.

Logits are asked for once, by whichever process comes first, and kept in the run folder, so that
all candidates, and a resumed run, learn from the same numbers.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.errors import JournalError
from search.config import Distillation
from search.data.dataset import Dataset
from search.data.numpy_files import open_arrays
from search.keeping import write_whole, writing

TEACHER_NAME = "teacher.npz"
# Another process may be asking the teacher, and a large one takes its time.
WAIT_S = 3600.0


class Teacher:
    """The logits of a teacher for one training split, and what they add to the loss.

    logits: (n, classes) float32, row i for sample i of the split that train() is given.
    """

    def __init__(self, logits: NDArray[np.float32], *, alpha: float, temperature: float) -> None:
        self.alpha, self.temperature = alpha, temperature
        self._log_targets = functional.log_softmax(torch.from_numpy(logits) / temperature, dim=1)

    def blend(self, loss: Tensor, logits: Tensor, samples: Tensor) -> Tensor:
        """(1 - alpha) * loss + alpha * T^2 * KL(teacher || student), Hinton et al., arXiv
        1503.02531, section 2; T^2 keeps both parts' gradients of one size whatever T is.

        Args:
            loss: of the batch against its labels, a scalar.
            logits: the student's, (b, classes).
            samples: (b,) int64, positions in the training split.
        """
        mine = functional.log_softmax(logits / self.temperature, dim=1)
        targets = self._log_targets[samples]
        divergence = functional.kl_div(mine, targets, reduction="batchmean", log_target=True)
        return (1 - self.alpha) * loss + self.alpha * self.temperature**2 * divergence


def open_teacher(settings: Distillation, dataset: Dataset, run_dir: Path) -> Teacher | None:
    """The teacher of `dataset.train` that `settings` names; None where it names none.

    The first call for a run folder asks it, which may take minutes; later ones, in any process,
    read run_dir/teacher.npz. Pass the result to train(), with or without a pruner: it has a part
    in the loss and in nothing else.

    Raises:
        DatasetError: a teacher that is not there, raises, or has not one row of logits a sample.
        JournalError: the folder holds the logits of another teacher, or cannot be written.
    """
    if not settings.teacher:
        return None
    path = run_dir / TEACHER_NAME
    with writing(path):
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=WAIT_S):
                logits = _read(path, settings, dataset) if path.exists() else None
                if logits is None:
                    from search.teachers import ask_teacher  # tensorflow

                    logits = ask_teacher(settings, dataset)
                    _keep(path, logits, _digest(settings, dataset))
        except Timeout:
            raise JournalError(
                f"another process has been asking the teacher for {WAIT_S:.0f} s",
                where=path,
                hint="end it, or keep the teacher's predictions in a file",
            ) from None
    return Teacher(logits, alpha=settings.alpha, temperature=settings.temperature)


def _digest(settings: Distillation, dataset: Dataset) -> NDArray[np.uint8]:
    """(32,): of the teacher's name, and of the training split's labels in its order."""
    named = hashlib.sha256(settings.teacher.encode())
    named.update(np.ascontiguousarray(dataset.train.labels).tobytes())
    return np.frombuffer(named.digest(), np.uint8)


def _read(path: Path, settings: Distillation, dataset: Dataset) -> NDArray[np.float32]:
    names, read = open_arrays(path, "the file")
    shape = (len(dataset.train), dataset.classes)
    if names >= {"logits", "teacher_and_labels_sha256"}:
        logits = read("logits")
        same = np.array_equal(read("teacher_and_labels_sha256"), _digest(settings, dataset))
        if same and logits.dtype == np.float32 and logits.shape == shape:
            return logits.astype(np.float32, copy=False)
    raise JournalError(
        "holds the logits of another teacher, or for other samples",
        where=path,
        expected=f"those of {settings.teacher} for {shape[0]} samples of {shape[1]} classes",
        hint="delete the file to ask the teacher again, or start a new run",
    )


def _keep(path: Path, logits: NDArray[np.float32], digest: NDArray[np.uint8]) -> None:
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, logits=logits, teacher_and_labels_sha256=digest)
    write_whole(path, archive.getvalue())
