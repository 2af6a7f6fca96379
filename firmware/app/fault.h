/* What does the unit say when it cannot go on? One FAULT message. */
#ifndef HILNAS_FAULT_H
#define HILNAS_FAULT_H

#include <stdint.h>

typedef enum {
    FAULT_HARD = 1,
    FAULT_MEM_MANAGE = 2,
    FAULT_BUS = 3,
    FAULT_USAGE = 4,
    FAULT_STACK_OVERFLOW = 5,
    FAULT_UNEXPECTED = 6, /* an exception nobody handles */
} fault_kind_t;

/* The state at the fault. pc, lr and psr are 0 when the core could not stack them, which is what
 * a stack overflow does. A port without such a register leaves it 0. */
typedef struct {
    uint32_t pc, lr, psr, cfsr, hfsr, mmfar, bfar, sp;
} fault_registers_t;

/* Sends FAULT with the sequence number of the request that was being served. The port then halts
 * until it is reset. */
void fault_report(fault_kind_t kind, const fault_registers_t *registers);

#endif
