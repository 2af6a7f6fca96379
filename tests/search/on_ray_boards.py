"""Boards of other machines: `hilnas pool serve` offers them to a cluster, a search measures on
them, and a machine that vanishes costs it time alone. A virtual board stands for silicon."""

from __future__ import annotations

import contextlib
import os
import platform
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

from harness.board import ROOT, load_board  # noqa: E402
from harness.errors import (  # noqa: E402
    BoardError,
    HilnasError,
    MeasurementRefusedError,
    NoUnitError,
)
from harness.hardware_map import VARIABLE, load_hardware_map  # noqa: E402
from harness.lease import holder_of  # noqa: E402
from harness.ledger import Ledger, Measured  # noqa: E402
from harness.measurement import UnitCheck  # noqa: E402
from harness.virtual import VirtualBoard  # noqa: E402
from search import ray_boards  # noqa: E402
from search.asking import Wanted  # noqa: E402
from search.config import Device, SearchConfig  # noqa: E402
from search.journal import read_journal  # noqa: E402
from search.ray_boards import RayBoards, resource_of  # noqa: E402
from search.ray_workers import RayWorkers, cluster  # noqa: E402
from tests.search import cluster_evaluation  # noqa: E402
from tests.search.pooled_search import told  # noqa: E402
from tests.search.ray_cluster import NODE, session_of, started, wait_for  # noqa: E402
from tests.search.test_run import CONFIG, search, with_budget  # noqa: E402
from tests.search.test_search_on_hardware import write_config  # noqa: E402

BOARD = "nucleo_f412zg"
UNIT = f"unit0@{platform.node()}"


def on_hardware(config: SearchConfig) -> SearchConfig:
    return replace(config, device=Device(BOARD, via="hardware"))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """Without boards, but for the CPUs of two trainers; this process is part of it."""
    with started(cpus=2) as found, cluster(found.address, CONFIG.device):
        yield found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The map of a desk with one unit; ledgers are kept beside it."""
    with VirtualBoard(load_board(BOARD)) as unit:
        path = tmp_path_factory.mktemp("desk") / "map.toml"
        path.write_text(
            f'[[unit]]\nname = "unit0"\nboard = "{BOARD}"\n'
            f'probe = "{unit.debug_port()}"\nserial = "{unit.port}"\n'
        )
        yield path
        assert holder_of(unit.debug_port()) is None


class Served:
    """`hilnas pool serve`, whose units the cluster has. node: the leader of its node's session."""

    def __init__(self, address: str, desk: Path, **environment: str) -> None:
        command = ("-m", "search", "pool", "serve", address, "--cpus", "0")
        self.process = subprocess.Popen(
            [sys.executable, *command, "--hardware-map", str(desk)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HILNAS_STATE": str(desk.parent / "state"), **environment},
        )
        self._deadline = threading.Timer(600, self.process.kill)
        self._deadline.start()
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        assert self.said.startswith("serving"), self.said + self.process.stderr.read()
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        (self.node,) = (
            int(pid)
            for pid in children.split()
            if b"harness.ray_node" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Exit code and what it said last."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=300)
        self._deadline.cancel()
        wait_for(lambda: not session_of(self.node))
        return self.process.returncode, err


def test_a_node_that_is_killed_and_served_again_leaves_the_journal_as_it_is(
    nodes: Cluster, desk: Path, tmp_path: Path, capfd: Any
) -> None:
    config, announced = on_hardware(with_budget(rounds=6)), tmp_path / "announced"
    search(tmp_path / "here", config, cluster_evaluation.measure_here)
    doomed = Served(nodes.address, desk, **{cluster_evaluation.DOOMED: str(announced)})
    assert doomed.said == f"serving 1 {BOARD} and 0 CPUs to {nodes.address}; Ctrl-C ends it\n"
    again: list[Served] = []

    def kill_and_serve() -> None:
        wait_for(lambda: announced.exists() and announced.read_text())
        doomed.end(signal.SIGKILL)
        again.append(Served(nodes.address, desk))

    units = RayBoards(config, "a run", measuring=cluster_evaluation.measuring)
    killer = threading.Thread(target=kill_and_serve)
    killer.start()
    opener: Any = partial(RayWorkers, boards=units)
    result = search(tmp_path / "there", config, cluster_evaluation.ask, opener=opener)
    killer.join()

    assert result.stopped == "rounds"
    assert told(tmp_path / "there") == told(tmp_path / "here")
    measured = [outcome.measured for outcome in result.evaluations]
    assert measured and {each.unit.unit for each in measured if each.unit} == {UNIT}
    units.confirm()
    assert units.suspects() == {UNIT: set()}
    assert capfd.readouterr() == ("", "")
    assert again[0].end(signal.SIGINT) == (0, "left the cluster\n")
    units.confirm()
    assert units.suspects() == {}


def test_the_command_searches_on_boards_that_are_served_until_sigterm(
    nodes: Cluster, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run_dir = write_config(tmp_path, rounds=1, workers=1), tmp_path / "run"
    served = Served(nodes.address, desk)
    command = ("-m", "search", "search", config, "--out", run_dir, "--ray", nodes.address)
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    assert done.returncode == 0, done.stderr
    outcomes = [entry.outcome for entry in read_journal(run_dir / "journal.jsonl").entries]
    (measured,) = (outcome.untrained for outcome in outcomes if outcome.untrained is not None)
    assert measured.via == "hardware" and measured.unit is not None and measured.unit.unit == UNIT
    assert len(session_of(served.node)) > 1
    assert served.end(signal.SIGTERM) == (0, "left the cluster\n")
    monkeypatch.setenv("HILNAS_STATE", str(desk.parent / "state"))
    (unit,) = load_hardware_map(desk).units
    assert not Ledger(unit).history().unconfirmed, "a control run was the last"


# ---- units that are played ----

BRIEFLY = with_budget(candidate_deadline_s=6.0)  # a measurement waits 2 s for a unit


def boards(config: SearchConfig = CONFIG) -> RayBoards:
    return RayBoards(on_hardware(config), "a run", open_pool=cluster_evaluation.FakePool)


@contextlib.contextmanager
def played(nodes: Cluster, desk: Path, **environment: str) -> Iterator[None]:
    """Another node with a unit."""
    node = nodes.add_node(
        **{**NODE, "num_cpus": 0},
        resources={resource_of(BOARD): 1},
        env_vars={VARIABLE: str(desk), **environment},
    )
    try:
        yield
    finally:
        nodes.remove_node(node)
        wait_for(lambda: not boards()._nodes())


@pytest.fixture(scope="module")
def good_node(nodes: Cluster, desk: Path) -> Iterator[None]:
    with played(nodes, desk):
        yield


def test_without_a_node_a_measurement_waits_for_one_and_then_the_run_ends(nodes: Cluster) -> None:
    with pytest.raises(
        NoUnitError,
        match=r"board:nucleo_f412zg: no unit can be had in the cluster within 2 s \(got no node "
        r"that has one\); `hilnas pool serve` on a machine with boards, then go on",
    ):
        boards(BRIEFLY).measure(b"good", name="candidate")


def test_where_one_node_has_no_fit_unit_another_one_measures(nodes: Cluster, desk: Path) -> None:
    with played(nodes, desk, **{cluster_evaluation.REFUSING: "1"}):
        refused = f"got on {platform.node()}: all are set aside"
        with pytest.raises(NoUnitError, match=refused):
            boards(BRIEFLY).measure(b"good", name="candidate")
        with pytest.raises(NoUnitError, match=f"on {platform.node()}: the unit is in use"):
            boards().confirm()

        pending = boards().submit(Wanted(b"good", "candidate"))
        answers: list[Any] = []

        def answer() -> Any:
            answers.append(boards().answer(pending))
            return answers[-1]

        wait_for(lambda: answer() is None and pending.is_refused)
        other = nodes.add_node(
            **{**NODE, "num_cpus": 0},
            resources={resource_of(BOARD): 1},
            env_vars={VARIABLE: str(desk)},
        )
        wait_for(answer)
        nodes.remove_node(other)
    assert answers[-1].unit.unit == UNIT


def test_an_answer_is_a_measurement_or_what_the_network_is_to_blame_for(good_node: None) -> None:
    assert boards().measure(b"good", name="candidate").unit == UnitCheck(UNIT, 1.0, None, None)
    with pytest.raises(MeasurementRefusedError, match="^outputs differ$"):
        boards().measure(b"bad", name="candidate")
    with pytest.raises(HilnasError, match="a bug in hilnas: ZeroDivisionError: a defect"):
        boards().measure(b"bug", name="candidate")


def test_what_is_lost_each_time_is_given_up(good_node: None) -> None:
    with pytest.raises(BoardError, match="candidate: lost 3 times while it was measured: "):
        boards().measure(b"deadly", name="candidate")


def test_what_nobody_waits_for_frees_its_unit(good_node: None) -> None:
    found = boards()
    pending = found.submit(Wanted(b"slow", "candidate"))
    wait_for(lambda: not ray.available_resources().get(resource_of(BOARD)))
    assert found.answer(pending) is None
    found.cancel(pending)
    assert found.measure(b"good", name="candidate").unit is not None


def test_a_search_asks_each_node_what_is_suspect(good_node: None) -> None:
    found = boards()
    found.confirm()
    assert found.suspects() == {UNIT: {Measured("of a model", "then")}}


def test_a_node_unlike_this_machine_is_refused(
    good_node: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_boards, "identity", lambda: {"python": "2.7"})
    with pytest.raises(HilnasError, match=r"node .+ has another python \(expected 2.7, got 3"):
        boards().measure(b"good", name="candidate")
    with pytest.raises(HilnasError, match=r"node .+ has another python"):
        boards().confirm()


def test_a_node_that_ends_by_itself_is_said(nodes: Cluster, desk: Path) -> None:
    served = Served(nodes.address, desk)
    (raylet,) = (int(stat.split()[0]) for stat in session_of(served.node) if "(raylet)" in stat)
    os.kill(raylet, signal.SIGKILL)
    code, said = served.ended()
    assert code == 1
    assert f"{nodes.address}: the node of this machine has ended (got " in said
    assert said.rstrip().endswith("then try again")
