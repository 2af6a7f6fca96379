/* What does FLASH_ACR hold? Wait states in its lowest bits, then the accelerator's switches: the
 * same in the F4 (RM0402, 3.8) and the L4 (RM0351, 3.7). */
#ifndef HILNAS_STM32_FLASH_H
#define HILNAS_STM32_FLASH_H

#include "registers.h"

#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)
#define FLASH_ACR_ICRST (1u << 11)
#define FLASH_ACR_DCRST (1u << 12)

_Static_assert(BOARD_FLASH_WAIT_STATES <= FLASH_ACR_LATENCY_MASK,
               "flash_wait_states has four bits");

/* Returns when the wait states hold: only then may the clock rise. */
static inline void flash_start(void) {
    FLASH_ACR = BOARD_FLASH_WAIT_STATES | (BOARD_PREFETCH ? FLASH_ACR_PRFTEN : 0u) |
                (BOARD_INSTRUCTION_CACHE ? FLASH_ACR_ICEN : 0u) |
                (BOARD_DATA_CACHE ? FLASH_ACR_DCEN : 0u);
    while ((FLASH_ACR & FLASH_ACR_LATENCY_MASK) != BOARD_FLASH_WAIT_STATES) {
    }
}

#endif
