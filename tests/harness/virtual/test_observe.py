"""Profile, SRAM trace and watch: every cycle accounted for, every byte seen, nothing changed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from harness.symbols import SourceLine, Symbols
from harness.virtual import VirtualBoard
from harness.virtual.observed import EXCEPTION_ROOT, REASONS, Block, Modes, Observed
from harness.virtual.profile import Profile, _spread, make_profile
from harness.virtual.sram import make_sram_use
from tests.harness.virtual.firmware import compile_firmware

ALL = Modes(profile=True, trace=True, watch=True)
BUSY = """
volatile uint32_t ticks, sink;
volatile float real;
__attribute__((noinline)) uint32_t leaf(uint32_t n) { return sink += n / (sink | 1); }
__attribute__((noinline)) uint32_t fibonacci(uint32_t n) {
    volatile uint32_t first, second = 0; /* no tail calls */
    if (n < 2) {
        first = leaf(n);
    } else {
        first = fibonacci(n - 1);
        second = fibonacci(n - 2);
    }
    return first + second;
}
__attribute__((noinline)) void jump(uint32_t n) { /* through a table, and a tail call */
    switch (n & 7) {
    case 0: sink += 1; break;
    case 1: sink ^= 5; break;
    case 2: sink *= 3; break;
    case 3: sink -= 7; break;
    case 4: sink |= 9; break;
    case 5: sink += sink >> 3; break;
    default: leaf(n);
    }
}
void systick(void) { ticks++; leaf(ticks); real = real * 1.5f; }
void usage_fault(void) { /* skips the instruction that faulted, in a block's middle */
    __asm volatile("mrs r0, msp\\n ldr r1, [r0, #24]\\n"
                   "adds r1, #4\\n str r1, [r0, #24]" ::: "r0", "r1");
}
void main(void) {
    SHCSR |= 1 << 18;
    REG(0xE000E014) = 3000;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    report(fibonacci(12));
    for (uint32_t i = 0; i < 300; i++) {
        jump(i);
        real = real + (float)i / 3.0f;
    }
    __asm volatile("nop\\n nop\\n .inst.w 0xf7f0a000\\n nop");
    while (ticks < 100)
        __asm volatile("wfi");
    REG(0xE000E010) = 0;
    report(CYCCNT);
    report(sink);
}"""


Watch = Callable[..., tuple[list[int], Observed, Symbols]]


@pytest.fixture
def watch(virtual_board: VirtualBoard, firmware_folder: Path) -> Iterator[Watch]:
    """watch(source, words, modes): the words it reports, what was seen, its symbols."""

    def run(
        source: str, words: int, modes: Modes = ALL, *, named: bool = True
    ) -> tuple[list[int], Observed, Symbols]:
        elf = compile_firmware(source, firmware_folder)
        symbols = Symbols(elf)
        with serial.Serial(virtual_board.port, timeout=20) as line:
            virtual_board.observe(modes, symbols.boundaries() if named else ())
            virtual_board.load(elf)
            data = line.read(4 * words)
        seen = virtual_board.observed()
        assert len(data) == 4 * words
        assert seen is not None
        return list(struct.unpack(f"<{words}I", data)), seen, symbols

    yield run
    virtual_board.observe(Modes())


def names_of(seen: Observed, symbols: Symbols, number: int) -> list[str]:
    """The call path to a node, outermost first."""
    path = []
    while number:
        function = seen.calls[number].function
        span = symbols.function_at(function)
        path.append(
            f"[{function - EXCEPTION_ROOT}]" if function >= EXCEPTION_ROOT else span.name  # type: ignore[union-attr]
        )
        number = seen.calls[number].parent
    return path[::-1]


def paths(seen: Observed, symbols: Symbols) -> set[str]:
    return {"/".join(names_of(seen, symbols, k)) for k in range(1, len(seen.calls))}


# ---- nothing is changed ----


def test_observing_changes_neither_cycles_nor_results(
    run: Callable[..., list[int]], watch: Watch
) -> None:
    plain = run(BUSY, 3)
    for modes in (Modes(profile=True), Modes(trace=True), ALL):
        assert watch(BUSY, 3, modes)[0] == plain
    assert run(BUSY, 3) == plain


def test_nothing_is_seen_where_nothing_is_observed(virtual_board: VirtualBoard) -> None:
    virtual_board.observe(Modes())
    assert virtual_board.observed() is None


# ---- profile ----


@pytest.mark.parametrize("named", [True, False])
def test_blocks_and_calls_add_up_to_the_cycle_count(
    watch: Watch, virtual_board: VirtualBoard, named: bool
) -> None:
    before = virtual_board.counters().cycles
    _, seen, _ = watch(BUSY, 3, Modes(profile=True), named=named)
    spent = virtual_board.counters().cycles - before
    assert seen.cycles == sum(sum(block.cycles) for block in seen.blocks)
    assert seen.cycles == sum(sum(call.cycles) for call in seen.calls)
    assert 0 < seen.cycles <= spent
    assert all(cycles >= 0 for call in seen.calls for cycles in call.cycles)
    assert seen.dropped == 0


def test_a_profile_knows_who_called_whom(watch: Watch) -> None:
    _, seen, symbols = watch(BUSY, 3, Modes(profile=True))
    found = paths(seen, symbols)
    assert "reset/main" + 7 * "/fibonacci" + "/leaf" in found
    assert "reset/main/jump/leaf" in found  # a tail call
    assert "reset/main/leaf" not in found
    assert "[15]/systick/leaf" in found
    assert "[6]/usage_fault" in found
    assert not any("fibonacci/jump" in path or "fibonacci/report" in path for path in found)


def test_without_symbols_what_is_called_is_a_function(watch: Watch) -> None:
    _, seen, symbols = watch(BUSY, 3, Modes(profile=True), named=False)
    assert any(path.endswith("main/fibonacci/fibonacci") for path in paths(seen, symbols))
    assert any(path.startswith("[15]/systick") for path in paths(seen, symbols))


def profile_of(watch: Watch, source: str, words: int) -> Profile:
    _, seen, symbols = watch(source, words, Modes(profile=True))
    return make_profile(seen, symbols, title="busy")


def test_calls_are_counted_and_tables_add_up(watch: Watch) -> None:
    profile = profile_of(watch, BUSY, 3)
    functions = {function.name: function for function in profile.functions}
    assert functions["fibonacci"].calls == 465  # of fibonacci(12), itself included
    assert functions["jump"].calls == 300
    assert functions["systick"].calls == functions["[SysTick]"].calls >= 100
    assert functions["usage_fault"].calls == 1
    assert sum(function.own_cycles for function in profile.functions) == profile.cycles
    assert sum(line.own_cycles for line in profile.lines) == profile.cycles
    assert functions["main"].cycles["sleep"] > functions["main"].cycles["issue"]
    exceptions = functions["[SysTick]"].cycles
    assert exceptions.keys() == {"exception"}
    # 12 in, 10 out, and 17 to stack the FPU's registers where they were in use.
    assert 22 * 100 <= exceptions["exception"] <= 39 * functions["systick"].calls
    recursive = functions["fibonacci"]
    assert recursive.own_cycles < recursive.total_cycles < profile.cycles


def test_speedscope_weighs_what_was_counted(watch: Watch) -> None:
    profile = profile_of(watch, BUSY, 3)
    document = profile.speedscope
    (sampled,) = document["profiles"]
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    assert document["$schema"].startswith("https://www.speedscope.app/")
    assert sum(sampled["weights"]) == sampled["endValue"] == profile.cycles
    assert len(sampled["weights"]) == len(sampled["samples"])
    assert ["reset", "main", "(asleep)"] in [
        [frames[k] for k in sample] for sample in sampled["samples"]
    ]


def test_a_root_keeps_what_it_calls(watch: Watch) -> None:
    _, seen, symbols = watch(BUSY, 3, Modes(profile=True))
    whole = make_profile(seen, symbols, title="all")
    part = make_profile(seen, symbols, title="part", root="fibonacci")
    (recursive,) = (f for f in whole.functions if f.name == "fibonacci")
    assert part.cycles == recursive.total_cycles
    assert {function.name for function in part.functions} == {"fibonacci", "leaf"}
    assert part.lines == ()


def test_threads_keep_their_callers(watch: Watch) -> None:
    source = """
static uint32_t stacks[2][128], saved[2], current, rounds;
__attribute__((noinline)) void yield(void) { ICSR = 1 << 28; __asm volatile("dsb\\n isb"); }
__attribute__((noinline)) void work_a(void) { yield(); rounds++; }
__attribute__((noinline)) void work_b(void) { yield(); rounds++; }
void thread_a(void) { for (;;) work_a(); }
void thread_b(void) {
    while (rounds < 20) work_b();
    report(rounds);
    rest();
}
__attribute__((used)) uint32_t change(uint32_t sp) {
    saved[current] = sp;
    current ^= 1;
    return saved[current];
}
__attribute__((naked)) void pendsv(void) {
    __asm volatile("mrs r0, psp\\n stmdb r0!, {r4-r11}\\n push {r3, lr}\\n bl change\\n"
                   "pop {r3, lr}\\n ldmia r0!, {r4-r11}\\n msr psp, r0\\n bx lr");
}
static uint32_t prepare(uint32_t *top, void (*thread)(void)) {
    top[-1] = 1 << 24;
    top[-2] = (uint32_t)thread;
    return (uint32_t)(top - 16);
}
void main(void) {
    saved[0] = prepare(stacks[0] + 128, thread_a);
    saved[1] = prepare(stacks[1] + 128, thread_b);
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n bl thread_a"
                   :: "r"(stacks[0] + 128) : "r0");
}"""
    _, seen, symbols = watch(source, 1)
    found = paths(seen, symbols)
    assert "reset/main/thread_a/work_a/yield" in found
    assert "thread_b/work_b/yield" in found
    assert not any("work_a" in path and "work_b" in path for path in found)
    counted = {"/".join(names_of(seen, symbols, k)): c for k, c in enumerate(seen.calls) if k}
    assert counted["thread_b/work_b"].calls >= 9
    assert seen.process_stack is not None and seen.main_stack is not None
    base = next(v.start for v in symbols.variables if v.name == "stacks")
    assert base <= seen.process_stack.lowest < seen.process_stack.highest <= base + 1024


@given(
    weights=st.lists(st.integers(0, 20), min_size=1, max_size=12),
    cycles=st.lists(st.integers(0, 10**9), min_size=len(REASONS), max_size=len(REASONS)),
)
def test_spreading_a_block_over_its_lines_loses_no_cycle(
    weights: list[int], cycles: list[int]
) -> None:
    instructions = tuple((2 * i, weight) for i, weight in enumerate(weights))
    block = Block(0, 2 * len(weights), 1, tuple(cycles), instructions)
    parts = [part for _, part in _spread(block)]
    assert [sum(column) for column in zip(*parts, strict=True)] == cycles
    assert all(part >= 0 for column in parts for part in column)


# ---- SRAM ----


def test_every_byte_that_is_touched_is_seen_and_no_other(watch: Watch) -> None:
    source = """
volatile uint8_t written[100], both[64];
volatile uint32_t words[32];
__attribute__((section(".noinit"))) volatile uint8_t read_only[40];
void main(void) {
    for (int i = 10; i < 60; i++) written[i] = 1;
    for (int i = 0; i < 8; i++) both[8 * i] = i;
    uint32_t sum = 0;
    for (int i = 0; i < 8; i++) sum += both[8 * i];
    for (int i = 0; i < 7; i++) sum += read_only[i];
    report(sum & 0);
    words[3] = 1;
    *(volatile uint16_t *)((uint8_t *)words + 21) = 5; /* unaligned */
    *(volatile uint8_t *)0x20020001 = 1;
    report(0);
}"""
    _, seen, symbols = watch(source, 2, Modes(trace=True))
    use = make_sram_use(seen, symbols)
    start_up = 4 * ((100 + 64 + 128 + 3) // 4)  # .bss is cleared as a whole
    variables = {variable.name: variable for variable in use.variables}
    assert variables["written"].touched_bytes == 100 and variables["written"].read_bytes == 0
    assert (variables["both"].read_bytes, variables["both"].written_bytes) == (8, 64)
    assert (variables["read_only"].read_bytes, variables["read_only"].written_bytes) == (7, 0)
    assert variables["words"].written_bytes == 128
    sections = {section.name: section for section in use.sections}
    assert sections[".bss"].touched_bytes == start_up
    assert sections[".noinit"].touched_bytes == 7
    region = use.regions[0]
    assert region.size == 0x40000
    (stack,) = use.stacks
    assert region.touched_bytes <= start_up + 7 + 1 + stack.used_bytes


def test_the_stack_s_depth_is_what_painting_finds(watch: Watch) -> None:
    source = """
__attribute__((noinline)) uint32_t deep(uint32_t n) {
    volatile uint8_t room[300];
    room[0] = n;
    return n ? deep(n - 1) + room[0] : room[0];
}
volatile uint32_t done;
void systick(void) { deep(2); done = 1; REG(0xE000E010) = 0; }
void main(void) {
    uint32_t *low = (uint32_t *)0x20030000, *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    for (uint32_t *word = low; word < sp; word++)
        __asm volatile("str %1, [%0]" :: "r"(word), "r"(0xDEADBEEF) : "memory");
    REG(0xE000E014) = 2000; /* in the deepest call, perhaps */
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    deep(20);
    while (!done) {}
    while (*low == 0xDEADBEEF) low++;
    report((uint32_t)low);
}"""
    words, seen, _ = watch(source, 1, Modes(trace=True))
    assert seen.main_stack is not None
    # `deep` leaves most of its room alone: painting finds a word that was written, the pointer
    # went as low or lower.
    assert 0 <= words[0] - seen.main_stack.lowest <= 304
    assert seen.main_stack.highest == 0x20040000
    assert seen.process_stack is None


# ---- uninitialised reads ----


def test_a_read_of_what_nobody_wrote_is_told_once_an_instruction(watch: Watch) -> None:
    source = """
__attribute__((section(".noinit"))) volatile uint32_t never[4];
__attribute__((section(".noinit"))) volatile union { uint32_t word; uint16_t part; } half;
volatile uint32_t cleared;
__attribute__((noinline)) uint32_t guilty(void) { return never[2]; }
__attribute__((noinline)) uint32_t partly(void) {
    half.part = 1;
    return half.word;
}
void main(void) {
    uint32_t sum = cleared;
    for (int i = 0; i < 5; i++) sum += guilty();
    sum += partly();
    never[1] = 1;
    sum += never[1];
    report(sum & 0);
}"""
    _, seen, symbols = watch(source, 1, Modes(watch=True))
    found = {symbols.name_at(read.pc): read for read in seen.uninitialised}
    names = {name.split("+")[0] for name in found if name}
    assert names == {"guilty", "partly"}
    (guilty,) = (read for name, read in found.items() if name and name.startswith("guilty"))
    assert symbols.variable_at(guilty.address) == "never+0x8"
    assert (guilty.bytes, guilty.times) == (4, 5)


def test_a_firmware_that_writes_first_is_not_accused(watch: Watch) -> None:
    _, seen, _ = watch(BUSY, 3, Modes(watch=True))
    assert seen.uninitialised == ()


# ---- names ----


def test_addresses_have_functions_lines_and_variables(
    firmware_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.harness.virtual import firmware

    monkeypatch.setattr(firmware, "FLAGS", [*firmware.FLAGS, "-g"])
    elf = compile_firmware(f"/* with lines */ {BUSY}", firmware_folder)
    symbols = Symbols(elf)
    leaf = next(f for f in symbols.functions if f.name == "leaf")
    assert symbols.name_at(leaf.start | 1) == "leaf"
    assert symbols.name_at(leaf.start + 2) == "leaf+0x2"
    line = symbols.line_at(leaf.start)
    assert isinstance(line, SourceLine) and line.file.endswith("-main.c")
    assert (
        "uint32_t leaf"
        in elf.with_name(Path(line.file).name).read_text().splitlines()[line.line - 1]
    )
    assert symbols.describe(leaf.start) == f"0x{leaf.start:08x}, leaf ({line})"
    ticks = next(v for v in symbols.variables if v.name == "ticks")
    assert symbols.variable_at(ticks.start + 1) == "ticks+0x1"
    assert symbols.variable_at(0x20030000) is None
    assert symbols.boundaries() == sorted(set(symbols.boundaries()))
    assert symbols.line_at(0x20000000) is None


def test_a_file_without_names_knows_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.elf"
    broken.write_bytes(b"\x7fELF" + bytes(60))
    for symbols in (Symbols(None), Symbols(tmp_path / "absent.elf"), Symbols(broken)):
        assert symbols.describe(0x08000100) == "0x08000100"
        assert symbols.boundaries() == []
        assert symbols.sections == []
