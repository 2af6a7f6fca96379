/* STM32 real-time clock: RM0402, 22. Its registers, the backup registers among them, outlive every
 * reset but that of power; initialisation and synchronisation are done at once. The calendar stands
 * still. */
#include "stm32.h"

enum { DR = 0x04, CR = 0x08, ISR = 0x0C, PRER = 0x10, WUTR = 0x14 };
enum {
    ISR_WRITABLE = 7u << 0, /* ALRAWF, ALRBWF, WUTWF */
    ISR_INITS = 1u << 4,
    ISR_RSF = 1u << 5,
    ISR_INITF = 1u << 6,
    ISR_INIT = 1u << 7,
    DR_YEAR = 0xFF0000,
};

static uint32_t rtc_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    uint32_t word = d->words[offset / 4];
    if (offset != ISR)
        return word;
    return (word & ISR_INIT) | (word & ISR_INIT ? ISR_INITF : 0) | ISR_WRITABLE | ISR_RSF |
           (d->words[DR / 4] & DR_YEAR ? ISR_INITS : 0);
}

static void rtc_reset(Machine *m, Device *d) {
    if (m->reset_cause != RESET_POWER)
        return;
    for (uint32_t i = 0; i < d->size / 4; i++)
        d->words[i] = 0;
    d->words[DR / 4] = 0x2101;
    d->words[PRER / 4] = 0x7F00FF;
    d->words[WUTR / 4] = 0xFFFF;
}

const DeviceModel device_stm32_rtc = {
    .name = "stm32-rtc",
    .keeps_registers = true,
    .reset = rtc_reset,
    .read = rtc_read,
};
