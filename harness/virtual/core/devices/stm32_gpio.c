/* STM32 GPIO port (RM0402, 7.4; the same registers in every family). Pins are looped back: what is
 * driven is what is read. */
#include "../machine.h"

enum { IDR = 0x10, ODR = 0x14, BSRR = 0x18, BRR = 0x28 };

static uint32_t gpio_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    return offset == IDR ? d->words[ODR / 4] & 0xFFFF : d->words[offset / 4];
}

static void gpio_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    (void)m;
    uint32_t *output = &d->words[ODR / 4];
    if (offset == BSRR)
        *output = (*output | (value & 0xFFFF)) & ~(value >> 16 & ~value);
    else if (offset == BRR)
        *output &= ~(value & 0xFFFF);
    else
        d->words[offset / 4] = value;
}

const DeviceModel device_gpio = {.name = "stm32-gpio", .read = gpio_read, .write = gpio_write};
