/* How fast does the part run? At the 16 MHz that it starts with: QEMU's STM32F405 has neither clock
 * tree nor flash interface, their registers read as 0, and whoever waits there for a PLL or for
 * wait states waits for ever. */
#include "../stm32f4/sysclk.h"
#include "chip.h"
#include "flash.h"

_Static_assert(BOARD_SYSCLK_HZ == HSI_HZ, "sysclk_hz of this port is 16 MHz");
_Static_assert(BOARD_CONSOLE_CLOCK_HZ == HSI_HZ, "clock_hz of this port is 16 MHz");
_Static_assert(BOARD_FLASH_WAIT_STATES == 0, "flash_wait_states of this port are 0");

void clocks_start(void) {
    flash_start();
#ifdef HILNAS_SELFTEST
    TIM2_CNT = 0xFF800000u; /* so that tests see QEMU's counter wrap, as they do that of cycles.c */
#endif
}

uint32_t clocks_sysclk_hz(void) { return sysclk_in_registers(); }
