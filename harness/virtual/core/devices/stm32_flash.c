/* The part of flash control that every STM32 family shares. */
#include "stm32_flash.h"

enum { ACR_PRFTEN = 1u << 8, ACR_ICEN = 1u << 9, ACR_DCEN = 1u << 10 };

KeyOutcome hear_key(KeyLock *lock, uint32_t key) {
    if (lock->refused || key != lock->keys[lock->taken]) {
        lock->refused = true;
        return KEY_REFUSED;
    }
    lock->taken = (lock->taken + 1) % 2;
    return lock->taken ? KEY_HEARD : KEY_OPENS;
}

FlashControl stm32_flash_control(uint32_t sr, uint32_t cr, uint32_t starts) {
    return (FlashControl){.control = {.keys = {0x45670123, 0xCDEF89AB}},
                          .options = {.keys = {0x08192A3B, 0x4C5D6E7F}},
                          .sr = sr,
                          .cr = cr,
                          .starts = starts};
}

static uint32_t *status_of(const Device *d) {
    return &d->words[((const FlashControl *)d->state)->sr / 4];
}

static uint32_t *control_of(const Device *d) {
    return &d->words[((const FlashControl *)d->state)->cr / 4];
}

void stm32_flash_interrupt(Machine *m, Device *d) {
    uint32_t sr = *status_of(d), cr = *control_of(d);
    set_interrupt(m, d->irq,
                  ((sr & SR_EOP) && (cr & CR_EOPIE)) || ((sr & SR_OPERR) && (cr & CR_ERRIE)));
}

void stm32_flash_fail(Machine *m, Device *d, uint32_t flags) {
    const FlashControl *state = d->state;
    *status_of(d) |= flags | (*control_of(d) & CR_ERRIE ? SR_OPERR : 0);
    *control_of(d) &= ~state->starts;
    stm32_flash_interrupt(m, d);
}

bool stm32_flash_ends(Machine *m, Device *d, uint64_t now) {
    const FlashControl *state = d->state;
    if (!(*status_of(d) & SR_BSY) || now < state->busy_until)
        return false;
    d->due = NEVER;
    *status_of(d) &= ~(uint32_t)SR_BSY;
    *control_of(d) &= ~state->starts;
    if (*control_of(d) & CR_EOPIE)
        *status_of(d) |= SR_EOP;
    stm32_flash_interrupt(m, d);
    return true;
}

/* Code that runs from the array stalls, unless from the other bank; other code may poll. */
static void occupy(Machine *m, uint32_t offset, uint64_t until, uint32_t bank_bytes) {
    const Memory *flash = flash_array(m);
    if (memory_of(m, m->last->start, 1) != flash)
        return;
    uint32_t mask = flash->part.size - 1; /* the alias shows the same array */
    if ((m->last->start & mask) / bank_bytes == offset / bank_bytes)
        m->status.cycles = until;
}

void stm32_flash_begin(Machine *m, Device *d, uint32_t offset, uint64_t us, uint32_t bank_bytes) {
    FlashControl *state = d->state;
    state->busy_until = m->status.cycles + us * m->core_hz / 1000000;
    occupy(m, offset, state->busy_until, bank_bytes);
    *status_of(d) |= SR_BSY;
    schedule(m, d, state->busy_until);
    d->model->advance(m, d, m->status.cycles);
}

void stm32_flash_wait(Machine *m, Device *d) {
    const FlashControl *state = d->state;
    if ((*status_of(d) & SR_BSY) && m->status.cycles < state->busy_until)
        m->status.cycles = state->busy_until;
    d->model->advance(m, d, m->status.cycles);
}

/* Time stands still under a halted core: a debugger sees the end. */
static void watch_busy(Machine *m, const Device *d, uint64_t busy_until) {
    if (m->port.visiting && m->status.cycles < busy_until)
        m->status.cycles = busy_until;
    else
        poll_until(m, d, busy_until);
}

uint32_t stm32_flash_status(Machine *m, Device *d) {
    const FlashControl *state = d->state;
    if (*status_of(d) & SR_BSY)
        watch_busy(m, d, state->busy_until);
    d->model->advance(m, d, m->status.cycles);
    return *status_of(d);
}

void set_accelerator(Machine *m, uint32_t acr, uint32_t latency_mask) {
    Accelerator *a = &m->accelerator, before = *a;
    a->wait_states = acr & latency_mask;
    a->prefetch = (acr & ACR_PRFTEN) != 0;
    a->instruction_cache = (acr & ACR_ICEN) != 0;
    a->data_cache = (acr & ACR_DCEN) != 0;
    if (a->wait_states != before.wait_states || a->prefetch != before.prefetch ||
        a->instruction_cache != before.instruction_cache || a->data_cache != before.data_cache)
        accelerator_changed(m);
}
