/* nRF52840 TEMP: it is 25 degrees Celsius here. */
#include "nrf.h"

enum { START = 0x000, STOP = 0x004, DATARDY = 0x100, TEMP = 0x508 };
enum { QUARTER_DEGREES = 4 * 25, MEASURING_US = 36 };

typedef struct {
    NrfPolls polls;
    uint64_t ready; /* NEVER: not measuring */
} State;

static void ready_at(Machine *m, Device *d, uint64_t cycle) {
    ((State *)d->state)->ready = cycle;
    schedule(m, d, cycle);
}

static void temp_advance(Machine *m, Device *d, uint64_t now) {
    const State *s = d->state;
    if (s->ready > now) {
        ready_at(m, d, s->ready);
        return;
    }
    ready_at(m, d, NEVER);
    *nrf_word(d, TEMP) = QUARTER_DEGREES;
    nrf_event(m, d, DATARDY);
}

static void temp_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (offset == START && value & 1)
        ready_at(m, d, m->status.cycles + MEASURING_US * NRF_MICROSECOND);
    else if (offset == STOP && value & 1)
        ready_at(m, d, NEVER);
    else if (!nrf_is_task(offset) && !nrf_write(m, d, offset, value) && offset != TEMP)
        *nrf_word(d, offset) = value;
}

static void temp_reset(Machine *m, Device *d) {
    (void)m;
    ((State *)d->state)->ready = NEVER;
}

const DeviceModel device_nrf_temp = {
    .name = "nrf-temp",
    .state_bytes = sizeof(State),
    .reset = temp_reset,
    .read = nrf_read,
    .write = temp_write,
    .advance = temp_advance,
};
