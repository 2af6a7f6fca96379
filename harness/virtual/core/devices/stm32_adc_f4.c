/* STM32F4 ADC1 to 3: RM0402 and RM0090, 13. Regular conversions that software starts: one, a
 * sequence, on and on. Triggers, injected channels, the watchdog and overruns are not modelled.
 * Pins are at 0 V, VDDA and VBAT at 3.3 V; it is 25 degrees Celsius. */
#include "stm32.h"

enum {
    SR = 0x00,
    CR1 = 0x04,
    CR2 = 0x08,
    SMPR1 = 0x0C,
    SMPR2 = 0x10,
    SQR1 = 0x2C,
    SQR2 = 0x30,
    SQR3 = 0x34,
    DR = 0x4C,
    UNIT_BYTES = 0x100,
    UNITS = 3,
    CSR = 0x300,
    CCR = 0x304,
};
enum {
    SR_EOC = 1u << 1,
    SR_STRT = 1u << 4,
    CR1_EOCIE = 1u << 5,
    CR1_SCAN = 1u << 8,
    CR2_ADON = 1u << 0,
    CR2_CONT = 1u << 1,
    CR2_DMA = 1u << 8,
    CR2_EOCS = 1u << 10,
    CR2_ALIGN = 1u << 11,
    CR2_SWSTART = 1u << 30,
    CCR_VBATE = 1u << 22,
    CCR_TSVREFE = 1u << 23,
};

/* What boards/chips/ has in its calibration words: VREFINT at 3.3 V, and of the sensor's 943 at 30
 * degrees and 1191 at 110 what lies at 25. */
enum { REFERENCE_CHANNEL = 17, VBAT_CHANNEL = 18, REFERENCE = 1501, SENSOR = 928, FULL = 4095 };

typedef struct {
    uint64_t due[UNITS];   /* of the conversion that is under way; NEVER */
    uint32_t place[UNITS]; /* in its sequence */
} AdcState;

extern const DeviceModel device_stm32f405_adc;

static bool is_f405(const Device *d) { return d->model == &device_stm32f405_adc; }

static uint32_t *word_of(Device *d, uint32_t unit, uint32_t offset) {
    return &d->words[(unit * UNIT_BYTES + offset) / 4];
}

static uint32_t bits_of(Device *d, uint32_t unit) {
    return 12 - 2 * (*word_of(d, unit, CR1) >> 24 & 3);
}

static uint32_t length_of(Device *d, uint32_t unit) {
    return *word_of(d, unit, CR1) & CR1_SCAN ? (*word_of(d, unit, SQR1) >> 20 & 15) + 1 : 1;
}

static uint32_t channel_of(Device *d, uint32_t unit) {
    uint32_t place = ((AdcState *)d->state)->place[unit];
    uint32_t offset = place < 6 ? SQR3 : place < 12 ? SQR2 : SQR1;
    return *word_of(d, unit, offset) >> 5 * (place % 6) & 31;
}

/* Where sensor and VBAT share a channel, VBAT goes first. */
static uint32_t sampled(Device *d, uint32_t unit, uint32_t channel) {
    uint32_t ccr = d->words[CCR / 4];
    if (unit != 0)
        return 0;
    if (channel == VBAT_CHANNEL && ccr & CCR_VBATE)
        return FULL / (is_f405(d) ? 2 : 4);
    if (!(ccr & CCR_TSVREFE))
        return 0;
    return channel == REFERENCE_CHANNEL        ? REFERENCE
           : channel == (is_f405(d) ? 16 : 18) ? SENSOR
                                               : 0;
}

static uint64_t conversion_cycles(const Machine *m, Device *d, uint32_t unit) {
    static const uint16_t sampling[8] = {3, 15, 28, 56, 84, 112, 144, 480};
    uint32_t channel = channel_of(d, unit), divider = 2 * ((d->words[CCR / 4] >> 16 & 3) + 1);
    uint32_t fields = *word_of(d, unit, channel < 10 ? SMPR2 : SMPR1);
    uint32_t cycles = sampling[fields >> 3 * (channel % 10) & 7] + bits_of(d, unit);
    return (uint64_t)cycles * divider * cycles_per_tick(m, d);
}

static void settle(Machine *m, Device *d) {
    const AdcState *s = d->state;
    uint64_t next = NEVER;
    bool level = false;
    for (uint32_t unit = 0; unit < UNITS; unit++) {
        next = s->due[unit] < next ? s->due[unit] : next;
        level |= *word_of(d, unit, CR1) & CR1_EOCIE && *word_of(d, unit, SR) & SR_EOC;
    }
    schedule(m, d, next);
    if (d->irq >= 0)
        set_interrupt(m, d->irq, level);
}

static void convert(Machine *m, Device *d, uint32_t unit, uint64_t from) {
    ((AdcState *)d->state)->due[unit] = from + conversion_cycles(m, d, unit);
}

static void finish(Machine *m, Device *d, uint32_t unit) {
    AdcState *s = d->state;
    uint32_t cr2 = *word_of(d, unit, CR2), bits = bits_of(d, unit);
    uint32_t value = sampled(d, unit, channel_of(d, unit)) >> (12 - bits);
    uint64_t at = s->due[unit];
    *word_of(d, unit, DR) = cr2 & CR2_ALIGN ? value << (bits == 6 ? 2 : 16 - bits) : value;
    s->place[unit] += 1;
    bool whole = s->place[unit] == length_of(d, unit);
    s->due[unit] = NEVER;
    if (whole || cr2 & CR2_EOCS)
        *word_of(d, unit, SR) |= SR_EOC;
    if (cr2 & CR2_DMA) /* reads DR */
        serve_by_dma(m, d->base + unit * UNIT_BYTES + DR, false);
    if (whole)
        s->place[unit] = 0;
    if (!whole || cr2 & CR2_CONT)
        convert(m, d, unit, at);
}

static void adc_advance(Machine *m, Device *d, uint64_t now) {
    AdcState *s = d->state;
    for (uint32_t unit = 0; unit < UNITS; unit++)
        while (s->due[unit] <= now)
            finish(m, d, unit);
    settle(m, d);
}

static uint32_t adc_read(Machine *m, Device *d, uint32_t offset) {
    uint32_t unit = offset / UNIT_BYTES, within = offset % UNIT_BYTES;
    if (offset == CSR)
        return *word_of(d, 0, SR) | *word_of(d, 1, SR) << 8 | *word_of(d, 2, SR) << 16;
    if (unit < UNITS && within == SR && ((AdcState *)d->state)->due[unit] != NEVER) {
        poll_until(m, d, ((AdcState *)d->state)->due[unit]);
        adc_advance(m, d, m->status.cycles);
    }
    uint32_t word = d->words[offset / 4];
    if (unit < UNITS && within == DR && !m->port.visiting) {
        *word_of(d, unit, SR) &= ~(uint32_t)SR_EOC;
        settle(m, d);
    }
    return word;
}

static void adc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    AdcState *s = d->state;
    uint32_t unit = offset / UNIT_BYTES, within = offset % UNIT_BYTES;
    if (offset == CSR || (unit < UNITS && within == DR))
        return;
    if (unit < UNITS && within == SR) { /* flags are cleared by zeros */
        d->words[offset / 4] &= value;
    } else if (unit < UNITS && within == CR2) {
        bool was_on = d->words[offset / 4] & CR2_ADON;
        d->words[offset / 4] = value & ~(uint32_t)CR2_SWSTART;
        if (!(value & CR2_ADON)) {
            s->due[unit] = NEVER;
        } else if (was_on && value & CR2_SWSTART) {
            s->place[unit] = 0;
            *word_of(d, unit, SR) |= SR_STRT;
            convert(m, d, unit, cycles_now(m, d->base + offset, true));
        }
    } else {
        d->words[offset / 4] = value;
    }
    settle(m, d);
}

static void adc_reset(Machine *m, Device *d) {
    (void)m;
    for (uint32_t unit = 0; unit < UNITS; unit++)
        ((AdcState *)d->state)->due[unit] = NEVER;
}

const DeviceModel device_stm32f4_adc = {
    .name = "stm32f4-adc",
    .state_bytes = sizeof(AdcState),
    .reset = adc_reset,
    .read = adc_read,
    .write = adc_write,
    .advance = adc_advance,
};

/* RM0090, 13.10: the sensor has a channel of its own; 13.11: half of VBAT, not a quarter. */
const DeviceModel device_stm32f405_adc = {
    .name = "stm32f405-adc",
    .state_bytes = sizeof(AdcState),
    .reset = adc_reset,
    .read = adc_read,
    .write = adc_write,
    .advance = adc_advance,
};
