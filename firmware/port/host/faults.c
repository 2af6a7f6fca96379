#define _GNU_SOURCE
#include "faults.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "fault.h"
#include "port.h"

#define SIGNAL_STACK_BYTES 65536
#define GUARD_BYTES 4096

static fault_kind_t kind_of(int signal_number, uintptr_t address) {
    uintptr_t low = (uintptr_t)port_stack_low();
    switch (signal_number) {
    case SIGSEGV:
    case SIGBUS:
        return address < low && low - address <= GUARD_BYTES ? FAULT_STACK_OVERFLOW : FAULT_BUS;
    case SIGFPE:
    case SIGILL:
        return FAULT_USAGE;
    default:
        return FAULT_UNEXPECTED;
    }
}

static void describe_fault(int signal_number, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;
    fault_kind_t kind = kind_of(signal_number, address);
    fault_registers_t registers = {0};
#if defined(__x86_64__)
    const greg_t *machine = ((ucontext_t *)context)->uc_mcontext.gregs;
    registers.pc = (uint32_t)machine[REG_RIP];
    registers.sp = (uint32_t)machine[REG_RSP];
    registers.psr = (uint32_t)machine[REG_EFL];
#elif defined(__aarch64__)
    const mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    registers.pc = (uint32_t)machine->pc;
    registers.lr = (uint32_t)machine->regs[30];
    registers.sp = (uint32_t)machine->sp;
    registers.psr = (uint32_t)machine->pstate;
#else
    (void)context;
#endif
    if (kind == FAULT_BUS || kind == FAULT_STACK_OVERFLOW) {
        registers.bfar = (uint32_t)address;
    }
    fault_report(kind, &registers);
    for (;;) {
        pause(); /* like the unit: wait for a reset, which here is the program's end */
    }
}

void faults_start(void) {
    /* A stack of its own: an overflow leaves none. */
    void *memory =
        mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_BYTES};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = describe_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

#ifdef HILNAS_SELFTEST
bool port_provoke(uint8_t kind) {
    if (kind == FAULT_UNEXPECTED) {
        raise(SIGTRAP);
        return true;
    }
    return false;
}
#endif
