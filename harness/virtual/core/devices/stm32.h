/* What the models of STM32 blocks know of each other. */
#ifndef HILNAS_VIRTUAL_STM32_H
#define HILNAS_VIRTUAL_STM32_H

#include "../machine.h"

/* The boards' external oscillators: ST-LINK's MCO or a crystal, 8 MHz on every one of them. */
#define STM32_HSE_HZ 8000000u
#define STM32_HSI_HZ 16000000u
#define STM32_LSE_HZ 32768u
#define STM32_LSI_HZ 32000u

/* stm32_clocks.c: clocks of core and buses from SYSCLK and the dividers' fields of RCC_CFGR. */
typedef struct {
    uint32_t sysclk_hz;
    uint32_t hpre, ppre1, ppre2; /* the fields */
    bool fast_timers;            /* TIMPRE of the F4: four times the bus instead of twice */
} Stm32Clocks;
void stm32_set_clocks(Machine *m, const Stm32Clocks *clocks);

/* stm32_clocks.c: which flags of RCC_CSR a reset leaves; `kept` are those from before. */
typedef struct {
    uint32_t flags;
    uint32_t backup; /* RCC_BDCR: reset with the backup domain only */
    bool powered;
} Stm32ResetState;
void stm32_note_reset(Stm32ResetState *state, ResetCause cause, uint32_t power_flags);

/* stm32_clocks.c: RCC resets the block of that name: ADC. */
void stm32_reset_block(Machine *m, const char *name);

/* stm32_rcc_l4.c: what clocks a USART, by RCC_CCIPR. */
uint32_t stm32l4_uart_hz(Machine *m, const Device *uart);

/* Bits of `word` moved up by `by`, as ready flags follow enable bits. */
static inline uint32_t ready_bits(uint32_t word, uint32_t enables, uint32_t by) {
    return (word & ~(enables << by)) | (word & enables) << by;
}

#endif
