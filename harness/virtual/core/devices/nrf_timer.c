/* nRF52840 TIMER: 16 MHz divided by a power of two, or a counter of COUNT tasks. */
#include "nrf.h"

enum {
    START = 0x00,
    STOP = 0x04,
    COUNT = 0x08,
    CLEAR = 0x0C,
    SHUTDOWN = 0x10,
    CAPTURE = 0x40,
    COMPARE = 0x140,
    MODE = 0x504,
    BITMODE = 0x508,
    PRESCALER = 0x510,
    CC = 0x540,
};
enum { CHANNELS = 6, SHORT_STOP = 8, CYCLES_A_TICK = NRF_HZ / 16000000 };

typedef struct {
    NrfPolls polls;
    bool running;
    uint32_t count; /* at `since` */
    uint64_t since; /* the cycle at which `count` began */
} State;

static uint32_t mask(Device *d) {
    static const uint32_t masks[] = {0xFFFF, 0xFF, 0xFFFFFF, 0xFFFFFFFF};
    return masks[*nrf_word(d, BITMODE) & 3];
}

static uint64_t tick_cycles(Device *d) {
    uint32_t prescaler = *nrf_word(d, PRESCALER) & 15;
    return (uint64_t)CYCLES_A_TICK << (prescaler > 9 ? 9 : prescaler);
}

static bool counts_time(Device *d) {
    const State *s = d->state;
    return s->running && *nrf_word(d, MODE) == 0;
}

static uint64_t ticks_since(Device *d, uint64_t now) {
    const State *s = d->state;
    return counts_time(d) && now > s->since ? (now - s->since) / tick_cycles(d) : 0;
}

static uint32_t count_at(Device *d, uint64_t now) {
    const State *s = d->state;
    return (s->count + (uint32_t)ticks_since(d, now)) & mask(d);
}

/* The count is `count` from now on, with the part of a tick that has gone by. */
static void settle(Device *d, uint64_t now, uint32_t count) {
    State *s = d->state;
    s->since = counts_time(d) ? s->since + ticks_since(d, now) * tick_cycles(d) : now;
    s->count = count & mask(d);
}

static uint64_t match_due(Device *d, uint32_t channel) {
    const State *s = d->state;
    uint64_t ticks = (*nrf_word(d, CC + 4 * channel) - s->count) & mask(d);
    if (ticks == 0) /* reached by counting, not by being there */
        ticks = (uint64_t)mask(d) + 1;
    return s->since + ticks * tick_cycles(d);
}

static void matched(Machine *m, Device *d, uint32_t channels) {
    State *s = d->state;
    uint32_t shorts = *nrf_word(d, NRF_SHORTS);
    if (shorts & channels)
        s->count = 0;
    if (shorts >> SHORT_STOP & channels)
        s->running = false;
    for (uint32_t i = 0; i < CHANNELS; i++)
        if (channels >> i & 1)
            nrf_event(m, d, COMPARE + 4 * i);
}

static bool watched(Machine *m, Device *d) {
    return *nrf_word(d, NRF_INTEN) || *nrf_word(d, NRF_SHORTS) || nrf_ppi_in_use(m);
}

/* All matches up to `now`, in their order. Where nobody watches they wait for somebody to read. */
static void timer_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    uint64_t next = NEVER;
    while (counts_time(d)) {
        uint32_t channels = 0;
        next = NEVER;
        for (uint32_t i = 0; i < CHANNELS; i++) {
            uint64_t due = match_due(d, i);
            channels = due < next ? 1u << i : due == next ? channels | 1u << i : channels;
            next = nrf_sooner(next, due);
        }
        if (next > now)
            break;
        settle(d, next, count_at(d, next));
        matched(m, d, channels);
    }
    schedule(m, d, s->running && watched(m, d) ? next : NEVER);
}

static void task(Machine *m, Device *d, uint32_t offset, uint64_t now) {
    State *s = d->state;
    if (offset >= CAPTURE && offset < CAPTURE + 4 * CHANNELS) {
        *nrf_word(d, CC + (offset - CAPTURE)) = count_at(d, now);
        return;
    }
    switch (offset) {
    case START:
        if (!s->running) {
            s->running = true;
            s->since = now;
        }
        break;
    case STOP:
    case SHUTDOWN:
        s->count = count_at(d, now);
        s->running = false;
        break;
    case CLEAR:
        settle(d, now, 0);
        break;
    case COUNT:
        if (s->running && *nrf_word(d, MODE) != 0) {
            s->count = (s->count + 1) & mask(d);
            uint32_t channels = 0;
            for (uint32_t i = 0; i < CHANNELS; i++)
                channels |= (uint32_t)((*nrf_word(d, CC + 4 * i) & mask(d)) == s->count) << i;
            matched(m, d, channels);
        }
        break;
    default:
        break;
    }
}

static uint32_t timer_read(Machine *m, Device *d, uint32_t offset) {
    if (offset >= NRF_EVENTS && offset < NRF_EVENTS_END) {
        timer_advance(m, d, cycles_now(m, d->base + offset, false));
        if (!*nrf_word(d, offset) && counts_time(d)) {
            uint64_t due = d->due;
            schedule(m, d, match_due(d, (offset - COMPARE) / 4 % CHANNELS));
            nrf_poll(m, d);
            schedule(m, d, due);
            return 0;
        }
    }
    return nrf_read(m, d, offset);
}

static void timer_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint64_t now = cycles_now(m, d->base + offset, true);
    timer_advance(m, d, now);
    if (nrf_is_task(offset)) {
        if (value & 1)
            task(m, d, offset, now);
    } else if (!nrf_write(m, d, offset, value)) {
        if (offset == MODE || offset == BITMODE || offset == PRESCALER)
            settle(d, now, count_at(d, now));
        *nrf_word(d, offset) = offset >= CC && offset < CC + 4 * CHANNELS ? value & mask(d) : value;
    }
    timer_advance(m, d, now);
}

static void timer_reset(Machine *m, Device *d) {
    (void)m;
    *nrf_word(d, PRESCALER) = 4;
}

const DeviceModel device_nrf_timer = {
    .name = "nrf-timer",
    .state_bytes = sizeof(State),
    .reset = timer_reset,
    .read = timer_read,
    .write = timer_write,
    .advance = timer_advance,
};
