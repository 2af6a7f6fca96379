/* STM32L4 and L4+ reset and clock control: RM0351, 6.4, and RM0432, 6.4. Oscillators and PLLs are
 * ready when enabled. */
#include "stm32.h"
#include <string.h>

enum {
    CR = 0x00,
    CFGR = 0x08,
    PLLCFGR = 0x0C,
    CIFR = 0x1C,
    CICR = 0x20,
    AHB2RSTR = 0x2C,
    CCIPR = 0x88,
    BDCR = 0x90,
    CSR = 0x94,
    CRRCR = 0x98,
};
enum {
    CR_MSION = 1u << 0,
    CR_MSIRGSEL = 1u << 3,
    CR_HSION = 1u << 8,
    CR_HSEON = 1u << 16,
    CR_PLLS = 1u << 24 | 1u << 26 | 1u << 28, /* PLL, PLLSAI1, PLLSAI2 */
    CSR_RMVF = 1u << 23,
    CSR_BORRSTF = 1u << 27,
    CSR_FLAGS = 0xFF000000u,
    BDCR_BDRST = 1u << 16,
    AHB2RSTR_ADCRST = 1u << 13,
};

static uint32_t msi_hz(const Device *d) {
    static const uint32_t ranges[16] = {100000,   200000,   400000,   800000,   1000000,  2000000,
                                        4000000,  8000000,  16000000, 24000000, 32000000, 48000000,
                                        48000000, 48000000, 48000000, 48000000};
    uint32_t cr = d->words[CR / 4];
    return ranges[cr & CR_MSIRGSEL ? cr >> 4 & 0xF : d->words[CSR / 4] >> 8 & 0xF];
}

static uint32_t pll_hz(const Device *d) {
    uint32_t word = d->words[PLLCFGR / 4], n = word >> 8 & 0x7F, r = 2 * ((word >> 25 & 3) + 1);
    uint32_t m = (word >> 4 & 0xF) + 1; /* three bits in the L4, whose fourth stays 0 */
    uint32_t sources[4] = {0, msi_hz(d), STM32_HSI_HZ, STM32_HSE_HZ};
    return (uint32_t)((uint64_t)sources[word & 3] * n / m / r);
}

static uint32_t sysclk_hz(const Device *d) {
    uint32_t sources[4] = {msi_hz(d), STM32_HSI_HZ, STM32_HSE_HZ, pll_hz(d)};
    uint32_t hz = sources[d->words[CFGR / 4] & 3];
    return hz ? hz : msi_hz(d);
}

static void set_clocks(Machine *m, const Device *d) {
    uint32_t cfgr = d->words[CFGR / 4];
    stm32_set_clocks(m, &(Stm32Clocks){
                            .sysclk_hz = sysclk_hz(d),
                            .hpre = cfgr >> 4 & 0xF,
                            .ppre1 = cfgr >> 8 & 7,
                            .ppre2 = cfgr >> 11 & 7,
                        });
}

uint32_t stm32l4_uart_hz(Machine *m, const Device *uart) {
    static const char *const order[] = {"USART1", "USART2", "USART3", "UART4", "UART5", "LPUART1"};
    const Device *rcc = find_device(m, "stm32l4-rcc");
    uint32_t bus = m->core_hz / m->cycles_per_tick[uart->clock], selected = 0;
    for (uint32_t i = 0; rcc && i < sizeof order / sizeof *order; i++)
        if (!strcmp(order[i], uart->name))
            selected = rcc->words[CCIPR / 4] >> (2 * i) & 3;
    switch (selected) {
    case 1:
        return sysclk_hz(rcc);
    case 2:
        return STM32_HSI_HZ;
    case 3:
        return STM32_LSE_HZ;
    default:
        return bus;
    }
}

static uint32_t rcc_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    const Stm32ResetState *kept = d->state;
    uint32_t word = d->words[offset / 4];
    switch (offset) {
    case CR:
        word = ready_bits(word, CR_MSION | CR_HSEON | CR_PLLS, 1);
        return ready_bits(word, CR_HSION, 2);
    case CFGR: /* SWS follows SW */
        return (word & ~0xCu) | (word & 3) << 2;
    case BDCR: /* LSERDY */
        return ready_bits(kept->backup, 1, 1);
    case CSR: /* LSIRDY */
        return ready_bits(word & ~CSR_FLAGS, 1, 1) | kept->flags;
    case CRRCR: /* HSI48RDY */
        return ready_bits(word, 1, 1);
    default:
        return word;
    }
}

static void rcc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    Stm32ResetState *kept = d->state;
    if (offset == CIFR || offset == CICR)
        return;
    d->words[offset / 4] = value;
    if (offset == CSR) {
        d->words[offset / 4] = value & ~(CSR_FLAGS | CSR_RMVF);
        if (value & CSR_RMVF)
            kept->flags = 0;
    } else if (offset == BDCR) {
        kept->backup = value & BDCR_BDRST ? BDCR_BDRST : value;
    } else if (offset == AHB2RSTR && value & AHB2RSTR_ADCRST) {
        stm32_reset_block(m, "ADC"); /* of the blocks it resets, the one whose state matters */
    }
    set_clocks(m, d);
}

static void rcc_reset(Machine *m, Device *d) {
    stm32_note_reset(d->state, m->reset_cause, CSR_BORRSTF);
    d->words[CSR / 4] = 6 << 8; /* MSISRANGE: 4 MHz */
    set_clocks(m, d);
}

const DeviceModel device_stm32l4_rcc = {
    .name = "stm32l4-rcc",
    .state_bytes = sizeof(Stm32ResetState),
    .state_survives = true,
    .reset = rcc_reset,
    .read = rcc_read,
    .write = rcc_write,
};
