"""The journal: one line a candidate, one writer, a torn end tolerated, any other damage named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import JournalError
from search.config import Bounds, Budget, Data, Device, SearchConfig, SpaceChoice
from search.journal import MAY_CHANGE, Entry, Header, Journal, read_journal
from tests.search.evaluations import make_evaluation, make_rejected

CONFIG = SearchConfig("test", Budget(rounds=10), Device("nucleo_f412zg"), Data("digits"))
HEADER = Header.of(CONFIG, {"numpy": "2.0"})
ENTRIES = (
    Entry(0, "a" * 16, make_evaluation()),
    Entry(1, "b" * 16, make_rejected(tier="analytic")),
    Entry(2, "c" * 16, make_rejected(tier="measured", parent="d" * 16), at_s=1.5),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three candidates."""
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.create(HEADER)
        for entry in ENTRIES:
            journal.append(entry)
    return path


def test_what_was_written_is_read(path: Path) -> None:
    record = read_journal(path)

    assert (record.header, record.entries) == (HEADER, ENTRIES)
    assert (record.intact_bytes, record.torn_bytes) == (path.stat().st_size, 0)


def test_each_line_is_json_and_the_first_says_what_the_file_is(path: Path) -> None:
    first, *rest = [json.loads(line) for line in path.read_text().splitlines()]

    assert first["schema"] == 1
    assert first["config"]["search.rounds"] == 10
    assert first["config_sha256"] == HEADER.config_sha256
    assert first["versions"] == {"numpy": "2.0"}
    assert [line["index"] for line in rest] == [0, 1, 2]


def test_a_line_is_on_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Journal(path) as journal:
        journal.create(HEADER)
        journal.append(ENTRIES[0])

        assert synced[-1] == path.stat().st_size
        assert len(synced) == 2, "one a line"


@given(st.integers(1, 10_000))
def test_a_torn_last_line_is_left_out_and_cut_off_when_resumed(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    with Journal(path) as journal:
        journal.create(HEADER)
        journal.append(ENTRIES[0])
        whole = path.stat().st_size
        journal.append(ENTRIES[1])
    data = path.read_bytes()
    cut = min(cut, len(data) - whole)
    path.write_bytes(data[:-cut])

    with Journal(path) as journal:
        record = journal.resume(HEADER)
        journal.append(ENTRIES[1])

    assert record.entries == ENTRIES[:1]
    assert record.torn_bytes == len(data) - whole - cut
    assert path.read_bytes() == data


def test_reading_changes_nothing(path: Path) -> None:
    torn = path.read_bytes()[:-5]
    path.write_bytes(torn)

    assert len(read_journal(path).entries) == 2
    assert path.read_bytes() == torn


def broken_line(path: Path, number: int, text: str) -> str:
    """The message for a journal whose line `number` is `text`."""
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalError) as caught:
        read_journal(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("number", "text", "message"),
    [
        (3, "{", "journal.jsonl:3: is not JSON; restore the file"),
        (3, "", "journal.jsonl:3: is not JSON"),
        (3, "[]", "journal.jsonl:3: is not a JSON object"),
        (4, "{}", "journal.jsonl:4: is no candidate: KeyError('index')"),
        (2, '{"index": 0, "state": "", "outcome": 3}', "journal.jsonl:2: is no candidate"),
        (2, '{"index": 0, "state": "", "outcome": {"kind": 1}}', "journal.jsonl:2: is no cand"),
        (1, "{}", "journal.jsonl:1: is a journal of another schema (expected 1, got None)"),
        (1, '{"schema": 2}', "another schema (expected 1, got 2); read it with the version"),
        (1, '{"schema": 1}', "journal.jsonl:1: is no header: config or versions are missing"),
        (
            1,
            '{"schema": 1, "config": {}, "versions": {}, "config_sha256": "0"}',
            "config_sha256 does not belong to the header's config",
        ),
    ],
)
def test_damage_is_named_with_its_line(path: Path, number: int, text: str, message: str) -> None:
    assert message in broken_line(path, number, text)


def test_bytes_that_are_no_text_are_damage(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[2] = b'{"\xff": 1}'
    path.write_bytes(b"\n".join(lines))

    with pytest.raises(JournalError, match="journal.jsonl:3: is not JSON"):
        read_journal(path)


def test_a_line_in_the_wrong_place_is_damage(path: Path) -> None:
    third = path.read_text().splitlines()[3]

    assert "journal.jsonl:3: candidates are not in order (expected index 1, got 2)" in (
        broken_line(path, 3, third)
    )


def test_an_empty_file_has_no_header(path: Path) -> None:
    path.write_text("")

    with pytest.raises(JournalError, match="has no header line; start a new run"):
        read_journal(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read: No such file or directory; check"):
        read_journal(tmp_path / "journal.jsonl")


def test_a_run_stopped_before_its_journal_is_told_how_to_begin(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal, pytest.raises(JournalError, match="begin it with --out"):
        journal.resume(HEADER)


def test_a_journal_is_never_there_without_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it is killed while it writes the first line: the same folder takes another run."""
    path = tmp_path / "journal.jsonl"

    def stop(draft: Path, to: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, Journal(path) as journal:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            journal.create(HEADER)
    assert not path.exists()
    with Journal(path) as journal:
        journal.create(HEADER)
    assert read_journal(path).header == HEADER
    assert {each.name for each in tmp_path.iterdir()} == {path.name, f"{path.name}.lock"}


def test_a_second_journal_in_one_folder_is_refused(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(JournalError, match="there is a journal already"):
        journal.create(HEADER)


def test_a_second_writer_is_refused_until_the_first_is_done(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from search.journal import Journal\n"
        "try: Journal(Path(sys.argv[1])).close(); print('free')\n"
        "except Exception as error: print(error)"
    )

    def second_writer() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    with Journal(path):
        assert second_writer() == (
            f"{path.parent}: another process is writing this run; wait for it or end it, or "
            "choose another run folder"
        )
    assert second_writer() == "free"


def test_a_full_disk_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with Journal(path) as journal:
        journal.resume(HEADER)
        monkeypatch.setattr("os.write", refuse)
        with pytest.raises(JournalError, match="cannot be written: No space left on device; make"):
            journal.append(ENTRIES[0])


def test_numbers_that_are_none_are_not_written(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(ValueError, match="not JSON compliant"):
        journal.resume(HEADER)
        journal.append(Entry(3, "", make_evaluation(val_error=float("nan"))))


def resumed_with(path: Path, config: SearchConfig) -> None:
    with Journal(path) as journal:
        journal.resume(Header.of(config, {}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bounds": Bounds(sram_bytes=5)}, "bounds.sram_bytes differs (expected None, got 5)"),
        ({"name": "other"}, "name differs (expected 'test', got 'other')"),
        ({"search": Budget(rounds=10, seed=1)}, "search.seed differs (expected 0, got 1)"),
        ({"search": Budget(rounds=10, window=8)}, "search.window differs (expected 4, got 8)"),
        ({"search": Budget(rounds=9)}, "search.rounds differs (expected 10, got 9)"),
        ({"device": Device("b"), "data": Data("x")}, "data.name differs (expected 'digits'"),
    ],
)
def test_another_configuration_is_refused_by_its_first_key(
    path: Path, change: dict, message: str
) -> None:
    with pytest.raises(JournalError) as caught:
        resumed_with(path, replace(CONFIG, **change))

    assert f"the run was started with another configuration: {message}" in str(caught.value)


@pytest.mark.parametrize(
    "budget",
    [Budget(rounds=10, minutes=3), Budget(rounds=10, workers=7), Budget(rounds=11)],
)
def test_minutes_and_workers_may_change_and_rounds_may_grow(path: Path, budget: Budget) -> None:
    resumed_with(path, replace(CONFIG, search=budget))


def test_a_journal_from_before_a_key_or_the_parents_goes_on_as_its_defaults(path: Path) -> None:
    """What is younger than a journal has a default that changes nothing."""
    header, *entries = [json.loads(line) for line in path.read_text().splitlines()]
    older = {key: header["config"][key] for key in header["config"] if "algorithm" not in key}
    written = Header(older, {}).to_json()
    for entry in entries:
        del entry["at_s"], entry["workers"]
        for younger in ("sparsity", "short_error", "spent", "activities"):
            del entry["outcome"][younger]
    for entry, parent in zip(entries[1:], ("e" * 16, None), strict=True):
        del entry["outcome"]["parent"]  # it stood beside the outcome for a while
        entry["parent"] = parent
    path.write_text("".join(json.dumps(line) + "\n" for line in (written, *entries)))

    with Journal(path) as journal:
        record = journal.resume(HEADER)
    assert [entry.outcome.parent for entry in record.entries] == [None, "e" * 16, None]
    assert [entry.at_s for entry in record.entries] == [0.0, 0.0, 0.0]
    assert record.entries[0].outcome == ENTRIES[0].outcome
    with pytest.raises(JournalError, match="algorithm differs .expected 'evolution', got 'bayes'"):
        resumed_with(path, replace(CONFIG, search=Budget(rounds=10, algorithm="bayes")))


def test_another_data_set_under_the_same_name_is_refused(path: Path) -> None:
    other = Header.of(CONFIG, {}, input_shape=(8, 8, 1), classes=10)
    with (
        Journal(path) as journal,
        pytest.raises(JournalError, match=r"found\.classes differs \(expected 0, got 10\)"),
    ):
        journal.resume(other)


def started_with(folder: Path, dataset_sha256: str) -> Path:
    path = folder / "journal.jsonl"
    with Journal(path) as journal:
        journal.create(Header.of(CONFIG, {}, dataset_sha256=dataset_sha256))
    return path


def test_other_samples_in_the_same_files_are_refused(tmp_path: Path) -> None:
    path = started_with(tmp_path, "12ab")

    with Journal(path) as journal:
        journal.resume(Header.of(CONFIG, {}, dataset_sha256="12ab"))
        with pytest.raises(JournalError) as caught:
            journal.resume(Header.of(CONFIG, {}, dataset_sha256="34cd"))
    assert str(caught.value) == (
        f"{path}: the run was started with other samples than [data] digits holds now (expected "
        "sha256 12ab, got 34cd); restore the files as they were, or start a new run"
    )


def test_samples_that_another_configuration_drew_are_no_news(tmp_path: Path) -> None:
    """Another seed draws another split, so the digest differs, too: the seed is what is said."""
    path = started_with(tmp_path, "12ab")
    other = replace(CONFIG, search=Budget(rounds=10, seed=1))

    with Journal(path) as journal, pytest.raises(JournalError, match="search.seed differs"):
        journal.resume(Header.of(other, {}, dataset_sha256="34cd"))


def test_a_journal_from_before_samples_were_digested_goes_on(path: Path) -> None:
    with Journal(path) as journal:
        record = journal.resume(Header.of(CONFIG, {}, dataset_sha256="12ab"))

    assert len(record.entries) == len(ENTRIES)


def test_two_versions_of_a_library_never_meet_in_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.create(Header.of(CONFIG, {}, engine_version="90b983c, cmsis_nn"))

    with (
        Journal(path) as journal,
        pytest.raises(JournalError, match="found.engine_version differs .*90b983c, reference"),
    ):
        journal.resume(Header.of(CONFIG, {}, engine_version="90b983c, reference"))


def test_another_space_is_refused_wherever_its_file_lies(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    here, there = (replace(CONFIG, space=SpaceChoice(file=name)) for name in ("a.toml", "b.toml"))
    with Journal(path) as journal:
        journal.create(Header.of(here, {}, space_sha256="12ab"))
    with Journal(path) as journal:
        journal.resume(Header.of(there, {}, space_sha256="12ab"))

    with (
        Journal(path) as journal,
        pytest.raises(JournalError, match="found.space_sha256 differs .*'12ab', got '34cd'"),
    ):
        journal.resume(Header.of(there, {}, space_sha256="34cd"))


def test_a_run_from_before_there_were_other_spaces_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    now = Header.of(CONFIG, {})
    since = ("space.name", "space.file")
    with Journal(path) as journal:
        journal.create(Header({k: v for k, v in now.config.items() if k not in since}, {}))

    resumed_with(path, CONFIG)


def test_a_library_may_move_to_another_folder(path: Path) -> None:
    moved = replace(CONFIG, device=replace(CONFIG.device, tflm_dir="/opt/tflite-micro"))

    resumed_with(path, moved)


def test_a_key_that_may_change_from_now_on_leaves_older_journals_readable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.journal.MAY_CHANGE", (*MAY_CHANGE, "training.epochs"))

    assert read_journal(path).header == HEADER
