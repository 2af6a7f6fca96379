/* nRF52840 SAADC. The supply is 3.3 V here, every pin is at 0 V. Oversampling, its own sample rate
 * and the limits' events are not modelled. */
#include "nrf.h"

enum {
    START = 0x000,
    SAMPLE = 0x004,
    STOP = 0x008,
    CALIBRATEOFFSET = 0x00C,
    STARTED = 0x100,
    END = 0x104,
    DONE = 0x108,
    RESULTDONE = 0x10C,
    CALIBRATEDONE = 0x110,
    EVENT_STOPPED = 0x114,
    STATUS = 0x400,
    ENABLE = 0x500,
    CH_PSELP = 0x510, /* of channel 0; the next lies CH_BYTES behind it */
    CH_PSELN = 0x514,
    CH_CONFIG = 0x518,
    CH_LIMIT = 0x51C,
    CH_BYTES = 0x10,
    CHANNELS = 8,
    RESOLUTION = 0x5F0,
    RESULT_PTR = 0x62C,
    RESULT_MAXCNT = 0x630,
    RESULT_AMOUNT = 0x634,
};

enum { VDD = 9, VDDHDIV5 = 13, VDD_MV = 3300, REFERENCE_MV = 600 };
enum { CONFIG_RESET = 0x20000, LIMIT_RESET = 0x7FFF8000, RESOLUTION_RESET = 1 };
enum { CONVERSION_US = 2, CALIBRATION_US = 100 };

typedef struct {
    NrfPolls polls;
    uint64_t sampled, calibrated; /* when; NEVER */
    uint32_t at, count, done;     /* of the buffer, latched at START: address, samples */
    bool started;
} State;

static uint32_t *of_channel(Device *d, uint32_t channel, uint32_t offset) {
    return nrf_word(d, offset + CH_BYTES * channel);
}

static bool is_on(Device *d, uint32_t channel) { return *of_channel(d, channel, CH_PSELP) & 0x1F; }

static void plan(Machine *m, Device *d) {
    const State *s = d->state;
    schedule(m, d, nrf_sooner(s->sampled, s->calibrated));
}

static int32_t input_mv(uint32_t selected) {
    selected &= 0x1F;
    return selected == VDD ? VDD_MV : selected == VDDHDIV5 ? VDD_MV / 5 : 0;
}

/* "Digital output": (V(P) - V(N)) * gain / reference * 2^(resolution - m), m 1 where differential.
 * Gains in sixtieths: 1/6, 1/5, 1/4, 1/3, 1/2, 1, 2, 4. */
static int32_t result(Device *d, uint32_t channel) {
    static const int16_t gains[8] = {10, 12, 15, 20, 30, 60, 120, 240};
    uint32_t config = *of_channel(d, channel, CH_CONFIG);
    bool differential = config >> 20 & 1;
    int32_t mv = input_mv(*of_channel(d, channel, CH_PSELP)) -
                 (differential ? input_mv(*of_channel(d, channel, CH_PSELN)) : 0);
    int32_t reference = config >> 12 & 1 ? VDD_MV / 4 : REFERENCE_MV;
    uint32_t bits = 8 + 2 * (*nrf_word(d, RESOLUTION) & 3) - differential;
    int64_t value = ((int64_t)mv * gains[config >> 8 & 7] << bits) / (60 * reference);
    int32_t most = (1 << bits) - 1;
    return value > most ? most : (int32_t)value;
}

/* TACQ: 3, 5, 10, 15, 20, 40 us */
static uint64_t sampling_cycles(Device *d) {
    static const uint8_t acquisition_us[8] = {3, 5, 10, 15, 20, 40, 40, 40};
    uint64_t us = 0;
    for (uint32_t i = 0; i < CHANNELS; i++)
        if (is_on(d, i))
            us += acquisition_us[*of_channel(d, i, CH_CONFIG) >> 16 & 7] + CONVERSION_US;
    return us * NRF_MICROSECOND;
}

static void put(Machine *m, Device *d, uint32_t channel) {
    State *s = d->state;
    uint8_t *to = memory_at(m, s->at + 2 * s->done, 2, true); /* EasyDMA reaches RAM only */
    if (s->done == s->count)
        return;
    int32_t value = result(d, channel);
    if (to) {
        to[0] = (uint8_t)value;
        to[1] = (uint8_t)(value >> 8);
    }
    s->done += 1;
    *nrf_word(d, RESULT_AMOUNT) = s->done;
    nrf_event(m, d, DONE);
    nrf_event(m, d, RESULTDONE);
    if (s->done == s->count) {
        s->started = false;
        nrf_event(m, d, END);
    }
}

static void saadc_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    if (s->sampled <= now) {
        s->sampled = NEVER;
        for (uint32_t i = 0; i < CHANNELS; i++)
            if (is_on(d, i))
                put(m, d, i);
    }
    if (s->calibrated <= now) {
        s->calibrated = NEVER;
        nrf_event(m, d, CALIBRATEDONE);
    }
    plan(m, d);
}

static void task(Machine *m, Device *d, uint32_t offset) {
    State *s = d->state;
    uint64_t now = m->status.cycles;
    if (!(*nrf_word(d, ENABLE) & 1))
        return;
    if (offset == START) {
        s->at = *nrf_word(d, RESULT_PTR);
        s->count = *nrf_word(d, RESULT_MAXCNT) & 0x7FFF;
        s->done = 0;
        s->started = true;
        nrf_event(m, d, STARTED);
    } else if (offset == SAMPLE && s->started && s->sampled == NEVER) {
        uint64_t cycles = sampling_cycles(d);
        s->sampled = cycles ? now + cycles : NEVER;
    } else if (offset == STOP) {
        s->started = false;
        s->sampled = NEVER;
        nrf_event(m, d, EVENT_STOPPED);
    } else if (offset == CALIBRATEOFFSET) {
        s->calibrated = now + (uint64_t)CALIBRATION_US * NRF_MICROSECOND;
    }
    plan(m, d);
}

static uint32_t saadc_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == STATUS) {
        const State *s = d->state;
        return s->sampled != NEVER || s->calibrated != NEVER;
    }
    return nrf_read(m, d, offset);
}

static void saadc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (nrf_is_task(offset)) {
        if (value & 1)
            task(m, d, offset);
    } else if (!nrf_write(m, d, offset, value) && offset != STATUS && offset != RESULT_AMOUNT) {
        *nrf_word(d, offset) = value;
    }
}

static void saadc_reset(Machine *m, Device *d) {
    State *s = d->state;
    (void)m;
    s->sampled = s->calibrated = NEVER;
    *nrf_word(d, RESOLUTION) = RESOLUTION_RESET;
    for (uint32_t i = 0; i < CHANNELS; i++) {
        *of_channel(d, i, CH_CONFIG) = CONFIG_RESET;
        *of_channel(d, i, CH_LIMIT) = LIMIT_RESET;
    }
}

const DeviceModel device_nrf_saadc = {
    .name = "nrf-saadc",
    .state_bytes = sizeof(State),
    .reset = saadc_reset,
    .read = saadc_read,
    .write = saadc_write,
    .advance = saadc_advance,
};
