/* Tasks, events, interrupt enables: see nrf.h. And the model of a peripheral that has these and no
 * behaviour. */
#include "nrf.h"

enum { POLLS = 16, DENSE_CYCLES = 64 };

static void update_interrupt(Machine *m, Device *d) {
    if (d->irq < 0)
        return;
    bool level = false;
    for (uint32_t enabled = *nrf_word(d, NRF_INTEN); enabled; enabled &= enabled - 1)
        level |= *nrf_word(d, NRF_EVENTS + 4 * (uint32_t)__builtin_ctz(enabled)) & 1;
    if (level != m->line[EXCEPTION_IRQ0 + d->irq])
        set_interrupt(m, d->irq, level);
}

void nrf_event(Machine *m, Device *d, uint32_t offset) {
    *nrf_word(d, offset) = 1;
    update_interrupt(m, d);
    nrf_ppi_event(m, d->base + offset);
}

uint32_t nrf_read(Machine *m, Device *d, uint32_t offset) {
    if (nrf_is_task(offset))
        return 0;
    if (offset == NRF_INTENSET || offset == NRF_INTENCLR)
        return *nrf_word(d, NRF_INTEN);
    if (offset < NRF_EVENTS_END && !*nrf_word(d, offset))
        nrf_poll(m, d);
    return *nrf_word(d, offset);
}

bool nrf_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint32_t *enabled = nrf_word(d, NRF_INTEN);
    if (offset >= NRF_EVENTS && offset < NRF_EVENTS_END)
        *nrf_word(d, offset) = value & 1;
    else if (offset == NRF_INTEN)
        *enabled = value;
    else if (offset == NRF_INTENSET)
        *enabled |= value;
    else if (offset == NRF_INTENCLR)
        *enabled &= ~value;
    else
        return false;
    update_interrupt(m, d);
    return true;
}

void nrf_poll(Machine *m, Device *d) {
    NrfPolls *polls = d->state;
    uint64_t now = m->status.cycles;
    polls->count = now - polls->last < DENSE_CYCLES ? polls->count + 1 : 1;
    polls->last = now;
    if (polls->count < POLLS || d->due == NEVER)
        return;
    uint64_t until = nrf_sooner(d->due, m->next_event); /* 0: the core is to stop anyway */
    if (until > now)
        polls->last = m->status.cycles = until;
}

void nrf_plan_anew(Machine *m, Device *d) {
    if (d->model->advance)
        schedule(m, d, m->status.cycles);
}

static void plain_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (!nrf_is_task(offset) && !nrf_write(m, d, offset, value))
        *nrf_word(d, offset) = value;
}

const DeviceModel device_nrf_storage = {
    .name = "nrf-storage",
    .state_bytes = sizeof(NrfPolls),
    .read = nrf_read,
    .write = plain_write,
};
