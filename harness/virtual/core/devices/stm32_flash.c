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

uint64_t microseconds(const Machine *m, uint64_t count) { return count * m->core_hz / 1000000; }

uint64_t occupy_flash(Machine *m, uint32_t address, uint64_t cycles, uint32_t bank_bytes) {
    const Memory *flash = memory_of(m, address, 1), *code = memory_of(m, m->last->start, 1);
    uint64_t end = m->status.cycles + cycles;
    if (code == flash) {
        uint32_t mask = flash->part.size - 1; /* the alias shows the same array */
        if ((m->last->start & mask) / bank_bytes == (address & mask) / bank_bytes)
            m->status.cycles = end;
    }
    return end;
}

void watch_busy(Machine *m, const Device *d, uint64_t busy_until) {
    if (m->port.visiting && m->status.cycles < busy_until)
        m->status.cycles = busy_until;
    else
        poll_until(m, d, busy_until);
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
