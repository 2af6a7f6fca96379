/* nRF52840 RNG. Its noise is a generator with a fixed seed: a run can be repeated. */
#include "nrf.h"

enum { START = 0x000, STOP = 0x004, VALRDY = 0x100, CONFIG = 0x504, VALUE = 0x508 };
enum { SHORT_STOP = 1, BIAS_CORRECTION = 1, FAST_US = 30, CORRECTED_US = 120 };

typedef struct {
    NrfPolls polls;
    uint64_t noise, ready; /* NEVER: stopped */
} State;

static void begin(Machine *m, Device *d, uint64_t now) {
    bool corrected = *nrf_word(d, CONFIG) & BIAS_CORRECTION;
    State *s = d->state;
    s->ready = now + (uint64_t)NRF_MICROSECOND * (corrected ? CORRECTED_US : FAST_US);
    schedule(m, d, s->ready);
}

/* xorshift64: George Marsaglia, "Xorshift RNGs", 2003 */
static uint32_t next_byte(State *s) {
    s->noise ^= s->noise << 13;
    s->noise ^= s->noise >> 7;
    s->noise ^= s->noise << 17;
    return s->noise >> 56;
}

static void rng_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    schedule(m, d, s->ready);
    if (s->ready > now)
        return;
    *nrf_word(d, VALUE) = next_byte(s);
    if (*nrf_word(d, NRF_SHORTS) & SHORT_STOP) {
        s->ready = NEVER;
        schedule(m, d, NEVER);
    } else {
        begin(m, d, now);
    }
    nrf_event(m, d, VALRDY);
}

static void rng_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    State *s = d->state;
    if (offset == START && value & 1) {
        if (s->ready == NEVER)
            begin(m, d, m->status.cycles);
    } else if (offset == STOP && value & 1) {
        s->ready = NEVER;
        schedule(m, d, NEVER);
    } else if (!nrf_is_task(offset) && !nrf_write(m, d, offset, value) && offset != VALUE) {
        *nrf_word(d, offset) = value;
    }
}

static void rng_reset(Machine *m, Device *d) {
    State *s = d->state;
    (void)m;
    s->noise = 0x9E3779B97F4A7C15u;
    s->ready = NEVER;
}

const DeviceModel device_nrf_rng = {
    .name = "nrf-rng",
    .state_bytes = sizeof(State),
    .reset = rng_reset,
    .read = nrf_read,
    .write = rng_write,
    .advance = rng_advance,
};
