"""What does the reader make of hostile files? Structure-aware mutations of small models that hold
every operator: each must end in a graph that compiles or in a ModelError, soon and in little
memory. `--inputs N` sets how many, `--seed` the first generator; Ctrl-C ends it with what was done
so far. Inputs that broke something are kept in results/fuzz/."""

from __future__ import annotations

import hashlib
import os
import pkgutil
import random
import re
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from inspect import signature

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.board import ROOT
from harness.compiler import compile_sources
from harness.errors import ModelError
from harness.options import CompilerOptions, Optimise
from harness.tflite import read_graph
from tests.harness import kernels
from tests.harness.kernels.cases import batches
from tests.movement_network import movement_network
from tests.random_networks import networks
from tests.tflite_factory import ModelFactory, fully_connected_model, small_network

INPUTS = 200_000
BATCH = 50_000
SLOW_S = 2.0  # of processor time
SEEDS = 150  # valid models that a batch starts from
LARGEST_SEED = 2000  # bytes: mostly structure, and soon read
COMPILED = 20  # one accepted input in so many becomes C, too
LIMITS = (None, 16, 128, 1024)  # bytes of arena: the seeds need tens to thousands
KEPT = ROOT / "results" / "fuzz"
# Where counts, offsets, types and floats turn: signs, powers of two, infinities, NaN, denormals.
WORDS = (
    *(0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 1 << 15, 0x10000, 1 << 20, 1 << 24, 0x7FFFFFFF),
    *(0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF),
    *(0x00800000, 0x00000001, 0x3F800000, 0x2E000000, 0x5E000000),
)


def run(*, inputs: int = INPUTS, seed: int = 0) -> dict[str, object]:
    began = time.perf_counter()
    batches = -(-inputs // BATCH)
    total: Counter[str] = Counter()
    slowest = 0.0
    found: list[str] = []
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        try:
            for counts, slow, broken in pool.map(_batch, range(seed, seed + batches)):
                total.update(counts)
                slowest = max(slowest, slow)
                found.extend(broken)
                done = f"{total['inputs']:,} of {inputs:,} inputs, {len(found)} broken"
                print(f"fuzz: {done}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
    return {
        "inputs": total["inputs"],
        "accepted": total["accepted"],
        "compiled": total["compiled"],
        "not_compiled": sum(n for name, n in total.items() if name.startswith("not compiled: ")),
        "refused": sum(n for name, n in total.items() if name.startswith("refused: ")),
        "kinds_of_refusal": sum(1 for name in total if name.startswith("refused: ")),
        "slowest_s": round(slowest, 3),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "seconds": round(time.perf_counter() - began, 1),
        "broken": found,
        "failed": bool(found),
    }


def _batch(seed: int) -> tuple[Counter[str], float, list[str]]:
    rng = random.Random(seed)
    models = seeds(seed)
    counts: Counter[str] = Counter()
    slowest = 0.0
    broken: list[str] = []
    for _ in range(BATCH):
        data = mutate(rng.choice(models), models, rng)
        counts["inputs"] += 1
        began, outcome = time.process_time(), "refused"
        try:
            read_graph(data, where="fuzzed")
            counts["accepted"] += 1
            if counts["accepted"] % COMPILED == 0:
                outcome = "not compiled"
                options = CompilerOptions(rng.choice(list(Optimise)), rng.choice(LIMITS))
                compile_sources(data, name="fuzzed", options=options)
                counts["compiled"] += 1
        except ModelError as error:
            counts[f"{outcome}: {re.sub('[0-9]+', '#', error.what)}"] += 1
        except Exception as error:
            broken.append(_keep(data, f"{type(error).__name__}: {error}"))
        took = time.process_time() - began
        slowest = max(slowest, took)
        if took > SLOW_S:
            broken.append(_keep(data, f"took {took:.1f} s"))
    return counts, slowest, broken


def seeds(seed: int) -> list[bytes]:
    """Small valid models, every operator among them."""
    found = [fully_connected_model(), small_network(size=3, channels=1), movement_network()]
    adds = [
        add
        for module in pkgutil.iter_modules(kernels.__path__)
        for name, add in vars(import_module(f"{kernels.__name__}.{module.name}")).items()
        if name.startswith("add_") and list(signature(add).parameters) == ["draw", "model"]
    ]

    @hypothesis.seed(seed)
    @settings(
        max_examples=SEEDS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(networks(most_operators=6), *(batches(add) for add in adds)))
    def collect(model: ModelFactory) -> None:
        data = model.build()
        if len(data) < LARGEST_SEED and _is_valid(data):
            found.append(data)

    collect()
    return found


def _is_valid(model: bytes) -> bool:
    try:
        read_graph(model, where="seed")
    except ModelError:
        return False
    return True


def mutate(data: bytes, models: list[bytes], rng: random.Random) -> bytes:
    """One to five changes where they hurt: aligned words above all."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        size, kind = len(changed), rng.random()
        if size < 16:
            break
        at = rng.randrange(size // 4) * 4
        if kind < 0.4:
            changed[at : at + 4] = rng.choice(WORDS).to_bytes(4, "little")
        elif kind < 0.55:
            word = int.from_bytes(changed[at : at + 4], "little") + rng.choice((-4, -1, 1, 4, 8))
            changed[at : at + 4] = (word & 0xFFFFFFFF).to_bytes(4, "little")
        elif kind < 0.7:
            changed[rng.randrange(size)] = rng.choice(
                (0, 1, 2, 3, 127, 128, 255, rng.randrange(256))
            )
        elif kind < 0.8:
            source = rng.randrange(size // 4) * 4
            changed[at : at + 4] = changed[source : source + 4]
        elif kind < 0.88:
            at = rng.randrange(size // 2) * 2
            changed[at : at + 2] = rng.choice((0, 4, 6, 8, 12, 16, 0xFFFF)).to_bytes(2, "little")
        elif kind < 0.95:
            other = rng.choice(models)
            source = rng.randrange(len(other))
            piece = other[source : source + rng.randrange(64)]
            changed[at : at + len(piece)] = piece
        else:
            del changed[rng.randrange(size) :]
    return bytes(changed)


def _keep(data: bytes, why: str) -> str:
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{hashlib.sha256(data).hexdigest()[:12]}.tflite"
    path.write_bytes(data)
    return f"{path.name}: {why}"
