"""Do the virtual board's instructions mean what ARMv7E-M says? Random instruction sequences and
whole C programs on the virtual board, on Unicorn alone with every hook on and off, and on
qemu-system-arm; registers, flags and memory compared.

`python -m bench differential --programs N --seed S` runs N random sequences and all C programs.
A sequence that ends differently is shrunk, and printed with its seed and its disassembly.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.differential.campaign import compare
from bench.differential.executors import (
    HOOKS,
    Executor,
    VirtualBoard,
    bare_unicorn,
    qemu,
    qemu_version,
)
from bench.differential.image import Image
from bench.differential.program import build_network, build_program
from bench.models import model_files

PROGRAMS = sorted(Path(__file__).with_name("programs").glob("*.c"))
LEVELS = ("-O0", "-O2", "-O3", "-Os")
SHOWN = 20


def run(programs: int = 2000, seed: int = 1) -> dict[str, object]:
    """JSON of the campaign; "failed" where anything differed."""
    import unicorn

    version = qemu_version()
    board, observed = VirtualBoard(), VirtualBoard(observed=True)
    others: dict[str, Executor] = {"virtual board": board, "virtual board, observed": observed}
    others |= {str(hooks): bare_unicorn(hooks) for hooks in HOOKS}
    # Without QEMU the executors can still be held against each other.
    reference = (version, qemu) if version else ("unicorn, no hook", others["unicorn, no hook"])
    start = time.perf_counter()
    try:
        found = []
        for difference in compare(range(seed, seed + programs), reference, others):
            print(difference, file=sys.stderr)
            found.append(difference)
            if len(found) == SHOWN:
                break
        unequal = _compare_programs(reference[1], others)
    finally:
        board.close()
        observed.close()
    return {
        "failed": bool(found) or any(unequal.values()),
        "reference": reference[0],
        "unicorn": unicorn.__version__,
        "executors": list(others),
        "seed": seed,
        "sequences": programs,
        "sequences_that_differ": [
            {"seed": d.seed, "executors": d.executors, "what": d.what} for d in found
        ],
        "programs": list(unequal),
        "programs_that_differ": {name: who for name, who in unequal.items() if who},
        "seconds": round(time.perf_counter() - start, 1),
    }


def _programs(folder: Path) -> Iterator[tuple[str, Image]]:
    """C of every optimisation level, and networks where there are models."""
    for source in PROGRAMS:
        for level in LEVELS:
            yield f"{source.name} {level}", build_program([source], folder / "program.elf", level)
    for model in model_files():
        image, _ = build_network(model.read_bytes(), model.stem, folder, "-O3")
        yield f"{model.stem} -O3", image


def _compare_programs(reference: Executor, others: dict[str, Executor]) -> dict[str, list[str]]:
    """Per program who left other memory behind than the reference."""
    unequal: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for program, image in _programs(Path(folder)):
            expected = reference(image)
            if expected.failure or expected.fault:
                raise RuntimeError(f"{program}: {expected.failure}, fault {expected.fault}")
            outcomes = {name: execute(image) for name, execute in others.items()}
            unequal[program] = [
                name
                for name, got in outcomes.items()
                if got.failure or got.results != expected.results
            ]
    return unequal
