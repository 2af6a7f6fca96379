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
    m->read_shift = (uint32_t)__builtin_ctz(a->read_bytes);
    m->line_shift = (uint32_t)__builtin_ctz(a->line_bytes);
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

/* Are the reads in `wanted` (a bit each) of line `number` held? Those that are not; all are, from
 * now on. */
static uint32_t miss(Machine *m, Cache *cache, uint32_t number, uint32_t wanted) {
    CacheLine *line = held(cache, number);
    if (!line) {
        line = replace(m, cache, number);
        line->parts = 0;
    }
    uint32_t missing = wanted & ~line->parts;
    line->parts |= wanted;
    line->used = m->use;
    return missing;
}

/* Cycles that one read more takes behind the one before it. With prefetch it is made while the core
 * works through that; `cycles` is what the block takes otherwise. */
static uint32_t sequential_wait(const Machine *m, const Block *block, uint32_t cycles) {
    const Accelerator *a = &m->accelerator;
    uint32_t work = a->prefetch ? (cycles << m->read_shift) / (block->end - block->start) : 0;
    uint32_t wait = a->wait_states + 1 > work ? a->wait_states + 1 - work : 0;
    return wait < a->wait_states ? wait : a->wait_states;
}

/* Cycles that the block's instructions wait for flash. */
uint32_t wait_for_instructions(Machine *m, const Block *block, uint32_t cycles, bool branched) {
    const Accelerator *a = &m->accelerator;
    Cache *cache = &m->instruction_cache;
    uint32_t base = m->memories[0].part.base;
    uint32_t first = (block->start - base) >> m->read_shift;
    uint32_t last = (block->end - 1 - base) >> m->read_shift;
    if (!cache->ways) {
        uint32_t next = sequential_wait(m, block, cycles);
        return (last - first) * next + (branched ? a->wait_states : 0);
    }
    uint32_t reads = m->line_shift - m->read_shift, waited = 0;
    m->use += 1;
    for (uint32_t number = first >> reads; number <= last >> reads; number++) {
        uint32_t from = number == first >> reads ? first - (number << reads) : 0;
        uint32_t to = number == last >> reads ? last - (number << reads) : (1u << reads) - 1;
        uint32_t wanted = (2u << to) - (1u << from);
        CacheLine *line = held(cache, number);
        if (__builtin_expect(line && (line->parts & wanted) == wanted, 1)) {
            line->used = m->use;
            continue;
        }
        uint32_t missing = miss(m, cache, number, wanted);
        bool target = branched && number == first >> reads && (missing >> from & 1);
        waited +=
            (uint32_t)(__builtin_popcount(missing) - target) * sequential_wait(m, block, cycles) +
            (target ? a->wait_states : 0);
    }
    return waited;
}

/* Cycles that a load at `address` waits. */
uint32_t wait_for_data(Machine *m, uint32_t address) {
    const Accelerator *a = &m->accelerator;
    Cache *cache = &m->data_cache;
    uint32_t read = (address - m->memories[0].part.base) >> m->read_shift;
    uint32_t reads = m->line_shift - m->read_shift;
    if (!cache->ways)
        return a->wait_states;
    m->use += 1;
    bool missed = miss(m, cache, read >> reads, 1u << (read & ((1u << reads) - 1)));
    return missed ? a->wait_states + DATA_READ : 0;
}
