"""A search on a cluster writes the journal of a search on one machine, whatever happens to nodes;
what its candidates leave behind reaches the run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'hilnas[ray]'")

from ray.cluster_utils import Cluster  # noqa: E402

from harness.board import ROOT  # noqa: E402
from harness.errors import BoardError, HilnasError, UsageError  # noqa: E402
from search import ray_workers  # noqa: E402
from search.carried import FINALISTS_DIR, weights_path  # noqa: E402
from search.config import Bounds, Device, Finalists, Pruning, Training  # noqa: E402
from search.evaluation import Evaluation  # noqa: E402
from search.finalists import read_finalists, train_finalists  # noqa: E402
from search.ray_workers import cluster  # noqa: E402
from search.workers import Workers  # noqa: E402
from tests.processes import is_alive  # noqa: E402
from tests.search import cluster_evaluation, fake_evaluation  # noqa: E402
from tests.search.evaluations import make_evaluation  # noqa: E402
from tests.search.genotypes import conv, network, series  # noqa: E402
from tests.search.open_workers import open_workers  # noqa: E402
from tests.search.ray_cluster import (  # noqa: E402
    NODE,
    session_of,
    started,
    wait_for,
)
from tests.search.test_run import CONFIG, candidates, search, with_budget  # noqa: E402


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with started() as cluster_of_one:
        yield cluster_of_one


@pytest.fixture(scope="module")
def on_cluster(nodes: Cluster) -> Iterator[type[ray_workers.RayWorkers]]:
    with cluster(nodes.address, CONFIG.device) as opener:
        yield opener


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a run on this machine's own processes."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    search(run_dir)
    return run_dir


def first_submitted(run_dir: Path) -> int:
    tiers = [entry["outcome"].get("tier") for entry in candidates(run_dir)]
    return next(index for index, tier in enumerate(tiers) if tier != "analytic")


def content(run_dir: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run_dir).as_posix(): path.read_bytes() for path in run_dir.glob("*/*")
    }


def test_journal_files_and_log_are_those_of_local_workers(
    tmp_path: Path, on_cluster: Any, capfd: Any
) -> None:
    """The weights say whether a candidate found those of its parent, which came from elsewhere."""
    config = replace(
        with_budget(rounds=16), bounds=Bounds(val_error=0.1), training=Training(inherit=True)
    )
    there, here = tmp_path / "there", tmp_path / "here"

    for run_dir, opener in ((there, on_cluster), (here, Workers)):
        search(
            run_dir,
            config,
            cluster_evaluation.leave_files,
            prepare=fake_evaluation.write_name,
            opener=opener,
        )

    assert candidates(there) == candidates(here)
    assert content(there) == content(here)
    assert any(text.endswith(b"True") for text in content(here).values())
    assert "prepared for test" in (there / "workers.log").read_text()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pruning", [False, True])
def test_finalists_are_trained_on_from_weights_that_lie_here(
    tmp_path: Path, on_cluster: Any, pruning: bool
) -> None:
    front = [make_evaluation(network(series(conv(width)))) for width in (4, 6)]
    config = replace(CONFIG, pruning=Pruning(enabled=pruning), finalists=Finalists(epochs=3))
    for each in front:
        path = weights_path(tmp_path, each.archid, slimmed=pruning)
        path.parent.mkdir(exist_ok=True)
        path.write_text(each.archid)

    evaluate = cluster_evaluation.train_on
    with open_workers(config, tmp_path, evaluate, opener=on_cluster) as workers:
        train_finalists(config, tmp_path, front, workers)

    found = read_finalists(tmp_path, 3)
    assert set(found) == {each.archid for each in front}
    assert all(isinstance(outcome, Evaluation) for outcome in found.values())
    for archid in found:
        model = tmp_path / FINALISTS_DIR / f"{archid}.tflite"
        assert model.read_text() == f"trained on from {archid}"
        assert weights_path(tmp_path, archid, slimmed=pruning).read_text() == archid, "they stay"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (fake_evaluation.die, "its worker was killed by SIGKILL, as the kernel does where"),
        (fake_evaluation.hang, "no outcome after 4 s; its worker was killed"),
    ],
)
def test_a_candidate_at_fault_fails_with_the_words_of_local_workers(
    whole: Path, tmp_path: Path, on_cluster: Any, broken: Any, reason: str
) -> None:
    index = first_submitted(whole)
    config = with_budget(rounds=1, candidate_deadline_s=4.0)

    search(tmp_path, config, partial(broken, broken_index=index), opener=on_cluster)

    outcome = candidates(tmp_path)[index]["outcome"]
    assert outcome["tier"] == "failed" and outcome["reason"].startswith(reason)


def test_a_node_that_dies_costs_its_candidates_a_retry(
    nodes: Cluster, on_cluster: Any, whole: Path, tmp_path: Path, capfd: Any
) -> None:
    announced = tmp_path / "announced"
    doomed = nodes.add_node(**NODE, env_vars={cluster_evaluation.DOOMED: str(announced)})

    def kill_node() -> None:
        wait_for(lambda: announced.exists() and announced.read_text())
        nodes.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill_node)
    killer.start()
    evaluate = cluster_evaluation.evaluate
    result = search(tmp_path / "run", evaluate=evaluate, opener=on_cluster)
    killer.join()

    assert result.stopped == "rounds"
    assert candidates(tmp_path / "run") == candidates(whole)
    assert "was lost with its trainer on" in (tmp_path / "run" / "workers.log").read_text()
    assert capfd.readouterr() == ("", "")
    wait_for(lambda: not is_alive(int(announced.read_text())))


def test_a_candidate_that_is_lost_each_time_is_given_up(
    whole: Path, tmp_path: Path, on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "LOST_LIMIT", 2)
    broken_index = first_submitted(whole)
    evaluate = partial(cluster_evaluation.kill_trainer, broken_index=broken_index)

    search(tmp_path, with_budget(rounds=1), evaluate, opener=on_cluster)

    outcome = candidates(tmp_path)[broken_index]["outcome"]
    assert outcome["reason"] == "lost with 2 trainers; see workers.log"
    assert (tmp_path / "workers.log").read_text().count("was lost with its trainer") == 2


def test_a_silent_trainer_is_lost(
    tmp_path: Path, on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "SILENCE_S", -1.0)
    monkeypatch.setattr(ray_workers, "LOST_LIMIT", 1)

    search(tmp_path, with_budget(rounds=1), fake_evaluation.sleep, opener=on_cluster)

    assert candidates(tmp_path)[-1]["outcome"]["reason"].startswith("lost with 1 trainers")


def test_an_error_of_the_whole_run_ends_it_and_says_where_it_arose(
    whole: Path, tmp_path: Path, on_cluster: Any
) -> None:
    give_up = partial(fake_evaluation.give_up, broken_index=first_submitted(whole))

    with pytest.raises(BoardError, match="on .+: nucleo: the board is gone; plug it in"):
        search(tmp_path, evaluate=give_up, opener=on_cluster)


def test_a_node_unlike_this_machine_is_refused(
    tmp_path: Path, on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "identity", lambda: {"python": "2.7"})

    with pytest.raises(HilnasError, match=r"node .+ has another python \(expected 2.7, got 3"):
        search(tmp_path, opener=on_cluster)


def test_trainers_that_find_no_room_end_the_run(
    tmp_path: Path, on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "START_DEADLINE_S", 0.0)
    monkeypatch.setattr(ray_workers, "PlacedTrainer", cluster_evaluation.Sleeper)

    with pytest.raises(HilnasError, match="no node .* within 0 s .expected free: 1 CPU, got"):
        search(tmp_path, opener=on_cluster)


def test_trainers_that_cannot_be_made_end_the_run(
    tmp_path: Path, on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "LOST_LIMIT", 1)
    monkeypatch.setattr(ray_workers, "PlacedTrainer", cluster_evaluation.Broken)

    # The reason is in Ray's words, which depend on how soon it hears of it.
    with pytest.raises(
        HilnasError, match="no trainer starts on the cluster: .+; check that every node"
    ):
        search(tmp_path, opener=on_cluster)


def test_a_cluster_without_such_a_board_is_refused(on_cluster: Any) -> None:
    device = Device("nucleo_f412zg", via="hardware")

    with pytest.raises(UsageError, match=r"no node .* 'board:nucleo_f412zg'; run `hilnas pool"):
        ray_workers._check_resources("host:1", device)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "--ray 127.0.0.1:1: nothing answers there: .*; start a cluster with"),
        ("auto", r"--ray auto: is no address of a Ray cluster \(expected host:port"),
        ("ray://host:10001", "is no address of a Ray cluster"),
        ("host:port", "is no address of a Ray cluster"),
        ("127.0.0.1:99999", "nothing answers there"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message), cluster(address, CONFIG.device):
        pass


def test_a_cluster_that_cannot_be_joined_is_said(
    nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 1.0")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "shutdown", lambda: None)

    with (
        pytest.raises(UsageError, match="could not be joined: Version mismatch.*docs/distributed"),
        cluster(nodes.address, CONFIG.device),
    ):
        pass


def test_ctrl_c_ends_a_run_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    """The signal goes to the whole process group, as a terminal sends it; nothing is left of the
    session."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.search.interrupted_run", str(tmp_path), "local"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, cluster_evaluation.ASLEEP: str(tmp_path / "asleep")},
        start_new_session=True,
    )
    deadline = threading.Timer(240, process.kill)
    deadline.start()
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    wait_for(lambda: (tmp_path / "asleep").exists())

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    deadline.cancel()

    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    sleeper, trainer = json.loads((tmp_path / "asleep").read_text())
    wait_for(lambda: not is_alive(sleeper) and not is_alive(trainer))
    wait_for(lambda: not session_of(process.pid))
