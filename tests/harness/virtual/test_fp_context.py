"""When are the FP registers stacked, and by whom? (DDI 0403, B1.5.7; DDI 0439, 3.8.)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.virtual.firmware import INTERRUPTS

Run = Callable[..., list[int]]


FP_WORK = """
static float area[16];
static volatile uint32_t state, address, kept;
__attribute__((noinline)) static uint32_t svc_and_count(void) {
    uint32_t same = 0;
    float after[16];
    for (int i = 0; i < 16; i++)
        area[i] = (float)i + 0.25f;
    __asm volatile("vldmia %0, {s0-s15}\\n svc #0\\n vstmia %1, {s0-s15}"
                   :: "r"(area), "r"(after)
                   : "memory", "r12", "lr", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8",
                     "s9", "s10", "s11", "s12", "s13", "s14", "s15");
    for (int i = 0; i < 16; i++)
        same += after[i] == area[i];
    return same;
}
"""


@pytest.mark.parametrize("eager", [False, True])
def test_fp_registers_are_stacked_when_a_handler_needs_them(run: Run, eager: bool) -> None:
    source = f"""
void svc(void) {{
    volatile uint32_t *frame = (volatile uint32_t *)FPCAR;
    state = FPCCR;
    address = (uint32_t)frame;
    if (!{int(eager)})
        frame[3] = 0xDEAD;
    __asm volatile("vmov.f32 s3, #2.0" ::: "s3"); /* stores S0 to S15 and FPSCR first */
    kept = frame[3];
    state |= (FPCCR & 1) << 16;
}}
void main(void) {{
    FPCCR = {0x80000000 if eager else 0xC0000000}u;
    report(svc_and_count());
    report(state & 1);
    report(state >> 16 & 1);
    report({int(eager)} ? 0x40500000 : kept);
    uint32_t control;
    __asm volatile("mrs %0, control" : "=r"(control));
    report(control & 4);
}}"""
    assert run(INTERRUPTS + FP_WORK + source, 5) == [16, int(not eager), 0, 0x40500000, 4]


def test_a_handler_without_fp_leaves_the_registers_where_they_are(run: Run) -> None:
    source = """
static volatile uint32_t untouched;
void svc(void) {
    volatile uint32_t *frame = (volatile uint32_t *)FPCAR;
    state = FPCCR;
    frame[3] = 0xDEAD;
    untouched = frame[3];
}
void main(void) {
    report(svc_and_count());
    report(state & 0x9); /* LSPACT and THREAD */
    report(untouched);
    report(FPCCR & 1);
}"""
    assert run(INTERRUPTS + FP_WORK + source, 4) == [16, 9, 0xDEAD, 0]


def test_nested_handlers_with_fp_keep_each_others_registers(run: Run) -> None:
    source = """
static volatile uint32_t inner_kept;
void pendsv(void) {
    __asm volatile("vmov.f32 s3, #4.0\\n vmov.f32 s9, #8.0" ::: "s3", "s9");
}
void svc(void) {
    float value;
    __asm volatile("vmov.f32 s3, #2.0" ::: "s3");
    ICSR = 1 << 28;
    settle();
    __asm volatile("vmov %0, s3" : "=r"(value));
    inner_kept = value == 2.0f;
}
void main(void) {
    REG(0xE000ED1C) = 0x80u << 24; /* SVCall less urgent than PendSV */
    report(svc_and_count());
    report(inner_kept);
}"""
    assert run(INTERRUPTS + FP_WORK + source, 2) == [16, 1]


def test_fp_registers_are_stacked_by_the_first_fp_instruction_that_is_executed(run: Run) -> None:
    source = """
static volatile uint32_t executes;
__attribute__((naked)) void svc(void) { /* S3 changes under a condition, then S4 does */
    __asm volatile("ldr r0, =condition\\n ldr r0, [r0]\\n ldr r0, [r0]\\n cmp r0, #0\\n it ne\\n"
                   "vmovne.f32 s3, #2.0\\n b 1f\\n nop\\n 1: vmov.f32 s4, #2.0\\n bx lr\\n"
                   ".ltorg");
}
__attribute__((used)) volatile uint32_t *const condition = &executes;
void main(void) {
    for (uint32_t i = 0; i < 8; i++) {
        executes = i % 3 != 1;
        report(svc_and_count());
    }
}"""
    assert run(INTERRUPTS + FP_WORK + source, 8) == [16] * 8


def test_fp_code_is_entered_as_fast_and_pays_a_cycle_a_word_where_the_handler_has_fp(
    run: Run,
) -> None:
    source = """
NAKED empty(void) { __asm volatile("bx lr"); }
NAKED with_fp(void) { __asm volatile("vmov.f32 s0, s0\\n bx lr"); }
__attribute__((naked, noinline)) static uint32_t pend_and_time(uint32_t mask) {
    __asm volatile("ldr r1, =0xE0001004\\n ldr r2, =0xE000E200\\n isb\\n ldr r3, [r1]\\n"
                   "str r0, [r2]\\n isb\\n ldr r0, [r1]\\n subs r0, r3\\n bx lr\\n .ltorg");
}
static uint32_t time_without_context(uint32_t mask) {
    __asm volatile("mrs r0, control\\n bic r0, #4\\n msr control, r0\\n isb" ::: "r0");
    return pend_and_time(mask);
}
static uint32_t time_with_context(uint32_t mask) {
    __asm volatile("vmov.f32 s0, s0\\n isb");
    return pend_and_time(mask);
}
void main(void) {
    use_table();
    use(16, empty, 0x40);
    use(17, with_fp, 0x40);
    pend_and_time(3);
    report(time_without_context(1));
    report(time_with_context(1));
    report(time_without_context(2));
    report(time_with_context(2));
}"""
    plain, lazy, plain_fp, stacked = run(INTERRUPTS + source, 4)
    assert plain == lazy
    assert stacked - plain_fp == 2 * 17  # stored, and loaded again


def test_a_new_fp_context_begins_with_the_default_status(run: Run) -> None:
    source = """
static volatile uint32_t inside;
void svc(void) {
    uint32_t status;
    __asm volatile("vmov.f32 s0, s0\\n vmrs %0, fpscr" : "=r"(status) :: "s0");
    inside = status;
}
void main(void) {
    REG(0xE000EF3C) = 1 << 24; /* FPDSCR: flush to zero */
    __asm volatile("vmsr fpscr, %0" :: "r"(3 << 22));
    __asm volatile("svc #0" ::: "memory");
    uint32_t after;
    __asm volatile("vmrs %0, fpscr" : "=r"(after));
    report(inside & 0x07C00000);
    report(after & 0x07C00000);
}"""
    assert run(INTERRUPTS + source, 2) == [1 << 24, 3 << 22]
