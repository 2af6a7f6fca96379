/* nRF52840 WDT: resets the chip unless all enabled reload requests come in time. */
#include "nrf.h"

enum {
    START = 0x000,
    TIMEOUT = 0x100,
    RUNSTATUS = 0x400,
    REQSTATUS = 0x404,
    CRV = 0x504,
    RREN = 0x508,
    CONFIG = 0x50C,
    RR = 0x600,
};
enum { REQUESTS = 8, RELOAD = 0x6E524635, FEWEST_TICKS = 15, TICKS_TO_RESET = 2 };
enum { LOW_HZ = 32768 };

typedef struct {
    NrfPolls polls;
    uint64_t expires; /* NEVER: it does not run */
    bool timed_out;   /* the reset is next */
} State;

static uint64_t cycles_of(uint64_t ticks) { return ticks * NRF_HZ / LOW_HZ; }

static void expire_at(Machine *m, Device *d, uint64_t cycle) {
    ((State *)d->state)->expires = cycle;
    schedule(m, d, cycle);
}

static void reload(Machine *m, Device *d) {
    uint64_t ticks = *nrf_word(d, CRV);
    ((State *)d->state)->timed_out = false;
    *nrf_word(d, REQSTATUS) = *nrf_word(d, RREN);
    expire_at(m, d,
              m->status.cycles + cycles_of((ticks < FEWEST_TICKS ? FEWEST_TICKS : ticks) + 1));
}

/* The interrupt comes two ticks before the reset, and not at all where it is not enabled. */
static void wdt_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    if (s->expires > now) {
        expire_at(m, d, s->expires);
    } else if (s->timed_out || !*nrf_word(d, NRF_INTEN)) {
        expire_at(m, d, NEVER);
        request_reset(m, RESET_WATCHDOG);
    } else {
        s->timed_out = true;
        nrf_event(m, d, TIMEOUT);
        expire_at(m, d, now + cycles_of(TICKS_TO_RESET));
    }
}

static void request(Machine *m, Device *d, uint32_t index, uint32_t value) {
    if (value != RELOAD || !*nrf_word(d, RUNSTATUS))
        return;
    *nrf_word(d, REQSTATUS) &= ~(1u << index);
    if (!*nrf_word(d, REQSTATUS))
        reload(m, d);
}

static void wdt_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    bool configures = offset == CRV || offset == RREN || offset == CONFIG;
    if (offset == START && value & 1) {
        if (!*nrf_word(d, RUNSTATUS)) {
            *nrf_word(d, RUNSTATUS) = 1;
            reload(m, d);
        }
    } else if (offset >= RR && offset < RR + 4 * REQUESTS) {
        request(m, d, (offset - RR) / 4, value);
    } else if (!nrf_is_task(offset) && !nrf_write(m, d, offset, value) && configures &&
               !*nrf_word(d, RUNSTATUS)) {
        *nrf_word(d, offset) = value; /* locked once it runs */
    }
}

static void wdt_reset(Machine *m, Device *d) {
    (void)m;
    *nrf_word(d, CRV) = 0xFFFFFFFF;
    *nrf_word(d, RREN) = *nrf_word(d, REQSTATUS) = *nrf_word(d, CONFIG) = 1;
    ((State *)d->state)->expires = NEVER;
}

const DeviceModel device_nrf_wdt = {
    .name = "nrf-wdt",
    .state_bytes = sizeof(State),
    .reset = wdt_reset,
    .read = nrf_read,
    .write = wdt_write,
    .advance = wdt_advance,
};
