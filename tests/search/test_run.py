"""A run's journal follows from its configuration: whatever the workers' number and pace, wherever
it was interrupted. A candidate that goes wrong costs the run that candidate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.board import ROOT
from harness.errors import BoardError, ConfigError, HilnasError, JournalError
from search.algorithms import protocol
from search.config import (
    Bounds,
    Budget,
    Data,
    Device,
    Finalists,
    Pruning,
    SearchConfig,
    SpaceChoice,
    Tiers,
    Training,
    load_config,
)
from search.evaluation import Evaluation, Outcome, Rejected
from search.journal import read_journal
from search.progress import (
    Arrived,
    Asked,
    Event,
    Finished,
    Noticed,
    Progress,
    Started,
    Told,
    time_left,
)
from search.run import RunResult, run_search
from search.spaces.munas.genotype import MunasGenotype
from search.workers import Evaluate, OpenEvaluators, Prepare, Workers
from tests.processes import is_alive
from tests.search import cluster_evaluation
from tests.search import fake_evaluation as fake
from tests.search.evaluations import make_evaluation, make_rejected
from tests.search.open_workers import open_workers

# Bounds that arithmetic breaks now and then, a population that fills early.
CONFIG = SearchConfig(
    "test",
    Budget(rounds=14, population=4, sample_size=2, workers=2, seed=3, window=4),
    Device("nucleo_f412zg"),
    Data("digits"),
    bounds=Bounds(val_error=0.1, macs=100_000, flash_bytes=20_000),
    space=SpaceChoice(max_blocks=3, max_filters=16, max_units=32),
)


def with_budget(**changes: Any) -> SearchConfig:
    return replace(CONFIG, search=replace(CONFIG.search, **changes))


def search(
    run_dir: Path,
    config: SearchConfig = CONFIG,
    evaluate: Evaluate = fake.evaluate,
    *,
    prepare: Prepare | None = None,
    opener: OpenEvaluators = Workers,
    **options: Any,
) -> RunResult:
    with open_workers(config, run_dir, evaluate, prepare=prepare, opener=opener) as workers:
        return run_search(config, run_dir, workers, input_shape=(28, 28, 1), classes=10, **options)


def candidates(run_dir: Path) -> list[dict[str, Any]]:
    """The journal without its header and without wall times."""
    lines = (run_dir / "journal.jsonl").read_text().splitlines()[1:]
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        del entry["at_s"], entry["workers"]
        for clock in ("train_seconds", "spent", "activities"):
            entry["outcome"].pop(clock, None)
    return entries


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted run."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    result = search(run_dir)
    assert result.stopped == "rounds"
    return run_dir


def tiers(outcomes: Any) -> list[str]:
    return [getattr(outcome, "tier", "trained") for outcome in outcomes]


def test_a_run_ends_when_its_rounds_are_used_up(whole: Path) -> None:
    outcomes = [entry.outcome for entry in read_journal(whole / "journal.jsonl").entries]
    kinds = tiers(outcomes)

    assert {"analytic", "measured", "trained"} <= set(kinds)
    assert len(kinds) - kinds.count("analytic") == 14, "rounds count what passes the arithmetic"


def test_analytic_rejections_say_which_bound_and_are_not_evaluated(whole: Path) -> None:
    entries = read_journal(whole / "journal.jsonl").entries
    reasons = {e.outcome.reason for e in entries if tiers([e.outcome]) == ["analytic"]}

    assert reasons
    assert all("exceeds the bound of" in reason for reason in reasons)


def test_outcomes_carry_the_genotype_and_the_cost_of_their_candidate(whole: Path) -> None:
    for entry in read_journal(whole / "journal.jsonl").entries:
        assert MunasGenotype.from_json(entry.outcome.genotype).archid == entry.outcome.archid
        assert entry.outcome.cost.macs > 0


def test_the_run_folder_says_what_was_run_and_on_what(whole: Path) -> None:
    environment = json.loads((whole / "environment.json").read_text())

    assert load_config(whole / "config.toml") == CONFIG
    assert {"python", "numpy", "torch", "arm-none-eabi-gcc"} <= set(environment["versions"])
    assert set(environment["host"]) == {"system", "release", "machine", "cores"}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_journal_depends_on_neither_the_number_nor_the_pace_of_workers(
    whole: Path, tmp_path: Path, workers: int
) -> None:
    search(tmp_path, with_budget(workers=workers), fake.evaluate_unevenly)

    assert candidates(tmp_path) == candidates(whole)


def test_another_seed_gives_another_journal(whole: Path, tmp_path: Path) -> None:
    search(tmp_path, with_budget(seed=4))

    assert candidates(tmp_path) != candidates(whole)


class InterruptAfter:
    """Presses Ctrl-C when the count-th event of a kind is seen."""

    def __init__(self, kind: type, count: int) -> None:
        self.kind, self.count = kind, count
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.seen.append(event)
        if isinstance(event, self.kind):
            self.count -= 1
            if self.count == 0:
                os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("kind", "count"), [(Asked, 1), (Asked, 9), (Arrived, 4), (Told, 1), (Told, 8), (Told, 15)]
)
def test_an_interrupted_run_continues_as_if_it_had_not_been(
    whole: Path, tmp_path: Path, kind: type, count: int
) -> None:
    interrupted = search(tmp_path, on_event=InterruptAfter(kind, count))
    so_far = candidates(tmp_path)
    resumed = search(tmp_path, evaluate=fake.evaluate_unevenly, resume=True)

    assert interrupted.interrupted and not resumed.interrupted
    assert so_far == candidates(whole)[: len(so_far)], "intact, and a prefix"
    assert len(so_far) == len(interrupted.outcomes) < len(candidates(whole))
    assert candidates(tmp_path) == candidates(whole)
    assert len(resumed.outcomes) == len(candidates(whole)), "the recorded ones are in the result"


def test_a_run_interrupted_twice_with_a_torn_line_continues_too(
    whole: Path, tmp_path: Path
) -> None:
    search(tmp_path, on_event=InterruptAfter(Told, 5))
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    events = InterruptAfter(Told, 9)
    search(tmp_path, resume=True, on_event=events)
    search(tmp_path, resume=True)

    started = events.seen[0]
    assert isinstance(started, Started)
    assert "the journal's last line was torn" in started.messages[0]
    assert "its candidate is evaluated again" in started.messages[0]
    assert candidates(tmp_path) == candidates(whole)


def test_rounds_may_grow_afterwards(whole: Path, tmp_path: Path) -> None:
    short = search(tmp_path, with_budget(rounds=6))
    search(tmp_path, resume=True)

    assert short.stopped == "rounds"
    assert candidates(tmp_path) == candidates(whole)


def test_a_finished_run_resumes_to_nothing_new(whole: Path, tmp_path: Path) -> None:
    before = (whole / "journal.jsonl").read_bytes()

    result = search(whole, evaluate=fake.always_fail, resume=True)

    assert (whole / "journal.jsonl").read_bytes() == before
    assert result.stopped == "rounds"


def test_minutes_stop_asking_and_what_runs_is_told(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time jumps past the limit when the sixth candidate has been asked for."""
    asked: list[Event] = []
    monkeypatch.setattr("search.run._Run._is_out_of_time", lambda run: len(asked) >= 6)

    def watch(event: Event) -> None:
        asked.extend([event] if isinstance(event, Asked) else [])

    result = search(tmp_path, with_budget(minutes=1.0), on_event=watch)
    monkeypatch.undo()
    resumed = search(tmp_path, resume=True)

    assert (result.stopped, len(result.outcomes)) == ("minutes", 6)
    assert resumed.stopped == "rounds"
    assert candidates(tmp_path) == candidates(whole)


def test_a_tiny_time_limit_is_kept(tmp_path: Path) -> None:
    result = search(tmp_path, with_budget(minutes=1e-9))

    assert (result.stopped, result.outcomes) == ("minutes", ())


def failure_of(run_dir: Path, result: RunResult) -> Rejected:
    """The one failed candidate that an undisturbed run does not have; the run went on."""
    assert result.stopped == "rounds"
    failed = [o for o in result.outcomes if isinstance(o, Rejected) and o.tier == "failed"]
    (own,) = [outcome for outcome in failed if outcome.reason != "diverged"]
    assert own in [entry.outcome for entry in read_journal(run_dir / "journal.jsonl").entries]
    return own


def first_submitted(run_dir: Path) -> int:
    """Index of the first candidate past the analytic tier, in any run of CONFIG."""
    kinds = tiers([entry.outcome for entry in read_journal(run_dir / "journal.jsonl").entries])
    return next(index for index, kind in enumerate(kinds) if kind != "analytic")


@pytest.mark.parametrize(
    ("evaluate", "reason"),
    [
        (
            fake.die,
            "its worker was killed by SIGKILL, as the kernel does where memory runs out (fewer "
            "[search] workers or a smaller [training] batch_size need less); see workers.log",
        ),
        (fake.leave, "its worker ended with exit code 3; see workers.log"),
        (fake.stumble, "ZeroDivisionError: a defect; see workers.log"),
        (fake.answer_nonsense, "evaluate returned 42, not an outcome"),
        (fake.answer_for_another, "its outcome is that of archid ffffffffffffffff"),
        (fake.answer_nan, "its outcome has no JSON: Out of range float values are not JSON"),
    ],
)
def test_a_candidate_that_goes_wrong_fails_and_the_run_goes_on(
    whole: Path, tmp_path: Path, evaluate: Any, reason: str
) -> None:
    broken_index = first_submitted(whole)

    result = search(tmp_path, evaluate=partial(evaluate, broken_index=broken_index))

    assert failure_of(tmp_path, result).reason.startswith(reason)
    assert tiers(result.outcomes)[broken_index] == "failed"


def test_a_hung_candidate_is_killed_with_all_it_started(whole: Path, tmp_path: Path) -> None:
    hang = partial(fake.hang, broken_index=first_submitted(whole))

    result = search(tmp_path, with_budget(candidate_deadline_s=4.0), hang)

    assert failure_of(tmp_path, result).reason == ("no outcome after 4 s; its worker was killed")
    assert not is_alive(int((tmp_path / "grandchild").read_text()))


def test_the_workers_log_holds_the_traceback_of_a_defect(whole: Path, tmp_path: Path) -> None:
    search(tmp_path, evaluate=partial(fake.stumble, broken_index=first_submitted(whole)))

    assert "ZeroDivisionError: a defect" in (tmp_path / "workers.log").read_text()


def test_what_workers_print_stays_off_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, with_budget(rounds=2), fake.print_much, prepare=fake.write_name)
    log = (tmp_path / "workers.log").read_text()

    assert "from the framework" in log and "prepared for test" in log
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_whole_run_ends_it_with_its_sentence(whole: Path, tmp_path: Path) -> None:
    give_up = partial(fake.give_up, broken_index=first_submitted(whole))

    with pytest.raises(BoardError, match="nucleo: the board is gone; plug it in"):
        search(tmp_path, evaluate=give_up)
    search(tmp_path, resume=True)

    assert candidates(tmp_path) == candidates(whole), "the journal was intact"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (fake.refuse, "no data set; get it"),
        (fake.vanish, "a worker ended with exit code 7 before it was ready; see .*workers.log"),
    ],
)
def test_workers_that_cannot_start_end_the_run(tmp_path: Path, prepare: Any, message: str) -> None:
    with pytest.raises(HilnasError, match=message):
        search(tmp_path, prepare=prepare)


def test_nothing_but_failures_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.run.HOPELESS_FAILURES", 3)

    with pytest.raises(HilnasError, match="3 candidates failed in a row, the last one: no comp"):
        search(tmp_path, evaluate=fake.always_fail)
    assert tiers(search(tmp_path, resume=True).outcomes).count("failed") >= 3, "kept"


def test_bounds_that_nothing_meets_are_an_error_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.prospects.HOPELESS_REJECTIONS", 25)

    with pytest.raises(ConfigError) as caught:
        search(tmp_path, replace(CONFIG, bounds=Bounds(macs=1)))

    found = candidates(tmp_path)
    nearest = min((entry["outcome"] for entry in found), key=lambda o: o["cost"]["macs"])
    assert str(caught.value) == (
        f"test: none of 25 candidates kept the bounds; the nearest was {nearest['archid']}: MACs "
        f"{nearest['cost']['macs']:,} exceeds the bound of 1 MACs; loosen [bounds], or cap "
        "[space] so that smaller networks are drawn"
    )
    assert len(found) == 25


def test_bounds_that_nothing_meets_as_measured_are_said_early_and_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.prospects.DOUBTFUL_MEASUREMENTS", 3)
    monkeypatch.setattr("search.prospects.HOPELESS_MEASUREMENTS", 6)
    events: list[Event] = []
    config = replace(CONFIG, bounds=Bounds(flash_bytes=20_000))

    with pytest.raises(ConfigError) as caught:
        search(tmp_path, config, fake.reject_all, on_event=events.append)

    nearest = next(e for e in candidates(tmp_path) if e["outcome"]["tier"] == "measured")
    what = (
        f"the nearest was {nearest['outcome']['archid']}: measured flash "
        f"{20_001 + nearest['index']:,} exceeds the bound of 20,000 bytes"
    )
    (notice,) = [event.message for event in events if isinstance(event, Noticed)]
    assert f"3 of them as measured; {what}; going on" in notice
    assert f"of them as measured; {what}; loosen [bounds]" in str(caught.value)


def test_a_run_that_ends_without_a_network_inside_the_bounds_says_so(tmp_path: Path) -> None:
    events: list[Event] = []
    config = replace(with_budget(rounds=2), bounds=Bounds(flash_bytes=20_000))
    result = search(tmp_path, config, fake.reject_all, on_event=events.append)

    (notice,) = [event.message for event in events if isinstance(event, Noticed)]
    assert result.stopped == "rounds"
    assert "2 of them as measured; the nearest was" in notice and "loosen [bounds]" in notice


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (fake.fill_disk, "No space left on device: '/tmp/model.c'; make room, then resume"),
        (fake.fill_disk_of_compiler, "cc.s: No space left on device; make room, then resume"),
    ],
)
def test_a_full_disk_ends_the_run_and_fails_no_candidate(
    whole: Path, tmp_path: Path, evaluate: Any, message: str
) -> None:
    with pytest.raises(JournalError, match=message):
        search(tmp_path, evaluate=partial(evaluate, broken_index=first_submitted(whole)))
    search(tmp_path, resume=True)

    assert candidates(tmp_path) == candidates(whole)


def test_a_disk_without_room_for_the_workers_log_ends_the_run_and_fails_no_candidate(
    whole: Path, tmp_path: Path
) -> None:
    """/dev/full is such a disk."""
    log = tmp_path / "workers.log"
    log.symlink_to("/dev/full")

    with pytest.raises(JournalError, match=r"workers\.log: cannot be written: No space"):
        search(tmp_path, evaluate=partial(fake.stumble, broken_index=first_submitted(whole)))
    log.unlink()
    search(tmp_path, resume=True)

    assert candidates(tmp_path) == candidates(whole)


def test_a_used_up_space_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([protocol.Asked(MunasGenotype.from_json(make_evaluation().genotype), None)])
    ask = "search.algorithms.evolution.Evolution.ask"
    monkeypatch.setattr(ask, lambda evolution, recorded: next(drawn, None))

    result = search(tmp_path, replace(CONFIG, bounds=Bounds()))

    assert (result.stopped, len(result.outcomes)) == ("exhausted", 1)


def test_a_folder_with_a_run_is_not_overwritten(whole: Path) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in whole.iterdir())

    with pytest.raises(JournalError, match="there is a journal already; resume it, or choose"):
        search(whole)

    assert sorted((path.name, path.stat().st_mtime_ns) for path in whole.iterdir()) == before


@pytest.mark.parametrize("algorithm", ["nsga2", "bayes", "random"])
def test_any_algorithm_resumes_to_the_journal_of_an_uninterrupted_run(
    tmp_path: Path, algorithm: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    config = with_budget(algorithm=algorithm, rounds=6, workers=1)
    search(whole, config)
    parts.mkdir()
    lines = (whole / "journal.jsonl").read_text().splitlines(keepends=True)
    (parts / "journal.jsonl").write_text("".join(lines[:5]))

    search(parts, config, resume=True)

    assert candidates(parts) == candidates(whole)


def test_the_journal_names_parents(whole: Path) -> None:
    entries = read_journal(whole / "journal.jsonl").entries
    archids = [entry.outcome.archid for entry in entries]

    assert entries[0].outcome.parent is None
    assert any(entry.outcome.parent in archids[:index] for index, entry in enumerate(entries))


SHORT = replace(CONFIG, tiers=Tiers(short_epochs=1, eta=2, minimum=3))


@pytest.fixture(scope="module")
def whole_with_short_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    search(run_dir, SHORT, fake.evaluate_shortly)
    return run_dir


def test_candidates_left_behind_are_in_the_journal_and_do_not_breed(
    whole_with_short_training: Path,
) -> None:
    entries = read_journal(whole_with_short_training / "journal.jsonl").entries
    short = [entry.outcome for entry in entries if tiers([entry.outcome]) == ["short"]]

    assert short and all("after short training" in outcome.reason for outcome in short)
    assert not {o.archid for o in short} & {entry.outcome.parent for entry in entries}


@pytest.mark.parametrize("workers", [1, 3])
def test_who_is_left_behind_depends_on_neither_workers_nor_interruptions(
    whole_with_short_training: Path, tmp_path: Path, workers: int
) -> None:
    config = replace(SHORT, search=replace(SHORT.search, workers=workers))
    search(tmp_path, config, fake.evaluate_shortly, on_event=InterruptAfter(Told, 9))
    search(tmp_path, config, fake.evaluate_shortly, resume=True)

    assert candidates(tmp_path) == candidates(whole_with_short_training)


def test_sparsity_goes_from_parent_to_child_in_small_steps(tmp_path: Path) -> None:
    config = replace(CONFIG, pruning=Pruning(enabled=True, sparsity=0.5))
    search(tmp_path, config, on_event=InterruptAfter(Told, 9))
    search(tmp_path, config, resume=True)
    whole = tmp_path / "whole"
    search(whole, config)

    outcomes = [entry.outcome for entry in read_journal(tmp_path / "journal.jsonl").entries]
    sparsities = {outcome.archid: outcome.sparsity for outcome in outcomes}
    steps = [o.sparsity - sparsities[o.parent] for o in outcomes if o.parent is not None]
    assert {o.sparsity for o in outcomes if o.parent is None} == {0.5}
    assert steps and all(0 < abs(step) < 0.3 for step in steps)
    assert candidates(tmp_path) == candidates(whole)


def test_the_journal_says_how_long_the_run_had_taken_across_its_sessions(tmp_path: Path) -> None:
    search(tmp_path, with_budget(rounds=4))
    search(tmp_path, with_budget(rounds=8), resume=True)

    entries = read_journal(tmp_path / "journal.jsonl").entries
    times = [entry.at_s for entry in entries]
    assert times == sorted(times) and times[0] > 0
    assert all(entry.outcome.spent["analytic"] >= 0 for entry in entries)


def test_the_run_folder_has_the_configuration_of_its_latest_session(tmp_path: Path) -> None:
    search(tmp_path, with_budget(rounds=2))
    header = (tmp_path / "journal.jsonl").read_bytes().splitlines()[0]
    later = replace(with_budget(rounds=3, workers=1), finalists=Finalists(epochs=2))
    search(tmp_path, later, resume=True)
    with pytest.raises(JournalError, match="search.seed differs"):
        search(tmp_path, with_budget(seed=4), resume=True)

    assert load_config(tmp_path / "config.toml") == later
    assert (tmp_path / "journal.jsonl").read_bytes().splitlines()[0] == header


def test_a_child_of_a_parent_whose_weights_are_gone_ends_the_run(tmp_path: Path) -> None:
    """It would start from fresh ones, and the journal would be another."""
    config = replace(
        with_budget(rounds=16), bounds=Bounds(val_error=0.1), training=Training(inherit=True)
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    search(whole, config, cluster_evaluation.leave_files)
    search(parts, config, cluster_evaluation.leave_files, on_event=InterruptAfter(Told, 10))
    (parts / "weights").rename(tmp_path / "elsewhere")

    with pytest.raises(JournalError, match=r"npz: the weights .* are not there; restore") as lost:
        search(parts, config, cluster_evaluation.leave_files, resume=True)
    (tmp_path / "elsewhere").rename(parts / "weights")
    search(parts, config, cluster_evaluation.leave_files, resume=True)

    assert str(parts / "weights") in str(lost.value)
    assert candidates(parts) == candidates(whole)


def test_a_recorded_genotype_of_another_space_is_refused_by_its_line(
    whole: Path, tmp_path: Path
) -> None:
    header, first, *_ = (whole / "journal.jsonl").read_text().splitlines()
    entry = json.loads(first)
    entry["outcome"]["genotype"]["blocks"] = []
    (tmp_path / "journal.jsonl").write_text(f"{header}\n{json.dumps(entry)}\n")

    with pytest.raises(JournalError, match=r"jsonl:2: holds no genotype of the space munas: numb"):
        search(tmp_path, resume=True)


def test_a_missing_folder_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such run folder; check the path"):
        search(tmp_path / "nowhere", resume=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match="file/run: cannot be made: Not a directory"):
        search(tmp_path / "file" / "run")


@pytest.mark.parametrize("name", ["config.toml", "environment.json", "workers.log"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(HilnasError, match=f"{name}: cannot be written: Is a directory; make room"):
        search(tmp_path)


def test_a_journal_of_other_candidates_is_refused(whole: Path, tmp_path: Path) -> None:
    text = (whole / "journal.jsonl").read_text()
    state = candidates(whole)[2]["state"]
    (tmp_path / "journal.jsonl").write_text(text.replace(state, "0" * 16))

    with pytest.raises(JournalError) as caught:
        search(tmp_path, resume=True)

    assert "journal.jsonl:4: another candidate than this version of hilnas" in str(caught.value)


def test_a_journal_of_other_bounds_in_arithmetic_is_refused(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "journal.jsonl").write_bytes((whole / "journal.jsonl").read_bytes())
    monkeypatch.setattr("search.run.broken_by_cost", lambda bounds, cost: None)

    with pytest.raises(JournalError, match="for the workers, got .* turned down by arithmetic"):
        search(tmp_path, resume=True)


def test_changed_versions_are_said_when_resuming(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path, with_budget(rounds=1))
    monkeypatch.setattr("search.run.versions", lambda: {"numpy": "0.1"})
    events: list[Event] = []

    search(tmp_path, with_budget(rounds=1), resume=True, on_event=events.append)

    assert isinstance(events[0], Started)
    assert any(
        message.startswith("numpy was ") and "and is 0.1: what follows" in message
        for message in events[0].messages
    )


def test_events_tell_the_run_in_order(tmp_path: Path) -> None:
    events: list[Event] = []

    result = search(tmp_path, on_event=events.append)

    told = [event for event in events if isinstance(event, Told)]
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    assert [event.index for event in told] == list(range(len(result.outcomes)))
    assert tuple(event.outcome for event in told) == result.outcomes
    for kind in (Asked, Arrived):
        seen = sorted(event.index for event in events if isinstance(event, kind))
        assert seen == list(range(len(result.outcomes)))
    final = events[-1].progress
    kinds = tiers(result.outcomes)
    assert (final.analytic, final.measured, final.failed, final.trained) == tuple(
        kinds.count(kind) for kind in ("analytic", "measured", "failed", "trained")
    )
    assert final.candidates == len(kinds) and final.rounds_done == 14
    assert final.on_board == final.measured + final.trained
    assert final.best_val_error == min(e.val_error for e in result.evaluations)
    assert final.left_s == 0.0


def test_replayed_candidates_are_marked(tmp_path: Path) -> None:
    short = search(tmp_path, with_budget(rounds=3))
    events: list[Event] = []
    search(tmp_path, with_budget(rounds=5), resume=True, on_event=events.append)
    known = len(short.outcomes)

    assert isinstance(events[0], Started) and events[0].replayed == known
    for event in events:
        if isinstance(event, Asked | Told):
            assert event.replayed == (event.index < known)


@pytest.mark.parametrize(
    ("minutes", "done", "fresh", "elapsed_s", "left_s"),
    [
        (0.0, 0, 0, 5.0, None),
        (0.0, 4, 4, 8.0, 20.0),
        (0.0, 4, 2, 8.0, 40.0),
        (0.5, 0, 0, 5.0, 25.0),
        (0.5, 4, 4, 8.0, 20.0),
        (0.2, 4, 4, 8.0, 4.0),
        (0.1, 4, 4, 8.0, 0.0),
    ],
)
def test_time_left_is_that_of_the_budget_used_up_first(
    minutes: float, done: int, fresh: int, elapsed_s: float, left_s: float | None
) -> None:
    progress = Progress(rounds=14, trained=done)

    left = time_left(with_budget(minutes=minutes).search, progress, fresh, elapsed_s)

    assert left == (None if left_s is None else pytest.approx(left_s))


@pytest.mark.parametrize(
    ("errors", "best"), [([0.3, 0.1, 0.2], 0.1), ([0.0, 0.2], 0.0), ([0.2, 0.0], 0.0)]
)
def test_the_best_error_is_the_least(errors: list[float], best: float) -> None:
    progress = Progress(rounds=9)
    outcomes: list[Outcome] = [make_evaluation(val_error=error) for error in errors]
    for outcome in [*outcomes, make_rejected()]:
        progress = progress.after(outcome)

    assert progress.best_val_error == best


def test_the_result_gives_its_evaluations() -> None:
    good = make_evaluation()
    result = RunResult(Path(), (good, make_rejected()), "rounds")

    assert result.evaluations == (good,)
    assert isinstance(result.evaluations[0], Evaluation)


@pytest.mark.parametrize("delay_s", [0.0, 0.15, 1.0], ids=["at once", "starting", "working"])
def test_ctrl_c_in_a_terminal_ends_a_run_without_a_word_from_its_workers(
    tmp_path: Path, delay_s: float
) -> None:
    """The signal goes to the whole process group, as a terminal sends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.search.interrupted_run", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    deadline = threading.Timer(120, process.kill)
    deadline.start()
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    time.sleep(delay_s)

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    deadline.cancel()

    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    assert search(tmp_path, resume=True).stopped == "rounds"


def test_workers_end_with_a_search_that_was_killed(tmp_path: Path) -> None:
    asleep = tmp_path / "asleep"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.search.interrupted_run", str(tmp_path / "run")],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, cluster_evaluation.ASLEEP: str(asleep)},
    )
    until = time.monotonic() + 120
    while not asleep.exists() and time.monotonic() < until:
        time.sleep(0.05)
    worker, _ = json.loads(asleep.read_text())

    process.kill()
    process.wait()

    while is_alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(worker)
