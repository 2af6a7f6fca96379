"""How does a model become a Measurement? Build, flash, run, compare with the reference, refuse
whatever is not exact. Knows neither wire nor board internals nor how engines build: it talks to an
Engine and a Session."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np

from harness import oracle
from harness.energy import Energy, EnergyMeter, measure_energy
from harness.engines import AOT, Engine
from harness.errors import FrameError, MeasurementRefusedError
from harness.measurement import Flash, Layer, Measurement, Output, Spread, Sram
from harness.options import DEFAULTS, CompilerOptions
from harness.session import RunResult, Session
from harness.tflite import Graph, read_graph

# Two patterns, so that a byte written with one pattern's own value is seen under the other.
_PATTERNS = (0xA5, 0x5A)
SPREAD = 0.001  # Spread.relative of the cycles that is asked for, ...
MAX_REPEATS = 30  # ... and how long it is waited for


def random_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """One array for each input, in the tensor's shape and dtype: integers over their whole range,
    floats uniform in [-1, 1)."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "f":
            arrays.append(rng.uniform(-1, 1, tensor.shape).astype(dtype))
        elif dtype.kind == "b":
            arrays.append(rng.integers(0, 2, tensor.shape).astype(dtype))
        else:
            limits = np.iinfo(dtype)
            arrays.append(
                rng.integers(limits.min, limits.max, tensor.shape, dtype=dtype, endpoint=True)
            )
    return arrays


def measure(
    model: bytes,
    session: Session,
    *,
    name: str = "model",
    engine: Engine = AOT,
    repeats: int = 3,
    spread: float = SPREAD,
    layers: bool = False,
    seed: int = 0,
    options: CompilerOptions = DEFAULTS,
    on_step: Callable[[str], None] = lambda step: None,
) -> Measurement:
    """Build `model` with `engine` for the session's board, flash it and measure it.

    One warm-up run and `repeats` measured ones, then more of them until the cycles' relative
    spread is at most `spread` or there are MAX_REPEATS; all raw values are kept. Inputs are
    written anew before each; every run's outputs must equal the reference kernels' bit for bit.
    Behind them a chip is asked for its temperature and supply, a played one is not. `layers` adds
    a profiled pass. Where the unit has an energy meter, bursts of further runs follow.
    `on_step` is told what is going on.

    Raises:
        MeasurementRefusedError: outputs not bit-exact, or the arena not as planned.
        FrameError: the line lost a layer of the profiled pass.
        ModelError, BuildError, LinkError, BoardError, FirmwareFaultError, MeterError: from the
            parts.
    """
    started_at, start = datetime.now(UTC), time.monotonic()
    inputs = random_inputs(read_graph(model, where=name), seed)
    with _reference_meanwhile(model, inputs) as reference:
        built = engine.build(model, session, name=name, options=options, on_step=on_step)
        on_step("computing reference outputs")
        expected = [array.tobytes() for array in reference.result()]
    build_s = time.monotonic() - start
    graph, image = built.graph, built.image
    on_step("flashing")
    session.flash(image)
    runs: list[RunResult] = []
    while _wants_more([run.cycles for run in runs[1:]], repeats, spread):
        number = len(runs)
        on_step(f"run {number}" if number else "warm-up")
        runs.append(_run_once(session, inputs, expected, _PATTERNS[number % 2], name=name))
    conditions = session.conditions() if session.timing == "measured" else None
    arena_bytes = max(run.arena_used_bytes for run in runs)
    if arena_bytes != built.arena_bytes or not all(run.guard_intact for run in runs):
        raise MeasurementRefusedError(
            "the arena is not as planned",
            where=name,
            expected=f"{built.arena_bytes} bytes touched and the guard intact",
            got=f"{arena_bytes} bytes, guard {[run.guard_intact for run in runs]}",
            hint="this is a bug of the planner or of a kernel; please report the model",
        )
    profiled: tuple[Layer, ...] = ()
    if layers:
        on_step("profiling layers")
        run = _run_once(session, inputs, expected, _PATTERNS[0], name=name, profile=True)
        _require_all_layers(run, built.layer_order, where=name)
        profiled = _name_layers(graph, run)
    energy = None
    if session.meter is not None:
        on_step("measuring energy")
        energy = _energy_of_one(session, session.meter, inputs)
    cycles = [run.cycles for run in runs[1:]]
    stack_bytes = max(run.stack_used_bytes for run in runs)
    return Measurement(
        board=session.board.name,
        via=session.via,
        timing=session.timing,
        timing_model=session.timing_model,
        engine=session.hello.engine,
        engine_version=session.hello.engine_version,
        compiler=image.compiler,
        flags=image.flags,
        sysclk_hz=session.hello.sysclk_hz,
        flash_wait_states=session.hello.flash_wait_states,
        model_sha256=graph.sha256,
        image_sha256=image.sha256,
        macs=graph.total_macs,
        cycles=Spread.of(cycles),
        latency_us=Spread.of([1e6 * count / session.hello.sysclk_hz for count in cycles]),
        sram=Sram(
            arena_bytes=arena_bytes,
            stack_bytes=stack_bytes,
            static_bytes=image.static_bytes,
            total_bytes=arena_bytes + stack_bytes + image.static_bytes,
            arena_lower_bound_bytes=built.arena_lower_bound_bytes,
            arena_plan=built.arena_plan,
            arena_parts=built.arena_parts,
        ),
        flash=Flash(
            code_bytes=image.flash_bytes - image.weights_bytes,
            weights_bytes=image.weights_bytes,
            total_bytes=image.flash_bytes,
            runtime_overhead_bytes=image.runtime_overhead_bytes,
        ),
        layers=profiled,
        output=Output(
            sha256=hashlib.sha256(b"".join(expected)).hexdigest(),
            bit_exact=True,
            reference=oracle.REFERENCE,
        ),
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - start, 3),
        build_s=round(build_s, 3),
        conditions=conditions,
        energy=energy,
    )


@contextmanager
def _reference_meanwhile(
    model: bytes, inputs: list[np.ndarray]
) -> Iterator[Future[list[np.ndarray]]]:
    """The reference outputs, computed beside the compiler: each waits mostly for its own child
    process. Leaving by an error does not wait for them; the oracle has a deadline of its own."""
    beside = ThreadPoolExecutor(max_workers=1)
    try:
        yield beside.submit(oracle.reference_outputs, model, inputs)
    finally:
        beside.shutdown(wait=False)


def _wants_more(cycles: Sequence[int], repeats: int, spread: float) -> bool:
    """After these, the warm-up apart."""
    if len(cycles) < max(repeats, 1):
        return True
    return len(cycles) < MAX_REPEATS and Spread.of(cycles).relative > spread


def _run_once(
    session: Session,
    inputs: Sequence[np.ndarray],
    expected: Sequence[bytes],
    pattern: int,
    *,
    name: str,
    profile: bool = False,
) -> RunResult:
    _make_ready(session, inputs, pattern)
    run = session.run(profile=profile)
    for index, reference in enumerate(expected):
        _require_equal(session.read_output(index), reference, where=f"{name}: output {index}")
    return run


def _make_ready(session: Session, inputs: Sequence[np.ndarray], pattern: int) -> None:
    """Memory painted, inputs written."""
    session.prepare(pattern)
    for index, array in enumerate(inputs):
        session.write_input(index, array.tobytes())


def _energy_of_one(session: Session, meter: EnergyMeter, inputs: Sequence[np.ndarray]) -> Energy:
    """Inputs are written once for each burst of inferences: writing takes longer than inferring,
    and what the unit draws meanwhile would drown the inference. From the second inference on they
    are what the one before left in the arena; no outputs are compared."""
    return measure_energy(
        meter,
        lambda: _make_ready(session, inputs, _PATTERNS[0]),
        lambda: session.run().cycles / session.hello.sysclk_hz,
    )


def _require_equal(got: bytes, expected: bytes, *, where: str) -> None:
    if got == expected:
        return
    first = next(
        (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b),
        min(len(got), len(expected)),
    )
    differing = sum(a != b for a, b in zip(got, expected, strict=False))
    raise MeasurementRefusedError(
        f"the unit's output differs from {oracle.REFERENCE} in {differing} of "
        f"{len(expected)} bytes",
        where=where,
        expected=f"byte {first} = {expected[first : first + 1].hex() or 'end'}",
        got=got[first : first + 1].hex() or "end",
        hint="this is a bug of a kernel or of the board; please report the model",
    )


def _require_all_layers(run: RunResult, order: tuple[int, ...], *, where: str) -> None:
    """A layer's frame is not acknowledged: lost, or come twice, it would only change a number."""
    got = tuple(index for index, _ in run.layers)
    if got != order:
        raise FrameError(
            "the layers of a profiled run are not those of the model",
            where=where,
            expected=f"{len(order)} reports of layers in the model's order",
            got=f"{len(got)}",
            hint="the line lost or repeated some; measure again",
        )


def _name_layers(graph: Graph, run: RunResult) -> tuple[Layer, ...]:
    """Every operator of the file: what was worked out or merged beforehand took no cycles."""
    cycles: Counter[int] = Counter()
    for index, count in run.layers:
        cycles[index] += count
    return tuple(
        Layer(
            index=operator.index,
            op=operator.op,
            name=graph.tensors[operator.outputs[0]].name,
            macs=graph.macs(operator),
            moved_bytes=graph.moved_bytes(operator) if operator.index in cycles else 0,
            cycles=cycles[operator.index],
        )
        for operator in sorted((*graph.operators, *graph.folded), key=lambda one: one.index)
    )
