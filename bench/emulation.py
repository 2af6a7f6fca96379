"""How many instructions a second does the virtual board execute, cycle model on, on one core? And
how many does Unicorn alone, without hooks, on the same image?"""

from __future__ import annotations

import os
import pty
import subprocess
import tempfile
import threading
import time
import tty
from pathlib import Path
from statistics import median

import unicorn
from unicorn import arm_const

from harness.board import BOARDS_DIR, Board, load_board
from harness.chip import load_chip
from harness.virtual import TIMING_MODEL
from harness.virtual.core import Core
from harness.virtual.loader import read_program

BOARD = "nucleo_f412zg"
REPEATS = 3
MIN_MIPS = 100

LINKER_SCRIPT = """
ENTRY(reset)
MEMORY
{
  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 1M
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 256K
}
SECTIONS
{
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .bss (NOLOAD) : { *(.bss*) } > RAM
}
"""

START = """
#include <stdint.h>
void reset(void);
__attribute__((section(".vectors"), used)) void *const vectors[] = {(void *)0x20040000, reset};
int8_t input[16 * 16 * 32], output[16 * 16 * 32];
const int8_t weights[32 * 3 * 3 * 32] = {1, 2, 3, -4, 5};
static int8_t requantize(int32_t sum) {
    int32_t scaled = (int32_t)(((int64_t)sum * 1518500250 + (1 << 30)) >> 31) >> 6;
    return (int8_t)(scaled > 127 ? 127 : scaled < -128 ? -128 : scaled);
}
static void layer(void);
void reset(void) {
    for (int i = 0; i < ROUNDS; i++)
        layer();
    __asm volatile("end_of_run: .global end_of_run\\n wfi\\n b end_of_run");
}
"""

# name: (rounds, C of one layer); a few hundred million instructions each.
WORKLOADS = {
    "convolution 3x3, plain C": (
        12,
        """
static void layer(void) {
    for (int y = 1; y < 15; y++)
        for (int x = 1; x < 15; x++)
            for (int o = 0; o < 32; o++) {
                int32_t sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++) {
                        const int8_t *in = input + ((y + dy) * 16 + x + dx) * 32;
                        const int8_t *w = weights + ((o * 3 + dy + 1) * 3 + dx + 1) * 32;
                        for (int c = 0; c < 32; c++)
                            sum += (in[c] + 128) * w[c];
                    }
                output[(y * 16 + x) * 32 + o] = requantize(sum);
            }
}""",
    ),
    "convolution 1x1, SMLAD": (
        120,
        """
static uint32_t sxtb16(uint32_t word) {
    uint32_t result;
    __asm("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
}
static uint32_t sxtb16_odd(uint32_t word) {
    uint32_t result;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}
static int32_t smlad(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}
static void layer(void) {
    for (int p = 0; p < 256; p++)
        for (int o = 0; o < 32; o++) {
            int32_t sum = 0;
            const uint32_t *in = (const uint32_t *)(input + p * 32);
            const uint32_t *w = (const uint32_t *)(weights + o * 32);
            for (int c = 0; c < 8; c++) {
                sum = smlad(sxtb16(in[c]), sxtb16(w[c]), sum);
                sum = smlad(sxtb16_odd(in[c]), sxtb16_odd(w[c]), sum);
            }
            output[p * 32 + o] = requantize(sum);
        }
}""",
    ),
    "depthwise 3x3, plain C": (
        180,
        """
static void layer(void) {
    for (int y = 1; y < 15; y++)
        for (int x = 1; x < 15; x++)
            for (int c = 0; c < 32; c++) {
                int32_t sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++)
                        sum += (input[((y + dy) * 16 + x + dx) * 32 + c] + 128) *
                               weights[((dy + 1) * 3 + dx + 1) * 32 + c];
                output[(y * 16 + x) * 32 + c] = requantize(sum);
            }
}""",
    ),
}


def run() -> dict[str, object]:
    board = load_board(BOARD)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (rounds, source) in WORKLOADS.items():
            elf = _compile(Path(folder) / "workload", rounds, source)
            runs = [_virtual_board(board, elf) for _ in range(REPEATS)]
            instructions, cycles, _ = runs[0]
            seconds = median(seconds for _, _, seconds in runs)
            bare = median(_bare_unicorn(board, elf) for _ in range(REPEATS))
            rows.append(
                {
                    "workload": name,
                    "instructions": instructions,
                    "cycles": cycles,
                    "cycles_equal_in_all_runs": len({(i, c) for i, c, _ in runs}) == 1,
                    "virtual_board_mips": round(instructions / seconds / 1e6, 1),
                    "bare_unicorn_mips": round(instructions / bare / 1e6, 1),
                    "model_costs_percent": round((seconds / bare - 1) * 100, 1),
                }
            )
    return {"bound": {"min_mips": MIN_MIPS}, "timing_model": TIMING_MODEL, "workloads": rows}


def _compile(stem: Path, rounds: int, source: str) -> Path:
    script, code, elf = (stem.with_suffix(suffix) for suffix in (".ld", ".c", ".elf"))
    script.write_text(LINKER_SCRIPT)
    code.write_text(START + source)
    flags = (
        "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -O3 -nostdlib -ffreestanding"
    )
    subprocess.run(
        ["arm-none-eabi-gcc", *flags.split(), f"-DROUNDS={rounds}", "-T", script, code, "-o", elf],
        check=True,
        timeout=60,
    )
    return elf


def _virtual_board(board: Board, elf: Path) -> tuple[int, int, float]:
    """(instructions, cycles, seconds) until the workload sleeps."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    wake = os.eventfd(0)
    core = Core(board, load_chip(board.chip, BOARDS_DIR), master, wake)
    for address, data in read_program(elf, [board.memory.flash]).segments:
        core.write(address, data)
    thread = threading.Thread(target=core.run)
    start = time.perf_counter()
    thread.start()
    while core.state != "asleep":
        time.sleep(0.0005)
    seconds = time.perf_counter() - start
    core.stop()
    os.eventfd_write(wake, 1)
    thread.join()
    for fd in (master, slave, wake):
        os.close(fd)
    return core.instructions, core.cycles, seconds


def _bare_unicorn(board: Board, elf: Path) -> float:
    """Seconds that Unicorn takes for the same image with no hook at all."""
    flash, sram = board.memory.flash, board.memory.sram
    machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    machine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    machine.mem_map(flash.base, flash.size)
    machine.mem_map(sram.base, sram.size)
    for address, data in read_program(elf, [flash]).segments:
        machine.mem_write(address, data)
    stack, entry = (int.from_bytes(machine.mem_read(flash.base + i, 4), "little") for i in (0, 4))
    machine.reg_write(arm_const.UC_ARM_REG_SP, stack)
    start = time.perf_counter()
    machine.emu_start(entry, 0)  # WFI ends it
    return time.perf_counter() - start
