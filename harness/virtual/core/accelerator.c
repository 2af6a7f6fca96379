/* How long does the core wait for flash? Wait states, the instruction and data caches, prefetch of
 * the next line: RM0402, 3.4 (STM32F4), RM0432, 3.3.4 (STM32L4+); the rules are listed in
 * docs/timing.md. */
#include "machine.h"
#include <string.h>

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

/* Cycles that the block's instructions wait for flash, taken branch or not. With prefetch a line is
 * read while the core works through the one before it; `cycles` is what the block takes otherwise.
 */
uint32_t wait_for_instructions(Machine *m, const Block *block, uint32_t cycles, bool branched) {
    const Accelerator *a = &m->accelerator;
    Cache *cache = &m->instruction_cache;
    uint32_t base = m->memories[0].part.base, waited = 0;
    uint32_t from = (block->start - base) / a->line_bytes;
    uint32_t to = (block->end - 1 - base) / a->line_bytes;
    bool sequential = !branched;
    m->use += 1;
    for (uint32_t number = from; number <= to; number++, sequential = true) {
        CacheLine *line = cache->ways ? held(cache, number) : NULL;
        if (line) {
            line->used = m->use;
            continue;
        }
        if (!cache->ways && sequential && number == from)
            continue; /* the line that the block before was in */
        uint32_t reads = a->line_bytes / a->read_bytes;
        uint32_t work = cycles * a->read_bytes / (block->end - block->start);
        uint32_t next = a->wait_states + 1 > work ? a->wait_states + 1 - work : 0;
        if (!a->prefetch)
            next = a->wait_states;
        waited += sequential ? next : a->wait_states;
        for (uint32_t k = 1; k < reads; k++)
            waited += next;
        if (cache->ways)
            replace(m, cache, number)->used = m->use;
    }
    return waited;
}

/* Cycles that a load at `address`, wanted in cycle `now`, waits. A line is filled read by read,
 * beginning with the one that is wanted, and serves what has arrived. */
uint32_t wait_for_data(Machine *m, uint32_t address, uint64_t now) {
    const Accelerator *a = &m->accelerator;
    Cache *cache = &m->data_cache;
    uint32_t offset = address - m->memories[0].part.base, number = offset / a->line_bytes;
    if (!cache->ways)
        return a->wait_states;
    uint32_t reads = a->line_bytes / a->read_bytes;
    uint32_t part = offset % a->line_bytes / a->read_bytes;
    CacheLine *line = held(cache, number);
    m->use += 1;
    if (line) {
        line->used = m->use;
        uint64_t there = line->filled + ((part - line->first) % reads + 1) * (a->wait_states + 1);
        return there > now + 1 ? (uint32_t)(there - now - 1) : 0;
    }
    line = replace(m, cache, number);
    *line = (CacheLine){.number = number, .used = m->use, .filled = now, .first = part};
    return a->wait_states;
}
