"""Exception entry and return as silicon does them: frames, stack pointers, priorities, SysTick."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., list[int]]


def test_a_supervisor_call_runs_its_handler_and_comes_back(run: Run) -> None:
    source = """
static volatile uint32_t seen;
void svc(void) { __asm volatile("mrs %0, ipsr" : "=r"(seen)); }
void main(void) {
    uint32_t after = 5;
    __asm volatile("svc #0\\n adds %0, #1" : "+r"(after) :: "cc", "r12", "lr");
    report(seen);
    report(after);
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    report(number);
}"""
    assert run(source, 3) == [11, 6, 0]


def test_the_basic_frame_holds_the_eight_registers_in_order(run: Run) -> None:
    source = """
__attribute__((naked)) void svc(void) { __asm volatile("mov r0, sp\\n mov r1, lr\\n b show"); }
__attribute__((used)) void show(uint32_t *frame, uint32_t lr) {
    for (int i = 0; i < 6; i++)
        report(frame[i]);
    report(frame[6]);
    report(frame[7]);
    report(lr);
    rest();
}
extern uint8_t after[];
void main(void) {
    report((uint32_t)after & ~1u);
    __asm volatile("mrs r0, control\\n bic r0, #4\\n msr control, r0\\n isb\\n"
                   "ldr r0, =0x2003F000\\n mov sp, r0\\n"
                   "movs r0, #10\\n movs r1, #11\\n movs r2, #12\\n movs r3, #13\\n"
                   "mov.w r12, #14\\n mov.w lr, #15\\n cmp r0, r0\\n svc #0\\n"
                   ".global after\\n after: nop");
}"""
    after, *frame, psr, lr = run(source, 10)
    assert frame == [10, 11, 12, 13, 14, 15, after, *frame[7:]]
    assert psr & 0xF1000000 == 0x61000000  # Z and C from the comparison, Thumb
    assert psr & 0x1FF == 0
    assert lr == 0xFFFFFFF9


@pytest.mark.parametrize(("stack", "aligned"), [(0x2003F000, 0), (0x2003F004, 1)])
def test_the_frame_is_eight_byte_aligned_and_the_stack_pointer_comes_back(
    run: Run, stack: int, aligned: int
) -> None:
    source = f"""
static volatile uint32_t sp_inside, psr;
__attribute__((naked)) void svc(void) {{
    __asm volatile("ldr r1, =sp_inside_at\\n ldr r1, [r1]\\n mov r0, sp\\n str r0, [r1]\\n"
                   "ldr r0, [sp, #28]\\n str r0, [r1, #4]\\n bx lr\\n .ltorg");
}}
static volatile uint32_t seen[2];
__attribute__((used)) volatile uint32_t *const sp_inside_at = seen;
void main(void) {{
    uint32_t sp_after;
    __asm volatile("mrs r0, control\\n bic r0, #4\\n msr control, r0\\n mov r5, sp\\n"
                   "ldr r0, ={stack}\\n mov sp, r0\\n svc #0\\n"
                   "mov %0, sp\\n mov sp, r5\\n"
                   : "=r"(sp_after) :: "r0", "r1", "r2", "r3", "r5", "r12", "lr", "cc");
    report(seen[0]);
    report(seen[1] >> 9 & 1);
    report(sp_after);
}}"""
    source = source.replace("static volatile uint32_t sp_inside, psr;\n", "")
    assert run(source, 3) == [(stack - 0x20) & ~7, aligned, stack]


def test_an_interrupt_in_fp_code_keeps_every_fp_register(run: Run) -> None:
    source = """
static volatile uint32_t ticks, kind;
void systick(void) {
    kind = (uint32_t)__builtin_return_address(0);
    ticks++;
    REG(0xE000E010) = 0;
    __asm volatile("vmov.f32 s0, #2.0\\n vmov.f32 s1, s0\\n vmov.f32 s7, s0\\n"
                   "vmov.f32 s15, s0\\n vmsr fpscr, %0" :: "r"(1 << 22) : "s0", "s1", "s7", "s15");
}
static float before[32], after[32];
void main(void) {
    for (int i = 0; i < 32; i++)
        before[i] = (float)i + 0.5f;
    REG(0xE000E014) = 200;
    REG(0xE000E018) = 0;
    uint32_t fpscr;
    __asm volatile("vldmia %1, {s0-s31}\\n movs r1, #7\\n str r1, [%2]\\n"
                   "1: ldr r1, [%4]\\n cmp r1, #0\\n beq 1b\\n"
                   "vstmia %3, {s0-s31}\\n vmrs %0, fpscr"
                   : "=&r"(fpscr)
                   : "r"(before), "r"(0xE000E010), "r"(after), "r"(&ticks)
                   : "r1", "memory", "cc", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8",
                     "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19",
                     "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30",
                     "s31");
    uint32_t same = 0;
    for (int i = 0; i < 32; i++)
        same += before[i] == after[i];
    report(same);
    report(fpscr & 0x07C00000);
    report(kind);
    report(ticks);
}"""
    assert run(source, 4) == [32, 0, 0xFFFFFFE9, 1]


def test_systick_interrupts_with_its_period(run: Run) -> None:
    source = """
static volatile uint32_t ticks, at[4];
void systick(void) {
    if (ticks < 4)
        at[ticks] = CYCCNT;
    ticks++;
}
void main(void) {
    REG(0xE000E014) = 4999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    while (ticks < 4) {
    }
    REG(0xE000E010) = 0;
    for (int i = 1; i < 4; i++)
        report(at[i] - at[i - 1]);
}"""
    assert all(abs(delta - 5000) <= 10 for delta in run(source, 3))


def test_systick_counts_down_and_shows_its_flag_once(run: Run) -> None:
    source = """
void main(void) {
    REG(0xE000E014) = 999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 5;
    uint32_t first = REG(0xE000E018), second = REG(0xE000E018);
    report(first < 1000 && second < first && first - second < 10);
    while (!(REG(0xE000E010) & 1 << 16)) {
    }
    uint32_t flag = REG(0xE000E010) >> 16, value = REG(0xE000E018);
    report(flag);
    report(value > 900);
}"""
    assert run(source, 3) == [1, 0, 1]


def test_waiting_for_an_interrupt_skips_to_the_next_tick(run: Run) -> None:
    source = """
static volatile uint32_t ticks;
void systick(void) { ticks++; }
void main(void) {
    REG(0xE000E014) = 0xFFFFFF;
    REG(0xE000E018) = 0;
    CYCCNT = 0;
    REG(0xE000E010) = 7;
    __asm volatile("wfi");
    report(ticks);
    report(CYCCNT >> 24);
}"""
    assert run(source, 2) == [1, 1]


def test_a_masked_interrupt_is_taken_when_the_mask_is_lifted(run: Run) -> None:
    source = """
static volatile uint32_t calls;
void pendsv(void) { calls++; }
void main(void) {
    __asm volatile("cpsid i");
    ICSR = 1 << 28;
    __asm volatile("nop\\n nop\\n b 1f\\n 1: nop");
    report(calls);
    report(ICSR >> 28 & 1);
    __asm volatile("cpsie i\\n isb\\n b 1f\\n 1: nop");
    report(calls);
    report(ICSR >> 28 & 1);
}"""
    assert run(source, 4) == [0, 1, 1, 0]


def test_a_more_urgent_exception_preempts_and_a_less_urgent_one_waits(run: Run) -> None:
    source = """
static volatile uint32_t order[4], count;
void pendsv(void) { order[count++] = 14; }
void irq0(void) {
    order[count++] = 100;
    ICSR = 1 << 28;
    __asm volatile("isb\\n b 1f\\n 1: nop");
    order[count++] = 101;
    REG(0xE000E200) = 0;
    __asm volatile("svc #0");
}
void svc(void) { order[count++] = 11; }
void main(void) {
    REG(0xE000ED20) = 0xF0 << 16; /* PendSV least urgent */
    REG(0xE000ED1C) = 0x10u << 24; /* SVCall more urgent than */
    *(volatile uint8_t *)0xE000E400 = 0x80; /* interrupt 0 */
    REG(0xE000E100) = 1;
    REG(0xE000E200) = 1;
    __asm volatile("isb\\n b 1f\\n 1: nop");
    for (int i = 0; i < 4; i++)
        report(order[i]);
}"""
    assert run(source, 4) == [100, 101, 11, 14]


def test_faultmask_holds_back_everything_and_falls_with_the_return(run: Run) -> None:
    source = """
static volatile uint32_t taken;
void pendsv(void) { taken += 1; }
void svc(void) { __asm volatile("cpsid f"); }
void main(void) {
    uint32_t mask;
    __asm volatile("cpsid f");
    ICSR = 1 << 28;
    __asm volatile("dsb\\n isb");
    report(taken);
    __asm volatile("cpsie f\\n isb");
    report(taken);
    __asm volatile("svc #0\\n mrs %0, faultmask" : "=r"(mask) : : "memory");
    report(mask);
}"""
    assert run(source, 3) == [0, 1, 0]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_nested_handler_returns_to_thread_mode_only_where_ccr_allows(
    run: Run, allowed: bool
) -> None:
    source = """
void svc(void) {
    uint32_t number;
    ICSR = 1 << 28;
    __asm volatile("dsb\\n isb\\n mrs %0, ipsr" : "=r"(number));
    report(number);
    rest();
}
__attribute__((naked)) void pendsv(void) { /* pretends that a thread was interrupted */
    __asm volatile("ldr r0, [sp, #28]\\n bfc r0, #0, #9\\n str r0, [sp, #28]\\n"
                   "ldr lr, =0xFFFFFFF9\\n bx lr\\n .ltorg\\n");
}
void main(void) {
    CCR |= ALLOWED;
    SHCSR = 7 << 16;
    REG(0xE000ED1C) = 0x80000000; /* SVC less urgent than PendSV */
    __asm volatile("svc #0");
}""".replace("ALLOWED", str(int(allowed)))
    assert run(source, 1) == [0 if allowed else 6]


def test_writing_the_systick_counter_clears_its_flag(run: Run) -> None:
    source = """
void main(void) {
    REG(0xE000E014) = 99;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 5;
    while (CYCCNT < 2000) {
    }
    REG(0xE000E014) = 0xFFFFFF;
    REG(0xE000E018) = 0;
    report(REG(0xE000E010) >> 16);
}"""
    assert run(source, 1) == [0]


def test_icsr_names_the_most_urgent_pending_exception_that_is_enabled(run: Run) -> None:
    source = """
void main(void) {
    __asm volatile("cpsid i");
    REG(0xE000ED20) = 0x80u << 16; /* PendSV less urgent than IRQ 0 and 1 */
    REG(0xE000E400) = 0x2040;      /* IRQ 0 at 0x40, IRQ 1 at 0x20 */
    ICSR = 1 << 28;
    report(ICSR);
    REG(0xE000E200) = 3; /* pending */
    report(ICSR);
    REG(0xE000E100) = 3; /* enabled */
    report(ICSR);
}"""
    pendsv, interrupt, base = 1 << 28, 1 << 22, 1 << 11
    assert run(source, 3) == [
        pendsv | base | 14 << 12,
        pendsv | base | 14 << 12 | interrupt,
        pendsv | base | 17 << 12 | interrupt,
    ]


def test_basepri_holds_back_what_is_not_urgent_enough(run: Run) -> None:
    source = """
static volatile uint32_t calls;
void irq0(void) { calls++; }
void main(void) {
    *(volatile uint8_t *)0xE000E400 = 0x80;
    REG(0xE000E100) = 1;
    __asm volatile("msr basepri, %0" :: "r"(0x80));
    REG(0xE000E200) = 1;
    __asm volatile("isb\\n b 1f\\n 1: nop");
    report(calls);
    __asm volatile("msr basepri, %0\\n isb\\n b 1f\\n 1: nop" :: "r"(0x90));
    report(calls);
}"""
    assert run(source, 2) == [0, 1]


def test_thread_mode_can_run_unprivileged_on_the_process_stack(run: Run) -> None:
    source = """
static uint32_t stack[64];
static volatile uint32_t inside_sp, inside_control, lr_seen;
__attribute__((naked)) void svc(void) {
    __asm volatile("ldr r0, =results\\n ldr r0, [r0]\\n mov r1, sp\\n str r1, [r0]\\n"
                   "mrs r1, control\\n str r1, [r0, #4]\\n str lr, [r0, #8]\\n"
                   "movs r1, #0\\n msr control, r1\\n bx lr\\n .ltorg");
}
static volatile uint32_t seen[3];
__attribute__((used)) volatile uint32_t *const results = seen;
void main(void) {
    uint32_t psp, control, main_sp;
    __asm volatile("mov %2, sp\\n msr psp, %3\\n movs r0, #3\\n msr control, r0\\n isb\\n"
                   "svc #0\\n"
                   "mov %0, sp\\n mrs %1, control\\n movs r0, #0\\n msr control, r0\\n isb"
                   : "=&r"(psp), "=&r"(control), "=&r"(main_sp)
                   : "r"(stack + 64)
                   : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    report(main_sp - seen[0]);
    report(seen[1] & 3);
    report(seen[2]);
    report((uint32_t)(stack + 64) - psp);
    report(control & 2);
}""".replace("static volatile uint32_t inside_sp, inside_control, lr_seen;\n", "")
    # Inside: main stack untouched, CONTROL.SPSEL clear, nPRIV kept; back: the process stack again.
    assert run(source, 5) == [0, 1, 0xFFFFFFFD, 0, 2]


def test_a_system_reset_starts_over(run: Run) -> None:
    source = """
static volatile uint32_t marker __attribute__((section(".noinit"))); /* SRAM is kept */
void main(void) {
    if (marker != 0x600D) {
        marker = 0x600D;
        REG(0xE000ED14) |= 1 << 4;
        report(1);
        REG(0xE000ED0C) = 0x05FA0004;
        for (;;) {
        }
    }
    report(2);
    report(REG(0xE000ED14));
}"""
    assert run(source, 3) == [1, 2, 1 << 9]


def test_code_in_sram_can_change_under_the_core(run: Run) -> None:
    source = """
static uint16_t code[4] __attribute__((aligned(4)));
void main(void) {
    uint32_t (*function)(void) = (uint32_t (*)(void))((uint32_t)code | 1);
    for (uint32_t value = 1; value < 4; value++) {
        code[0] = 0x2000 | value;                 /* movs r0, #value */
        code[1] = value == 2 ? 0x2100 : 0x4770;   /* bx lr, once behind two movs */
        code[2] = value == 2 ? 0x2100 : 0x4770;
        code[3] = 0x4770;
        __asm volatile("dsb\\n isb" ::: "memory");
        uint32_t start = CYCCNT;
        uint32_t result = function();
        report(CYCCNT - start);
        report(result);
    }
}"""
    first, one, second, two, third, three = run(source, 6)
    assert (one, two, three) == (1, 2, 3)
    assert (second - first, third) == (2, first)


def test_the_first_touch_of_a_page_in_an_it_block_leaves_no_condition_behind(run: Run) -> None:
    source = """
void main(void) {
    uint32_t executed = 0;
    __asm volatile("ldr r2, =0x20020000\\n movs r0, #0\\n cmp r0, r0\\n ittt eq\\n"
                   "ldreq r1, [r2]\\n moveq r1, #1\\n moveq r1, #2\\n"
                   "cmp r0, #9\\n b 1f\\n nop\\n"
                   "1: adds %0, #1\\n adds %0, #2\\n adds %0, #4"
                   : "+r"(executed) :: "r0", "r1", "r2", "cc");
    report(executed);
}"""
    assert run(source, 1) == [7]
