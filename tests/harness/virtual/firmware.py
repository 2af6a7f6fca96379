"""Small firmware for the virtual board's tests: start-up, console and fault reporting in C,
compiled with the cross compiler."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path

import serial
from elftools.elf.elffile import ELFFile

from harness.virtual import VirtualBoard

LINKER_SCRIPT = """
ENTRY(reset)
MEMORY
{
  FLASH (rx) : ORIGIN = %(flash)s, LENGTH = 1M
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 256K
}
SECTIONS
{
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.ram*) . = ALIGN(4); } > FLASH
  .bss (NOLOAD) : { bss_start = .; *(.bss*) *(.data*) . = ALIGN(4); bss_end = .; } > RAM
  .noinit (NOLOAD) : { *(.noinit) } > RAM
}
"""

HEADER = r"""
#include <stdint.h>
#define REG(address) (*(volatile uint32_t *)(address))
#define CYCCNT REG(0xE0001004)
#define CFSR REG(0xE000ED28)
#define HFSR REG(0xE000ED2C)
#define MMFAR REG(0xE000ED34)
#define BFAR REG(0xE000ED38)
#define SHCSR REG(0xE000ED24)
#define CCR REG(0xE000ED14)
#define ICSR REG(0xE000ED04)
#define CPACR REG(0xE000ED88)
void put(uint32_t byte);
uint32_t get(void);
void report(uint32_t word);
void rest(void);
"""

STM32F4_CONSOLE = r"""
void put(uint32_t byte) {
    REG(0x40004804) = byte;
    while (!(REG(0x40004800) & 0x40)) {
    }
}
uint32_t get(void) {
    while (!(REG(0x40004800) & 0x20)) {
    }
    return REG(0x40004804) & 0xFF;
}
static void console_start(void) {
    REG(0x40004808) = 16; /* a megabaud of HSI */
    REG(0x4000480C) = 0x200C;
}
"""

STM32L4_CONSOLE = r"""
void put(uint32_t byte) {
    REG(0x40008028) = byte;
    while (!(REG(0x4000801C) & 0x40)) {
    }
}
uint32_t get(void) {
    while (!(REG(0x4000801C) & 0x20)) {
    }
    return REG(0x40008024) & 0xFF;
}
static void console_start(void) {
    REG(0x4000800C) = 1024; /* a megabaud of MSI */
    REG(0x40008000) = 0xD;
}
"""

NRF52_CONSOLE = r"""
void put(uint32_t byte) {
    REG(0x4000211C) = 0;
    REG(0x4000251C) = byte;
    while (!REG(0x4000211C)) {
    }
}
uint32_t get(void) {
    while (!REG(0x40002108)) {
    }
    REG(0x40002108) = 0;
    return REG(0x40002518);
}
static void console_start(void) {
    REG(0x4000250C) = 6;
    REG(0x40002514) = 8;
    REG(0x40002524) = 0x10000000;
    REG(0x40002500) = 4;
    REG(0x40002008) = 1;
    REG(0x40002000) = 1;
}
"""

RUNTIME = r"""
void report(uint32_t word) {
    for (int i = 0; i < 4; i++)
        put(word >> (8 * i) & 0xFF);
}
void rest(void) {
    for (;;)
        get();
}

/* Reports number, pc, psr, cfsr, hfsr, mmfar, bfar, lr; then rests. */
__attribute__((used)) void report_fault(uint32_t *frame, uint32_t lr) {
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    report(number);
    report(frame[6]);
    report(frame[7]);
    report(CFSR);
    report(HFSR);
    report(MMFAR);
    report(BFAR);
    report(lr);
    rest();
}
__attribute__((naked)) void fault(void) {
    __asm volatile("tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n mov r1, lr\n"
                   "ldr sp, =0x2003F000\n b report_fault\n");
}

void reset(void);
void main(void);
#define WEAK(name) __attribute__((weak, alias("fault"))) void name(void)
WEAK(hard_fault);
WEAK(memory_fault);
WEAK(bus_fault);
WEAK(usage_fault);
WEAK(svc);
WEAK(pendsv);
WEAK(systick);
WEAK(irq0);

__attribute__((section(".vectors"), used)) void (*const vectors[])(void) = {
    (void (*)(void))0x20040000, reset, fault, hard_fault, memory_fault, bus_fault, usage_fault,
    0, 0, 0, 0, svc, 0, 0, pendsv, systick, irq0};

extern uint32_t bss_start[], bss_end[];
void reset(void) {
    for (uint32_t *word = bss_start; word < bss_end; word++)
        *word = 0;
    CPACR |= 0xF << 20;
    console_start();
    REG(0xE000EDFC) |= 1u << 24;
    CYCCNT = 0;
    REG(0xE0001000) |= 1;
    main();
    rest();
}
"""

FLAGS = [
    *("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    *("-O2", "-g", "-std=gnu11", "-Wall", "-Werror", "-Wno-unused-function", "-ffreestanding"),
    *("-nostdlib", "-fno-tree-loop-distribute-patterns", "-Wl,--no-warn-rwx-segments"),
]

# A vector table in SRAM, so that a test can put its handler at any line.
HANDLERS = r"""
static void (*table[128])(void) __attribute__((aligned(512)));
static void on_interrupt(int irq, void (*handler)(void)) {
    void (**flash)(void) = (void (**)(void))FLASH;
    __asm volatile("" : "+r"(flash)); /* at 0 it is not NULL here */
    for (int i = 0; i < 16; i++)
        table[i] = flash[i];
    table[16 + irq] = handler;
    REG(0xE000ED08) = (uint32_t)table;
    REG(0xE000E100 + 4 * (irq / 32)) = 1u << irq % 32;
}
static uint32_t since(uint32_t start) { return CYCCNT - start; }
"""

# The same for handlers of any number and priority, and what else the NVIC's tests need.
INTERRUPTS = """
#define SCR REG(0xE000ED10)
#define FPCCR REG(0xE000EF34)
#define FPCAR REG(0xE000EF38)
#define ISER REG(0xE000E100)
#define ISPR REG(0xE000E200)
#define ICPR REG(0xE000E280)
#define NAKED __attribute__((naked)) static void
static uint32_t table[128] __attribute__((aligned(512)));
static void use_table(void) {
    for (int i = 0; i < 16; i++)
        table[i] = ((uint32_t *)FLASH)[i];
    REG(0xE000ED08) = (uint32_t)table;
}
static void use(int number, void (*handler)(void), uint8_t priority) {
    table[number] = (uint32_t)handler;
    if (number >= 16) {
        *(volatile uint8_t *)(0xE000E400 + number - 16) = priority;
        REG(0xE000E100 + (number - 16) / 32 * 4) = 1u << (number - 16) % 32;
    } else {
        *(volatile uint8_t *)(0xE000ED18 + number - 4) = priority;
    }
}
static inline void settle(void) { __asm volatile("dsb\\n isb" ::: "memory"); }
"""


def compile_firmware(
    source: str, folder: Path, *, flash: str = "0x08000000", console: str = STM32F4_CONSOLE
) -> Path:
    """The ELF of the runtime and `source`, which knows where FLASH begins; the same source is
    compiled once a folder."""
    runtime = HEADER + console + RUNTIME
    name = hashlib.sha256((runtime + source + flash).encode()).hexdigest()[:16]
    elf = folder / f"{name}.elf"
    if elf.exists():
        return elf
    script = folder / f"{name}.ld"
    script.write_text(LINKER_SCRIPT % {"flash": flash})
    # Two units, so that a test's handler replaces the runtime's weak one.
    parts = {"runtime": runtime, "main": HEADER + source}
    codes = [folder / f"{name}-{part}.c" for part in parts]
    for code, text in zip(codes, parts.values(), strict=True):
        code.write_text(text)
    subprocess.run(
        [
            "arm-none-eabi-gcc",
            *FLAGS,
            f"-DFLASH={flash}",
            "-T",
            script,
            *codes,
            "-o",
            elf,
            "-lgcc",
        ],
        check=True,
        timeout=60,
    )
    return elf


def symbols(elf: Path) -> dict[str, int]:
    """The value of every symbol."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def run_firmware(board: VirtualBoard, elf: Path, words: int, *, send: bytes = b"") -> list[int]:
    """Load `elf` and read the first `words` words it reports."""
    with serial.Serial(board.port, timeout=10) as line:
        board.load(elf)
        line.write(send)
        data = line.read(4 * words)
    assert len(data) == 4 * words, f"{len(data)} of {4 * words} bytes, {board.counters()}"
    return list(struct.unpack(f"<{words}I", data))
