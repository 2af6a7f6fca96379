/* Who counts, where there is no DWT? The monotonic clock, one cycle a nanosecond. These numbers are
 * for tests only: their timing is called "host" and no Measurement takes it. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "board.h"
#include "clock.h"
#include "port.h"

uint32_t port_cycles(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

/* There is no chip to ask. */
port_speed_t port_speed(void) {
    return (port_speed_t){
        .sysclk_hz = BOARD_SYSCLK_HZ,
        .flash_wait_states = BOARD_FLASH_WAIT_STATES,
        .caches = (BOARD_PREFETCH ? PORT_PREFETCH : 0u) |
                  (BOARD_INSTRUCTION_CACHE ? PORT_INSTRUCTION_CACHE : 0u) |
                  (BOARD_DATA_CACHE ? PORT_DATA_CACHE : 0u),
    };
}

port_conditions_t port_conditions(void) {
    return (port_conditions_t){PORT_TEMPERATURE_UNKNOWN, PORT_VDD_UNKNOWN};
}

void port_caches_empty(void) {}

/* Nothing ticks here: a run longer than 2^32 ns would be read too short. */
void port_tick_start(void) {}

void port_tick_stop(void) {}
