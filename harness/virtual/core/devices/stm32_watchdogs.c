/* STM32 watchdogs. Independent: RM0402, 20, with the L4's window register; window: RM0402, 21. */
#include "stm32.h"

enum { KR = 0x00, PR = 0x04, RLR = 0x08, IWDG_SR = 0x0C, WINR = 0x10 };
enum { KEY_RELOAD = 0xAAAA, KEY_ACCESS = 0x5555, KEY_START = 0xCCCC };

typedef struct {
    bool started, open;
    uint64_t reloaded_at;
} IwdgState;

static uint64_t iwdg_step(const Machine *m, const Device *d) {
    uint32_t divider = d->words[PR / 4] & 7;
    return (uint64_t)cycles_per_tick(m, d) * (4u << (divider > 6 ? 6 : divider));
}

static void reload(Machine *m, Device *d) {
    IwdgState *state = d->state;
    uint64_t now = m->status.cycles, counted = (now - state->reloaded_at) / iwdg_step(m, d);
    uint32_t from = d->words[RLR / 4], window = d->words[WINR / 4];
    if (state->started && window < from && counted < from - window) { /* too early */
        request_reset(m, RESET_WATCHDOG);
        return;
    }
    state->reloaded_at = now;
    if (state->started)
        schedule(m, d, now + ((uint64_t)from + 1) * iwdg_step(m, d));
}

static void iwdg_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    IwdgState *state = d->state;
    if (offset == KR) {
        state->open = value == KEY_ACCESS;
        if (value == KEY_START && !state->started) {
            state->reloaded_at = m->status.cycles;
            state->started = true;
            reload(m, d);
        } else if (value == KEY_RELOAD) {
            reload(m, d);
        }
    } else if (state->open && offset != IWDG_SR) {
        d->words[offset / 4] = value & (offset == PR ? 7 : 0xFFF);
        if (offset == WINR)
            reload(m, d);
    }
}

static void iwdg_advance(Machine *m, Device *d, uint64_t now) {
    (void)now;
    d->due = NEVER;
    request_reset(m, RESET_WATCHDOG);
}

static void iwdg_reset(Machine *m, Device *d) {
    (void)m;
    d->words[RLR / 4] = d->words[WINR / 4] = 0xFFF;
}

const DeviceModel device_stm32_iwdg = {
    .name = "stm32-iwdg",
    .state_bytes = sizeof(IwdgState),
    .reset = iwdg_reset,
    .write = iwdg_write,
    .advance = iwdg_advance,
};

enum { WWDG_CR = 0x00, CFR = 0x04, WWDG_SR = 0x08 };
enum { WDGA = 1u << 7, COUNTER = 0x7F, EWI = 1u << 9, EWIF = 1u << 0, LOWEST = 0x40 };

typedef struct {
    uint64_t set_at; /* when the counter was written */
} WwdgState;

static uint64_t wwdg_step(const Machine *m, const Device *d) {
    return (uint64_t)cycles_per_tick(m, d) * (4096u << (d->words[CFR / 4] >> 7 & 3));
}

static uint32_t wwdg_counter(const Machine *m, const Device *d) {
    const WwdgState *state = d->state;
    uint64_t counted = (m->status.cycles - state->set_at) / wwdg_step(m, d);
    return (d->words[WWDG_CR / 4] - (uint32_t)counted) & COUNTER;
}

/* At 0x40 it may interrupt, one tick later it resets. */
static void wwdg_plan(Machine *m, Device *d) {
    const WwdgState *state = d->state;
    uint32_t from = d->words[WWDG_CR / 4] & COUNTER;
    if (!(d->words[WWDG_CR / 4] & WDGA)) {
        schedule(m, d, NEVER);
        return;
    }
    uint64_t early = state->set_at + (uint64_t)(from - LOWEST) * wwdg_step(m, d);
    bool warned = m->status.cycles >= early;
    schedule(m, d, warned ? early + wwdg_step(m, d) : early);
}

static void wwdg_interrupt(Machine *m, Device *d) {
    set_interrupt(m, d->irq, (d->words[WWDG_SR / 4] & EWIF) && (d->words[CFR / 4] & EWI));
}

static void wwdg_advance(Machine *m, Device *d, uint64_t now) {
    const WwdgState *state = d->state;
    uint32_t from = d->words[WWDG_CR / 4] & COUNTER;
    if (now >= state->set_at + (uint64_t)(from - LOWEST + 1) * wwdg_step(m, d)) {
        d->due = NEVER;
        request_reset(m, RESET_WINDOW_WATCHDOG);
        return;
    }
    d->words[WWDG_SR / 4] |= EWIF;
    wwdg_interrupt(m, d);
    wwdg_plan(m, d);
}

static uint32_t wwdg_read(Machine *m, Device *d, uint32_t offset) {
    uint32_t word = d->words[offset / 4];
    return offset == WWDG_CR && (word & WDGA) ? WDGA | wwdg_counter(m, d) : word;
}

static void wwdg_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    WwdgState *state = d->state;
    if (offset == WWDG_SR) {
        d->words[WWDG_SR / 4] &= value;
    } else if (offset == WWDG_CR) {
        bool on = d->words[WWDG_CR / 4] & WDGA;
        bool early = on && wwdg_counter(m, d) > (d->words[CFR / 4] & COUNTER);
        d->words[WWDG_CR / 4] = (value & (WDGA | COUNTER)) | (on ? WDGA : 0);
        state->set_at = m->status.cycles;
        bool below = !(value & LOWEST);
        if ((on || (value & WDGA)) && (early || below)) {
            request_reset(m, RESET_WINDOW_WATCHDOG);
            return;
        }
        wwdg_plan(m, d);
    } else {
        d->words[offset / 4] = value;
    }
    wwdg_interrupt(m, d);
}

static void wwdg_reset(Machine *m, Device *d) {
    (void)m;
    d->words[WWDG_CR / 4] = d->words[CFR / 4] = COUNTER;
}

const DeviceModel device_stm32_wwdg = {
    .name = "stm32-wwdg",
    .state_bytes = sizeof(WwdgState),
    .reset = wwdg_reset,
    .read = wwdg_read,
    .write = wwdg_write,
    .advance = wwdg_advance,
};
