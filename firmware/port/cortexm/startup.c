/* What happens between reset and serve()? */
#include "chip.h"
#include "core.h"
#include "part.h"
#include "port.h"
#include "serve.h"

enum { CORE_VECTORS = 16 };

_Noreturn void reset_entry(void);

typedef void (*vector_t)(void);

/* Everything that is not handled is reported: silence is the one wrong answer. */
__attribute__((section(".vectors"), used))
const vector_t vectors[CORE_VECTORS + PART_INTERRUPTS] = {
    [0] = (vector_t)(uintptr_t)__stack_high,
    [1] = reset_entry,
    [2 ... 14] = fault_entry,
    [15] = systick_entry,
    [CORE_VECTORS... CORE_VECTORS + PART_INTERRUPTS - 1] = fault_entry,
};

_Noreturn void reset_entry(void) {
    SCB_CPACR |= SCB_CPACR_FPU; /* before the compiler may use an FP register */
    __asm volatile("dsb\n\tisb" ::: "memory");
    SCB_VTOR = (uint32_t)(uintptr_t)vectors;
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_low; to < __data_high; to++) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_low; to < __bss_high; to++) {
        *to = 0;
    }
    faults_start();
    clocks_start();
    console_start();
    cycles_start();
    serve();
}

uint8_t *port_stack_low(void) { return __stack_low; }

uint8_t *port_stack_high(void) { return __stack_high; }
