/* nRF52840 RTC: 24 bits that count the low-frequency clock through a 12-bit prescaler. */
#include "nrf.h"

enum {
    START = 0x00,
    STOP = 0x04,
    CLEAR = 0x08,
    TRIGOVRFLW = 0x0C,
    TICK = 0x100,
    OVRFLW = 0x104,
    COMPARE = 0x140,
    EVTEN = 0x340,
    EVTENSET = 0x344,
    EVTENCLR = 0x348,
    COUNTER = 0x504,
    PRESCALER = 0x508,
    CC = 0x540,
};
enum { CHANNELS = 4, WRAP = 1u << 24, SHORT_OF_OVERFLOW = 0xFFFFF0, EN_TICK = 1, EN_OVRFLW = 2 };

typedef struct {
    NrfPolls polls;
    bool running;
    uint32_t count; /* at `since` */
    uint64_t since; /* tick of the low-frequency clock at which `count` began */
} State;

static uint32_t divider(Device *d) { return (*nrf_word(d, PRESCALER) & 0xFFF) + 1; }

static uint64_t steps_at(Machine *m, Device *d, uint64_t now) {
    const State *s = d->state;
    uint64_t ticks = nrf_low_ticks(m, now);
    return s->running && ticks > s->since ? (ticks - s->since) / divider(d) : 0;
}

/* The steps up to the one that makes the counter `value`. */
static uint32_t steps_until(Device *d, uint32_t value) {
    const State *s = d->state;
    uint32_t steps = (value - s->count) % WRAP;
    return steps ? steps : WRAP; /* reached by counting, not by being there */
}

static uint32_t wanted(Device *d) { return *nrf_word(d, EVTEN) | *nrf_word(d, NRF_INTEN); }

/* Steps until the first wanted event. */
static uint32_t next_event(Device *d) {
    uint32_t want = wanted(d), next = UINT32_MAX;
    if (want & EN_TICK)
        next = 1;
    if (want & EN_OVRFLW && steps_until(d, 0) < next)
        next = steps_until(d, 0);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        uint32_t steps = steps_until(d, *nrf_word(d, CC + 4 * i));
        if (want >> (16 + i) & 1 && steps < next)
            next = steps;
    }
    return next;
}

static void settle(Device *d, uint32_t steps) {
    State *s = d->state;
    s->count = (s->count + steps) % WRAP;
    s->since += (uint64_t)steps * divider(d);
}

static void rtc_advance(Machine *m, Device *d, uint64_t now) {
    const State *s = d->state;
    uint32_t next;
    while ((next = next_event(d)) <= steps_at(m, d, now)) {
        uint32_t want = wanted(d);
        settle(d, next);
        if (want & EN_TICK)
            nrf_event(m, d, TICK);
        if (want & EN_OVRFLW && s->count == 0)
            nrf_event(m, d, OVRFLW);
        for (uint32_t i = 0; i < CHANNELS; i++)
            if (want >> (16 + i) & 1 && *nrf_word(d, CC + 4 * i) == s->count)
                nrf_event(m, d, COMPARE + 4 * i);
    }
    schedule(m, d,
             s->running && next != UINT32_MAX
                 ? nrf_low_tick_at(m, s->since + (uint64_t)next * divider(d))
                 : NEVER);
}

static void set_counter(Machine *m, Device *d, uint64_t now, uint32_t count) {
    State *s = d->state;
    s->count = count;
    s->since = nrf_low_ticks(m, now);
}

static uint32_t counter(Machine *m, Device *d, uint64_t now) {
    const State *s = d->state;
    return (uint32_t)((s->count + steps_at(m, d, now)) % WRAP);
}

static void task(Machine *m, Device *d, uint32_t offset, uint64_t now) {
    State *s = d->state;
    switch (offset) {
    case START:
        if (!s->running)
            set_counter(m, d, now, s->count);
        s->running = true;
        break;
    case STOP:
        set_counter(m, d, now, counter(m, d, now));
        s->running = false;
        break;
    case CLEAR:
        set_counter(m, d, now, 0);
        break;
    case TRIGOVRFLW:
        set_counter(m, d, now, SHORT_OF_OVERFLOW);
        break;
    default:
        break;
    }
}

static uint32_t rtc_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == COUNTER)
        return counter(m, d, cycles_now(m, d->base + offset, false));
    if (offset == EVTENSET || offset == EVTENCLR)
        return *nrf_word(d, EVTEN);
    return nrf_read(m, d, offset);
}

static void rtc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint64_t now = cycles_now(m, d->base + offset, true);
    State *s = d->state;
    rtc_advance(m, d, now);
    if (nrf_is_task(offset)) {
        if (value & 1)
            task(m, d, offset, now);
    } else if (nrf_write(m, d, offset, value)) {
        ; /* done */
    } else if (offset == EVTENSET) {
        *nrf_word(d, EVTEN) |= value;
    } else if (offset == EVTENCLR) {
        *nrf_word(d, EVTEN) &= ~value;
    } else if (offset >= CC && offset < CC + 4 * CHANNELS) {
        *nrf_word(d, offset) = value % WRAP;
    } else if (offset != COUNTER && !(offset == PRESCALER && s->running)) {
        *nrf_word(d, offset) = value; /* the prescaler can be set only while it is stopped */
    }
    rtc_advance(m, d, now);
}

const DeviceModel device_nrf_rtc = {
    .name = "nrf-rtc",
    .state_bytes = sizeof(State),
    .read = rtc_read,
    .write = rtc_write,
    .advance = rtc_advance,
};
