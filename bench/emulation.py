"""How many instructions a second does the virtual board execute, with its whole cycle model, on
one core? Beside it, on the same ELF: Unicorn without hooks, qemu-system-arm with and without
-icount, and LabWired.

Programs stop by themselves and run a layer or inferences only. Seconds are those of the processor,
the least of several runs, so that what else the machine does counts little; what an emulator takes
to start is subtracted: the same program told to go round zero times. Emulators that are not there
are said to be absent.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.differential.executors import (
    Executor,
    Hooks,
    VirtualBoard,
    bare_unicorn,
    qemu_version,
    qemu_with,
)
from bench.differential.image import Image
from bench.differential.program import WORKLOADS, build_network, build_program
from bench.measurement import sampled_networks
from bench.models import model_files
from harness.board import ROOT
from harness.virtual import TIMING_MODEL

KERNELS = {
    "convolution 3x3, plain C": "convolution_3x3.c",
    "convolution 1x1, SMLAD": "convolution_1x1_smlad.c",
    "depthwise 3x3, plain C": "depthwise_3x3.c",
}
SAMPLED = 2  # of the demo's space
# LabWired wants an environment of its own:
#   python -m venv build/labwired && build/labwired/bin/pip install labwired==0.25.0
LABWIRED = Path(os.environ.get("HILNAS_LABWIRED", ROOT / "build" / "labwired" / "bin" / "python"))
LABWIRED_CHIP, LABWIRED_LIMIT_S = "stm32f405", 3.0

INSTRUCTIONS = 40_000_000  # about; a whole number of rounds
REPEATS = 3
REAL_HZ = 100_000_000
MIN_MIPS = 200
QEMU_MODES = {
    "qemu": (),
    "qemu, icount shift=0": ("-icount", "shift=0"),
    "qemu, icount auto": ("-icount", "shift=auto"),
}


@dataclass(frozen=True)
class Workload:
    name: str
    kind: str  # kernel or network
    elf: Path
    image: Image


def run() -> dict[str, object]:
    board = VirtualBoard()
    others: dict[str, Executor] = {"unicorn, no hook": bare_unicorn(Hooks())}
    version = qemu_version()
    if version:
        others |= {name: qemu_with(*options) for name, options in QEMU_MODES.items()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = [_row(w, board, others) for w in _workloads(Path(folder))]
    finally:
        board.close()
    return {
        "bound": {"min_mips_on_int8_convolutions": MIN_MIPS, "networks_times_real_time": 1.0},
        "timing_model": TIMING_MODEL,
        "repeats": REPEATS,
        "tools": {
            "unicorn": _unicorn_version(),
            "qemu-system-arm": version or "absent: apt-get install qemu-system-arm",
            "labwired": _labwired_version() or f"absent: no {LABWIRED}",
        },
        "workloads": rows,
    }


def _workloads(folder: Path) -> list[Workload]:
    found = []
    for name, source in KERNELS.items():
        elf = folder / f"{Path(source).stem}.elf"
        image = build_program([WORKLOADS / source], elf, "-O3")
        found.append(Workload(name, "kernel", elf, image))
    models = {path.stem: path.read_bytes() for path in model_files()}
    for name, model in {**models, **_sampled()}.items():
        image, elf = build_network(model, name, folder, "-O3")
        found.append(Workload(name, "network", elf, image))
    return found


def _sampled() -> dict[str, bytes]:
    """Networks of the space that the demo searches; none where there is no TensorFlow."""
    try:
        models = sampled_networks(SAMPLED)
    except ImportError:
        return {}
    return {f"sampled_{i}": model for i, model in enumerate(models)}


def _row(
    workload: Workload, board: VirtualBoard, others: dict[str, Executor]
) -> dict[str, object]:
    def counted(rounds: int) -> tuple[int, int]:
        before = board.core.instructions, board.core.cycles
        _checked(board, workload.image.with_rounds(rounds))
        return board.core.instructions - before[0], board.core.cycles - before[1]

    start_up, one = counted(0), counted(1)
    a_round = one[0] - start_up[0]
    rounds = max(1, round(INSTRUCTIONS / a_round))
    counts = {counted(rounds) for _ in range(2)}
    instructions, cycles = (whole - own for whole, own in zip(max(counts), start_up, strict=True))
    seconds = _seconds({"virtual board": board, **others}, workload.image, rounds)
    ours, bare = seconds["virtual board"], seconds["unicorn, no hook"]
    return {
        "workload": workload.name,
        "kind": workload.kind,
        "rounds": rounds,
        "instructions": instructions,
        "cycles": cycles,
        "cycles_equal_in_all_runs": len(counts) == 1,
        "mips": {name: round(instructions / s / 1e6, 1) for name, s in seconds.items()},
        "model_costs_percent": round((ours / bare - 1) * 100, 1),
        "times_real_time": round(cycles / REAL_HZ / ours, 2),
        "labwired": _labwired(workload, a_round),
    }


def _checked(execute: Callable[[Image], object], image: Image) -> None:
    outcome = execute(image)
    failure = getattr(outcome, "failure", None) or getattr(outcome, "fault", None)
    if failure:
        raise RuntimeError(f"a workload did not come to its end: {failure}")


def _seconds(executors: dict[str, Executor], image: Image, rounds: int) -> dict[str, float]:
    """What `rounds` rounds take, without what the emulator takes to start. All in turn, so that a
    slow moment of the machine hits everybody."""
    working, idle = image.with_rounds(rounds), image.with_rounds(0)
    whole: dict[str, list[float]] = {name: [] for name in executors}
    start_up: dict[str, list[float]] = {name: [] for name in executors}
    for _ in range(REPEATS):
        for name, execute in executors.items():
            whole[name].append(_timed(execute, working))
            start_up[name].append(_timed(execute, idle))
    return {name: max(1e-9, min(whole[name]) - min(start_up[name])) for name in executors}


def _timed(execute: Executor, image: Image) -> float:
    start = _processor_seconds()
    _checked(execute, image)
    return _processor_seconds() - start


def _processor_seconds() -> float:
    """Of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _labwired(workload: Workload, a_round: int) -> dict[str, object]:
    """One round: it is two orders of magnitude slower than the others."""
    if not LABWIRED.exists():
        return {"ran": False, "why": "absent"}
    sram = workload.elf.with_suffix(".sram")
    sram.write_bytes(workload.image.with_rounds(1).sram)
    done = subprocess.run(
        [LABWIRED, Path(__file__).with_name("labwired_run.py"), workload.elf, sram]
        + [LABWIRED_CHIP, str(LABWIRED_LIMIT_S)],
        capture_output=True,
        text=True,
        timeout=60 + LABWIRED_LIMIT_S,
    )
    if done.returncode:
        return {"ran": False, "why": done.stderr.strip().splitlines()[-1]}
    told = json.loads(done.stdout)
    if told["seconds"] is None:
        why = f"one round took more than {LABWIRED_LIMIT_S:g} s"
        return {"ran": False, "why": why, "its_cycles": told["cycles"]}
    return {"ran": True, "mips": round(a_round / told["seconds"] / 1e6, 2)}


def _unicorn_version() -> str:
    import unicorn

    return str(unicorn.__version__)


def _labwired_version() -> str | None:
    if not LABWIRED.exists():
        return None
    ask = "import importlib.metadata as m; print(m.version('labwired'))"
    told = subprocess.run([LABWIRED, "-c", ask], capture_output=True, text=True, timeout=60)
    return told.stdout.strip() or None
