#include "provoke.h"

#ifdef HILNAS_SELFTEST

#include "fault.h"
#include "port.h"

/* One function per fault, so that the reported pc can be looked up; volatile and noinline keep the
 * compiler from proving that they cannot return. */

__attribute__((noinline)) static void provoke_bus_fault(void) {
    (void)*(volatile uint32_t *)PORT_UNMAPPED_ADDRESS;
}

__attribute__((noinline)) static void provoke_usage_fault(void) {
    volatile int32_t zero = 0;
    volatile int32_t quotient = 1;
    quotient = quotient / zero;
}

__attribute__((noinline)) static uint32_t provoke_stack_overflow(volatile uint32_t *above) {
    volatile uint32_t frame[16];
    frame[0] = above[0] + 1;
    return frame[0] == 0 ? 0 : provoke_stack_overflow(frame) + frame[0];
}

bool provoke_fault(uint8_t kind) {
    volatile uint32_t depth = 0;
    switch (kind) {
    case FAULT_BUS:
        provoke_bus_fault();
        return true;
    case FAULT_USAGE:
        provoke_usage_fault();
        return true;
    case FAULT_STACK_OVERFLOW:
        provoke_stack_overflow(&depth);
        return true;
    default:
        return port_provoke(kind);
    }
}

#endif
