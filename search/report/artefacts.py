"""What does a run leave behind for its front? For each member: the int8 model, its accuracy on the
test split, the firmware that was measured and the C to ship. The one place that touches the test
split."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path

from harness.board import Board, load_board
from harness.engines import Engine
from harness.errors import JournalError
from harness.options import CompilerOptions
from search.data.dataset import Dataset
from search.evaluation import Evaluation
from search.export import int8_error
from search.report.run_folder import (
    FRONT_DIR,
    FRONT_NAME,
    FrontRecord,
    Run,
    Tested,
    read_front,
    read_run,
    write_front,
)
from search.workplace import engine_of

LABELS_NAME = "labels.txt"


def ship_front(
    run_dir: Path,
    dataset: Dataset,
    *,
    workers: int = 1,
    on_step: Callable[[str], None] = lambda step: None,
) -> Run:
    """Write run_dir/front/<archid>/ for each member of the front, and front.json; returns the run
    with both.

    A folder holds model.tflite, its genotype.json (slimmed where it was), measurement.json,
    firmware.elf, firmware.map and deploy/; labels.txt beside them names the classes where the data
    set does, one a line, in the order of the outputs. What an earlier call tested is not tested
    again. `workers` test at once.

    Raises:
        JournalError: the folder holds no run, a model other than the one measured, or one measured
            with another engine.
        DatasetError: the test split cannot be read.
        BuildError, ModelError: from compiling.
    """
    run = read_run(run_dir)
    device = run.config.device
    board, options, engine = load_board(device.board), device.options, engine_of(device)
    models = {e.archid: _read_model(run_dir, e) for e in run.front}
    for evaluation in run.front:
        _require_engine(engine, evaluation, run_dir)
    test = dataset.load_test()
    before = read_front(run_dir)
    same = (before.dataset, before.test_images) == (dataset.name, len(test))
    now = {e.archid: e.measured.model_sha256 for e in run.front}
    known = {
        m.archid: m.test_error
        for m in before.members
        if same and m.model_sha256 in ("", now.get(m.archid))
    }
    shutil.rmtree(run_dir / FRONT_DIR, ignore_errors=True)
    (run_dir / FRONT_NAME).unlink(missing_ok=True)
    if dataset.class_names:
        (run_dir / FRONT_DIR).mkdir()
        (run_dir / FRONT_DIR / LABELS_NAME).write_text("\n".join(dataset.class_names) + "\n")
    stop = threading.Event()

    def check_stop() -> None:
        if stop.is_set():
            raise CancelledError

    # The interpreter leaves the interpreter lock, and compilers are processes: threads suffice.
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        errors: dict[str, Future[float]] = {
            archid: pool.submit(
                int8_error, model, test.images, test.labels, before_batch=check_stop
            )
            for archid, model in models.items()
            if archid not in known
        }
        try:
            for number, evaluation in enumerate(run.front, start=1):
                on_step(f"building {number} of {len(run.front)}: {evaluation.archid}")
                _ship_member(
                    run_dir, evaluation, models[evaluation.archid], engine, board, options
                )
            for number, (archid, future) in enumerate(errors.items(), start=1):
                on_step(f"testing {number} of {len(errors)}: {archid}")
                known[archid] = future.result()
        except BaseException:  # Ctrl-C above all: the pool waits for its threads
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    members = tuple(
        Tested(e.archid, known[e.archid], f"{FRONT_DIR}/{e.archid}", now[e.archid])
        for e in run.front
    )
    write_front(run_dir, FrontRecord(dataset.name, dataset.notice, len(test), members))
    return read_run(run_dir)


def _ship_member(
    run_dir: Path,
    evaluation: Evaluation,
    model: bytes,
    engine: Engine,
    board: Board,
    options: CompilerOptions,
) -> None:
    folder = run_dir / FRONT_DIR / evaluation.archid
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(model)
    _write_json(folder / "genotype.json", evaluation.slimmed or evaluation.genotype)
    _write_json(folder / "measurement.json", evaluation.measured.to_json())
    engine.ship(
        model,
        board,
        folder,
        name=evaluation.archid,
        options=options,
        on_step=lambda step: None,
    )


def _require_engine(engine: Engine, evaluation: Evaluation, run_dir: Path) -> None:
    measured = evaluation.measured
    if (measured.engine, measured.engine_version) != (engine.name, engine.version):
        raise JournalError(
            f"{evaluation.archid} was measured with another engine than is here to ship it",
            where=run_dir,
            expected=f"{measured.engine}, {measured.engine_version}",
            got=f"{engine.name}, {engine.version}",
            hint="name that library with HILNAS_TFLM_DIR or tflm_dir, or start a new run",
        )


def _read_model(run_dir: Path, evaluation: Evaluation) -> bytes:
    path = run_dir / evaluation.model
    try:
        model = path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"cannot be read: {error.strerror}",
            where=path,
            hint="restore it from a copy",
        ) from None
    sha256 = hashlib.sha256(model).hexdigest()
    if sha256 != evaluation.measured.model_sha256:
        raise JournalError(
            "is not the model that was measured",
            where=path,
            expected=f"sha256 {evaluation.measured.model_sha256}",
            got=sha256,
            hint="restore it from a copy",
        )
    return model


def _write_json(path: Path, table: object) -> None:
    path.write_text(json.dumps(table, indent=2) + "\n")
