/* Which parts has a Cortex-M port, and in which order are they started? This folder holds what
 * every chip family shares; a family's folder adds clocks_start(), console_start(), port_read(),
 * port_write() and part.h, which says how many interrupt lines the part has (PART_INTERRUPTS). */
#ifndef HILNAS_CORTEXM_CHIP_H
#define HILNAS_CORTEXM_CHIP_H

#include <stdint.h>

/* Flash wait states and caches, then the clock: the order the part demands. */
void clocks_start(void);

/* The UART that board.h names, 8N1, polled. */
void console_start(void);

/* The cycle counter. */
void cycles_start(void);

/* MemManage, BusFault and UsageFault as exceptions of their own; division by zero faults. */
void faults_start(void);

/* Exception entries for the vector table. */
void fault_entry(void);
void systick_entry(void);

/* Symbols of link.ld.in. */
extern uint8_t __stack_low[], __stack_high[];
extern uint8_t __sram_low[], __sram_high[];
extern uint32_t __data_load[], __data_low[], __data_high[];
extern uint32_t __bss_low[], __bss_high[];

#endif
