/* How does the part get to board.sysclk_hz? It always runs at 64 MHz; the crystal makes that
 * precise, which the console and the time of a cycle need, and the cache makes it fast. */
#include "chip.h"
#include "registers.h"

_Static_assert(BOARD_SYSCLK_HZ == 64000000u, "sysclk_hz of an nRF52 is 64 MHz");
_Static_assert(BOARD_FLASH_WAIT_STATES == 2, "flash_wait_states of an nRF52 are 2");
_Static_assert(!BOARD_PREFETCH && !BOARD_DATA_CACHE, "an nRF52 has an instruction cache only");

void clocks_start(void) {
    NVMC_ICACHECNF = BOARD_INSTRUCTION_CACHE ? NVMC_ICACHECNF_CACHEEN : 0u;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    while (CLOCK_EVENTS_HFCLKSTARTED == 0) {
    }
}
