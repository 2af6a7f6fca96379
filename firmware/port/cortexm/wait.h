/* How long is a peripheral waited for that nothing depends on? Not for ever: it may be missing. */
#ifndef HILNAS_CORTEXM_WAIT_H
#define HILNAS_CORTEXM_WAIT_H

#include <stdbool.h>

#include "board.h"
#include "core.h"

/* A look takes three cycles at least, so that these take 1.6 ms and more at 180 MHz: six times as
 * long as anything that is waited for so. */
#define LOOKS_MAX 100000u

/* Whether `*word & mask` becomes `value` in time. */
static inline bool becomes(const volatile uint32_t *word, uint32_t mask, uint32_t value) {
    for (uint32_t looks = 0; looks < LOOKS_MAX; looks++) {
        if ((*word & mask) == value) {
            return true;
        }
    }
    return false;
}

/* At least so many microseconds: a round takes more than a cycle. */
static inline void pass(uint32_t us) {
    for (uint32_t i = 0; i < BOARD_SYSCLK_HZ / 1000000u * us; i++) {
        __asm volatile("nop");
    }
}

#endif
