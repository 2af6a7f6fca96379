"""A step is one instruction, whatever it is (DDI 0403, C1.5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.virtual.debugger import (
    BY_HALT,
    ICSR,
    PSR,
    S0,
    Debugger,
)

Start = Callable[[str], tuple[Debugger, dict[str, int]]]
SPIN = "void main(void) { for (;;) { } }"


# ---- stepping ----

STEPS = [
    ("adds r0, #1", 2),
    ("add.w r0, r0, #1", 4),
    ("ldr r1, [r4]", 2),
    ("str.w r1, [r4, #4]", 4),
    ("ldrd r1, r2, [r4]", 4),
    ("stmia r4, {r1, r2, r3}", 4),
    ("push {r0-r3}", 2),
    ("add sp, #16", 2),
    ("udiv r1, r2, r3", 4),
    ("nop", 2),
    ("nop.w", 4),
    ("dsb", 4),
    ("mrs r0, primask", 4),
    ("cpsie i", 2),
    ("wfi", 2),
    ("wfe", 2),
    ("sev", 2),
    ("vmov.f32 s0, #1.0", 4),
    ("vdiv.f32 s1, s0, s0", 4),
    ("vldr s2, [r4]", 4),
    ("cmp r0, #0", 2),
    ("cbz r5, 1f; nop; 1:", 4),
    ("cbnz r5, 1f; nop; 1:", 2),
    ("b 1f; nop; 1:", 4),
    ("b.w 1f; nop; 1:", 6),
    ("adr r0, 1f+1; bx r0; .balign 4; 1:", None),
    ("tbb [pc, r5]; .byte 2; .byte 2; nop; 1:", None),
]


def test_a_step_executes_exactly_one_instruction_of_every_kind(start: Start) -> None:
    code = "\\n".join(
        f".global step{i}; step{i}: {text}".replace("; ", "\\n")
        for i, (text, _) in enumerate(STEPS)
    )
    source = f"""
static uint32_t area[64];
__attribute__((naked, noinline)) static void work(uint32_t *area) {{
    __asm volatile("push {{r4-r7, lr}}\\n mov r4, r0\\n movs r3, #3\\n movs r5, #0\\n{code}\\n"
                   ".global behind\\n behind: pop {{r4-r7, pc}}");
}}
void main(void) {{ work(area); }}"""
    debugger, names = start(source)
    debugger.run_to(names["step0"] & ~1)
    for i, (text, size) in enumerate(STEPS):
        at = names[f"step{i}"] & ~1
        assert debugger.pc == at, text
        before, cycles = debugger.core.instructions, debugger.core.cycles
        debugger.step()
        assert debugger.wait_halted() == BY_HALT, text
        assert debugger.core.instructions == before + 1, text
        assert 1 <= debugger.core.cycles - cycles <= 20, text
        assert size is None or debugger.pc == at + size, text
        end = names[f"step{i + 1}" if i + 1 < len(STEPS) else "behind"] & ~1
        for _ in range(2):  # what the text has besides its first instruction
            if debugger.pc != end:
                debugger.step()
                debugger.wait_halted()
    assert debugger.pc == names["behind"] & ~1


def test_an_it_block_is_stepped_instruction_by_instruction(start: Start) -> None:
    source = """
extern uint32_t it[];
void main(void) {
    __asm volatile("movs r0, #0\\n movs r1, #0\\n movs r2, #0\\n cmp r0, #0\\n .global it\\n"
                   "it: itete eq\\n moveq r0, #1\\n movne r1, #1\\n addeq.w r2, r2, #1\\n"
                   "movne r2, #9\\n nop\\n b ." ::: "r0", "r1", "r2", "cc");
}"""
    debugger, names = start(source)
    at = names["it"] & ~1
    debugger.run_to(at)
    states = []
    for _ in range(6):
        debugger.step()
        psr = debugger.register(PSR)
        states.append((debugger.pc - at, psr >> 8 & 0xFC | psr >> 25 & 3))
    # The condition stays EQ or turns NE in bit 4, the mask shifts out (A7.3.3).
    assert states == [(2, 0x0B), (4, 0x16), (6, 0x0C), (10, 0x18), (12, 0), (14, 0)]
    assert [debugger.register(n) for n in (0, 1, 2)] == [1, 0, 1]


def test_stepping_a_whole_program_does_what_running_it_does(start: Start) -> None:
    source = """
extern uint32_t done[];
volatile uint32_t result[3];
__attribute__((noinline)) static uint32_t gcd(uint32_t a, uint32_t b) {
    while (a != b)
        if (a > b) a -= b; else b -= a;
    return a;
}
void main(void) {
    float sum = 0;
    for (uint32_t i = 1; i < 6; i++) {
        result[0] += gcd(i * 6, 9);
        sum += 1.0f / i;
    }
    result[1] = (uint32_t)(sum * 1000);
    __asm volatile(".global done\\n done: b .");
}"""
    outcomes = []
    for stepping in (False, True):
        debugger, names = start(source)
        debugger.run_to(names["main"] & ~1)
        first = debugger.core.instructions
        if stepping:
            while debugger.pc != names["done"] & ~1:
                debugger.step()
                assert debugger.core.instructions - first < 2000
        else:
            debugger.run_to(names["done"] & ~1)
        registers = [debugger.register(n) for n in (*range(17), *range(S0, S0 + 32))]
        outcomes.append(
            (debugger.core.instructions - first, debugger.words(names["result"], 3), registers)
        )
    assert outcomes[0] == outcomes[1]


def test_a_step_into_an_exception_ends_at_its_handler(start: Start) -> None:
    source = """
void svc(void) { __asm volatile("nop"); }
extern uint32_t call[];
void main(void) { __asm volatile(".global call\\n call: svc #0\\n nop"); }"""
    debugger, names = start(source)
    debugger.run_to(names["call"] & ~1)
    debugger.step()
    assert debugger.pc == names["svc"] & ~1
    assert debugger.register(PSR) & 0x1FF == 11
    for _ in range(2):
        debugger.step()
    assert debugger.pc == (names["call"] & ~1) + 2


@pytest.mark.parametrize("masked", [True, False])
def test_a_step_takes_a_pending_interrupt_unless_they_are_masked(
    start: Start, masked: bool
) -> None:
    source = """
void pendsv(void) { __asm volatile("nop"); }
extern uint32_t here[];
void main(void) { __asm volatile(".global here\\n here: nop\\n nop\\n b ."); }"""
    debugger, names = start(source)
    debugger.run_to(names["here"] & ~1)
    debugger.write(ICSR, 1 << 28)
    debugger.step(masked=masked)
    assert debugger.pc == (names["here"] & ~1) + 2 if masked else names["pendsv"] & ~1
    assert debugger.read(ICSR) >> 28 & 1 == masked
