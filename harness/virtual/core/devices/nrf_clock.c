/* nRF52840 CLOCK and POWER: one block, one interrupt. The core's clock is 64 MHz from the start;
 * what starts here is the crystal behind it and the 32.768 kHz one. */
#include "nrf.h"

enum {
    HFCLKSTART = 0x000,
    HFCLKSTOP = 0x004,
    LFCLKSTART = 0x008,
    LFCLKSTOP = 0x00C,
    CAL = 0x010,
    HFCLKSTARTED = 0x100,
    LFCLKSTARTED = 0x104,
    DONE = 0x10C,
    RESETREAS = 0x400,
    HFCLKRUN = 0x408,
    HFCLKSTAT = 0x40C,
    LFCLKRUN = 0x414,
    LFCLKSTAT = 0x418,
    LFCLKSRCCOPY = 0x41C,
    SYSTEMOFF = 0x500,
    GPREGRET = 0x51C,
    GPREGRET2 = 0x520,
    LFCLKSRC = 0x518,
    HFXODEBOUNCE = 0x528,
    RAM = 0x900,
    RAM_END = 0x990,
};

enum { RUNNING_STATE = 1u << 16, SOURCE_RC = 0, SOURCE_CRYSTAL = 1 };

/* Start-up times, "Clock control" electrical specification, typical. HFXODEBOUNCE adds 16 us a step
 * to the crystal's own. */
enum { HFXO_US = 60, HFXO_STEP_US = 16, LFXO_US = 250000, LFRC_US = 600, CALIBRATION_US = 16000 };

/* 64 MHz / 32768 Hz = 15625 / 8 */
enum { LOW_CYCLES = 15625, LOW_TICKS = 8 };

typedef struct {
    NrfPolls polls;
    uint64_t high_due, low_due, calibrated_due;
    uint64_t low_since; /* when the low-frequency clock began to tick; NEVER: it does not */
} State;

uint64_t nrf_low_ticks(Machine *m, uint64_t now) {
    const State *s = find_device(m, "nrf-clock")->state;
    return s->low_since > now ? 0 : (now - s->low_since) * LOW_TICKS / LOW_CYCLES;
}

uint64_t nrf_low_tick_at(Machine *m, uint64_t tick) {
    const State *s = find_device(m, "nrf-clock")->state;
    return s->low_since == NEVER ? NEVER
                                 : s->low_since + (tick * LOW_CYCLES + LOW_TICKS - 1) / LOW_TICKS;
}

static void plan(Machine *m, Device *d) {
    const State *s = d->state;
    schedule(m, d, nrf_sooner(nrf_sooner(s->high_due, s->low_due), s->calibrated_due));
}

static void clock_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    if (s->high_due <= now) {
        s->high_due = NEVER;
        *nrf_word(d, HFCLKSTAT) = RUNNING_STATE | SOURCE_CRYSTAL;
        nrf_event(m, d, HFCLKSTARTED);
    }
    if (s->low_due <= now) {
        s->low_due = NEVER;
        *nrf_word(d, LFCLKSTAT) = RUNNING_STATE | *nrf_word(d, LFCLKSRCCOPY);
        nrf_event(m, d, LFCLKSTARTED);
    }
    if (s->calibrated_due <= now) {
        s->calibrated_due = NEVER;
        nrf_event(m, d, DONE);
    }
    plan(m, d);
}

static void low_clock_changed(Machine *m) {
    for (uint32_t i = 0; i < m->device_count; i++)
        if (m->devices[i].clock == CLOCK_LOW)
            nrf_plan_anew(m, &m->devices[i]);
}

/* Another source takes over from one that runs when it has started; the clock ticks on meanwhile.
 * The crystal has the RC oscillator tick in its place until then. */
static void start_low_clock(Machine *m, Device *d) {
    State *s = d->state;
    uint32_t source = *nrf_word(d, LFCLKSRC) & 3;
    bool ticks = s->low_since != NEVER,
         is_there = ticks && s->low_due == NEVER && source == (*nrf_word(d, LFCLKSTAT) & 3);
    uint32_t start_us = is_there ? 0 : source == SOURCE_CRYSTAL ? LFXO_US : LFRC_US;
    *nrf_word(d, LFCLKRUN) = 1;
    *nrf_word(d, LFCLKSRCCOPY) = source;
    s->low_due = m->status.cycles + (uint64_t)NRF_MICROSECOND * start_us;
    if (ticks)
        return;
    *nrf_word(d, LFCLKSTAT) = source == SOURCE_CRYSTAL ? RUNNING_STATE | SOURCE_RC : 0;
    s->low_since = m->status.cycles;
    low_clock_changed(m);
}

static void task(Machine *m, Device *d, uint32_t offset) {
    State *s = d->state;
    uint64_t now = m->status.cycles;
    switch (offset) {
    case HFCLKSTART:
        if (*nrf_word(d, HFCLKRUN) == 0)
            s->high_due =
                now + NRF_MICROSECOND * (HFXO_US + HFXO_STEP_US * *nrf_word(d, HFXODEBOUNCE));
        else if (s->high_due == NEVER)
            s->high_due = now; /* it runs: STARTED comes at once */
        *nrf_word(d, HFCLKRUN) = 1;
        break;
    case HFCLKSTOP:
        *nrf_word(d, HFCLKRUN) = 0;
        *nrf_word(d, HFCLKSTAT) = RUNNING_STATE; /* the internal oscillator takes over */
        s->high_due = NEVER;
        break;
    case LFCLKSTART:
        start_low_clock(m, d);
        break;
    case LFCLKSTOP:
        *nrf_word(d, LFCLKRUN) = *nrf_word(d, LFCLKSTAT) = 0;
        s->low_due = s->low_since = NEVER;
        low_clock_changed(m);
        break;
    case CAL:
        s->calibrated_due = now + (uint64_t)NRF_MICROSECOND * CALIBRATION_US;
        break;
    default: /* CONSTLAT, LOWPWR and the calibration timer change nothing that can be seen */
        break;
    }
    plan(m, d);
}

static void write_ram_power(Device *d, uint32_t offset, uint32_t value) {
    uint32_t *power = nrf_word(d, offset & ~0xFu);
    if ((offset & 0xF) == 0)
        *power = value;
    else if ((offset & 0xF) == 4)
        *power |= value;
    else
        *power &= ~value;
}

static uint32_t clock_read(Machine *m, Device *d, uint32_t offset) {
    if (offset >= RAM && offset < RAM_END)
        return *nrf_word(d, offset & ~0xFu);
    if (offset == HFCLKSTAT || offset == LFCLKSTAT)
        nrf_poll(m, d);
    return nrf_read(m, d, offset);
}

static void clock_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (nrf_is_task(offset)) {
        if (value & 1)
            task(m, d, offset);
    } else if (offset == RESETREAS) {
        *nrf_word(d, offset) &= ~value;
    } else if (offset >= RAM && offset < RAM_END) {
        write_ram_power(d, offset, value);
    } else if (offset == HFCLKRUN || offset == HFCLKSTAT || offset == LFCLKRUN ||
               offset == LFCLKSTAT || offset == LFCLKSRCCOPY) {
        return; /* read-only */
    } else if (!nrf_write(m, d, offset, value)) {
        *nrf_word(d, offset) = value;
    }
}

/* RESETREAS collects until it is cleared, and is kept like GPREGRET by any reset but the one of the
 * supply ("Reset behavior"). */
static void clock_reset(Machine *m, Device *d) {
    static const uint8_t reasons[] = {
        [RESET_PIN] = 1u << 0,      [RESET_WATCHDOG] = 1u << 1, [RESET_WINDOW_WATCHDOG] = 1u << 1,
        [RESET_SOFTWARE] = 1u << 2, [RESET_LOCKUP] = 1u << 3,
    };
    uint32_t reason = *nrf_word(d, RESETREAS), kept = *nrf_word(d, GPREGRET);
    uint32_t kept2 = *nrf_word(d, GPREGRET2);
    for (uint32_t i = 0; i < d->size / 4; i++)
        d->words[i] = 0;
    if (m->reset_cause != RESET_POWER) {
        *nrf_word(d, RESETREAS) = reason | reasons[m->reset_cause];
        *nrf_word(d, GPREGRET) = kept;
        *nrf_word(d, GPREGRET2) = kept2;
    }
    *nrf_word(d, HFCLKSTAT) = RUNNING_STATE;
    *nrf_word(d, HFXODEBOUNCE) = 0x10;
    for (uint32_t block = RAM; block < RAM_END; block += 0x10)
        *nrf_word(d, block) = 0xFFFF;
    State *s = d->state;
    *s = (State){.high_due = NEVER, .low_due = NEVER, .calibrated_due = NEVER, .low_since = NEVER};
}

const DeviceModel device_nrf_clock = {
    .name = "nrf-clock",
    .state_bytes = sizeof(State),
    .keeps_registers = true,
    .reset = clock_reset,
    .read = clock_read,
    .write = clock_write,
    .advance = clock_advance,
};
