/* STM32F4 reset and clock control: RM0402, 6.3. Oscillators and PLLs are ready when enabled. */
#include "stm32.h"

enum {
    CR = 0x00,
    PLLCFGR = 0x04,
    CFGR = 0x08,
    APB2RSTR = 0x24,
    BDCR = 0x70,
    CSR = 0x74,
    DCKCFGR = 0x8C,
};
enum {
    CR_HSION = 1u << 0,
    CR_HSEON = 1u << 16,
    CR_PLLON = 1u << 24,
    CR_PLLI2SON = 1u << 26,
    CR_PLLSAION = 1u << 28,
    CSR_RMVF = 1u << 24,
    CSR_BORRSTF = 1u << 25,
    CSR_PORRSTF = 1u << 27,
    CSR_FLAGS = 0xFE000000u,
    BDCR_BDRST = 1u << 16,
    APB2RSTR_ADCRST = 1u << 8,
    DCKCFGR_TIMPRE = 1u << 24,
};

static uint32_t pll_hz(const Device *d) {
    uint32_t word = d->words[PLLCFGR / 4], m = word & 0x3F, n = word >> 6 & 0x1FF;
    uint32_t source = word >> 22 & 1 ? STM32_HSE_HZ : STM32_HSI_HZ, p = 2 * ((word >> 16 & 3) + 1);
    return m ? (uint32_t)((uint64_t)source * n / m / p) : source;
}

/* RM0390, 6.3.3: SW 3 is PLL_R in the F446; the others reserve it. */
static uint32_t pll_r_hz(const Device *d) {
    uint32_t word = d->words[PLLCFGR / 4], p = 2 * ((word >> 16 & 3) + 1), r = word >> 28 & 7;
    return r ? (uint32_t)((uint64_t)pll_hz(d) * p / r) : pll_hz(d);
}

static void set_clocks(Machine *m, const Device *d) {
    uint32_t cfgr = d->words[CFGR / 4];
    uint32_t sources[4] = {STM32_HSI_HZ, STM32_HSE_HZ, pll_hz(d), pll_r_hz(d)};
    uint32_t hz = sources[cfgr & 3]; /* 0: a PLL that multiplies by 0, which is never switched to */
    stm32_set_clocks(m, &(Stm32Clocks){
                            .sysclk_hz = hz ? hz : STM32_HSI_HZ,
                            .hpre = cfgr >> 4 & 0xF,
                            .ppre1 = cfgr >> 10 & 7,
                            .ppre2 = cfgr >> 13 & 7,
                            .fast_timers = d->words[DCKCFGR / 4] & DCKCFGR_TIMPRE,
                        });
}

static uint32_t rcc_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    const Stm32ResetState *kept = d->state;
    uint32_t word = d->words[offset / 4];
    switch (offset) {
    case CR:
        return ready_bits(word, CR_HSION | CR_HSEON | CR_PLLON | CR_PLLI2SON | CR_PLLSAION, 1);
    case CFGR: /* SWS follows SW */
        return (word & ~0xCu) | (word & 3) << 2;
    case BDCR: /* LSERDY */
        return ready_bits(kept->backup, 1, 1);
    case CSR: /* LSIRDY */
        return ready_bits(word & ~CSR_FLAGS, 1, 1) | kept->flags;
    default:
        return word;
    }
}

static void rcc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    Stm32ResetState *kept = d->state;
    d->words[offset / 4] = value;
    if (offset == CSR) {
        d->words[offset / 4] = value & 1;
        if (value & CSR_RMVF)
            kept->flags = 0;
    } else if (offset == BDCR) {
        kept->backup = value & BDCR_BDRST ? BDCR_BDRST : value;
    } else if (offset == APB2RSTR) { /* of the blocks it resets, the one whose state matters */
        if (value & APB2RSTR_ADCRST)
            stm32_reset_block(m, "ADC");
    } else {
        set_clocks(m, d);
    }
}

static void rcc_reset(Machine *m, Device *d) {
    stm32_note_reset(d->state, m->reset_cause, CSR_BORRSTF | CSR_PORRSTF);
    set_clocks(m, d);
}

const DeviceModel device_stm32f4_rcc = {
    .name = "stm32f4-rcc",
    .state_bytes = sizeof(Stm32ResetState),
    .state_survives = true,
    .reset = rcc_reset,
    .read = rcc_read,
    .write = rcc_write,
};
