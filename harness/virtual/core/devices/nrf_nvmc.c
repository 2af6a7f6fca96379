/* nRF52840 NVMC: erases and programs flash and UICR, and holds the switch of the instruction cache.
 * The core stands still meanwhile where its instructions come from flash; a halted one does anyway.
 */
#include "nrf.h"

enum {
    READY = 0x400,
    READYNEXT = 0x408,
    CONFIG = 0x504,
    ERASEPAGE = 0x508,
    ERASEALL = 0x50C,
    ERASEUICR = 0x514,
    ERASEPAGEPARTIAL = 0x518,
    ERASEPAGEPARTIALCFG = 0x51C,
    ICACHECNF = 0x540,
};
enum { WRITES = 1, ERASES = 2, PAGE_BYTES = 4096, UICR_BASE = 0x10001000 };
enum { CACHE_ENABLED = 1u << 0, CACHE_PROFILED = 1u << 8 };

/* "Flash programming" electrical specification, typical; a page that is erased in parts is erased
 * after as many milliseconds as it takes at once. */
enum { WRITE_US = 41, ERASE_PAGE_US = 85000, ERASE_ALL_US = 169000, WHOLE_ERASE_MS = 85 };

/* Wait states of an access to the array, without the cache and behind it ("CPU and support module
 * configuration"). */
enum { WAITS_UNCACHED = 2, WAITS_CACHED = 3 };

typedef struct {
    NrfPolls polls;
    uint64_t ready;
    uint32_t partial_page, partial_ms;
} State;

static const Memory *flash(const Machine *m) { return &m->memories[0]; }

static void busy_for(Machine *m, Device *d, uint32_t microseconds) {
    State *s = d->state;
    uint64_t from = s->ready > m->status.cycles ? s->ready : m->status.cycles;
    s->ready = from + (uint64_t)NRF_MICROSECOND * microseconds;
    if (m->debug.halted || memory_of(m, m->last->start, 2) == flash(m))
        m->status.cycles = s->ready;
    schedule(m, d, s->ready);
}

static void erase(Machine *m, uint32_t address, uint32_t bytes) {
    if (memory_of(m, address, bytes))
        erase_flash(m, address, bytes);
}

static bool erasable(const Machine *m, uint32_t address) {
    return address % PAGE_BYTES == 0 && address - flash(m)->part.base < flash(m)->part.size;
}

static void erase_part(Machine *m, Device *d, uint32_t page) {
    State *s = d->state;
    uint32_t milliseconds = *nrf_word(d, ERASEPAGEPARTIALCFG) & 0x7F;
    if (page != s->partial_page)
        s->partial_ms = 0;
    s->partial_page = page;
    s->partial_ms += milliseconds;
    if (s->partial_ms >= WHOLE_ERASE_MS) {
        erase(m, page, PAGE_BYTES);
        s->partial_ms = 0;
    }
    busy_for(m, d, 1000 * milliseconds);
}

static void command(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if ((*nrf_word(d, CONFIG) & 3) != ERASES)
        return;
    if (offset == ERASEPAGE && erasable(m, value)) {
        erase(m, value, PAGE_BYTES);
        busy_for(m, d, ERASE_PAGE_US);
    } else if (offset == ERASEPAGEPARTIAL && erasable(m, value)) {
        erase_part(m, d, value);
    } else if (offset == ERASEUICR && value & 1) {
        erase(m, UICR_BASE, PAGE_BYTES);
        busy_for(m, d, ERASE_PAGE_US);
    } else if (offset == ERASEALL && value & 1) {
        erase(m, flash(m)->part.base, flash(m)->part.size);
        erase(m, UICR_BASE, PAGE_BYTES);
        busy_for(m, d, ERASE_ALL_US);
    }
}

/* Whole words, from 1 to 0; less than a word ends in a fault. What is stored while writing is not
 * enabled goes nowhere: firmware that runs on silicon does so. */
static bool nvmc_program(Machine *m, Device *d, uint32_t address, uint32_t bytes, uint64_t value) {
    if (bytes != 4 || address % 4 || !memory_of(m, address, bytes))
        return false;
    if ((*nrf_word(d, CONFIG) & 3) != WRITES)
        return true;
    program_bits(m, address, bytes, value);
    busy_for(m, d, WRITE_US);
    return true;
}

static void set_cache(Machine *m, Device *d, uint32_t value) {
    *nrf_word(d, ICACHECNF) = value & (CACHE_ENABLED | CACHE_PROFILED);
    m->accelerator.instruction_cache = value & CACHE_ENABLED;
    m->accelerator.wait_states = value & CACHE_ENABLED ? WAITS_CACHED : WAITS_UNCACHED;
    accelerator_changed(m);
}

static uint32_t nvmc_read(Machine *m, Device *d, uint32_t offset) {
    const State *s = d->state;
    if (offset != READY && offset != READYNEXT)
        return *nrf_word(d, offset);
    bool ready = s->ready <= m->status.cycles;
    if (!ready)
        nrf_poll(m, d);
    return ready;
}

static void nvmc_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    switch (offset) {
    case CONFIG:
        *nrf_word(d, CONFIG) = value & 3;
        break;
    case ERASEPAGE:
    case ERASEALL:
    case ERASEUICR:
    case ERASEPAGEPARTIAL:
        command(m, d, offset, value);
        break;
    case ICACHECNF:
        set_cache(m, d, value);
        break;
    case READY:
    case READYNEXT:
        break;
    default:
        *nrf_word(d, offset) = value;
    }
}

static void nvmc_advance(Machine *m, Device *d, uint64_t now) {
    const State *s = d->state;
    schedule(m, d, s->ready > now ? s->ready : NEVER);
}

static void nvmc_reset(Machine *m, Device *d) {
    *nrf_word(d, ERASEPAGEPARTIALCFG) = 10;
    m->accelerator.wait_states = WAITS_UNCACHED;
}

const DeviceModel device_nrf_nvmc = {
    .name = "nrf-nvmc",
    .state_bytes = sizeof(State),
    .reset = nvmc_reset,
    .read = nvmc_read,
    .write = nvmc_write,
    .advance = nvmc_advance,
    .program = nvmc_program,
};
