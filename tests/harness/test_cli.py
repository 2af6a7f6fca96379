"""The harness on the command line: results, exit codes, one-sentence errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli, doctor, profiling
from harness.board import board_names
from harness.errors import BoardError, HilnasError
from harness.measurement import load_measurement
from tests.commands import Answer
from tests.commands import call as call_command
from tests.harness.engines.tflm.trees import COMMIT, SOFT, library_bytes, make_tree
from tests.tflite_factory import small_network

BOARD = ("--board", "nucleo_f412zg")


@pytest.fixture
def call(monkeypatch, capsys):
    return lambda *words: call_command(monkeypatch, capsys, *words)


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "small.tflite"
    path.write_bytes(small_network())
    return path


def is_one_sentence(answer: Answer) -> bool:
    lines = answer.err.strip().splitlines()
    return lines[-1].startswith("hilnas: ") and "Traceback" not in answer.err


def test_boards_lists_what_is_described(call, tmp_path):
    file = tmp_path / "boards.json"
    answer = call("boards", "--json", file)
    assert answer.code == 0
    for name in board_names():
        assert name in answer.out
    for part in (
        "M4F",
        "180 MHz",
        "2048 KiB",
        "640 KiB",
        "LPUART1",
        "virtual",
        "qemu: netduinoplus2",
    ):
        assert part in answer.out
    (board,) = [b for b in json.loads(file.read_text()) if b["name"] == "nucleo_f412zg"]
    assert (
        board["via"] == ["virtual", "hardware", "renode"]
        and board["memory"]["sram"]["size"] == 256 * 1024
    )


def test_measure_prints_numbers_under_their_label_and_keeps_them_as_json(call, model, tmp_path):
    file = tmp_path / "m.json"
    answer = call("measure", model, *BOARD, "--repeats", 1, "--layers", "--json", file)
    assert answer.code == 0
    for part in ("latency", "SRAM", "flash", "bit-exact", "modelled", "virtual", "CONV_2D"):
        assert part in answer.out
    measurement = load_measurement(file)
    assert measurement.layers and f"{measurement.cycles.median:,.0f}" in answer.out


def test_measure_writes_nothing_but_json_to_stdout_when_asked(call, model):
    answer = call("measure", model, *BOARD, "--repeats", 1, "--json", "-")
    assert json.loads(answer.out)["board"] == "nucleo_f412zg"


def test_what_was_measured_is_out_even_if_profiling_fails(call, model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise BoardError("the virtual board died")

    monkeypatch.setattr(profiling, "profile_inference", fail)
    files = tmp_path / "m.json", tmp_path / "p.json"
    answer = call(
        *("measure", model, *BOARD, "--repeats", 1, "--json", files[0], "--profile", files[1])
    )
    assert answer.code == 1 and "hilnas: the virtual board died" in answer.err
    assert is_one_sentence(answer)
    assert f"{load_measurement(files[0]).cycles.median:,.0f}" in answer.out
    assert not files[1].exists()


def test_both_engines_are_offered_and_where_a_library_is_named(call):
    for command in ("measure", "build"):
        offered = call(command, "--help").out
        assert "aot" in offered and "tflm" in offered
        assert "--tflm-dir" in offered and "HILNAS_TFLM_DIR" in offered


def test_build_leaves_firmware_map_and_a_c_library(call, model, tmp_path):
    out = tmp_path / "out"
    answer = call("build", model, *BOARD, "--out", out, "--json", tmp_path / "b.json")
    assert answer.code == 0
    assert (out / "firmware.elf").read_bytes()[:4] == b"\x7fELF"
    assert (out / "firmware.map").exists() and (out / "deploy" / "model.h").exists()
    facts = json.loads((tmp_path / "b.json").read_text())
    assert facts["arena_bytes"] >= facts["arena_lower_bound_bytes"] > 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["measure", "absent.tflite", *BOARD], 2, "absent.tflite: cannot read the model"),
        (["measure", "MODEL", "--board", "nucleo"], 2, "unknown board 'nucleo' (expected one of"),
        (
            ["measure", "MODEL", *BOARD, "--via", "qemu"],
            2,
            "cannot be measured via 'qemu'",
        ),
        (["measure", "MODEL", *BOARD, "--engine", "tvm"], 2, "there is no engine 'tvm' (expected"),
        (
            ["measure", "MODEL", *BOARD, "--tflm-dir", "."],
            2,
            "--tflm-dir names a library that this engine does not use (expected --engine tflm",
        ),
        (
            ["measure", "MODEL", *BOARD, "--profile", "p.json", "--through", "probe"],
            2,
            "(expected --via virtual --through memory, got --via virtual --through probe)",
        ),
        (["build", "MODEL", *BOARD, "--out", "MODEL"], 2, "cannot be written into: File exists"),
        (["measure", "/dev/zero", *BOARD], 1, "/dev/zero: is too large a file (expected <= "),
    ],
)
def test_wrong_use_gets_one_sentence_and_its_exit_code(call, model, words, code, message):
    answer = call(*(model if word == "MODEL" else word for word in words))
    assert answer.code == code and message in answer.err
    assert is_one_sentence(answer)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text"])
def test_a_damaged_model_gets_one_sentence_and_exit_code_1(call, model, damage):
    data = {"empty": b"", "truncated": model.read_bytes()[:300], "text": b"hello" * 100}[damage]
    model.write_bytes(data)
    answer = call("measure", model, *BOARD)
    assert answer.code == 1 and "small.tflite" in answer.err
    assert is_one_sentence(answer)


def test_a_missing_compiler_is_named_with_its_package(call, model, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    answer = call("measure", model, *BOARD)
    assert answer.code == 1 and "apt-get install gcc-arm-none-eabi" in answer.err
    assert is_one_sentence(answer)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["measure", "--bord", "x"],
            "measure: no such option: --bord (Possible options: --board)",
        ),
        (["measure"], "measure: missing argument 'MODEL.tflite'"),
        (["build", "m", *BOARD], "build: missing option '--out'"),
        (["measure", "m", "--board"], "measure: option '--board' requires an argument"),
        (["measure", "m", *BOARD, "-O", "x"], "'-O' / '--optimise': 'x' is not one of"),
        (["measure", "m", *BOARD, "--repeats", "0"], "measure: invalid value for '--repeats'"),
        (["mesure"], "no such command 'mesure'"),
    ],
)
def test_wrong_words_get_one_sentence_and_no_box(call, words, sentence):
    answer = call(*words)
    (line,) = answer.err.splitlines()
    assert (answer.code, answer.out) == (2, "")
    assert line.startswith("hilnas: ") and sentence in line
    command = "hilnas " + "".join(f"{word} " for word in words[:1] if word != "mesure")
    assert line.endswith(f"; `{command}--help` tells what there is")


def test_help_is_no_error_and_nothing_to_do_is(call):
    asked, bare = call("--help"), call()
    assert (asked.code, asked.err) == (0, "") and (bare.code, bare.err) == (2, "")
    assert "Usage: hilnas [OPTIONS] COMMAND" in asked.out and asked.out.strip() == bare.out.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("boards", "--json"),
        ("doctor", "--json"),
        ("measure", "m.tflite", *BOARD, "--json"),
        ("measure", "m.tflite", *BOARD, "--profile"),
        ("build", "m.tflite", *BOARD, "--out", "/tmp", "--json"),
        ("build", "m.tflite", *BOARD, "--out"),
        ("flash", "m.elf", *BOARD, "--json"),
        ("run", "m.elf", *BOARD, "--json"),
        ("run", "m.elf", *BOARD, "--profile"),
        ("search", "c.toml", "--json"),
        ("report", "run", "--json"),
        ("report",),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_else(call, words):
    """That the other files are not there is not even noticed."""
    answer = call(*words, "/proc/absent/x")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("hilnas: /proc/absent/x: cannot be written")


def test_a_bug_shows_one_sentence_unless_debugging(monkeypatch, capsys):
    def crash() -> None:
        raise RuntimeError("boom")

    assert cli.run(crash) == 1
    assert "a bug in hilnas: RuntimeError: boom" in capsys.readouterr().err
    monkeypatch.setenv("HILNAS_DEBUG", "1")
    assert cli.run(crash) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (HilnasError("no"), 1), (SystemExit("x"), 1)]
)
def test_every_end_has_its_exit_code(error, code):
    def end() -> None:
        raise error

    assert cli.run(end) == code


def test_measure_imports_neither_torch_nor_tensorflow(model):
    program = (
        "import sys; from search.cli import main\n"
        f"sys.argv = ['hilnas', 'measure', {str(model)!r}, *{BOARD!r}, '--repeats', '1']\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "print('heavy:', sorted({'torch', 'tensorflow', 'pandas'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert "heavy: []" in answer.stdout, answer.stderr


class TestDoctor:
    def test_a_complete_machine_is_healthy(self, call, tmp_path):
        answer = call("doctor", "--json", tmp_path / "d.json")
        checks = {check["name"]: check for check in json.loads((tmp_path / "d.json").read_text())}
        assert answer.code == 0
        assert checks["unicorn"]["found"] == "2.1.3"
        assert "12.2" in checks["arm-none-eabi-gcc"]["found"]

    def test_what_is_missing_stands_with_its_fix_and_fails_the_command(
        self, call, monkeypatch, tmp_path
    ):
        monkeypatch.setenv("PATH", "/nonexistent")
        answer = call("doctor", "--json", tmp_path / "d.json")
        checks = {check["name"]: check for check in json.loads((tmp_path / "d.json").read_text())}
        assert answer.code == 1
        assert checks["arm-none-eabi-gcc"]["fix"] == "apt-get install gcc-arm-none-eabi"
        assert checks["newlib"]["fix"] == "apt-get install libnewlib-arm-none-eabi"
        assert not checks["cc"]["required"]  # the host compiler serves tests only

    def test_a_tool_that_does_not_run_is_said_to(self, monkeypatch, tmp_path):
        tool = tmp_path / "arm-none-eabi-gcc"
        tool.write_text("#!/bin/false\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        checks = {check.name: check for check in doctor.examine()}
        assert "does not run" in checks["arm-none-eabi-gcc"].found
        assert not checks["newlib"].ok

    def tflm(self) -> doctor.Check:
        (check,) = [check for check in doctor.examine() if check.name == "TFLite Micro library"]
        return check

    def test_no_tflm_library_is_no_fault_and_says_how_to_get_one(self, monkeypatch):
        monkeypatch.delenv("HILNAS_TFLM_DIR", raising=False)
        check = self.tflm()
        assert (check.ok, check.required) == (False, False)
        assert check.found == "no TFLite Micro library is named"
        assert "cortex_m_generic/README.md" in check.fix and "HILNAS_TFLM_DIR" in check.fix

    def test_a_tflm_library_is_shown_with_version_and_path(self, monkeypatch, tmp_path):
        tree = make_tree(tmp_path)
        monkeypatch.setenv("HILNAS_TFLM_DIR", str(tree))
        check = self.tflm()
        assert check.ok and check.found.startswith(f"{COMMIT[:12]}, cmsis_nn, release, objects ")
        assert "GCC: (" in check.found and str(tree) in check.found

    def test_a_tflm_library_that_no_board_can_link_is_told_with_the_remedy(
        self, monkeypatch, tmp_path
    ):
        monkeypatch.setenv("HILNAS_TFLM_DIR", str(make_tree(tmp_path, library_bytes(flags=SOFT))))
        check = self.tflm()
        assert not check.ok and "compiled with another float ABI" in check.found
        assert check.fix.startswith("build it with TARGET_ARCH=cortex-m4+fp")

    def test_another_unicorn_than_the_pinned_one_is_refused(self, monkeypatch):
        monkeypatch.setattr(doctor, "UNICORN_VERSION", "9.9.9")
        (check,) = [check for check in doctor.examine() if check.name == "unicorn"]
        assert not check.ok and "needs exactly 9.9.9" in check.found

    def test_a_package_that_is_not_installed_is_said_to_be(self, monkeypatch):
        def version(name: str) -> str:
            raise doctor.importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(doctor.importlib.metadata, "version", version)
        (check,) = [check for check in doctor.examine() if check.name == "torch"]
        assert (check.ok, check.found, check.fix) == (False, "not installed", "make setup")

    def test_a_cache_that_cannot_be_written_names_the_variable(self, monkeypatch):
        monkeypatch.setenv("HILNAS_CACHE", "/proc/nowhere")
        (check,) = [check for check in doctor.examine() if check.name == "build cache"]
        assert not check.ok and "HILNAS_CACHE" in check.fix

    def test_without_pseudo_terminals_there_is_no_virtual_board(self, monkeypatch):
        def openpty() -> tuple[int, int]:
            raise OSError("out of pty devices")

        monkeypatch.setattr(doctor.pty, "openpty", openpty)
        (check,) = [check for check in doctor.examine() if check.name == "pseudo-terminals"]
        assert not check.ok and check.found == "out of pty devices"

    @pytest.mark.parametrize(
        ("name", "value", "found"),
        [
            ("EXTENSION_SUFFIXES", [".nowhere"], "the virtual board's core is not compiled"),
            ("TIMING_MODEL", "another", "core was compiled from another version"),
        ],
    )
    def test_a_core_that_cannot_play_says_how_to_get_one(self, monkeypatch, name, value, found):
        monkeypatch.setattr(f"harness.virtual.core.{name}", value)
        (check,) = [check for check in doctor.examine() if "native core" in check.name]
        assert (check.ok, check.fix) == (False, "make setup") and found in check.found


def test_a_step_that_takes_long_is_shown_with_its_time(monkeypatch):
    terminal = Console(file=StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(cli, "errors", terminal)
    with cli._status() as on_step:
        on_step("compiling")
        terminal.file.flush()
    assert re.search(r"compiling\S* .*0:00:00", terminal.file.getvalue())
