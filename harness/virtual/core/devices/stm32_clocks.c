/* The part of reset and clock control that every STM32 family shares. */
#include "stm32.h"
#include <string.h>

/* RCC_CSR: the same bits in the F4 (RM0402, 6.3.21) and the L4 (RM0351, 6.4.29). */
enum {
    OBLRSTF = 1u << 25, /* L4 */
    PINRSTF = 1u << 26,
    SFTRSTF = 1u << 28,
    IWDGRSTF = 1u << 29,
    WWDGRSTF = 1u << 30,
};

static uint32_t ahb_divider(uint32_t field) {
    static const uint16_t dividers[8] = {2, 4, 8, 16, 64, 128, 256, 512};
    return field & 8 ? dividers[field & 7] : 1;
}

static uint32_t apb_divider(uint32_t field) { return field & 4 ? 2u << (field & 3) : 1; }

static uint32_t timer_divider(uint32_t bus, bool fast) {
    uint32_t times = fast ? 4 : 2;
    return bus <= times ? 1 : bus / times;
}

void stm32_set_clocks(Machine *m, const Stm32Clocks *c) {
    uint32_t apb1 = apb_divider(c->ppre1), apb2 = apb_divider(c->ppre2);
    set_core_clock(m, c->sysclk_hz / ahb_divider(c->hpre));
    m->cycles_per_tick[CLOCK_AHB] = 1;
    m->cycles_per_tick[CLOCK_APB1] = apb1;
    m->cycles_per_tick[CLOCK_APB2] = apb2;
    m->cycles_per_tick[CLOCK_APB1_TIMERS] = timer_divider(apb1, c->fast_timers);
    m->cycles_per_tick[CLOCK_APB2_TIMERS] = timer_divider(apb2, c->fast_timers);
    uint32_t low = m->core_hz / STM32_LSI_HZ;
    m->cycles_per_tick[CLOCK_LOW] = low ? low : 1;
}

void stm32_note_reset(Stm32ResetState *state, ResetCause cause, uint32_t power_flags) {
    static const uint32_t flags[] = {
        [RESET_POWER] = 0,
        [RESET_PIN] = 0,
        [RESET_SOFTWARE] = SFTRSTF,
        [RESET_WATCHDOG] = IWDGRSTF,
        [RESET_WINDOW_WATCHDOG] = WWDGRSTF,
        [RESET_LOCKUP] = 0, /* not wired to the reset line */
        [RESET_OPTIONS] = OBLRSTF,
    };
    if (!state->powered || cause == RESET_POWER)
        state->flags = power_flags;
    state->powered = true;
    state->flags |= PINRSTF | flags[cause]; /* every internal reset pulls the pin as well */
}

void stm32_reset_block(Machine *m, const char *name) {
    for (uint32_t i = 0; i < m->device_count; i++) {
        Device *d = &m->devices[i];
        if (strcmp(d->name, name) || !d->model->reset)
            continue;
        memset(d->words, 0, d->size);
        memset(d->state, 0, d->model->state_bytes);
        d->due = NEVER;
        d->model->reset(m, d);
        if (d->irq >= 0)
            set_interrupt(m, d->irq, false);
    }
}
