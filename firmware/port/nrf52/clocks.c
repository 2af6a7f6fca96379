/* How does the part get to board.sysclk_hz? It always runs at 64 MHz; the crystal makes that
 * precise, which the console and the time of a cycle need, and the cache makes it fast. */
#include "chip.h"
#include "port.h"
#include "registers.h"

#define HFCLK_HZ 64000000u

_Static_assert(BOARD_SYSCLK_HZ == HFCLK_HZ, "sysclk_hz of an nRF52 is 64 MHz");
_Static_assert(BOARD_FLASH_WAIT_STATES == 2, "flash_wait_states of an nRF52 are 2");
_Static_assert(!BOARD_PREFETCH && !BOARD_DATA_CACHE, "an nRF52 has an instruction cache only");

void clocks_start(void) {
    NVMC_ICACHECNF = BOARD_INSTRUCTION_CACHE ? NVMC_ICACHECNF_CACHEEN : 0u;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    while (CLOCK_EVENTS_HFCLKSTARTED == 0) {
    }
}

/* From its own oscillator it would be 64 MHz within some per cent only, which is not what is told.
 */
port_speed_t port_speed(void) {
    const uint32_t exact = CLOCK_HFCLKSTAT_CRYSTAL | CLOCK_HFCLKSTAT_RUNNING;
    return (port_speed_t){
        .sysclk_hz = (CLOCK_HFCLKSTAT & exact) == exact ? HFCLK_HZ : 0,
        .flash_wait_states = BOARD_FLASH_WAIT_STATES, /* no register knows them */
        .caches = (NVMC_ICACHECNF & NVMC_ICACHECNF_CACHEEN) != 0 ? PORT_INSTRUCTION_CACHE : 0,
    };
}
