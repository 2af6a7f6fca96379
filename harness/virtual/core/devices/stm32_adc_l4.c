/* STM32L4 ADC1 to 3: RM0351 and RM0432, chapter ADC. Regular conversions that software starts: one,
 * a sequence, on and on; calibration; the states between deep power-down and ready. Triggers,
 * injected channels, watchdogs and oversampling are not modelled, and an asynchronous clock is
 * taken to be as fast as the bus. Pins are at 0 V, VDDA and VBAT at 3.3 V; it is 25 degrees
 * Celsius. */
#include "stm32.h"

enum {
    ISR = 0x00,
    IER = 0x04,
    CR = 0x08,
    CFGR = 0x0C,
    SMPR1 = 0x14,
    SMPR2 = 0x18,
    SQR1 = 0x30,
    DR = 0x40,
    UNIT_BYTES = 0x100,
    UNITS = 3,
    COMMON = 0x300,
    CCR = 0x308,
};
enum {
    ISR_ADRDY = 1u << 0,
    ISR_EOC = 1u << 2,
    ISR_EOS = 1u << 3,
    ISR_OVR = 1u << 4,
    CR_ADEN = 1u << 0,
    CR_ADDIS = 1u << 1,
    CR_ADSTART = 1u << 2,
    CR_ADSTP = 1u << 4,
    CR_ADVREGEN = 1u << 28,
    CR_DEEPPWD = 1u << 29,
    CR_ADCALDIF = 1u << 30,
    CR_ADCAL = 1u << 31,
    CFGR_DMAEN = 1u << 0,
    CFGR_ALIGN = 1u << 5,
    CFGR_OVRMOD = 1u << 12,
    CFGR_CONT = 1u << 13,
    CCR_VREFEN = 1u << 22,
    CCR_TSEN = 1u << 23,
    CCR_VBATEN = 1u << 24,
};

/* Of what boards/chips/ has in its calibration words, at 3.0 V: VREFINT's 1654 as it is at 3.3 V,
 * and of the sensor's 1037 at 30 degrees and its 1310 at 110 or 1379 at 130 what lies at 25. */
enum { REFERENCE = 1504, SENSOR = 927, FULL = 4095 };
enum { REFERENCE_CHANNEL = 0, SENSOR_CHANNEL = 17, VBAT_CHANNEL = 18 };
enum { CALIBRATION_CYCLES = 116, READY_HZ = 1000000 /* tSTAB, a microsecond */ };

typedef enum { IDLE, CALIBRATING, WAKING, CONVERTING } Doing;

typedef struct {
    uint64_t due[UNITS]; /* of what it is doing; NEVER */
    Doing doing[UNITS];
    uint32_t place[UNITS]; /* in the sequence */
} AdcState;

static uint32_t *word_of(Device *d, uint32_t unit, uint32_t offset) {
    return &d->words[(unit * UNIT_BYTES + offset) / 4];
}

static uint32_t bits_of(Device *d, uint32_t unit) {
    return 12 - 2 * (*word_of(d, unit, CFGR) >> 3 & 3);
}

/* The length takes the first of five fields of six bits in SQR1. */
static uint32_t channel_of(Device *d, uint32_t unit) {
    uint32_t field = ((AdcState *)d->state)->place[unit] + 1;
    return *word_of(d, unit, SQR1 + 4 * (field / 5)) >> 6 * (field % 5) & 31;
}

static uint32_t sampled(Device *d, uint32_t unit, uint32_t channel) {
    uint32_t ccr = d->words[CCR / 4];
    if (unit == 0 && channel == REFERENCE_CHANNEL && ccr & CCR_VREFEN)
        return REFERENCE;
    if (unit != 1 && channel == SENSOR_CHANNEL && ccr & CCR_TSEN)
        return SENSOR;
    return unit != 1 && channel == VBAT_CHANNEL && ccr & CCR_VBATEN ? FULL / 3 : 0;
}

/* Cycles of the core that a cycle of the ADCs takes: CKMODE, or PRESC. */
static uint32_t divider(const Device *d) {
    static const uint16_t prescaler[16] = {1,  2,  4,   6,   8,   10,  12,  16,
                                           32, 64, 128, 256, 256, 256, 256, 256};
    uint32_t ccr = d->words[CCR / 4], mode = ccr >> 16 & 3;
    return mode ? 1u << (mode - 1) : prescaler[ccr >> 18 & 15];
}

/* Sampling takes half a cycle more than it has whole ones, as does the conversion behind it. */
static uint64_t conversion_cycles(Device *d, uint32_t unit) {
    static const uint16_t sampling[8] = {2, 6, 12, 24, 47, 92, 247, 640};
    uint32_t channel = channel_of(d, unit);
    uint32_t fields = *word_of(d, unit, channel < 10 ? SMPR1 : SMPR2);
    uint32_t cycles = sampling[fields >> 3 * (channel % 10) & 7] + bits_of(d, unit) + 1;
    return (uint64_t)cycles * divider(d);
}

static void settle(Machine *m, Device *d) {
    const AdcState *s = d->state;
    uint64_t next = NEVER;
    bool level = false;
    for (uint32_t unit = 0; unit < UNITS; unit++) {
        next = s->due[unit] < next ? s->due[unit] : next;
        level |= *word_of(d, unit, ISR) & *word_of(d, unit, IER);
    }
    schedule(m, d, next);
    if (d->irq >= 0)
        set_interrupt(m, d->irq, level);
}

static void begin(Device *d, uint32_t unit, Doing doing, uint64_t due) {
    AdcState *s = d->state;
    s->doing[unit] = doing;
    s->due[unit] = due;
}

static void end_conversion(Machine *m, Device *d, uint32_t unit, uint64_t at) {
    AdcState *s = d->state;
    uint32_t cfgr = *word_of(d, unit, CFGR), bits = bits_of(d, unit);
    uint32_t *isr = word_of(d, unit, ISR), length = (*word_of(d, unit, SQR1) & 15) + 1;
    uint32_t value = sampled(d, unit, channel_of(d, unit)) >> (12 - bits);
    bool overrun = *isr & ISR_EOC;
    if (!overrun || cfgr & CFGR_OVRMOD)
        *word_of(d, unit, DR) = cfgr & CFGR_ALIGN ? value << (bits == 6 ? 2 : 16 - bits) : value;
    s->place[unit] += 1;
    bool whole = s->place[unit] >= length;
    *isr |= ISR_EOC | (whole ? ISR_EOS : 0) | (overrun ? ISR_OVR : 0);
    if (cfgr & CFGR_DMAEN) /* reads DR */
        serve_by_dma(m, d->base + unit * UNIT_BYTES + DR, false);
    if (whole)
        s->place[unit] = 0;
    if (!whole || cfgr & CFGR_CONT)
        begin(d, unit, CONVERTING, at + conversion_cycles(d, unit));
    else
        *word_of(d, unit, CR) &= ~(uint32_t)CR_ADSTART;
}

static void finish(Machine *m, Device *d, uint32_t unit) {
    AdcState *s = d->state;
    Doing doing = s->doing[unit];
    uint64_t at = s->due[unit];
    begin(d, unit, IDLE, NEVER);
    if (doing == CALIBRATING)
        *word_of(d, unit, CR) &= ~(uint32_t)CR_ADCAL;
    else if (doing == WAKING)
        *word_of(d, unit, ISR) |= ISR_ADRDY;
    else
        end_conversion(m, d, unit, at);
}

static void adc_advance(Machine *m, Device *d, uint64_t now) {
    AdcState *s = d->state;
    for (uint32_t unit = 0; unit < UNITS; unit++)
        while (s->due[unit] <= now)
            finish(m, d, unit);
    settle(m, d);
}

static uint32_t adc_read(Machine *m, Device *d, uint32_t offset) {
    AdcState *s = d->state;
    uint32_t unit = offset / UNIT_BYTES, within = offset % UNIT_BYTES;
    if (unit >= UNITS)
        return offset == COMMON ? (*word_of(d, 0, ISR) & 0xFFFF) | *word_of(d, 1, ISR) << 16
                                : d->words[offset / 4];
    if ((within == ISR || within == CR) && s->due[unit] != NEVER) {
        poll_until(m, d, s->due[unit]);
        adc_advance(m, d, m->status.cycles);
    }
    uint32_t word = d->words[offset / 4];
    if (within == DR && !m->port.visiting) {
        *word_of(d, unit, ISR) &= ~(uint32_t)ISR_EOC;
        settle(m, d);
    }
    return word;
}

/* Ones set what can be begun; what has begun ends by itself, or by ADDIS, ADSTP and deep
 * power-down. Without the regulator nothing begins. */
static void control(Machine *m, Device *d, uint32_t unit, uint32_t value, uint64_t now) {
    AdcState *s = d->state;
    const uint32_t settings = CR_ADVREGEN | CR_DEEPPWD | CR_ADCALDIF;
    uint32_t *cr = word_of(d, unit, CR);
    *cr = (value & settings) | (*cr & ~settings);
    bool powered = *cr & CR_ADVREGEN && !(*cr & CR_DEEPPWD), idle = s->doing[unit] == IDLE;
    if (!powered) {
        *cr &= settings;
        begin(d, unit, IDLE, NEVER);
    } else if (value & CR_ADSTP && s->doing[unit] == CONVERTING) {
        *cr &= ~(uint32_t)CR_ADSTART;
        begin(d, unit, IDLE, NEVER);
    } else if (!idle) {
        return;
    } else if (value & CR_ADCAL && !(*cr & CR_ADEN)) {
        *cr |= CR_ADCAL;
        begin(d, unit, CALIBRATING, now + CALIBRATION_CYCLES * divider(d));
    } else if (value & CR_ADDIS) {
        *cr &= ~(uint32_t)CR_ADEN;
    } else if (value & CR_ADSTART && *cr & CR_ADEN) {
        *cr |= CR_ADSTART;
        s->place[unit] = 0;
        begin(d, unit, CONVERTING, now + conversion_cycles(d, unit));
    } else if (value & CR_ADEN && !(*cr & CR_ADEN)) {
        *cr |= CR_ADEN;
        begin(d, unit, WAKING, now + m->core_hz / READY_HZ);
    }
}

static void adc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint32_t unit = offset / UNIT_BYTES, within = offset % UNIT_BYTES;
    if (offset == COMMON || (unit < UNITS && within == DR))
        return;
    if (unit < UNITS && within == ISR) /* flags are cleared by ones */
        d->words[offset / 4] &= ~value;
    else if (unit < UNITS && within == CR)
        control(m, d, unit, value, cycles_now(m, d->base + offset, true));
    else
        d->words[offset / 4] = value;
    settle(m, d);
}

static void adc_reset(Machine *m, Device *d) {
    (void)m;
    for (uint32_t unit = 0; unit < UNITS; unit++) {
        *word_of(d, unit, CR) = CR_DEEPPWD;
        begin(d, unit, IDLE, NEVER);
    }
}

const DeviceModel device_stm32l4_adc = {
    .name = "stm32l4-adc",
    .state_bytes = sizeof(AdcState),
    .reset = adc_reset,
    .read = adc_read,
    .write = adc_write,
    .advance = adc_advance,
};
