/* How does an exception nobody wanted become a FAULT message? ARMv7-M ARM, B1.5.6 (the stacked
 * frame), B3.2.15 (CFSR). */
#include "chip.h"
#include "core.h"
#include "fault.h"
#include "port.h"

enum {
    FRAME_BYTES = 32,     /* r0-r3, r12, lr, pc, xpsr */
    FRAME_BYTES_FP = 104, /* and s0-s15, fpscr, one word of padding */
    FRAME_LR = 5,
    FRAME_PC = 6,
    FRAME_PSR = 7,
};

#define EXC_RETURN_NO_FP (1u << 4)
#define PSR_STACK_ALIGNED (1u << 9) /* one word was skipped to align the frame */

/* An access this far below the stack is taken for an overflow: larger than any local array here. */
#define OVERFLOW_REACH_BYTES 0x10000u

void faults_start(void) {
    SCB_SHCSR |= SCB_SHCSR_MEMFAULTENA | SCB_SHCSR_BUSFAULTENA | SCB_SHCSR_USGFAULTENA;
    SCB_CCR |= SCB_CCR_DIV_0_TRP;
}

static bool overflowed(uintptr_t frame, uint32_t cfsr, uint32_t bfar) {
    uintptr_t low = (uintptr_t)__stack_low;
    return frame < low || (cfsr & (SCB_CFSR_STKERR | SCB_CFSR_MSTKERR)) != 0 ||
           ((cfsr & SCB_CFSR_BFARVALID) != 0 && bfar < low && low - bfar <= OVERFLOW_REACH_BYTES);
}

static fault_kind_t kind_of(uint32_t exception) {
    switch (exception) {
    case 3:
        return FAULT_HARD;
    case 4:
        return FAULT_MEM_MANAGE;
    case 5:
        return FAULT_BUS;
    case 6:
        return FAULT_USAGE;
    default:
        return FAULT_UNEXPECTED;
    }
}

/* `frame` is the stack pointer at exception entry, `exc_return` the handler's lr. */
__attribute__((used)) static _Noreturn void describe_fault(const uint32_t *frame,
                                                           uint32_t exc_return) {
    uintptr_t at = (uintptr_t)frame;
    fault_registers_t registers = {
        .cfsr = SCB_CFSR,
        .hfsr = SCB_HFSR,
        .mmfar = SCB_MMFAR,
        .bfar = SCB_BFAR,
        .sp = at,
    };
    if (at >= (uintptr_t)__sram_low && at <= (uintptr_t)__sram_high - FRAME_BYTES) {
        registers.lr = frame[FRAME_LR];
        registers.pc = frame[FRAME_PC];
        registers.psr = frame[FRAME_PSR];
        registers.sp = at + ((exc_return & EXC_RETURN_NO_FP) != 0 ? FRAME_BYTES : FRAME_BYTES_FP) +
                       ((registers.psr & PSR_STACK_ALIGNED) != 0 ? 4u : 0u);
    }
    fault_kind_t kind = overflowed(at, registers.cfsr, registers.bfar)
                            ? FAULT_STACK_OVERFLOW
                            : kind_of(SCB_ICSR & SCB_ICSR_VECTACTIVE_MASK);
    fault_report(kind, &registers);
    for (;;) {
        __asm volatile("wfi");
    }
}

/* Naked: the frame must be found before any instruction of ours moves the stack pointer. Where the
 * stack has no room left the report gets a fresh one at the top; what lay there is lost, the frame
 * is not, because it is at the other end. */
__attribute__((naked)) void fault_entry(void) {
    __asm volatile("tst lr, #4\n\t"
                   "ite eq\n\t"
                   "mrseq r0, msp\n\t"
                   "mrsne r0, psp\n\t"
                   "mov r1, lr\n\t"
                   "ldr r2, =__stack_low + 512\n\t"
                   "cmp sp, r2\n\t"
                   "bhs 1f\n\t"
                   "ldr r2, =__stack_high\n\t"
                   "msr msp, r2\n"
                   "1:\n\t"
                   "b describe_fault\n\t"
                   ".ltorg");
}

#ifdef HILNAS_SELFTEST
bool port_provoke(uint8_t kind) {
    switch (kind) {
    case FAULT_HARD: /* a usage fault that may not be one escalates */
        SCB_SHCSR &= ~SCB_SHCSR_USGFAULTENA;
        __asm volatile("dsb\n\tisb\n\tudf #0");
        return true;
    case FAULT_MEM_MANAGE: /* peripherals are never executable */
        ((void (*)(void))(uintptr_t)0x40000001u)();
        return true;
    case FAULT_UNEXPECTED:
        __asm volatile("svc #0");
        return true;
    default:
        return false;
    }
}
#endif
