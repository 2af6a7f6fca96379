"""What flash costs: wait states, caches, prefetch. Loops and copies, counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., list[int]]

PREFETCH, INSTRUCTIONS, DATA = 1 << 8, 1 << 9, 1 << 10

# Each is measured twice, the second counts: caches are warm, if on. What
# is measured begins with a block of its own: flash waits are charged where a block starts.
SOURCE = r"""
#define ACR REG(0x40023C00)
#define TIMED(name, body) \
    __attribute__((naked, noinline, aligned(64))) static uint32_t name(const uint32_t *p) { \
        __asm volatile("push {r4-r7, lr}\n ldr r7, =0xE0001004\n movs r2, #50\n ldr r6, [r7]\n" \
                       "b 0f\n .balign 16\n 0:\n" body "b 0f\n .balign 4\n 0: ldr r7, [r7]\n" \
                       "subs r0, r7, r6\n pop {r4-r7, pc}\n .ltorg\n"); \
    }
const uint32_t table[256] __attribute__((aligned(64))) = {1};
uint32_t area[256];
TIMED(loop, "1: adds r3, #1\n subs r2, #1\n bne 1b\n")
TIMED(straight, ".rept 512\n adds r3, #1\n .endr\n")
TIMED(one_line, "ldr r3, [r0]\n ldr r3, [r0, #4]\n ldr r3, [r0, #8]\n ldr r3, [r0, #12]\n")
TIMED(two_lines, "ldr r3, [r0]\n nop\n ldr r3, [r0, #16]\n nop\n")
TIMED(spilled, "sub sp, #8\n str r0, [sp, #4]\n movs r2, #64\n"
               "1: ldr r5, [sp, #4]\n ldr r3, [r5], #4\n str r5, [sp, #4]\n"
               "subs r2, #1\n bne 1b\n add sp, #8\n")
TIMED(stream, "movs r2, #64\n 1: ldr r3, [r0], #4\n subs r2, #1\n bne 1b\n")
static uint32_t again(uint32_t (*timed)(const uint32_t *), const void *p) {
    timed(p);
    return timed(p);
}
"""


def cycles(run: Run, acr: int, function: str, pointer: str) -> int:
    """The second call's cycles with FLASH_ACR = `acr`."""
    main = f"void main(void) {{ ACR = {acr}; report(again({function}, {pointer})); }}"
    return run(SOURCE + main, 1)[0]


@pytest.mark.parametrize("wait_states", [3, 5, 7])
def test_a_loop_in_the_instruction_cache_knows_no_wait_states(run: Run, wait_states: int) -> None:
    cached = cycles(run, wait_states | INSTRUCTIONS, "loop", "area")
    assert cached == cycles(run, 0, "loop", "area")


def test_without_a_cache_every_taken_branch_waits(run: Run) -> None:
    idle = cycles(run, 0, "loop", "area")
    assert cycles(run, 4, "loop", "area") - idle >= 49 * 4


def test_a_branch_waits_also_where_the_core_was_looked_after_meanwhile(run: Run) -> None:
    """Ticks that are masked take nothing from the program, wherever they fall into it."""
    main = """void main(void) {
        __asm volatile("cpsid i");
        ACR = 5;
        REG(0xE000E014) = 40;
        again(loop, area);
        report(again(loop, area));
        REG(0xE000E010) = 7;
        report(again(loop, area));
        REG(0xE000E010) = 0;
    }"""
    undisturbed, ticking = run(SOURCE + main, 2)
    assert ticking == undisturbed


def test_straight_code_larger_than_the_cache_waits_for_every_line(run: Run) -> None:
    """512 instructions of 2 bytes are 64 lines of 16 bytes; with what is around them they do not
    fit into 64, and the least recently used is always the next one needed."""
    idle, waiting = (cycles(run, acr, "straight", "area") for acr in (0, 5 | INSTRUCTIONS))
    assert 62 * 5 <= waiting - idle <= 68 * 5


def test_prefetch_reads_the_next_line_while_this_one_executes(run: Run) -> None:
    """Eight cycles of work a line hide six of reading."""
    idle = cycles(run, 0, "straight", "area")
    assert cycles(run, 5 | INSTRUCTIONS | PREFETCH, "straight", "area") - idle <= 3 * 5
    assert cycles(run, 12 | INSTRUCTIONS | PREFETCH, "straight", "area") - idle >= 62 * 4


@pytest.mark.parametrize(("function", "lines"), [("one_line", 1), ("two_lines", 2)])
def test_data_waits_once_a_line_and_not_again_while_it_is_held(
    run: Run, function: str, lines: int
) -> None:
    idle = cycles(run, 0, function, "table")
    held = cycles(run, 5 | INSTRUCTIONS | DATA, function, "table")
    unheld = cycles(run, 5 | INSTRUCTIONS, function, "table")
    loads = 4 if lines == 1 else 2
    assert (held - idle, unheld - idle) == (0, 5 * loads)


@pytest.mark.parametrize("function", ["stream", "spilled"])
def test_data_streamed_past_the_cache_waits_once_a_line(run: Run, function: str) -> None:
    """64 words are 16 lines, the data cache holds 8; a read takes two cycles besides its waits.
    Where the pointer lives, in a register or on the stack, makes no difference."""
    idle = cycles(run, 0, function, "table")
    assert cycles(run, 5 | INSTRUCTIONS | DATA, function, "table") - idle == 16 * (5 + 2)


def test_sram_knows_no_wait_states(run: Run) -> None:
    idle = cycles(run, 0, "stream", "area")
    assert cycles(run, 5 | INSTRUCTIONS | DATA, "stream", "area") == idle


FROM_RAM = """
TIMED(busy, ".rept 8\\n ldr.w r3, [r0]\\n add.w r4, r4, r3\\n str.w r4, [r0, #4]\\n .endr\\n")
TIMED(quiet, ".rept 24\\n add.w r4, r4, r3\\n .endr\\n")
uint32_t copy[96] __attribute__((aligned(64)));
static uint32_t from_ram(uint32_t (*timed)(const uint32_t *)) {
    const uint32_t *code = (const uint32_t *)((uint32_t)timed & ~1u);
    for (int i = 0; i < 96; i++)
        copy[i] = code[i];
    __asm volatile("dsb\\n isb" ::: "memory");
    return again((uint32_t (*)(const uint32_t *))((uint32_t)copy | 1), area);
}
void main(void) {
    report(again(quiet, area));
    report(from_ram(quiet));
    report(again(busy, area));
    report(from_ram(busy));
}"""


def test_code_in_ram_shares_its_bus_with_data(run: Run) -> None:
    """Without data the same code takes as long as from flash; each access costs it a fetch."""
    quiet_flash, quiet_ram, busy_flash, busy_ram = run(SOURCE + FROM_RAM, 4)
    assert quiet_ram == quiet_flash
    assert 1 <= busy_ram - busy_flash <= 16
