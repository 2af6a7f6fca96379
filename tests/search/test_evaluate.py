"""The walk of one candidate: measured, then trained, then measured again; every way out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.board import load_board
from harness.compiler import compile_sources
from harness.engines.tflm.library import Library
from harness.errors import (
    BoardError,
    CompileError,
    DatasetError,
    DoesNotFitError,
    JournalError,
    NoReplyError,
    ToolchainError,
    UnknownBoardError,
    UsageError,
)
from harness.measure import measure
from harness.measurement import Measurement
from harness.session import TIMED, open_session
from search import evaluate as evaluate_module
from search import quantise as quantise_module
from search.config import (
    Bounds,
    Budget,
    Data,
    Device,
    Distillation,
    Finalists,
    Pruning,
    Quantisation,
    SearchConfig,
    Tiers,
    Training,
)
from search.cost import cost_of
from search.evaluate import evaluate, evaluate_in, prepare, seed_of
from search.evaluation import Evaluation, Rejected
from search.export import export_int8, export_untrained, int8_error
from search.network import Network
from search.space import open_space
from search.tiers import Peer
from search.train import Trained, float_error, train
from search.workers import Task
from search.workplace import Workplace, open_workplace
from tests.measurements import make_measurement
from tests.search.genotypes import conv, depthwise, network, series
from tests.search.idx_files import make_dataset, make_samples, write_set
from tests.search.networks import sample_networks
from tests.tflite_factory import small_network

GENOTYPE = network(series(conv(4, batch_norm=True), depthwise()), dense=(10,))
CONFIG = SearchConfig(
    name="test",
    search=Budget(population=5, sample_size=2, seed=3),
    device=Device("nucleo_f412zg"),
    data=Data("digits"),
    training=Training(epochs=4, batch_size=32, learning_rate=0.1),
    bounds=Bounds(latency_us=10_000.0),
)


FINALIST = Task(1, GENOTYPE.to_json(), GENOTYPE.archid, is_finalist=True)
TOUCHED = Quantisation(tolerance=0.0, epochs=2, learning_rate=0.01)


class FakeBoard:
    """Answers each measurement with the next of `answers`: cycles, or an error to raise."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.models: list[bytes] = []
        self.opened = 0
        self.closed = 0

    @contextmanager
    def open(self) -> Iterator[object]:
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1

    def measure(self, model: bytes, session: object, *, name: str) -> Measurement:
        assert session is self
        self.models.append(model)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return make_measurement(cycles=answer, model_sha256=hashlib.sha256(model).hexdigest())


def evaluate_on(
    board: FakeBoard,
    run_dir: Path,
    config: SearchConfig = CONFIG,
    task: Task = Task(7, GENOTYPE.to_json()),  # noqa: B008, a frozen value
):
    workplace = Workplace(make_dataset(), board.open, board.measure)
    return evaluate_in(workplace, task, run_dir, config)


def test_a_good_candidate_is_measured_trained_and_measured_again(tmp_path: Path) -> None:
    board = FakeBoard(100_000, 101_000)
    outcome = evaluate_on(board, tmp_path)
    assert isinstance(outcome, Evaluation)
    assert outcome.archid == GENOTYPE.archid and outcome.genotype == GENOTYPE.to_json()
    assert (outcome.untrained.cycles.median, outcome.measured.cycles.median) == (100_000, 101_000)
    assert outcome.val_error < 0.3 and abs(outcome.val_error - outcome.float_val_error) < 0.1
    model = (tmp_path / outcome.model).read_bytes()
    assert outcome.model == f"models/{GENOTYPE.archid}.tflite"
    assert hashlib.sha256(model).hexdigest() == outcome.measured.model_sha256
    validation = make_dataset().validation
    assert int8_error(model, validation.images, validation.labels) == outcome.val_error


def test_an_outcome_says_what_each_tier_cost(tmp_path: Path) -> None:
    trained = evaluate_on(FakeBoard(100_000, 101_000), tmp_path)
    rejected = evaluate_on(FakeBoard(1_000_100), tmp_path)
    assert set(trained.spent) == {"measured", "full"} and set(rejected.spent) == {"measured"}
    assert set(trained.activities) == {"exporting", "compiling", "measuring", "training"}
    assert "training" not in rejected.activities
    for outcome in (trained, rejected):
        assert sum(outcome.spent.values()) == pytest.approx(
            sum(outcome.activities.values()), abs=0.005
        )


SHORT = replace(
    CONFIG,
    bounds=Bounds(val_error=0.5, latency_us=10_000.0),
    tiers=Tiers(short_epochs=1, short_fraction=0.5, minimum=1),
)


def test_short_training_stops_a_candidate_that_others_leave_behind(tmp_path: Path) -> None:
    better = Peer("b" * 16, (0.0, 1.0))
    task = Task(7, GENOTYPE.to_json(), rung=(better,))
    outcome = evaluate_on(FakeBoard(100_000), tmp_path, SHORT, task)
    assert isinstance(outcome, Rejected) and outcome.tier == "short"
    assert outcome.reason == (
        "place 2 of 2 after short training, and 1 go on: 1 of them dominate it, bbbbbbbb among "
        "them"
    )
    assert outcome.short_error is not None and outcome.untrained is not None
    assert set(outcome.spent) == {"measured", "short"}


def test_who_is_not_left_behind_is_trained_on_in_full(tmp_path: Path) -> None:
    worse = Peer("b" * 16, (1.0, 1e9))
    task = Task(7, GENOTYPE.to_json(), rung=(worse,))
    outcome = evaluate_on(FakeBoard(100_000, 100_000), tmp_path, SHORT, task)
    assert isinstance(outcome, Evaluation) and outcome.val_error < 0.3
    assert outcome.short_error is not None
    assert set(outcome.spent) == {"measured", "short", "full"}


def test_pruning_ends_in_the_slimmed_genotype_that_is_measured(tmp_path: Path) -> None:
    config = replace(CONFIG, pruning=Pruning(enabled=True, sparsity=0.4))
    task = Task(7, GENOTYPE.to_json(), sparsity=0.4)
    outcome = evaluate_on(FakeBoard(100_000, 90_000), tmp_path, config, task)
    assert isinstance(outcome, Evaluation)
    assert (outcome.archid, outcome.genotype) == (GENOTYPE.archid, GENOTYPE.to_json())
    assert outcome.sparsity == 0.4 and outcome.slimmed is not None
    space, data = open_space(config.space), make_dataset()
    ops = space.lower(space.read(outcome.slimmed), data.input_shape, data.classes)
    assert outcome.measured_cost == outcome.slimmed_cost == cost_of(ops)
    whole = evaluate_on(FakeBoard(1, 1), tmp_path)
    assert isinstance(whole, Evaluation) and whole.measured_cost == whole.cost
    assert outcome.untrained_cost == outcome.cost == whole.cost, "what was measured untrained"
    assert cost_of(ops).macs < whole.cost.macs


def test_a_child_starts_from_its_parents_weights_and_leaves_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[tuple[float, int]] = []

    def watched(network: Network, *splits: object, epochs: int, **options: object) -> Trained:
        began.append((float_error(network, make_dataset().validation), epochs))
        return train(network, *splits, epochs=epochs, **options)

    monkeypatch.setattr(evaluate_module, "train", watched)
    recipe = replace(CONFIG.training, inherit=True, inherited_epochs=1)
    config = replace(CONFIG, training=recipe)
    wider = replace(GENOTYPE, dense=(14,))

    evaluate_on(FakeBoard(1, 1), tmp_path, config)
    for parent in (GENOTYPE.archid, None):
        task = Task(8, wider.to_json(), parent=parent)
        evaluate_on(FakeBoard(1, 1), tmp_path, config, task)

    (_, first), (error, second), (fresh_error, third) = began
    assert (first, second, third) == (4, 1, 4)
    assert error < 0.3 < fresh_error
    names = {path.stem for path in (tmp_path / "weights").iterdir()}
    assert names == {GENOTYPE.archid, wider.archid}


def test_a_child_whose_parents_weights_are_gone_is_no_other_candidate(tmp_path: Path) -> None:
    config = replace(CONFIG, training=replace(CONFIG.training, inherit=True))
    task = Task(8, GENOTYPE.to_json(), parent="abc")
    with pytest.raises(JournalError, match="weights/abc.npz: no such file; restore it from"):
        evaluate_on(FakeBoard(1, 1), tmp_path, config, task)


def test_weights_that_are_damaged_end_the_run_with_the_remedy(tmp_path: Path) -> None:
    config = replace(CONFIG, training=replace(CONFIG.training, inherit=True))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "abc.npz").write_bytes(b"torn")
    task = Task(8, GENOTYPE.to_json(), parent="abc")
    with pytest.raises(JournalError, match="abc.npz: is no file of weights: .*; restore it from"):
        evaluate_on(FakeBoard(1, 1), tmp_path, config, task)


def test_diverged_short_training_is_a_failed_candidate(tmp_path: Path) -> None:
    recipe = Training(learning_rate=1e30, weight_decay=1.0)
    outcome = evaluate_on(FakeBoard(100_000), tmp_path, replace(SHORT, training=recipe))
    assert isinstance(outcome, Rejected) and outcome.tier == "failed"
    assert outcome.reason.startswith("training diverged: loss nan")


def test_a_pruned_candidate_is_measured_slimmed(tmp_path: Path) -> None:
    config = replace(CONFIG, pruning=Pruning(enabled=True))
    board = FakeBoard(100_000, 90_000, 80_000)
    task = Task(7, GENOTYPE.to_json(), sparsity=0.5)
    outcome = evaluate_on(board, tmp_path, config, task)
    assert isinstance(outcome, Evaluation) and outcome.slimmed is not None
    assert outcome.genotype == GENOTYPE.to_json() != outcome.slimmed
    assert len(board.models[1]) < len(board.models[0]), "fewer channels than untrained"

    workplace = Workplace(make_dataset(), board.open, board.measure)
    config = replace(config, finalists=Finalists(epochs=1))
    finalist = evaluate_in(workplace, replace(task, is_finalist=True), tmp_path, config)
    assert isinstance(finalist, Evaluation) and finalist.measured.cycles.median == 80_000
    assert len(board.models[2]) == len(board.models[1]), "it stays slimmed"


def test_a_finalist_goes_on_from_its_weights(tmp_path: Path) -> None:
    """Also where finalists were not thought of when it was trained."""
    config = replace(CONFIG, finalists=Finalists(epochs=1))
    board = FakeBoard(100_000, 90_000, 80_000)
    outcome = evaluate_on(board, tmp_path, CONFIG)
    workplace = Workplace(make_dataset(), board.open, board.measure)
    finalist = evaluate_in(workplace, FINALIST, tmp_path, config)
    assert isinstance(finalist, Evaluation) and isinstance(outcome, Evaluation)
    assert finalist.val_error <= outcome.val_error + 0.1
    assert finalist.model == f"finalists/{GENOTYPE.archid}.tflite"
    assert set(finalist.spent) == {"finalist"}
    assert hashlib.sha256((tmp_path / finalist.model).read_bytes()).hexdigest() == (
        finalist.measured.model_sha256
    )


def break_plain_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 costs every network its accuracy, until it is fine-tuned."""
    monkeypatch.setattr(
        quantise_module, "export_int8", lambda ops, *rest: export_untrained(ops, seed=0)
    )


def test_a_finalist_that_int8_breaks_is_fine_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, finalists=Finalists(epochs=1), quantisation=TOUCHED)
    board = FakeBoard(100_000, 90_000, 80_000)
    evaluate_on(board, tmp_path, config)
    break_plain_export(monkeypatch)
    workplace = Workplace(make_dataset(), board.open, board.measure)

    finalist = evaluate_in(workplace, FINALIST, tmp_path, config)

    assert isinstance(finalist, Evaluation) and finalist.plain_val_error is not None
    assert finalist.val_error <= finalist.float_val_error + 0.1 < finalist.plain_val_error
    model, validation = (tmp_path / finalist.model).read_bytes(), make_dataset().validation
    assert int8_error(model, validation.images, validation.labels) == finalist.val_error
    assert board.models[-1] == model, "the better one is measured and kept"
    assert finalist.activities["training"] >= finalist.train_seconds - 0.01, "rounded"


def test_nobody_but_a_finalist_is_fine_tuned_nor_one_that_int8_leaves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tolerant = replace(TOUCHED, tolerance=1.0)
    config = replace(CONFIG, finalists=Finalists(epochs=1), quantisation=tolerant)
    board = FakeBoard(1, 1, 1, 1, 1)
    evaluate_on(board, tmp_path, config)
    workplace = Workplace(make_dataset(), board.open, board.measure)
    kept = evaluate_in(workplace, FINALIST, tmp_path, config)
    break_plain_export(monkeypatch)
    candidate = evaluate_on(board, tmp_path, replace(config, quantisation=TOUCHED))

    for outcome in (kept, candidate):
        assert isinstance(outcome, Evaluation) and outcome.plain_val_error is None


def test_a_teacher_pruning_and_fine_tuning_end_in_a_model_that_the_board_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, "train", count=120)
    write_set(tmp_path, "t10k", count=12)
    labels = make_samples(120).labels
    logits = 8 * np.eye(3, dtype=np.float32)[labels]
    np.savez(tmp_path / "predictions.npz", logits=logits, labels=labels)
    config = replace(
        CONFIG,
        data=Data("mnist_like", path=str(tmp_path)),
        distillation=Distillation(str(tmp_path / "predictions.npz")),
        pruning=Pruning(enabled=True),
        finalists=Finalists(epochs=1),
        quantisation=TOUCHED,
    )
    taught: list[bool] = []

    def watched(*args: object, teacher: object, **options: object) -> Trained:
        taught.append(teacher is not None)
        return train(*args, teacher=teacher, **options)

    monkeypatch.setattr(quantise_module, "train", watched)
    task = Task(0, GENOTYPE.to_json(), sparsity=0.5)
    prepare(config)
    before = evaluate(task, tmp_path, config)
    break_plain_export(monkeypatch)
    after = evaluate(replace(task, is_finalist=True), tmp_path, config)

    assert isinstance(before, Evaluation), before
    assert isinstance(after, Evaluation), after
    assert before.slimmed is not None and before.slimmed_cost is not None
    assert taught == [True]
    assert after.plain_val_error is not None and after.val_error < after.plain_val_error
    assert after.measured.output.bit_exact
    assert after.measured.macs == before.slimmed_cost.macs, "it stays slimmed"


def test_a_finalist_without_weights_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    workplace = Workplace(make_dataset(), FakeBoard().open, FakeBoard().measure)
    config = replace(CONFIG, finalists=Finalists(epochs=1))
    with pytest.raises(JournalError, match="npz: no such file; restore it from a copy"):
        evaluate_in(workplace, FINALIST, tmp_path, config)


def test_the_same_candidate_gives_the_same_models_wherever_it_is_evaluated(
    tmp_path: Path,
) -> None:
    boards = FakeBoard(100_000, 100_000), FakeBoard(100_000, 100_000)
    for board in boards:
        evaluate_on(board, tmp_path)
    assert boards[0].models == boards[1].models and len(boards[0].models) == 2


def test_randomness_follows_the_runs_seed_and_the_archid() -> None:
    assert seed_of(0, "a") == seed_of(0, "a")
    assert len({seed_of(0, "a"), seed_of(1, "a"), seed_of(0, "b")}) == 3


def test_a_broken_bound_ends_the_walk_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "train", None)  # calling it would raise
    outcome = evaluate_on(FakeBoard(1_000_100), tmp_path)
    assert isinstance(outcome, Rejected) and outcome.tier == "measured"
    assert outcome.reason == "measured latency 10,001 exceeds the bound of 10,000 us"
    assert outcome.untrained is not None and outcome.untrained.cycles.median == 1_000_100
    assert not (tmp_path / "models").exists()


def test_a_model_that_does_not_fit_the_board_counts_as_measured(tmp_path: Path) -> None:
    error = DoesNotFitError("flash overflows by 12 bytes", region="flash", missing_bytes=12)
    outcome = evaluate_on(FakeBoard(error), tmp_path)
    assert isinstance(outcome, Rejected) and outcome.untrained is None
    assert (outcome.tier, outcome.reason) == ("measured", "flash overflows by 12 bytes")


def test_a_step_that_fails_rejects_the_candidate_with_its_sentence(tmp_path: Path) -> None:
    outcome = evaluate_on(FakeBoard(100_000, CompileError("gcc said no")), tmp_path)
    assert isinstance(outcome, Rejected) and outcome.untrained is not None
    assert (outcome.tier, outcome.reason) == ("failed", "gcc said no")


def test_diverged_training_is_a_failed_candidate(tmp_path: Path) -> None:
    config = replace(CONFIG, training=Training(epochs=2, learning_rate=1e30, weight_decay=1.0))
    outcome = evaluate_on(FakeBoard(100_000), tmp_path, config)
    assert isinstance(outcome, Rejected) and outcome.tier == "failed"
    assert outcome.reason.startswith("training diverged: loss nan")


@pytest.mark.parametrize("error", [ToolchainError("no gcc"), UsageError("no such thing")])
def test_what_would_fail_every_candidate_ends_the_run(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        evaluate_on(FakeBoard(error), tmp_path)


def test_a_model_that_cannot_be_kept_ends_the_run_and_rejects_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder belongs")
    message = "models/.*: cannot be written: File exists; make room, then resume the run"
    with pytest.raises(JournalError, match=message):
        evaluate_on(FakeBoard(400_000, 410_000), tmp_path)


@pytest.mark.parametrize("error", [NoReplyError("silence"), BoardError("it died")])
def test_a_failing_board_is_replaced_and_the_candidate_measured_again(
    tmp_path: Path, error: Exception
) -> None:
    board = FakeBoard(error, 100_000, 100_000)
    assert isinstance(evaluate_on(board, tmp_path), Evaluation)
    assert (board.opened, board.closed) == (2, 1)


def test_a_board_that_fails_twice_costs_the_candidate(tmp_path: Path) -> None:
    board = FakeBoard(BoardError("it died"), BoardError("it died again"))
    outcome = evaluate_on(board, tmp_path)
    assert isinstance(outcome, Rejected)
    assert (outcome.tier, outcome.reason) == ("failed", "it died again")


def test_a_workplace_opens_its_board_late_and_closes_it_once() -> None:
    board = FakeBoard(1, 2)
    workplace = Workplace(make_dataset(), board.open, board.measure)
    assert board.opened == 0
    workplace.measure(b"a", name="a")
    workplace.measure(b"b", name="b")
    assert (board.opened, board.closed) == (1, 0)
    workplace.close()
    workplace.close()
    assert board.closed == 1


def test_an_engine_that_is_not_there_is_refused_before_the_first_candidate() -> None:
    config = replace(CONFIG, device=Device("nucleo_f412zg", engine="tvm"))
    with pytest.raises(UsageError, match="there is no engine 'tvm'"):
        prepare(config)


@pytest.mark.tflm
def test_candidates_are_measured_with_the_engine_that_is_named(tflm_library: Library) -> None:
    device = Device("nucleo_f412zg", engine="tflm", tflm_dir=str(tflm_library.archive.parents[1]))
    workplace = open_workplace(replace(CONFIG, device=device))
    try:
        measured = workplace.measure(small_network(), name="small")
    finally:
        workplace.close()
    assert (measured.engine, measured.engine_version) == ("tflm", tflm_library.version)
    assert measured.output.bit_exact


def test_an_unknown_board_is_refused_before_the_first_candidate() -> None:
    with pytest.raises(UnknownBoardError, match="unknown board 'nucleo'"):
        prepare(replace(CONFIG, device=Device("nucleo")))


def test_a_way_that_reaches_no_board_is_refused_before_the_first_candidate() -> None:
    ways = " or ".join(TIMED)
    message = rf"\[device\] via: nucleo_f412zg cannot be reached via 'moon' \(expected {ways}\)"
    with pytest.raises(UnknownBoardError, match=message):
        prepare(replace(CONFIG, device=Device("nucleo_f412zg", via="moon")))


def test_a_way_that_counts_instructions_is_refused_before_the_first_candidate() -> None:
    message = r"via 'qemu' in a search, which needs times \(expected virtual or"
    with pytest.raises(UnknownBoardError, match=message):
        prepare(replace(CONFIG, device=Device("netduinoplus2", via="qemu")))


def test_another_data_set_than_the_one_the_run_started_with_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, "train", count=120)
    write_set(tmp_path, "t10k", count=12)
    config = replace(CONFIG, data=Data("mnist_like", path=str(tmp_path)))

    with pytest.raises(DatasetError, match=r"not the data set that the run .*sha256 0, got "):
        prepare(config, dataset_sha256="0")


def test_a_candidate_is_evaluated_on_the_virtual_board(tmp_path: Path) -> None:
    write_set(tmp_path, "train", count=120)
    write_set(tmp_path, "t10k", count=12)
    config = replace(CONFIG, data=Data("mnist_like", path=str(tmp_path)))
    prepare(config)
    outcome = evaluate(Task(0, GENOTYPE.to_json()), tmp_path, config)
    assert isinstance(outcome, Evaluation), outcome
    measured, untrained = outcome.measured, outcome.untrained
    assert measured.output.bit_exact and measured.timing == "modelled"
    assert measured.macs == outcome.cost.macs
    assert measured.sram == untrained.sram
    assert measured.cycles.median == pytest.approx(untrained.cycles.median, rel=0.01)


def test_untrained_exports_cost_what_trained_ones_cost_with_the_same_channels() -> None:
    """Training may leave channels that never change, which are not computed then."""
    alive = 0
    dataset = make_dataset(120, classes=4, size=12)
    recipe = Training(epochs=2, batch_size=32, learning_rate=0.05)
    with open_session(load_board("nucleo_f412zg"), "virtual") as session:
        for seed, ops in enumerate(sample_networks(5, seed=21)):
            network = Network(ops, seed=seed)
            train(network, dataset.train, dataset.validation, recipe, seed=0)
            model = export_int8(ops, network.folded_weights(), dataset.train.images[:50])
            trained = measure(model, session, name=f"trained {seed}")
            fresh = export_untrained(ops, seed=seed)
            untrained = measure(fresh, session, name=f"new {seed}")
            assert untrained.macs == trained.macs
            if macs_run(fresh) != macs_run(model):
                continue
            alive += 1
            assert untrained.cycles.median == pytest.approx(trained.cycles.median, rel=0.01)
            assert untrained.sram == trained.sram
            assert untrained.flash == trained.flash
    assert alive > 0


def macs_run(model: bytes) -> int:
    return compile_sources(model, name="model").graph.total_macs
