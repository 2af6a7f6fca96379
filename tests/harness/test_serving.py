"""`hilnas pool serve` up to the cluster: which units are fit, and what keeps it from serving any.
What it does in a cluster is in tests/search/on_ray_boards.py."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import ray_node
from harness.errors import HilnasError, NoReplyError, NoUnitError
from harness.lease import lease
from harness.ledger import Ledger
from harness.pool import Pool
from harness.serving import count_fit, examine
from tests.commands import Answer, call
from tests.units_double import Desk as Doubles
from tests.units_double import DoubleReach, measure_on

BOARD = "nucleo_f412zg"


@pytest.fixture
def doubles(tmp_path: Path) -> Doubles:
    return Doubles(tmp_path, "left", "right")


def examined(doubles: Doubles, steps: list[str] | None = None) -> list[Any]:
    reach: Any = DoubleReach(doubles.units)
    open_pool = partial(Pool, reach=reach, control_on=measure_on)
    on_step = (lambda step: None) if steps is None else steps.append
    return examine(doubles.pool().desk, open_pool=open_pool, on_step=on_step)


def test_each_unit_has_a_control_run_and_a_step_of_the_display(doubles: Doubles) -> None:
    steps: list[str] = []
    found = examined(doubles, steps)
    assert [each.control.cycles for each in found] == [100_000, 100_000]
    assert steps == ["control run of left: 1 of 2", "control run of right: 2 of 2"]
    assert count_fit(found) == {BOARD: 2}
    assert doubles.log("left") == doubles.log("right") == ["control"]


def test_units_that_are_not_fit_are_left_out_with_the_reason(
    doubles: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubles.units["left"].missing = "there is no port"
    found = examined(doubles)
    assert [each.why for each in found] == ["there is no port", ""]
    assert count_fit(found) == {BOARD: 1}
    left, right = doubles.pool().units
    assert Ledger(left).history().vanished == 1
    doubles.units["left"].missing = None
    doubles.units["left"].failures = [NoReplyError("no reply")] * 99
    monkeypatch.setattr("harness.serving._PATIENCE_S", 0.0)
    with lease(right.probe, unit="right"), pytest.raises(NoUnitError) as none:
        examined(doubles)
    assert str(none.value).startswith(
        f"{doubles.path}: no unit is fit to be served (got left: the unit is quarantined: its "
        "control run failed: no reply; right: the unit is in use by "
    )


def test_a_unit_that_is_set_aside_stays_so(doubles: Doubles) -> None:
    left, _ = doubles.pool().units
    Ledger(left).append("quarantined", why="it drifts")
    found = examined(doubles)
    assert found[0].control is None
    assert found[0].why.startswith("the unit is quarantined since ")
    assert doubles.log("left") == []


@pytest.fixture
def port() -> Iterator[str]:
    """Somebody listens who is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr("signal.signal", lambda *args: None)
    return lambda *words: call(monkeypatch, capsys, "pool", "serve", *words)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "127.0.0.1:1: nothing answers there: "),
        (
            "host",
            "host: is no address of a Ray cluster (expected host:port, as `ray",
        ),
    ],
)
def test_an_address_without_a_cluster_is_wrong_use(serve: Any, address: str, said: str) -> None:
    answer: Answer = serve(address)
    assert answer.code == 2 and said in answer.err


def test_ray_that_is_not_installed_is_said(
    serve: Any, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer: Answer = serve(port)
    assert answer.code == 2
    assert "pool serve: Ray is not installed; pip install 'hilnas[ray]'" in answer.err


def test_a_desk_without_a_map_is_wrong_use(serve: Any, port: str, tmp_path: Path) -> None:
    answer: Answer = serve(port, "--hardware-map", tmp_path / "map.toml")
    assert answer.code == 2 and f"{tmp_path}/map.toml" in answer.err


def test_a_desk_without_a_fit_unit_serves_nothing(serve: Any, port: str, tmp_path: Path) -> None:
    """Whose probe is not attached."""
    path = tmp_path / "bare.toml"
    path.write_text(f'[[unit]]\nname = "bare"\nboard = "{BOARD}"\nprobe = "1"\n')
    answer: Answer = serve(port, "--hardware-map", path)
    assert answer.code == 1
    assert f"{path}: no unit is fit to be served (got bare: probe 1 is not attached" in answer.err
    assert answer.err.rstrip().endswith("`hilnas doctor` tells more; mend one, then try again")


def test_what_is_no_cluster_is_given_up(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_node, "_JOIN_S", 0.5)
    joined = ray_node.join(port, {"board:x": 1}, cpus=0, environment={})
    with pytest.raises(HilnasError, match="has not joined the cluster within 0.5 s"), joined:
        pass


def test_the_last_words_of_a_node_that_cannot_join_are_told(
    port: str,
) -> None:
    # CPU is no custom resource.
    joined = ray_node.join(port, {"CPU": 1}, cpus=0, environment={})
    with (
        pytest.raises(HilnasError, match=r"this machine cannot join the cluster \(got .+\); is"),
        joined,
    ):
        pass
