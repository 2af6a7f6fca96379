"""Evaluators for worker processes: no training and no board, outcomes that depend on the genotype
alone. Each misbehaves in the one way its name says; `broken_index` of a partial() says for which
candidate."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import BoardError, HilnasError
from search.config import SearchConfig
from search.evaluation import Evaluation, Outcome
from search.fitness import objectives_of
from search.spaces.munas.genotype import MunasGenotype
from search.tiers import left_behind, peer_of
from search.workers import Task
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected


def evaluate(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """A third is rejected as measured, a few fail, the rest gets an error made of the archid."""
    genotype = MunasGenotype.from_json(task.genotype)
    dice = int(hashlib.sha256(genotype.archid.encode()).hexdigest()[:8], 16)
    if dice % 3 == 0:
        return make_rejected(genotype, tier="measured", untrained=make_measurement(cycles=dice))
    if dice % 11 == 0:
        return make_rejected(genotype, tier="failed", reason="diverged")
    return make_evaluation(
        genotype,
        val_error=dice % 1000 / 1000,
        cycles=dice % 10**6 + 1,
        train_seconds=time.monotonic(),
    )


def evaluate_shortly(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """As evaluate_unevenly, with a short tier in between."""
    time.sleep(0.06 if task.index % 3 == 0 else 0.0)
    outcome = evaluate(task, run_dir, config)
    if not isinstance(outcome, Evaluation):
        return outcome
    outcome = replace(outcome, short_error=outcome.val_error)
    peer = peer_of(outcome, objectives_of(config.search, config.bounds))
    assert peer is not None
    if (reason := left_behind(peer, task.rung, config.tiers)) is None:
        return outcome
    return make_rejected(
        MunasGenotype.from_json(task.genotype),
        tier="short",
        reason=reason,
        untrained=outcome.untrained,
        short_error=outcome.short_error,
    )


def evaluate_unevenly(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """Every third candidate takes longer, so that later ones overtake it."""
    time.sleep(0.06 if task.index % 3 == 0 else 0.0)
    return evaluate(task, run_dir, config)


def die(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(task, run_dir, config)


def leave(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        os._exit(3)
    return evaluate(task, run_dir, config)


def hang(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    """With a process of its own, as a virtual board would be, deaf to SIGTERM."""
    if task.index == broken_index:
        code = (
            "import signal, time, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "open(sys.argv[1], 'w').write('up'); time.sleep(600)"
        )
        marker = run_dir / "grandchild"
        child = subprocess.Popen([sys.executable, "-c", code, str(marker)])
        while not marker.exists() or marker.read_text() != "up":
            time.sleep(0.01)
        marker.write_text(str(child.pid))
        time.sleep(600)
    return evaluate(task, run_dir, config)


def stumble(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        raise ZeroDivisionError("a defect")
    return evaluate(task, run_dir, config)


def fill_disk(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/model.c")
    return evaluate(task, run_dir, config)


def fill_disk_of_compiler(
    task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int
) -> Outcome:
    outcome = evaluate(task, run_dir, config)
    if task.index == broken_index:
        genotype = MunasGenotype.from_json(task.genotype)
        reason = "fatal error: error writing to /tmp/cc.s: No space left on device"
        return make_rejected(genotype, tier="failed", reason=reason)
    return outcome


def reject_all(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """None keeps a bound of 20,000 bytes of flash."""
    genotype = MunasGenotype.from_json(task.genotype)
    measured = make_evaluation(genotype, flash_bytes=20_001 + task.index).measured
    return make_rejected(genotype, tier="measured", untrained=measured)


def improve(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """A finalist without an error, fine-tuned."""
    assert task.is_finalist and task.parent is not None
    genotype = MunasGenotype.from_json(task.genotype)
    return make_evaluation(
        genotype, val_error=0.0, model="finalists/example.tflite", plain_val_error=0.5
    )


def give_up(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        raise BoardError("the board is gone", where="nucleo", hint="plug it in")
    return evaluate(task, run_dir, config)


def answer_nonsense(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Any:
    return 42 if task.index == broken_index else evaluate(task, run_dir, config)


def answer_for_another(
    task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int
) -> Outcome:
    outcome = evaluate(task, run_dir, config)
    return replace(outcome, archid="f" * 16) if task.index == broken_index else outcome


def answer_nan(task: Task, run_dir: Path, config: SearchConfig, *, broken_index: int) -> Outcome:
    if task.index == broken_index:
        return make_evaluation(MunasGenotype.from_json(task.genotype), val_error=float("nan"))
    return evaluate(task, run_dir, config)


def always_fail(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    return make_rejected(
        MunasGenotype.from_json(task.genotype), tier="failed", reason="no compiler"
    )


def print_much(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    print("from the framework")
    sys.stdout.flush()
    return evaluate(task, run_dir, config)


def write_name(config: SearchConfig) -> None:
    """A prepare(): leaves a line in the workers' log."""
    print(f"prepared for {config.name}", flush=True)


def refuse(config: SearchConfig) -> None:
    raise HilnasError("no data set", hint="get it")


def vanish(config: SearchConfig) -> None:
    os._exit(7)


def sleep(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    time.sleep(600)
    raise AssertionError("nobody waits that long")
