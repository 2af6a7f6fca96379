"""What becomes of an access outside memory, a jump into nothing, a bad instruction: the exception,
status registers, address and stacked pc that ARMv7-M prescribes (DDI 0403, B1.5, B3.2.15)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import serial

from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import compile_firmware

HARD, MEMORY, BUS, USAGE = 3, 4, 5, 6
FORCED, DEBUGEVT, VECTTBL = 1 << 30, 1 << 31, 1 << 1
IACCVIOL, IBUSERR, PRECISERR, BFARVALID = 1 << 0, 1 << 8, 1 << 9, 1 << 15
STKERR, UNSTKERR = 1 << 12, 1 << 11
UNDEFINSTR, INVSTATE, INVPC, NOCP = 1 << 16, 1 << 17, 1 << 18, 1 << 19
UNALIGNED, DIVBYZERO = 1 << 24, 1 << 25

Run = Callable[..., list[int]]


@dataclass(frozen=True)
class Fault:
    number: int
    pc_offset: int  # of the stacked pc from the label `at`
    psr: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int
    lr: int


def provoke(run: Run, assembly: str, *, enabled: bool = True, setup: str = "") -> Fault:
    """Run `assembly`, whose faulting instruction carries the label `at`."""
    lines = "\\n".join(part.strip() for part in assembly.split(";"))
    source = f"""
__attribute__((naked, noinline)) static void misbehave(uint32_t *sram) {{
    __asm volatile("push {{r4-r7, lr}}\\n mov r4, r0\\n movs r0, #1\\n .balign 4\\n {lines}\\n"
                   "pop {{r4-r7, pc}}\\n .ltorg\\n");
}}
extern uint8_t at[];
static uint32_t area[64];
void main(void) {{
    SHCSR = {0x70000 if enabled else 0};
    {setup}
    report((uint32_t)at & ~1u);
    misbehave(area);
}}"""
    at, number, pc, *rest = run(source, 9)
    return Fault(number, pc - at, *rest)


def test_a_load_from_nowhere_is_a_precise_bus_fault(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x60000010; adds r0, #1; .global at; at: ldr r2, [r1, #4]")
    assert (fault.number, fault.cfsr, fault.bfar) == (BUS, PRECISERR | BFARVALID, 0x60000014)
    assert (fault.pc_offset, fault.hfsr) == (0, 0)


def test_a_store_to_nowhere_is_a_precise_bus_fault(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x20040000; .global at; at: strb r0, [r1], #1; nop")
    assert (fault.number, fault.cfsr, fault.bfar) == (BUS, PRECISERR | BFARVALID, 0x20040000)
    assert fault.pc_offset == 0


def test_the_first_word_outside_is_named_for_a_multiple_store(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x2003FFF8; .global at; at: stmia r1!, {r0, r2, r3, r4}")
    assert (fault.cfsr, fault.bfar, fault.pc_offset) == (PRECISERR | BFARVALID, 0x20040000, 0)


def test_a_peripheral_that_is_not_there_is_a_bus_fault(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x40018000; .global at; at: ldr r0, [r1]")
    assert (fault.number, fault.bfar) == (BUS, 0x40018000)


def test_the_it_state_of_a_faulting_instruction_is_stacked(run: Run) -> None:
    fault = provoke(
        run,
        "ldr r1, =0x60000000; cmp r0, r0; itte eq; moveq r2, #1; .global at; at: ldreq r3, [r1];"
        " movne r2, #2",
    )
    # ITSTATE 0000 0110 at the second of three: firstcond EQ, mask shifted once
    assert (fault.number, fault.pc_offset, fault.psr & 0x0600FC00) == (BUS, 0, 0x00000C00)


def test_a_jump_into_nothing_is_an_instruction_bus_error(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x10000001; .global at; at: bx r1")
    assert (fault.number, fault.cfsr) == (BUS, IBUSERR)


def test_the_pc_of_a_jump_into_nothing_is_its_target(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x10000001; .equ at, 0x10000000; .global at; bx r1")
    assert fault.pc_offset == 0


def test_a_jump_into_a_device_region_is_a_memory_management_fault(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x40020001; .global at; at: blx r1")
    assert (fault.number, fault.cfsr) == (MEMORY, IACCVIOL)


def test_an_undefined_instruction_is_a_usage_fault(run: Run) -> None:
    fault = provoke(run, "adds r0, #1; .global at; at: udf #3")
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, UNDEFINSTR, 0)


def test_a_jump_to_an_even_address_is_an_invalid_state(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x08000100; .global at; at: bx r1")
    assert (fault.number, fault.cfsr, fault.psr >> 24 & 1) == (USAGE, INVSTATE, 0)


def test_a_jump_to_zero_does_not_run_the_vector_table(run: Run) -> None:
    fault = provoke(run, "movs r1, #0; .equ at, 0; .global at; bx r1")
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, INVSTATE, 0)


def test_division_by_zero_traps_where_asked_for(run: Run) -> None:
    fault = provoke(
        run, "movs r1, #0; .global at; at: udiv r2, r0, r1; nop", setup="CCR |= 1 << 4;"
    )
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, DIVBYZERO, 0)


def test_every_register_can_divide_where_zero_traps(run: Run) -> None:
    registers = ["r0", "r5", "r8", "r12", "lr"]
    divisions = "".join(
        f'__asm volatile("mov {n}, #2; udiv %0, %1, {n}" : "=&r"(q) : "r"(84) : "{n}"); report(q);'
        for n in registers
    )
    source = f"void main(void) {{ uint32_t q; CCR |= 1 << 4; {divisions} }}"
    assert run(source, len(registers)) == [42] * len(registers)


def test_division_by_zero_gives_zero_otherwise(run: Run) -> None:
    source = """
void main(void) {
    uint32_t q = 7, zero = 0;
    __asm volatile("udiv %0, %0, %1" : "+r"(q) : "r"(zero));
    report(q);
}"""
    assert run(source, 1) == [0]


def test_unaligned_access_traps_where_asked_for(run: Run) -> None:
    fault = provoke(
        run, "adds r4, #2; ldrh r1, [r4]; .global at; at: ldr r1, [r4]", setup="CCR |= 1 << 3;"
    )
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, UNALIGNED, 0)


def test_an_fp_instruction_without_coprocessor_access_is_a_usage_fault(run: Run) -> None:
    fault = provoke(run, "adds r0, #1; .global at; at: vadd.f32 s0, s1, s2", setup="CPACR = 0;")
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, NOCP, 0)


def test_a_coprocessor_that_is_not_there_is_a_usage_fault(run: Run) -> None:
    fault = provoke(run, "adds r0, #1; .global at; at: mcr p7, 0, r0, c1, c2; nop")
    assert (fault.number, fault.cfsr, fault.pc_offset) == (USAGE, NOCP, 0)


def test_a_fault_that_is_not_enabled_escalates(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x60000000; .global at; at: ldr r0, [r1]", enabled=False)
    assert (fault.number, fault.hfsr) == (HARD, FORCED)
    assert (fault.cfsr, fault.bfar) == (PRECISERR | BFARVALID, 0x60000000)


def test_a_breakpoint_without_debugger_is_a_hard_fault(run: Run) -> None:
    fault = provoke(run, ".global at; at: bkpt #0")
    assert (fault.number, fault.hfsr, fault.pc_offset) == (HARD, DEBUGEVT, 0)


def test_a_supervisor_call_with_interrupts_masked_escalates(run: Run) -> None:
    fault = provoke(run, "cpsid i; svc #0; .global at; at: nop")
    assert (fault.number, fault.hfsr, fault.pc_offset) == (HARD, FORCED, 0)


def test_a_push_below_sram_is_a_bus_fault_at_the_push(run: Run) -> None:
    fault = provoke(run, "ldr r1, =0x20000028; mov sp, r1; .global at; at: push {r0-r11}; nop")
    assert (fault.number, fault.pc_offset) == (BUS, 0)
    assert (fault.cfsr, fault.bfar) == (PRECISERR | BFARVALID, 0x1FFFFFF8)


def test_a_stack_too_small_for_the_frame_is_a_stacking_error(run: Run) -> None:
    # The handler runs with sp below SRAM; the prelude's changes stacks before it pushes.
    source = """
__attribute__((naked)) void hard_fault(void) {
    __asm volatile("ldr sp, =0x2003F000\\n b hard_fault_report\\n");
}
__attribute__((used)) void hard_fault_report(void) {
    report(CFSR);
    report(HFSR);
    rest();
}
void main(void) {
    __asm volatile("ldr r0, =0x20000010\\n mov sp, r0\\n svc #0\\n" ::: "r0");
}"""
    assert run(source, 2) == [STKERR, FORCED]


def test_an_overflow_that_leaves_no_room_for_its_own_frame_is_a_hard_fault(run: Run) -> None:
    source = """
__attribute__((naked)) void hard_fault(void) {
    __asm volatile("mov r0, sp\\n ldr sp, =0x2003F000\\n b hard_fault_report\\n");
}
__attribute__((used)) void hard_fault_report(uint32_t sp) {
    report(CFSR);
    report(HFSR);
    report(BFAR);
    report(sp);
    rest();
}
void main(void) {
    SHCSR = 7 << 16;
    __asm volatile("mrs r0, control\\n bic r0, #4\\n msr control, r0\\n"
                   "ldr r0, =0x20000010\\n mov sp, r0\\n push {r0-r11}\\n" ::: "r0");
}"""
    assert run(source, 4) == [
        PRECISERR | BFARVALID | STKERR,
        FORCED,
        0x1FFFFFE0,
        0x20000010 - 0x20,
    ]


def test_a_return_to_a_stack_outside_memory_is_an_unstacking_error(run: Run) -> None:
    source = """
__attribute__((naked)) void svc(void) {
    __asm volatile("ldr r0, =0x20040000\\n mov sp, r0\\n bx lr\\n");
}
__attribute__((naked)) void bus_fault(void) {
    __asm volatile("ldr sp, =0x2003F000\\n b bus_fault_report\\n");
}
__attribute__((used)) void bus_fault_report(void) {
    report(CFSR);
    rest();
}
void main(void) {
    SHCSR = 7 << 16;
    __asm volatile("svc #0");
}"""
    assert run(source, 1) == [UNSTKERR]


def test_an_invalid_exception_return_is_a_usage_fault(run: Run) -> None:
    source = """
__attribute__((naked)) void svc(void) { __asm volatile("ldr lr, =0xFFFFFFF5\\n bx lr\\n"); }
void main(void) {
    SHCSR = 7 << 16;
    __asm volatile("svc #0");
}"""
    number, *_, cfsr = run(source, 4)
    assert (number, cfsr) == (USAGE, INVPC)


RETURNS = {
    "a code that means nothing": ("ldr lr, =0xFFFFFFF5", 0xFFFFFFF5),
    "to a handler where none was interrupted": ("ldr lr, =0xFFFFFFF1", 0xFFFFFFF1),
    "from a handler that is no longer active": (
        "ldr r0, =0xE000ED24\\n ldr r1, =7 << 16\\n str r1, [r0]",
        0xFFFFFFF9,
    ),
}


@pytest.mark.parametrize("name", RETURNS)
def test_a_refused_return_leaves_the_frame_it_meant_and_says_which(run: Run, name: str) -> None:
    spoil, exc_return = RETURNS[name]
    source = f"""
__attribute__((naked)) void svc(void) {{ __asm volatile("{spoil}\\n bx lr\\n .ltorg\\n"); }}
__attribute__((naked)) void usage_fault(void) {{
    __asm volatile("mov r0, sp\\n mov r1, lr\\n b report_return\\n");
}}
extern uint8_t after[];
__attribute__((used)) void report_return(uint32_t *frame, uint32_t lr) {{
    report(CFSR);
    report(lr);
    report(frame[6] - ((uint32_t)after & ~1u));
    report(REG(0xE000ED24) >> 7 & 1);
    rest();
}}
void main(void) {{
    SHCSR = 7 << 16;
    __asm volatile("svc #0\\n .global after\\n after:");
}}"""
    assert run(source, 4) == [INVPC, exc_return, 0, 0]


def test_a_frame_of_an_exception_that_does_not_exist_does_no_harm(run: Run) -> None:
    source = """
__attribute__((naked)) void pendsv(void) {
    __asm volatile("ldr r0, [sp, #28]\\n ldr r1, =0x1FF\\n orr r0, r1\\n str r0, [sp, #28]\\n"
                   "bx lr\\n .ltorg\\n");
}
void svc(void) {
    ICSR = 1 << 28;
    __asm volatile("dsb\\n isb");
}
void main(void) {
    SHCSR = 7 << 16;
    REG(0xE000ED1C) = 0x80000000; /* SVC waits for PendSV */
    __asm volatile("svc #0");
}"""
    number, *_, cfsr = run(source, 4)
    assert (number, cfsr) == (USAGE, INVPC)


LOCKING = {
    "a fault inside HardFault": (
        "void hard_fault(void) { REG(0x60000000) = 1; }\nvoid main(void) { REG(0x60000000) = 1; }"
    ),
    "a vector table outside memory": (
        'void main(void) { REG(0xE000ED08) = 0x60000000; __asm volatile("udf #0"); }'
    ),
    "a stack outside memory at a HardFault": (
        'void main(void) { __asm volatile("ldr r0, =0x70000000\\n mov sp, r0\\n udf #0\\n"); }'
    ),
}


@pytest.mark.parametrize("name", LOCKING)
def test_lock_up_is_reported_and_the_board_still_answers(
    virtual_board: VirtualBoard, firmware_folder: object, run: Run, name: str
) -> None:
    run("void main(void) { report(1); }", 1)
    elf = compile_firmware(LOCKING[name], firmware_folder)  # type: ignore[arg-type]
    virtual_board.load(elf)
    assert wait_for_state(virtual_board, "locked up").pc != 0
    assert run("void main(void) { report(2); }", 1) == [2]


def wait_for_state(board: VirtualBoard, state: str):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 10
    while (counters := board.counters()).state != state:
        assert time.monotonic() < deadline, f"{counters}, expected {state}"
        time.sleep(0.005)
    return counters


def test_an_erased_board_locks_up(virtual_board: VirtualBoard, tmp_path: object) -> None:
    elf = compile_firmware(
        '__attribute__((section(".ram"))) void unused(void) {}\nvoid main(void) {}',
        tmp_path,  # type: ignore[arg-type]
        flash="0x08010000",  # leaves the reset vector erased
    )
    with serial.Serial(virtual_board.port, timeout=1):
        virtual_board.load(elf)
        assert wait_for_state(virtual_board, "locked up").instructions >= 0
