"""A search on the desk: workers share a pool of units. Virtual boards stand for silicon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.errors import ProbeError
from harness.hardware_map import VARIABLE, load_hardware_map
from harness.lease import holder_of
from harness.ledger import Ledger
from harness.virtual import VirtualBoard
from search.evaluation import Evaluation
from search.journal import read_journal
from search.workplace import Workplace
from tests.commands import call
from tests.measurements import make_measurement
from tests.search.idx_files import make_dataset
from tests.search.test_cli import TINY

BOARD = "nucleo_f412zg"


@pytest.fixture(scope="module")
def units() -> Iterator[list[VirtualBoard]]:
    board = load_board(BOARD)
    with VirtualBoard(board) as left, VirtualBoard(board) as right:
        yield [left, right]


@pytest.fixture
def desk(units: list[VirtualBoard], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hardware map of both; the variable that names one to workers is put back."""
    monkeypatch.setenv(VARIABLE, "nowhere.toml")
    path = tmp_path / "map.toml"
    path.write_text(
        "".join(
            f'[[unit]]\nname = "unit{number}"\nboard = "{BOARD}"\n'
            f'probe = "{unit.debug_port()}"\nserial = "{unit.port}"\n'
            for number, unit in enumerate(units)
        )
    )
    return path


def write_config(folder: Path, *, rounds: int, workers: int) -> Path:
    path = folder / "tiny.toml"
    text = TINY.format(rounds=rounds, workers=workers)
    path.write_text(text.replace("[device]\n", '[device]\nvia = "hardware"\n'))
    return path


def test_workers_share_a_pool_of_units(
    desk: Path,
    units: list[VirtualBoard],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    config, run_dir = write_config(tmp_path, rounds=2, workers=2), tmp_path / "run"
    words = ("search", config, "--out", run_dir, "--hardware-map", desk)
    answer = call(monkeypatch, capsys, *words)
    assert answer.code == 0, answer.err
    outcomes = [entry.outcome for entry in read_journal(run_dir / "journal.jsonl").entries]
    measured = [outcome.untrained for outcome in outcomes if outcome.untrained is not None]
    assert len(measured) >= 2 and any(isinstance(outcome, Evaluation) for outcome in outcomes)
    assert {(m.via, m.timing, m.timing_model) for m in measured} == {("hardware", "measured", "")}
    names = {m.unit.unit for m in measured if m.unit is not None}
    assert names and names <= {"unit0", "unit1"}, "each says which unit it was"
    used = [unit for unit in load_hardware_map(desk).units if unit.name in names]
    assert all(not Ledger(unit).history().unconfirmed for unit in used), "all behind a control"
    assert [holder_of(unit.debug_port()) for unit in units] == [None, None]


def test_a_desk_without_such_a_board_is_refused_before_the_data_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "nowhere.toml")
    map_file = tmp_path / "map.toml"
    map_file.write_text('[[unit]]\nname = "other"\nboard = "nrf52840dk"\nprobe = "1"\n')
    config = write_config(tmp_path, rounds=2, workers=1)
    answer = call(monkeypatch, capsys, "search", config, "--hardware-map", map_file)
    assert answer.code == 2
    assert f"{map_file}: there is no unit of {BOARD} (got other (nrf52840dk))" in answer.err


def test_a_search_for_energy_wants_a_meter_at_every_unit(
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    meter = '\nenergy = { meter = "lpm01a", serial = "/dev/ttyACM9", volts = 3.3 }\n\n'
    desk.write_text(desk.read_text().replace("\n[[unit]]", meter + "[[unit]]"))
    config = write_config(tmp_path, rounds=2, workers=2)
    text = config.read_text().replace("[bounds]\n", "[bounds]\nenergy_uj = 100\n")
    config.write_text(text)
    answer = call(monkeypatch, capsys, "search", config, "--hardware-map", desk)
    assert answer.code == 2
    assert answer.err.strip() == (
        f"hilnas: {desk}: the search bounds or minimises energy_uj, and units have no energy "
        f"meter (expected `energy` of every unit of {BOARD}, got none of unit1); docs/energy.md "
        "says what to wire and write; or take energy_uj out"
    )


def test_a_probe_that_fails_is_tried_again_on_a_fresh_session() -> None:
    answers = [ProbeError("the target does not answer"), make_measurement(cycles=7)]
    opened = []

    class Opened:
        def __enter__(self) -> object:
            opened.append(self)
            return self

        def __exit__(self, *exc: object) -> None: ...

    def measure_on(model: bytes, session: object, *, name: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    workplace = Workplace(make_dataset(), Opened, measure_on)  # type: ignore[arg-type]
    assert workplace.measure(b"model", name="candidate").cycles.median == 7
    assert len(opened) == 2
