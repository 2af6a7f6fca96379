/* STM32 external interrupts: RM0402, 10.3; the first 32 lines of the L4 lie at the same places.
 * Lines rise by software only: no pin is driven from outside. */
#include "stm32.h"

enum { IMR = 0x00, SWIER = 0x10, PR = 0x14 };

/* Several lines share an interrupt. */
static void update_interrupts(Machine *m, Device *d) {
    uint32_t active = d->words[IMR / 4] & d->words[PR / 4];
    for (uint32_t i = 0; i < DEVICE_IRQS; i++) {
        bool level = false;
        for (uint32_t k = 0; k < DEVICE_IRQS; k++)
            level |= d->irqs[k] == d->irqs[i] && (active >> k & 1);
        set_interrupt(m, d->irqs[i], level);
    }
}

static void exti_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (offset == PR) {
        d->words[PR / 4] &= ~value;
        d->words[SWIER / 4] &= ~value;
    } else if (offset == SWIER) { /* pends where IMR lets it */
        d->words[PR / 4] |= value & ~d->words[SWIER / 4] & d->words[IMR / 4];
        d->words[SWIER / 4] |= value;
    } else {
        d->words[offset / 4] = value;
    }
    update_interrupts(m, d);
}

const DeviceModel device_stm32_exti = {.name = "stm32-exti", .write = exti_write};
