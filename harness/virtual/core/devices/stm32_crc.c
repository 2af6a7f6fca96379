/* STM32 CRC calculation unit. F4: RM0402, 4, words over the Ethernet polynomial. L4: RM0351, 14,
 * any polynomial of 7, 8, 16 or 32 bits, reversal, and accesses of any width. */
#include "stm32.h"

enum { DR = 0x00, IDR = 0x04, CR = 0x08, INIT = 0x10, POL = 0x14 };
enum { CR_RESET = 1u << 0, CR_REV_OUT = 1u << 7 };

extern const DeviceModel device_stm32f4_crc;

static uint32_t reversed(uint32_t value, uint32_t bits) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < bits; i++)
        result |= (value >> i & 1) << (bits - 1 - i);
    return result;
}

/* REV_IN: within bytes, halfwords or words, as far as the access is that wide. */
static uint32_t reversed_input(uint32_t value, uint32_t bits, uint32_t mode) {
    uint32_t unit = mode == 1 ? 8 : mode == 2 ? 16 : 32, result = 0;
    if (!mode)
        return value;
    if (unit > bits)
        unit = bits;
    for (uint32_t at = 0; at < bits; at += unit)
        result |= reversed(value >> at & (uint32_t)((1ull << unit) - 1), unit) << at;
    return result;
}

static uint32_t size_of(const Device *d) {
    static const uint8_t sizes[4] = {32, 16, 8, 7};
    return sizes[d->words[CR / 4] >> 3 & 3];
}

static void feed(Device *d, uint32_t value, uint32_t bits) {
    uint32_t size = size_of(d), mask = (uint32_t)((1ull << size) - 1);
    uint32_t polynomial = d->words[POL / 4] & mask, sum = d->words[DR / 4] & mask;
    value = reversed_input(value, bits, d->words[CR / 4] >> 5 & 3);
    for (uint32_t i = bits; i-- > 0;) {
        uint32_t out = (sum >> (size - 1) ^ value >> i) & 1;
        sum = (sum << 1 & mask) ^ (out ? polynomial : 0);
    }
    d->words[DR / 4] = sum;
}

static uint32_t crc_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    uint32_t word = d->words[offset / 4];
    if (offset == DR && (d->words[CR / 4] & CR_REV_OUT))
        return reversed(word, size_of(d));
    return word;
}

static void crc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    bool fixed = d->model == &device_stm32f4_crc;
    if (offset == DR) {
        feed(d, value, fixed ? 32 : 8 * m->access_bytes);
    } else if (offset == CR) {
        d->words[CR / 4] = fixed ? 0 : value & ~(uint32_t)CR_RESET;
        if (value & CR_RESET)
            d->words[DR / 4] = d->words[INIT / 4];
    } else if (offset == INIT && !fixed) {
        d->words[INIT / 4] = d->words[DR / 4] = value;
    } else if (offset == IDR || !fixed) {
        d->words[offset / 4] = value;
    }
}

static void crc_reset(Machine *m, Device *d) {
    (void)m;
    d->words[DR / 4] = d->words[INIT / 4] = 0xFFFFFFFF;
    d->words[POL / 4] = 0x04C11DB7;
}

const DeviceModel device_stm32f4_crc = {
    .name = "stm32f4-crc",
    .narrow_is_whole = true,
    .reset = crc_reset,
    .read = crc_read,
    .write = crc_write,
};

const DeviceModel device_stm32l4_crc = {
    .name = "stm32l4-crc",
    .narrow_is_whole = true,
    .reset = crc_reset,
    .read = crc_read,
    .write = crc_write,
};
