/* STM32F4 reset and clock control: RM0402, 6.3. */
#include "../machine.h"

enum { CR = 0x00, CFGR = 0x08, BDCR = 0x70, CSR = 0x74 };

static uint32_t rcc_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    uint32_t word = d->words[offset / 4];
    switch (offset) {
    case CR: /* HSIRDY, HSERDY, PLLRDY, PLLI2SRDY follow their enable bits */
        return (word & ~0x0A020002u) | (word & 0x05010001u) << 1;
    case CFGR: /* SWS follows SW */
        return (word & ~0xCu) | (word & 3) << 2;
    case BDCR:
    case CSR: /* LSERDY, LSIRDY */
        return (word & ~2u) | (word & 1) << 1;
    default:
        return word;
    }
}

static void rcc_reset(Machine *m, Device *d) {
    (void)m;
    d->words[CR / 4] = 0x83; /* HSION */
}

const DeviceModel device_rcc_f4 = {.name = "stm32f4-rcc", .reset = rcc_reset, .read = rcc_read};
