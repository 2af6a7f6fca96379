"""What does reordering a model bring TFLite Micro? The file, checked, firmware of it, and the
arena before and after: measured where the engine is TFLite Micro's, else estimated."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.board import Board
from harness.engines import Built, Engine
from harness.engines.engine import OnStep
from harness.engines.tflm.host_arena import CERTAINTY, estimate
from harness.engines.tflm.scratch import Kernels
from harness.errors import UsageError
from harness.options import CompilerOptions
from harness.reorder import check_reordered, reorder


def ship_reordered(
    model: bytes,
    file: Path,
    engine: Engine,
    board: Board,
    *,
    name: str,
    options: CompilerOptions,
    on_step: OnStep,
) -> tuple[Built, dict[str, int | str]]:
    """Write `model` with its operators reordered to `file`, and ship what that became into the
    same folder. Also returns what reordering changed, in bytes, under the names that
    `hilnas build --json` gives it.

    Raises:
        ModelError: refused, or not to be reordered.
        MeasurementRefusedError: the reordered model answers differently.
        HilnasError: the reference interpreter cannot run it.
        UsageError: `file` cannot be written.
        BuildError: no image came out.
    """
    on_step("reordering")
    kernels = _kernels(engine)
    found = reorder(model, name=name, kernels=kernels)
    check_reordered(model, found.model, name=name)
    try:
        file.write_bytes(found.model)
    except OSError as error:
        raise UsageError(
            f"cannot write the reordered model: {error.strerror}", where=file, hint="use --out"
        ) from None

    def ship(one: bytes, folder: Path) -> Built:
        return engine.ship(one, board, folder, name=name, options=options, on_step=on_step)

    built = ship(found.model, file.parent)
    if engine.name == "tflm":
        with tempfile.TemporaryDirectory() as folder:
            before = ship(model, Path(folder)).arena_bytes if found.changed else built.arena_bytes
        after, known = built.arena_bytes, "measured"
    else:
        before, after = (
            estimate(one, name=name, kernels=kernels).needed_bytes for one in (model, found.model)
        )
        known = f"{kernels.value} kernels, {CERTAINTY}"
    return built, {
        "reordered": str(file),
        "reordering": found.summary,
        "peak_bytes_before": found.before.peak_bytes,
        "peak_bytes_after": found.after.peak_bytes,
        "tflm_tensors_bytes_before": found.before.head_bytes,
        "tflm_tensors_bytes_after": found.after.head_bytes,
        "tflm_arena_bytes_before": before,
        "tflm_arena_bytes_after": after,
        "tflm_arena": known,
    }


def _kernels(engine: Engine) -> Kernels:
    """Those of the engine's library, else those that are faster."""
    known = [kernels for kernels in Kernels if f" {kernels.value}," in engine.version]
    return known[0] if known else Kernels.CMSIS_NN
