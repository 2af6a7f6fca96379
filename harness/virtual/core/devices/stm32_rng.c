/* STM32 random number generator: RM0402, 24. The numbers are the same in every run: a unit is to
 * repeat itself. */
#include "stm32.h"

enum { CR = 0x00, SR = 0x04, DR = 0x08 };
enum { CR_RNGEN = 1u << 2, CR_IE = 1u << 3, SR_DRDY = 1u << 0 };

typedef struct {
    uint32_t word;
} RngState;

/* Marsaglia's xorshift with 32 bits. */
static uint32_t next_word(uint32_t word) {
    word = word ? word : 0x2545F491;
    word ^= word << 13;
    word ^= word >> 17;
    return word ^ word << 5;
}

static uint32_t rng_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    RngState *state = d->state;
    bool on = d->words[CR / 4] & CR_RNGEN;
    if (offset == SR)
        return on ? SR_DRDY : 0;
    if (offset == DR)
        return on ? (state->word = next_word(state->word)) : 0;
    return d->words[offset / 4];
}

static void rng_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (offset != CR)
        return;
    d->words[CR / 4] = value;
    set_interrupt(m, d->irq, (value & CR_RNGEN) && (value & CR_IE));
}

const DeviceModel device_stm32_rng = {
    .name = "stm32-rng",
    .state_bytes = sizeof(RngState),
    .read = rng_read,
    .write = rng_write,
};
