"""The search on the command line: a small real run, its interruption, and wrong use."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.board import ROOT
from search.config import load_config
from search.evaluation import Evaluation
from search.finalists import read_finalists, train_finalists
from search.journal import Header, Journal
from search.report.run_folder import find_front, read_run
from search.run import RunResult
from tests.commands import call as call_command
from tests.search.runs import CONFIG, make_outcomes, write_run
from tests.search.sound_files import write_speech_commands

HILNAS = (str(Path(sys.executable).with_name("hilnas")),)
INTERRUPTED = (sys.executable, "-m", "tests.search.interrupted_cli")
TINY = """
name = "tiny"
[search]
rounds = {rounds}
workers = {workers}
population = 2
sample_size = 1
window = 2
[device]
board = "nucleo_f412zg"
[data]
name = "digits"
train_limit = 300
validation_limit = 100
test_limit = 100
[training]
epochs = 1
batch_size = 64
[space]
max_blocks = 2
max_layers = 1
max_filters = 8
max_dense_blocks = 1
max_units = 16
[bounds]
val_error = 0.5
latency_us = 50000
sram_bytes = 65536
flash_bytes = 131072
macs = 500000
"""


STEPS = {"run_search": "run", "ship_front": "report.artefacts"}


@pytest.fixture
def call(monkeypatch, capsys):
    return lambda *words: call_command(monkeypatch, capsys, *words)


def write_config(folder: Path, rounds: int, workers: int = 2) -> Path:
    path = folder / f"tiny_{workers}.toml"
    path.write_text(TINY.format(rounds=rounds, workers=workers))
    return path


def search_on(call, folder: Path, data: str):
    """The answer of a search on the data set named so in TOML."""
    config = write_config(folder, rounds=3)
    config.write_text(config.read_text().replace('"digits"', data))
    return call("search", config, "--out", folder / "run")


def start_search(*words: object, program: tuple[str, ...] = HILNAS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program, "search", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


def candidates(run_dir: Path) -> list[dict]:
    """The journal's candidates, without what a clock decides."""
    lines = (run_dir / "journal.jsonl").read_text().splitlines()[1:]
    found = [json.loads(line) for line in lines]
    for entry in found:
        del entry["at_s"], entry["workers"]
        for clock in ("train_seconds", "spent", "activities"):
            entry["outcome"].pop(clock, None)
        for key in ("untrained", "measured"):
            for clock in ("started_at", "duration_s", "build_s"):
                (entry["outcome"].get(key) or {}).pop(clock, None)
    return found


def test_an_interrupted_search_resumes_to_the_very_journal_of_an_uninterrupted_one(tmp_path):
    """Whatever the number of workers: one for the whole run, two before the interruption."""
    config = write_config(tmp_path, rounds=3, workers=1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    process = start_search(config, "--out", whole)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "int8 test accuracy" in out and "report:" in out
    (member, *_) = (whole / "front").iterdir()
    for name in ("model.tflite", "firmware.elf", "deploy/src/model.c"):
        assert (member / name).stat().st_size > 0
    assert (whole / "front.png").exists() and (whole / "report.html").exists()

    two_workers = write_config(tmp_path, rounds=3, workers=2)
    process = start_search(two_workers, "--out", parts, program=INTERRUPTED)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err and f"--resume {parts}" in err.replace("\n", "")
    interrupted = candidates(parts)
    assert interrupted == candidates(whole)[:1]

    process = start_search(config, "--resume", parts)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert candidates(parts) == candidates(whole)


def test_finalists_asked_for_when_resuming_are_trained_one_by_one(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run began without them; Ctrl-C comes behind the first; all are in the front's place."""
    fine_tuned = "[quantisation]\ntolerance = 0.0\n"
    finalists = "[finalists]\nepochs = 6\n"
    config, run_dir = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(TINY.format(rounds=2, workers=2) + fine_tuned)
    assert call("search", config, "--out", run_dir).code == 0
    config.write_text(TINY.format(rounds=5, workers=2) + fine_tuned + finalists)

    def interrupted(*args: Any, on_finalist: Any, **options: Any) -> None:
        def press(*finalist: Any) -> None:
            on_finalist(*finalist)
            raise KeyboardInterrupt

        train_finalists(*args, on_finalist=press, **options)

    with monkeypatch.context() as patch:
        patch.setattr("search.finalists.train_finalists", interrupted)
        answer = call("search", config, "--resume", run_dir)
    assert answer.code == 130 and f"--resume {run_dir}" in answer.err, answer.err
    first = (run_dir / "finalists.jsonl").read_bytes()
    assert first.count(b"\n") == 1

    answer = call("search", config, "--resume", run_dir)
    assert answer.code == 0, answer.err
    assert (run_dir / "finalists.jsonl").read_bytes().startswith(first)
    run, found = read_run(run_dir), read_finalists(run_dir, 6)
    before = find_front(run.config, run.outcomes)
    assert set(found) == {each.archid for each in before} and len(before) > 1
    for each in found.values():
        assert isinstance(each, Evaluation) and each.measured.output.bit_exact
        assert (run_dir / each.model).exists()
    taken = [each for each in run.front if each.model.startswith("finalists/")]
    assert taken and run.is_tested, "config.toml says how long they were trained on"
    shipped = (run_dir / "front" / taken[0].archid / "model.tflite").read_bytes()
    assert shipped == (run_dir / taken[0].model).read_bytes()


def test_report_is_made_anew_from_the_run_folder_alone(call, tmp_path):
    run_dir = write_run(tmp_path / "run", make_outcomes(12))
    answer = call("report", run_dir, "--json", tmp_path / "r.json")
    assert answer.code == 0 and CONFIG.name in answer.out
    summary = json.loads((tmp_path / "r.json").read_text())
    assert summary["candidates"] == 24 and summary["front"]
    assert summary["front"][0]["test_error"] is None  # the test split was not touched
    assert summary["macs_as_proxy"] in " ".join(answer.out.split())
    assert summary["hypervolume"]["share"] > 0
    assert [tier["name"] for tier in summary["tiers"]] == ["analytic", "measured", "full"]
    assert len(summary["proxies"]) == 3
    for title in ("What each tier cost", "Proxies against", "Beside published networks"):
        assert title in answer.out
    assert (run_dir / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("[search]", "[serch]"), 2, "unknown key 'serch'"),
        (("rounds = 3", "rounds = 0"), 2, "rounds must be at least 1"),
        (("nucleo_f412zg", "nucleo"), 2, "unknown board 'nucleo'"),
        (('"digits"', '"mnist_like"\npath = "/nowhere"'), 2, "/nowhere: no such folder"),
        (('"digits"', '"cats"'), 2, "unknown data set 'cats'"),
        (("macs = 500000", "macs = 1"), 2, "none of 40 candidates kept the bounds"),
        (("[data]", 'via = "moon"\n[data]'), 2, "[device] via: nucleo_f412zg cannot be reached"),
        (("[data]", 'engine = "tvm"\n[data]'), 2, "there is no engine 'tvm' (expected"),
    ],
)
def test_a_wrong_configuration_gets_one_sentence(
    call, tmp_path, monkeypatch, change, code, message
):
    monkeypatch.setattr("search.prospects.HOPELESS_REJECTIONS", 40)
    config = write_config(tmp_path, rounds=3)
    config.write_text(config.read_text().replace(*change))
    answer = call("search", config, "--out", tmp_path / "run")
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert "Traceback" not in answer.err


def test_data_of_one_class_are_refused_before_a_run_folder_is_made(call, tmp_path):
    path = tmp_path / "one.npz"
    np.savez(path, x=np.zeros((20, 8, 8, 1), np.uint8), y=np.zeros(20, np.int64))
    answer = search_on(call, tmp_path, f'"numpy"\npath = "{path}"')
    assert answer.code == 2 and not (tmp_path / "run").exists()
    assert f"hilnas: {path}: all training images are of one class" in answer.err


def test_an_image_that_is_damaged_is_named_before_a_run_folder_is_made(call, tmp_path):
    pictures = tmp_path / "pictures"
    for name in ("cat", "dog"):
        (pictures / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), number).save(pictures / name / f"{number}.png")
    broken = pictures / "dog" / "7.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    answer = search_on(call, tmp_path, f'"image_folder"\npath = "{pictures}"')
    assert answer.code == 2 and not (tmp_path / "run").exists()
    assert f"hilnas: {broken}: is no image that can be read" in answer.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("nucleo_f412zg", "nucleo"), "unknown board"),
        (('"digits"', '"mnist_like"\npath = "/nowhere"'), "no such folder"),
    ],
)
def test_what_is_not_there_is_said_before_a_run_folder_is_made(call, tmp_path, change, message):
    config = write_config(tmp_path, rounds=3)
    config.write_text(config.read_text().replace(*change))
    answer = call("search", config, "--out", tmp_path / "run")
    assert message in answer.err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--out", "--resume"])
def test_a_run_folder_that_cannot_be_written_is_refused_before_the_data_are_read(
    call, tmp_path, monkeypatch, option
):
    def load(*args, **kwargs):
        raise AssertionError("too late")

    monkeypatch.setattr("search.data.load.load_dataset", load)
    answer = call("search", write_config(tmp_path, rounds=3), option, "/proc/absent/run")
    assert answer.code == 2
    assert "hilnas: /proc/absent/run: cannot be written into: " in answer.err


def test_a_full_disk_while_drawing_is_one_sentence(call, tmp_path, monkeypatch):
    run_dir = write_run(tmp_path / "run", make_outcomes(2))
    full = OSError(errno.ENOSPC, "No space left on device")  # as write() says it: without a name

    def fail(path: Path, run: object) -> None:
        raise full

    monkeypatch.setattr("search.report.write.write_report", fail)
    answer = call("report", run_dir)
    assert answer.code == 1
    assert f"{run_dir}: cannot be written: No space left on device; make room" in answer.err


def test_a_ray_cluster_that_is_not_there_is_said_before_a_run_folder_is_made(call, tmp_path):
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'hilnas[ray]'")
    config = tmp_path / "tiny.toml"
    config.write_text(TINY.format(rounds=1, workers=1))

    answer = call("search", config, "--out", tmp_path / "run", "--ray", "127.0.0.1:1")

    assert answer.code == 2 and "--ray 127.0.0.1:1: nothing answers there" in answer.err
    assert not (tmp_path / "run").exists()


def test_ray_that_is_not_installed_is_said(call, tmp_path, monkeypatch):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY.format(rounds=1, workers=1))
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "search.ray_workers", raising=False)

    answer = call("search", config, "--out", tmp_path / "run", "--ray", "local")

    assert answer.code == 2 and "Ray is not installed; pip install 'hilnas[ray]'" in answer.err


def test_resuming_into_another_folder_is_wrong_use(call, tmp_path):
    config = write_config(tmp_path, rounds=3)
    answer = call("search", config, "--out", tmp_path / "a", "--resume", tmp_path / "b")
    assert answer.code == 2 and "--resume and --out exclude each other" in answer.err


@pytest.mark.parametrize("step", ["run_search", "ship_front"])
def test_ctrl_c_says_how_to_go_on_as_soon_as_there_is_a_journal(call, tmp_path, monkeypatch, step):
    config, run_dir = write_config(tmp_path, rounds=3), tmp_path / "run"

    def finish(config, run_dir, *args, **kwargs):
        write_run(run_dir, make_outcomes(2))
        return RunResult(run_dir, (), "rounds")

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("search.run.run_search", finish)
    monkeypatch.setattr(f"search.{STEPS[step]}.{step}", interrupt)
    answer = call("search", config, "--out", run_dir)
    hint = f"to go on: hilnas search {config} --resume {run_dir}"
    assert answer.code == 130
    assert (hint in answer.err) == (step == "ship_front"), "before the journal, nothing to resume"


def test_the_parent_of_workers_loads_no_framework(tmp_path):
    program = (
        "import sys\n"
        "from search.workers import Deferred\n"
        "import search.cli, search.run, search.display\n"
        "job = Deferred('search.evaluate', 'seed_of')\n"
        "assert not {'torch', 'tensorflow'} & set(sys.modules)\n"
        "assert job(1, 'a') == job(1, 'a')\n"
        "assert {'torch', 'tensorflow'} <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=200, cwd=ROOT)


def test_resuming_nothing_is_refused(call, tmp_path):
    config = write_config(tmp_path, rounds=3)
    answer = call("search", config, "--resume", tmp_path / "absent")
    assert answer.code == 1 and "no such run folder" in answer.err


def test_sound_is_not_mirrored(call, tmp_path):
    words = write_speech_commands(tmp_path / "words", ("no", "yes"), speakers=8, noise=False)
    config = write_config(tmp_path, rounds=3)
    text = config.read_text().replace('"digits"', f'"speech_commands"\npath = "{words}"')
    config.write_text(text.replace("[training]", "[training]\nflip = true"))
    answer = call("search", config, "--out", tmp_path / "run")
    assert answer.code == 2 and not (tmp_path / "run").exists()
    assert "[training] flip: flip mirrors pictures, and speech_commands holds sound" in answer.err


def test_a_run_does_not_go_on_with_other_samples(call, tmp_path):
    config, run_dir = write_config(tmp_path, rounds=3), tmp_path / "run"
    run_dir.mkdir()
    header = Header.of(
        load_config(config), {}, input_shape=(8, 8, 1), classes=10, dataset_sha256="12ab"
    )
    with Journal(run_dir / "journal.jsonl") as journal:
        journal.create(header)
    answer = call("search", config, "--resume", run_dir)
    assert answer.code == 1
    assert "other samples than [data] digits holds now (expected sha256 12ab, got" in answer.err


def test_a_run_folder_is_never_overwritten(call, tmp_path):
    config = write_config(tmp_path, rounds=3)
    run_dir = write_run(tmp_path / "run", make_outcomes(2))
    before = (run_dir / "journal.jsonl").read_bytes()
    answer = call("search", config, "--out", run_dir)
    assert answer.code == 1 and "there is a journal already; resume it" in answer.err
    assert (run_dir / "journal.jsonl").read_bytes() == before
