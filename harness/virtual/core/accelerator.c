/* How long does the core wait for flash? Wait states, the instruction and data caches, prefetch of
 * the next line: RM0402, 3.4 (STM32F4), RM0432, 3.3.4 (STM32L4+); the rules are listed in
 * docs/timing.md. */
#include "machine.h"
#include <string.h>

/* What a data read of the array takes besides its wait states: from fully-connected networks on an
 * STM32L4R5 (docs/timing.md), where a line of four reads costs 28 cycles at 5 wait states. */
enum { DATA_READ = 2 };

static void empty(Machine *m, Cache *cache, uint32_t ways) {
    uint32_t flash_lines = m->memories[0].part.size / m->accelerator.line_bytes;
    memset(cache->way_of, 0, flash_lines);
    memset(cache->lines, 0, sizeof cache->lines);
    for (uint32_t i = 0; i < MAX_LINES; i++)
        cache->lines[i].number = flash_lines; /* none */
    cache->ways = ways;
}

/* Wait states, prefetch or caches were set: what was held is lost, as with the reset bits that
 * firmware must set before it switches a cache on. */
void accelerator_changed(Machine *m) {
    const Accelerator *a = &m->accelerator;
    empty(m, &m->instruction_cache, a->instruction_cache ? a->instruction_lines : 0);
    empty(m, &m->data_cache, a->data_cache ? a->data_lines : 0);
    m->waits_for_flash = a->wait_states > 0;
}

static void restore_ways(Machine *m, Cache *cache) {
    uint32_t flash_lines = m->memories[0].part.size / m->accelerator.line_bytes;
    memset(cache->way_of, 0, flash_lines);
    for (uint32_t i = 0; i < MAX_LINES; i++)
        if (cache->lines[i].number < flash_lines)
            cache->way_of[cache->lines[i].number] = (uint8_t)(i + 1);
}

void restore_caches(Machine *m) {
    restore_ways(m, &m->instruction_cache);
    restore_ways(m, &m->data_cache);
}

static CacheLine *held(const Cache *cache, uint32_t number) {
    uint8_t way = cache->way_of[number];
    return way ? (CacheLine *)&cache->lines[way - 1] : NULL;
}

static CacheLine *replace(Machine *m, Cache *cache, uint32_t number) {
    uint32_t oldest = 0, flash_lines = m->memories[0].part.size / m->accelerator.line_bytes;
    for (uint32_t i = 1; i < cache->ways; i++)
        if (cache->lines[i].used < cache->lines[oldest].used)
            oldest = i;
    CacheLine *line = &cache->lines[oldest];
    if (line->number < flash_lines)
        cache->way_of[line->number] = 0;
    line->number = number;
    cache->way_of[number] = (uint8_t)(oldest + 1);
    return line;
}

/* Does the cache hold the `read`th read of the array? It does from now on. */
static bool look_up(Machine *m, Cache *cache, uint32_t read) {
    const Accelerator *a = &m->accelerator;
    uint32_t reads = a->line_bytes / a->read_bytes, part = 1u << (read % reads);
    CacheLine *line = held(cache, read / reads);
    if (!line) {
        line = replace(m, cache, read / reads);
        line->parts = 0;
    }
    bool hit = line->parts & part;
    line->parts |= part;
    line->used = m->use;
    return hit;
}

/* Cycles that the block's instructions wait for flash. With prefetch the next read is made while
 * the core works through the one before it; `cycles` is what the block takes otherwise. */
uint32_t wait_for_instructions(Machine *m, const Block *block, uint32_t cycles, bool branched) {
    const Accelerator *a = &m->accelerator;
    Cache *cache = &m->instruction_cache;
    uint32_t base = m->memories[0].part.base, waited = 0;
    uint32_t first = (block->start - base) / a->read_bytes;
    uint32_t last = (block->end - 1 - base) / a->read_bytes;
    uint32_t ahead = 0;
    if (a->prefetch)
        ahead = (cycles * a->read_bytes) / (block->end - block->start);
    uint32_t next = a->wait_states + 1 > ahead ? a->wait_states + 1 - ahead : 0;
    if (next > a->wait_states)
        next = a->wait_states;
    m->use += 1;
    for (uint32_t read = first; read <= last; read++) {
        bool sequential = read > first || !branched;
        bool hit = cache->ways ? look_up(m, cache, read) : read == first && sequential;
        if (!hit)
            waited += sequential ? next : a->wait_states;
    }
    return waited;
}

/* Cycles that a load at `address` waits. */
uint32_t wait_for_data(Machine *m, uint32_t address) {
    const Accelerator *a = &m->accelerator;
    m->use += 1;
    uint32_t read = (address - m->memories[0].part.base) / a->read_bytes;
    if (m->data_cache.ways && look_up(m, &m->data_cache, read))
        return 0;
    return a->wait_states + (m->data_cache.ways ? DATA_READ : 0);
}
