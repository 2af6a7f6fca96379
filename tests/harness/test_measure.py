"""The measuring procedure: what it reports, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from bench.models import NO_MODELS, mlperf_tiny
from harness import oracle
from harness.board import load_board
from harness.compiler import compile_sources
from harness.errors import (
    DoesNotFitError,
    FrameError,
    HilnasError,
    MalformedModelError,
    MeasurementRefusedError,
)
from harness.measure import MAX_REPEATS, measure, random_inputs
from harness.measurement import Conditions, Measurement
from harness.session import RunResult, open_session
from harness.tflite import read_graph
from tests.harness.passes.chains import Chain
from tests.tflite_factory import ModelFactory, small_network, svdf

BOARD = load_board("nucleo_f412zg")


class FakeSession:
    """A unit that computes like the reference, except where told otherwise."""

    board, via, timing, timing_model = BOARD, "virtual", "modelled", "fake"
    meter = None

    def __init__(
        self,
        model: bytes,
        *,
        arena_off: int = 0,
        guard: bool = True,
        flip: int = -1,
        cycles: Callable[[int], int] = lambda run: 1000 + run,
    ):
        self.cycles = cycles
        program = compile_sources(model, name="model")
        self.model, self.graph = model, program.graph
        self.arena_bytes = program.plan.arena_bytes + arena_off
        self.guard, self.flip = guard, flip
        self.patterns: list[int] = []
        self.inputs: dict[int, bytes] = {}
        self.runs = 0
        self.asked_at: list[int] = []  # for its conditions
        self.hello = SimpleNamespace(
            engine="aot", engine_version="1", sysclk_hz=100_000_000, flash_wait_states=3
        )

    def flash(self, image) -> None:
        self.image = image

    def prepare(self, pattern: int) -> None:
        self.patterns.append(pattern)
        self.inputs = {}  # as on the unit: painting wipes them

    def write_input(self, index: int, data: bytes) -> None:
        self.inputs[index] = data

    def run(self, *, profile: bool = False) -> RunResult:
        arrays = [
            np.frombuffer(self.inputs[i], np.int8).reshape(self.graph.tensors[t].shape)
            for i, t in enumerate(self.graph.inputs)
        ]
        self.outputs = [array.tobytes() for array in oracle.reference_outputs(self.model, arrays)]
        self.runs += 1
        # A pattern hides the bytes that happen to equal it: only two of them show all.
        used = self.arena_bytes - (1 if self.patterns[-1] == 0xA5 else 0)
        layers = tuple((op.index, 10) for op in self.graph.operators) if profile else ()
        return RunResult(self.cycles(self.runs), used, 400, self.guard, layers)

    def conditions(self) -> Conditions:
        self.asked_at.append(self.runs)
        return Conditions(31.25, 3.298)

    def read_output(self, index: int) -> bytes:
        output = bytearray(self.outputs[index])
        if self.runs - 1 == self.flip:
            output[1] ^= 1
        return bytes(output)


@pytest.fixture(scope="module")
def model() -> bytes:
    return small_network()


def test_numbers_come_from_the_unit_and_carry_their_label(model):
    session = FakeSession(model)
    got = measure(model, session, repeats=3)
    assert got.cycles.raw == (1002, 1003, 1004)  # the first run warms up
    assert got.latency_us.median == pytest.approx(10.03)
    assert got.sram.total_bytes == session.arena_bytes + 400 + session.image.static_bytes
    assert got.flash.total_bytes == session.image.flash_bytes
    assert (got.timing, got.timing_model, got.via) == ("modelled", "fake", "virtual")
    assert got.output.bit_exact and got.output.reference == oracle.REFERENCE
    assert got.layers == ()


def test_memory_is_painted_anew_with_another_pattern_before_each_run(model):
    session = FakeSession(model)
    measure(model, session, repeats=2)
    assert session.patterns == [0xA5, 0x5A, 0xA5]


def test_runs_are_repeated_until_they_agree(model):
    settled = FakeSession(model, cycles=lambda run: 2000 if run < 4 else 1000)
    assert measure(model, settled, repeats=3).cycles.raw == (2000, 2000, *[1000] * 7)
    never = FakeSession(model, cycles=lambda run: 1000 + 100 * (run % 2))
    raw = measure(model, never, repeats=3).cycles.raw
    assert len(raw) == MAX_REPEATS and set(raw) == {1000, 1100}
    assert len(measure(model, never, repeats=3, spread=0.2).cycles.raw) == 3


def test_one_outlier_asks_for_no_more_runs_than_it_takes_to_be_one(model):
    hit = FakeSession(model, cycles=lambda run: 9000 if run == 2 else 1000)
    assert measure(model, hit, repeats=3).cycles.raw == (9000, 1000, 1000, 1000, 1000)


def test_a_chip_is_asked_for_its_conditions_once_behind_the_measured_runs(model):
    session = FakeSession(model, cycles=lambda run: 1000)
    session.timing, session.timing_model = "measured", ""
    got = measure(model, session, repeats=3, layers=True)
    assert got.conditions == Conditions(31.25, 3.298)
    assert session.asked_at == [4]  # before the profiled pass


def test_what_a_played_board_makes_up_is_no_condition(model):
    session = FakeSession(model)
    assert measure(model, session, repeats=1).conditions is None
    assert session.asked_at == []


def test_layers_come_from_a_pass_of_their_own(model):
    session = FakeSession(model)
    got = measure(model, session, repeats=1, layers=True)
    assert session.runs == 3 and len(got.cycles.raw) == 1
    assert [layer.op for layer in got.layers] == [op.op for op in session.graph.operators]
    assert sum(layer.macs for layer in got.layers) == got.macs


def test_layers_that_others_do_are_there_and_take_no_time():
    chain = Chain(3).pad(1, 1, 1, 1).conv(5, kernel=3)
    chain.model.outputs = [chain.last]
    model = chain.model.build()

    pad, conv = measure(model, FakeSession(model), repeats=1, layers=True).layers

    assert (pad.index, pad.op, pad.cycles, pad.moved_bytes) == (0, "PAD", 0, 0)
    assert (conv.index, conv.op, conv.cycles, conv.macs) == (1, "CONV_2D", 10, 25 * 5 * 27)


@pytest.mark.parametrize(
    "disturb",
    [lambda layers: layers[1:], lambda layers: (*layers, layers[-1]), lambda layers: ()],
    ids=["one lost", "one repeated", "all lost"],
)
def test_a_profile_whose_layers_are_not_the_models_is_refused(model, monkeypatch, disturb):
    session = FakeSession(model)
    run = session.run

    def disturbed(*, profile: bool = False) -> RunResult:
        result = run(profile=profile)
        return dataclasses.replace(result, layers=disturb(result.layers)) if profile else result

    monkeypatch.setattr(session, "run", disturbed)
    with pytest.raises(FrameError, match=r"m: the layers .* not those .*expected 7 reports"):
        measure(model, session, name="m", repeats=1, layers=True)


@pytest.mark.parametrize("run", [0, 2])
def test_a_wrong_output_bit_in_any_run_refuses_the_measurement(model, run):
    with pytest.raises(
        MeasurementRefusedError, match=r"m\.tflite: output 0: .* in 1 of \d+ bytes .*byte 1 ="
    ):
        measure(model, FakeSession(model, flip=run), name="m.tflite", repeats=2)


def test_an_output_that_is_too_short_is_refused(model, monkeypatch):
    session = FakeSession(model)
    monkeypatch.setattr(session, "read_output", lambda index: session.outputs[index][:-1])
    with pytest.raises(MeasurementRefusedError, match=r"got end"):
        measure(model, session)


@pytest.mark.parametrize("off", [-4, 4])
def test_an_arena_other_than_the_planned_one_is_refused(model, off):
    with pytest.raises(MeasurementRefusedError, match=r"the arena is not as planned"):
        measure(model, FakeSession(model, arena_off=off))


def test_a_broken_guard_is_refused(model):
    with pytest.raises(MeasurementRefusedError, match=r"guard \[False"):
        measure(model, FakeSession(model, guard=False))


def test_a_refused_model_is_named_and_nothing_is_flashed():
    with pytest.raises(MalformedModelError, match=r"broken\.tflite"):
        measure(b"nonsense", FakeSession(small_network()), name="broken.tflite")


def test_a_reference_that_fails_is_the_error_and_nothing_is_flashed(model, monkeypatch):
    def fail(*_: object) -> None:
        raise HilnasError("the reference interpreter crashed on this model")

    monkeypatch.setattr(oracle, "reference_outputs", fail)
    session = FakeSession(model)
    with pytest.raises(HilnasError, match="crashed on this model"):
        measure(model, session)
    assert not hasattr(session, "image")


def test_a_failed_build_is_told_at_once_whatever_the_reference_does(model, monkeypatch):
    begun, released = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        begun.set()
        released.wait(60)

    def refuse(*_: object, **__: object) -> None:
        assert begun.wait(60)  # the reference is under way by now
        raise DoesNotFitError("too large", region="FLASH", missing_bytes=1)

    monkeypatch.setattr(oracle, "reference_outputs", wait)
    monkeypatch.setattr("harness.engines.aot.build_image", refuse)
    with pytest.raises(DoesNotFitError, match="too large"):
        measure(model, FakeSession(model))
    assert not released.is_set()
    released.set()


def test_a_timing_that_is_none_of_the_three_never_becomes_a_measurement(model):
    session = FakeSession(model)
    session.timing = "host"
    with pytest.raises(ValueError, match=r"timing 'host' is not one of measured, modelled"):
        measure(model, session)


def test_inputs_are_seeded_and_span_the_type(model):
    graph = read_graph(model, where="model")
    first, again, other = (random_inputs(graph, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.int8 and first.min() < -120 and first.max() > 120


class TestOnTheVirtualBoard:
    @pytest.fixture(scope="class")
    @classmethod
    def session(cls):
        with open_session(BOARD, "virtual") as session:
            yield session

    def test_a_network_is_measured_bit_exactly_and_repeats_to_the_cycle(self, model, session):
        first = measure(model, session, layers=True)
        again = measure(model, session)
        assert len(set(first.cycles.raw)) == 1
        assert first.cycles == again.cycles and first.sram == again.sram
        assert first.image_sha256 == again.image_sha256
        assert Measurement.from_json(json.loads(json.dumps(first.to_json()))) == first

    def test_every_run_of_a_model_with_state_starts_anew(self, session):
        model = ModelFactory()
        model.outputs = [svdf(model, model.input((1, 20), scale=0.5), units=10, memory=4)]
        got = measure(model.build(), session)
        assert got.output.bit_exact
        assert len(set(got.cycles.raw)) == 1

    def test_the_layers_add_up_to_the_whole(self, model, session):
        got = measure(model, session, layers=True)
        # What lies between the layers: the call itself and the callbacks of the profiled pass.
        between = abs(got.cycles.median - sum(layer.cycles for layer in got.layers))
        assert between <= 0.01 * got.cycles.median + 60 * len(got.layers)

    def test_layers_add_up_to_the_inference(self, model, session):
        """Beyond 100 cycles a layer, which reporting may cost."""
        measured = measure(model, session, layers=True, repeats=1)
        total = sum(layer.cycles for layer in measured.layers)
        assert abs(total - measured.cycles.median) < 0.01 * total + 100 * len(measured.layers)
        assert all(layer.moved_bytes > 0 for layer in measured.layers)

    def test_flash_is_split_without_remainder(self, model, session):
        flash = measure(model, session).flash
        assert flash.code_bytes + flash.weights_bytes == flash.total_bytes
        assert 0 < flash.runtime_overhead_bytes < flash.code_bytes
        assert flash.weights_bytes > 0

    @pytest.mark.parametrize("name", ["ad", "ic", "kws", "vww"])
    def test_reference_models_are_measured(self, name, session):
        path = mlperf_tiny(name)
        if path is None:
            pytest.skip(NO_MODELS)
        got = measure(path.read_bytes(), session, name=path.name, repeats=1, layers=True)
        assert sum(x.cycles for x in got.layers) == pytest.approx(got.cycles.median, rel=0.01)
        program = compile_sources(path.read_bytes(), name=path.name)
        assert got.sram.arena_bytes == program.plan.arena_bytes
        assert got.output.bit_exact
