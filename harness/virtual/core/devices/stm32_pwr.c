/* STM32 power control. F4: RM0402, 5.4; over-drive: RM0390, 5.4. L4: RM0351, 5.4. Supplies are
 * ready at once. */
#include "stm32.h"

enum { F4_CR = 0x00, F4_CSR = 0x04, L4_CR1 = 0x00, L4_SR1 = 0x10, L4_SR2 = 0x14, L4_SCR = 0x18 };
enum {
    CR_CLEARS = 3u << 2,     /* CWUF, CSBF read as 0 */
    CR_OVERDRIVE = 3u << 16, /* ODEN, ODSWEN, and at the same places their ready bits in CSR */
    CSR_BRE = 1u << 9,       /* BRR is six bits below */
    CSR_VOSRDY = 1u << 14,
    CR1_LPR = 1u << 14,
    SR2_REGLPS = 1u << 8,
    SR2_REGLPF = 1u << 9,
};

static uint32_t f4_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    if (offset == F4_CSR) {
        uint32_t word = d->words[F4_CSR / 4];
        return word | CSR_VOSRDY | (word & CSR_BRE) >> 6 | (d->words[F4_CR / 4] & CR_OVERDRIVE);
    }
    return d->words[offset / 4];
}

static void f4_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    (void)m;
    d->words[offset / 4] = offset == F4_CR ? value & ~CR_CLEARS : value;
}

static uint32_t l4_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    if (offset == L4_SR2) /* VOSF stays 0: no change of range is under way */
        return SR2_REGLPS | (d->words[L4_CR1 / 4] & CR1_LPR ? SR2_REGLPF : 0);
    return offset == L4_SCR ? 0 : d->words[offset / 4];
}

static void l4_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    (void)m;
    if (offset != L4_SR1 && offset != L4_SR2)
        d->words[offset / 4] = value;
}

const DeviceModel device_stm32f4_pwr = {
    .name = "stm32f4-pwr",
    .read = f4_read,
    .write = f4_write,
};

const DeviceModel device_stm32l4_pwr = {
    .name = "stm32l4-pwr",
    .read = l4_read,
    .write = l4_write,
};
