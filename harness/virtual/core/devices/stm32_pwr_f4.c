/* STM32F4 power controller: RM0402, 5.4. */
#include "../machine.h"

enum { CR = 0x00, CSR = 0x04 };

static uint32_t pwr_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    if (offset == CSR) /* VOSRDY; over-drive ready where asked for */
        return d->words[CSR / 4] | 1u << 14 | (d->words[CR / 4] & 0x30000);
    return d->words[offset / 4];
}

static void pwr_reset(Machine *m, Device *d) {
    (void)m;
    d->words[CR / 4] = 0x8000;
}

const DeviceModel device_pwr_f4 = {.name = "stm32f4-pwr", .reset = pwr_reset, .read = pwr_read};
