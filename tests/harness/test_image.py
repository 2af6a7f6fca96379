"""Sources to images: what an image says of itself, and how every failure is named."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import image as image_module
from harness import workspace as workspace_module
from harness.board import ROOT, Board, load_board
from harness.elf import read_footprint
from harness.errors import (
    BuildError,
    CompileError,
    ConfigError,
    DoesNotFitError,
    HilnasError,
    ToolchainError,
    UsageError,
)
from harness.image import Image, build_host_program, build_image, cache_dir
from harness.options import Optimise
from harness.symbols import Symbols
from harness.workspace import LinkedLibrary, lease, run_killable
from tests.firmware import ARENA_BYTES, ENGINE_DIR, model_sources

BOARD = load_board("nucleo_f412zg")


def build(sources: dict[str, str], board: Board = BOARD, **options: object) -> Image:
    return build_image(sources, board, engine_dir=ENGINE_DIR, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILNAS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def image() -> Image:
    return build(model_sources(weights_words=100))


# what an image is


def test_sizes_are_those_of_the_elf(image: Image) -> None:
    assert image.arena_bytes == ARENA_BYTES
    assert image.weights_bytes == 400
    assert image.stack_reserve_bytes == 4096
    assert 500 < image.static_bytes < 700  # the frame buffer and a few counters
    assert 3000 < image.flash_bytes < 8000
    assert 0 < image.runtime_overhead_bytes < image.flash_bytes - 400  # the app is no part of it


def test_the_runtime_is_as_large_wherever_flash_lies(image: Image) -> None:
    elsewhere = build(model_sources(weights_words=100), load_board("nrf52840dk"))
    assert elsewhere.runtime_overhead_bytes == image.runtime_overhead_bytes


def test_instructions_of_the_model_count_as_runtime(image: Image) -> None:
    sources = model_sources(weights_words=100)
    sources["model.c"] = sources["model.c"].replace(
        "return", '__asm volatile(".rept 160\\n\\tnop\\n\\t.endr");\n    return'
    )
    larger = build(sources)
    assert larger.runtime_overhead_bytes - image.runtime_overhead_bytes == 2 * 160
    assert larger.flash_bytes - image.flash_bytes == 2 * 160


def test_more_weights_cost_flash_byte_for_byte(image: Image) -> None:
    larger = build(model_sources(weights_words=1100))
    assert larger.weights_bytes - image.weights_bytes == 4000
    assert larger.flash_bytes - image.flash_bytes == 4000
    assert larger.runtime_overhead_bytes == image.runtime_overhead_bytes
    assert larger.static_bytes == image.static_bytes


def test_an_image_names_compiler_flags_and_its_own_digest(image: Image) -> None:
    first_line = subprocess.run(
        ["arm-none-eabi-gcc", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    assert image.compiler == first_line
    assert image.flags.startswith("-O3 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard")
    assert image.sha256 == hashlib.sha256(image.elf.read_bytes()).hexdigest()
    assert image.board == "nucleo_f412zg"


def test_an_image_may_be_built_for_size(image: Image) -> None:
    small = build(model_sources(weights_words=100), optimise=Optimise.SIZE)
    assert small.flags == image.flags.replace("-O3", "-Os")
    assert small.flash_bytes < image.flash_bytes
    assert small.nonce != image.nonce


def test_the_nonce_is_in_the_image_and_follows_the_sources(image: Image) -> None:
    other = build(model_sources(weights_words=101))
    assert len(image.nonce) == 16
    assert image.nonce in image.elf.read_bytes()
    assert other.nonce in other.elf.read_bytes()
    assert other.nonce != image.nonce


def test_the_same_sources_give_the_same_image_in_every_build_tree(image: Image) -> None:
    (kind,) = {
        path.parent
        for path in image_trees()
        if (path / "configured").exists()
        and "-O3" in (path / "build" / "flags.txt").read_text()
        and BOARD.name in (path / "board.cmake").read_text()
    }
    with (kind / "0.lock").open() as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        again = build(model_sources(weights_words=100))
    assert (kind / "1" / "configured").exists()
    assert (again.sha256, again.nonce) == (image.sha256, image.nonce)


def image_trees() -> list[Path]:
    return [path for path in (cache_dir() / "firmware").glob("*/*") if path.is_dir()]


def test_the_stack_lies_at_the_bottom_of_sram(image: Image) -> None:
    """So that an overflow leaves SRAM and faults, instead of changing data."""
    symbols = subprocess.run(
        ["arm-none-eabi-nm", image.elf], capture_output=True, text=True, check=True
    ).stdout
    assert f"{BOARD.memory.sram.base:08x} B __stack_low" in symbols
    assert f"{BOARD.memory.sram.base + 4096:08x} B __stack_high" in symbols


def test_the_aot_engine_links_only_the_kernels_its_model_calls(image: Image) -> None:
    header = (
        "#include <stdint.h>\n"
        "#define MODEL_ARENA_BYTES 64u\n#define MODEL_LAYER_COUNT 0u\n"
        "#define MODEL_INPUT_COUNT 1u\n#define MODEL_OUTPUT_COUNT 1u\n"
        "#define MODEL_INPUT_OFFSETS {0}\n#define MODEL_INPUT_BYTES {32}\n"
        "#define MODEL_OUTPUT_OFFSETS {32}\n#define MODEL_OUTPUT_BYTES {32}\n"
        "int32_t model_invoke(uint8_t *arena, void (*on_layer)(uint32_t, void *), void *);\n"
        "void model_reset(uint8_t *arena);\n"
    )
    source = (
        '#include "model.h"\nint32_t model_invoke(uint8_t *arena, '
        "void (*on_layer)(uint32_t, void *), void *context) {\n"
        "    (void)on_layer, (void)context;\n    arena[32] = arena[0];\n    return 0;\n}\n"
        "void model_reset(uint8_t *arena) { (void)arena; }\n"
    )
    idle = build_image({"model.h": header, "model.c": source}, BOARD)
    assert idle.arena_bytes == 64
    assert 0 < idle.runtime_overhead_bytes < image.runtime_overhead_bytes + 500


def test_results_go_where_they_are_asked_for(tmp_path: Path) -> None:
    built = build(model_sources(), out_dir=tmp_path / "out")
    assert built.elf == tmp_path / "out" / "firmware.elf"
    assert built.map.read_text().count(" CMakeFiles/model.dir/") > 1
    assert sorted(path.name for path in built.elf.parent.iterdir()) == [
        "firmware.elf",
        "firmware.map",
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        BuildError, match="file/firmware.elf: cannot be written: .*; choose another folder"
    ):
        build(model_sources(), out_dir=tmp_path / "file")


def test_a_delivery_that_is_stopped_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(built: Path, passing: Path) -> None:
        raise SystemExit  # as a worker whose parent was killed

    monkeypatch.setattr("harness.image.shutil.copymode", stop)
    with pytest.raises(SystemExit):
        build(model_sources(weights_words=100), out_dir=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_two_processes_may_build_at_once(cache: Path) -> None:
    """Each prints its image's digest; both agree with a build of our own."""
    script = (
        "import sys; from tests.harness.test_image import build, model_sources;"
        "print(build(model_sources(weights_words=int(sys.argv[1]))).sha256)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for words in ("300", "301")
    ]
    digests = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert digests == [build(model_sources(weights_words=n)).sha256 for n in (300, 301)]


def test_the_address_of_an_instruction_finds_its_function(image: Image) -> None:
    symbols = subprocess.run(
        ["arm-none-eabi-nm", image.elf], capture_output=True, text=True, check=True
    ).stdout
    line = next(line for line in symbols.splitlines() if line.endswith(" engine_invoke"))
    start = int(line.split()[0], 16) & ~1
    symbols_of = Symbols(image.elf)
    assert symbols_of.name_at(start + 6) == "engine_invoke+0x6"
    assert symbols_of.name_at(start + 7) == "engine_invoke+0x6"  # with the Thumb bit
    assert symbols_of.name_at(0x2000_0000) is None


def test_what_is_no_elf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("not an ELF file")
    with pytest.raises(BuildError, match=r"text.elf: is no ELF file: Magic number"):
        read_footprint(tmp_path / "text.elf", tmp_path / "text.map")
    with pytest.raises(BuildError, match=r"none.elf: cannot be opened: No such file"):
        read_footprint(tmp_path / "none.elf", tmp_path / "none.map")


# libraries built elsewhere

_ENGINE_IN_CXX = """
extern "C" {
#include "engine.h"
#include "model.h"
}
int answer();
const char engine_name[] = "test";
const char engine_version[] = "1";
const char engine_kernels[] = "none";
uint8_t engine_arena_storage[MODEL_ARENA_BYTES + ENGINE_GUARD_BYTES];
uint8_t *engine_arena() { return engine_arena_storage; }
uint32_t engine_arena_bytes() { return MODEL_ARENA_BYTES; }
uint32_t engine_input_count() { return ANSWER_INPUTS; }
engine_tensor_t engine_input(uint32_t) { return {engine_arena_storage, 8}; }
uint32_t engine_output_count() { return 1; }
engine_tensor_t engine_output(uint32_t) { return {engine_arena_storage + 8, 8}; }
uint32_t engine_layer_count() { return 1; }
int32_t engine_reset() { return 0; }
int32_t engine_invoke(engine_on_layer_t, void *) { return answer(); }
"""


def link_library(folder: Path, source: str = "int answer() { return 0; }") -> LinkedLibrary:
    """An archive of one object compiled for the board, and an engine that calls it."""
    folder.mkdir(exist_ok=True)
    (folder / "answer.cc").write_text(source)
    (folder / "engine").mkdir(exist_ok=True)
    (folder / "engine" / "engine.cc").write_text(_ENGINE_IN_CXX)
    flags = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os")
    for command in (
        ("arm-none-eabi-g++", *flags, "-fno-exceptions", "-c", "answer.cc"),
        ("arm-none-eabi-ar", "rcsD", "libanswer.a", "answer.o"),
    ):
        subprocess.run(command, cwd=folder, check=True, timeout=60)
    archive = folder / "libanswer.a"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return LinkedLibrary(archive, digest, (folder,), ("ANSWER_INPUTS=1",))


def build_with(library: LinkedLibrary) -> Image:
    return build_image(
        model_sources(), BOARD, engine_dir=library.archive.parent / "engine", library=library
    )


def test_a_library_is_linked_and_counts_as_runtime(tmp_path: Path) -> None:
    small = build_with(link_library(tmp_path / "small"))
    grown = "int answer() { " + 'asm volatile("nop");' * 100 + " return 0; }"
    large = build_with(link_library(tmp_path / "large", grown))
    assert large.runtime_overhead_bytes - small.runtime_overhead_bytes == 200
    assert large.flash_bytes - small.flash_bytes == 200


def test_a_library_built_again_gives_another_image(tmp_path: Path) -> None:
    library = link_library(tmp_path)
    first = build_with(library)
    again = build_with(link_library(tmp_path, "int answer() { return 1; }"))
    assert first.nonce != again.nonce and first.sha256 != again.sha256
    defined = dataclasses.replace(library, defines=("ANSWER_INPUTS=1", "NDEBUG"))
    assert build_with(defined).nonce != first.nonce


def test_constructors_that_nobody_would_call_are_refused(tmp_path: Path) -> None:
    source = "int other(); int answer() { static int x; return x; } int y = other();"
    library = link_library(tmp_path, source + 'int other() { asm volatile(""); return y; }')
    with pytest.raises(CompileError, match="static constructors are linked, which nobody calls"):
        build_with(library)


# what does not fit


def test_an_arena_that_is_too_large_is_refused_with_the_missing_bytes() -> None:
    """Stack reserve, static data and arena count: 16 bytes more miss 16 bytes more."""
    missing = []
    for arena_bytes in (300_000, 300_016):
        with pytest.raises(DoesNotFitError) as caught:
            build(model_sources(arena_bytes=arena_bytes))
        assert caught.value.region == "SRAM"
        missing.append(caught.value.missing_bytes)
    assert missing[1] - missing[0] == 16
    floor = 300_000 + 16 + 4096 + 500 - BOARD.memory.sram.size
    assert floor < missing[0] < floor + 200
    assert f"the image overflows SRAM by {missing[1]} bytes" in str(caught.value)


def test_an_arena_that_just_fits_is_built_and_one_word_more_is_not() -> None:
    with pytest.raises(DoesNotFitError) as caught:
        build(model_sources(arena_bytes=300_000))
    fitting = 300_000 - (caught.value.missing_bytes + 15) // 16 * 16
    assert build(model_sources(arena_bytes=fitting)).arena_bytes == fitting
    with pytest.raises(DoesNotFitError):
        build(model_sources(arena_bytes=fitting + 16))


def test_a_larger_stack_reserve_leaves_less_for_the_arena() -> None:
    with pytest.raises(DoesNotFitError) as caught:
        build(model_sources(), stack_reserve_bytes=BOARD.memory.sram.size)
    assert caught.value.region == "SRAM"


def test_weights_that_are_too_many_are_refused_with_the_missing_bytes() -> None:
    sources = {name: text.replace("[4]", "[300000]") for name, text in model_sources().items()}
    with pytest.raises(DoesNotFitError) as caught:
        build(sources)
    assert caught.value.region == "FLASH"
    floor = 1_200_000 - BOARD.memory.flash.size
    assert floor < caught.value.missing_bytes < floor + 8000
    assert "overflows FLASH by" in str(caught.value)


def test_both_regions_are_named_when_both_overflow() -> None:
    board = dataclasses.replace(
        BOARD,
        memory=dataclasses.replace(
            BOARD.memory, flash=dataclasses.replace(BOARD.memory.flash, size=1024)
        ),
    )
    with pytest.raises(DoesNotFitError, match=r"overflows SRAM by \d+ bytes, FLASH by \d+ bytes"):
        build(model_sources(arena_bytes=900_000), board)


# what cannot be built


def test_a_missing_compiler_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError) as caught:
        build(model_sources())
    assert str(caught.value) == (
        "the compiler arm-none-eabi-gcc is not on the PATH; apt-get install gcc-arm-none-eabi"
    )
    with pytest.raises(ToolchainError, match="compiler cc is not .* build-essential"):
        build_host_program(model_sources(), BOARD, engine_dir=ENGINE_DIR)


def fake_compiler(folder: Path, script: str) -> None:
    compiler = folder / "arm-none-eabi-gcc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)


def test_a_compiler_that_does_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_compiler(tmp_path, "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolchainError) as caught:
        build(model_sources())
    assert "arm-none-eabi-gcc --version fails with exit code 3" in str(caught.value)
    assert "apt-get install --reinstall gcc-arm-none-eabi" in str(caught.value)


def test_a_compiler_that_cmake_cannot_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_compiler(tmp_path, '[ "$1" = --version ] && echo "fake 1.0" || exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolchainError, match="CMake cannot configure the firmware: .*doctor"):
        build(model_sources())


def test_a_missing_c_library_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_compiler(tmp_path, 'exec /usr/bin/arm-none-eabi-gcc -nostdinc "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolchainError) as caught:
        build(model_sources())
    assert "the C library's headers are missing" in str(caught.value)
    assert "apt-get install libnewlib-arm-none-eabi" in str(caught.value)


@pytest.mark.parametrize("name", ["cmake", "ninja"])
def test_a_missing_build_tool_names_its_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ToolchainError, match=f"the Python package {name} is missing; .*{name}"):
        workspace_module.tool(name)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("int32_t broken(void) { return 1 }", "error: expected ';'"),
        ("static int unused;", "error: 'unused' defined but not used"),
        ("#error stop here", "error: #error stop here"),
    ],
)
def test_sources_that_do_not_compile_are_quoted(text: str, complaint: str) -> None:
    sources = model_sources()
    sources["model.c"] += text + "\n"
    with pytest.raises(CompileError) as caught:
        build(sources)
    assert "nucleo_f412zg: the firmware does not compile: " in str(caught.value)
    assert "model.c:6:" in str(caught.value)
    assert complaint in str(caught.value)


def test_symbols_that_nobody_defines_are_quoted() -> None:
    sources = model_sources()
    sources["model.c"] = '#include "model.h"\n'
    with pytest.raises(CompileError, match="undefined reference to `model_step'"):
        build(sources)


def test_an_engine_without_an_arena_is_refused_by_the_linker(tmp_path: Path) -> None:
    text = (ENGINE_DIR / "engine.c").read_text()
    (tmp_path / "engine.c").write_text(text.replace("engine_arena_storage", "elsewhere"))
    with pytest.raises(CompileError, match="no arena: the engine must call it engine_arena_st"):
        build_image(model_sources(), BOARD, engine_dir=tmp_path)


def test_after_a_failure_the_next_build_works(image: Image) -> None:
    sources = model_sources(weights_words=100)
    with pytest.raises(HilnasError):
        build({**sources, "model.c": "#error no"})
    assert build(sources).sha256 == image.sha256


def test_a_build_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    flag = tmp_path / "alive"
    with pytest.raises(ToolchainError, match="did not end within 0.5 s and was killed"):
        run_killable(["/bin/sh", "-c", f"(sleep 1.5; touch {flag}) & sleep 60"], deadline_s=0.5)
    time.sleep(1.5)
    assert not flag.exists()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolchainError, match="/no/ninja: cannot be started: No such file"):
        run_killable(["/no/ninja"], deadline_s=1)


def test_an_engine_without_sources_is_refused() -> None:
    with pytest.raises(UsageError, match="engine 'tvm' has no sources"):
        build_image(model_sources(), BOARD, engine="tvm")


@pytest.mark.parametrize("name", ["../model.c", "model.py", "a b.c", ""])
def test_a_source_cannot_escape_its_folder(name: str) -> None:
    with pytest.raises(BuildError, match="is no name for a generated source"):
        build({name: ""})


def test_a_board_that_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(ConfigError, match="board name has characters that cannot be compiled"):
        build(model_sources(), dataclasses.replace(BOARD, name='x"; rm'))
    with pytest.raises(ConfigError, match="chip has characters that cannot be compiled"):
        build(model_sources(), dataclasses.replace(BOARD, chip="stm 32"))
    with pytest.raises(ConfigError, match="no such port .expected one of .*stm32f4.*, got '../x'"):
        build(model_sources(), dataclasses.replace(BOARD, port="../x"))
    console = dataclasses.replace(BOARD.console, tx="8")
    with pytest.raises(ConfigError, match="console.tx is no pin .expected PD8 or P0.06, got 8"):
        build(model_sources(), dataclasses.replace(BOARD, console=console))


def test_what_the_port_refuses_is_said_of_the_board() -> None:
    """tests/harness/test_ports.py has all of it."""
    with pytest.raises(ConfigError) as caught:
        build(model_sources(), dataclasses.replace(BOARD, flash_wait_states=16))
    assert str(caught.value) == (
        "nucleo_f412zg: the board cannot be built for: flash_wait_states has four bits; "
        "correct its board.toml"
    )


def test_a_core_without_fpu_gets_soft_floats() -> None:
    soft = build(model_sources(), dataclasses.replace(BOARD, core="cortex-m4"))
    assert "-mfloat-abi=soft" in soft.flags


# where builds are kept


def test_the_cache_is_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.delenv("HILNAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "hilnas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "hilnas"


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(BuildError) as caught:
        build(model_sources())
    assert "the build cache cannot be used: Not a directory" in str(caught.value)
    assert "set HILNAS_CACHE to a folder you may write" in str(caught.value)


def test_a_disk_that_fails_under_a_build_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(BuildError, match=r"model\.c: the build cache cannot be used: No space"):
        build({**model_sources(), "model.c": "int changed;"})


def test_a_cache_may_have_spaces_in_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, image: Image
) -> None:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path / "my cache"))
    assert build(model_sources(weights_words=100)).sha256 == image.sha256


def a_recipe() -> workspace_module.Recipe:
    compiler = Path("/usr/bin/arm-none-eabi-gcc")
    values = image_module._board_values(BOARD, 4096)
    return workspace_module.Recipe(
        values,
        "stm32f4",
        ENGINE_DIR,
        False,
        False,
        Optimise.SPEED,
        compiler,
        "1",
        ("model.c", "model.h"),
    )


def test_when_all_build_trees_are_taken_the_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_module, "_TREES", 1)
    with (
        lease(a_recipe()),
        pytest.raises(BuildError, match="all 1 build trees are in use for 0.1 s"),
        lease(a_recipe(), deadline_s=0.1),
    ):
        pass


def test_a_killed_build_leaves_its_tree_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_module, "_TREES", 1)
    script = (
        "import sys, time; from harness.workspace import lease;"
        "from tests.harness.test_image import a_recipe\n"
        "with lease(a_recipe()): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(BuildError, match="are in use"), lease(a_recipe(), deadline_s=0.1):
            pass
        holder.kill()
    with lease(a_recipe(), deadline_s=0.1):
        pass


def test_a_tree_is_taken_until_the_last_program_of_a_killed_build_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ninja has a session of its own: it outlives a build that is killed by SIGKILL."""
    monkeypatch.setattr(workspace_module, "_TREES", 1)
    script = (
        "from harness.workspace import lease, run_killable;"
        "from tests.harness.test_image import a_recipe\n"
        "with lease(a_recipe()) as tree:\n"
        "    program = 'echo $$; exec sleep 60'\n"
        "    command = ['sh', '-c', f'({program}) > {tree.folder}/pid']\n"
        "    print(tree.folder, flush=True)\n"
        "    run_killable(command, deadline_s=60, keep=[tree.lock])"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        pid_file = Path(holder.stdout.readline().decode().strip()) / "pid"
        end = time.monotonic() + 60
        while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
            assert time.monotonic() < end, "its program did not start"
            time.sleep(0.01)
        holder.kill()
    with pytest.raises(BuildError, match="are in use"), lease(a_recipe(), deadline_s=0.1):
        pass
    os.killpg(os.getpgid(int(pid_file.read_text())), signal.SIGKILL)
    with lease(a_recipe(), deadline_s=30.0):
        pass


def test_a_tree_whose_configuring_was_cut_short_is_made_anew() -> None:
    with lease(a_recipe()) as workspace:
        (workspace.folder / "configured").unlink()
        (workspace.build_dir / "CMakeCache.txt").write_text("torn")
    with lease(a_recipe()) as again:
        assert (again.folder / "configured").exists()


def test_trees_that_nobody_used_for_long_are_deleted() -> None:
    old = cache_dir() / "firmware" / "old"
    old.mkdir(parents=True)
    os.utime(old, (1, 1))
    recipe = dataclasses.replace(a_recipe(), compiler_version="another")
    with lease(recipe):
        assert not old.exists()


def test_only_the_newest_images_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "_KEPT_IMAGES", 1)
    first = build(model_sources(weights_words=7))
    os.utime(first.elf.parent, (1, 1))
    build(model_sources(weights_words=8))
    last = build(model_sources(weights_words=9))
    assert not first.elf.exists()
    assert last.elf.exists()
