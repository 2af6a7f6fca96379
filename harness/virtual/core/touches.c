/* What do a block's accesses to memory cost beyond hits on aligned data? Found once a block, in
 * groups that differ by constants; paid at each execution from the live registers. */
#include "machine.h"
#include <string.h>

enum { MAX_BLOCK_GROUPS = 32, MAX_BLOCK_ACCESSES = 256, MAX_GROUP_ACCESSES = 250 };

/* DDI 0439, 3.3.3: an unaligned access is two or three aligned ones. */
static uint16_t unaligned_cost(uint32_t bytes, uint32_t address) {
    if (bytes == 2)
        return address & 1;
    if (bytes == 4)
        return address & 1 ? 2 : address & 2 ? 1 : 0;
    return 0;
}

static bool belongs(const AccessGroup *group, const Symbol *address) {
    return group->base == address->base && group->index == address->index &&
           group->shift == address->shift;
}

/* Every element of an access counts: a load of several words may cross lines. */
static void note_access(Machine *m, AccessGroup *group, const Instruction *i, int32_t offset) {
    for (uint32_t e = 0; e < i->elements && group->count < MAX_GROUP_ACCESSES; e++) {
        int32_t to = offset + (int32_t)(e * i->access_bytes);
        m->accesses[m->accesses_used++] =
            (Access){.offset = to, .bytes = i->access_bytes, .is_load = is_load(i)};
        group->count += 1;
    }
    for (uint32_t low = 0; low < 4 && i->elements == 1; low++)
        group->unaligned[low] += unaligned_cost(i->access_bytes, low + (uint32_t)offset);
}

typedef struct {
    Symbol address;
    Instruction instruction;
} Touch;

static uint32_t collect(Machine *m, const Block *block, Touch *touches, Symbols *symbols) {
    uint32_t count = 0, it_left = 0;
    Instruction i;
    start_symbols(symbols);
    for (uint32_t pc = block->start; pc < block->end && fetch_instruction(m, pc, &i);
         pc += i.bytes) {
        if (i.access_bytes && i.class_ != CLASS_TABLE_BRANCH && count < MAX_BLOCK_ACCESSES) {
            Symbol address = address_symbol(symbols, &i, pc);
            if (address.known)
                touches[count++] = (Touch){address, i};
        }
        uint16_t halfwords[2] = {0};
        memcpy(halfwords, memory_at(m, pc, i.bytes, false), i.bytes);
        uint32_t literal = 0;
        const uint8_t *source =
            i.base == 15 ? memory_at(m, ((pc + 4) & ~3u) + (uint32_t)i.offset, 4, false) : NULL;
        if (source)
            memcpy(&literal, source, 4);
        follow_symbols(symbols, &i, pc, halfwords[0], halfwords[1], !it_left, literal);
        it_left = i.class_ == CLASS_IT ? i.it_length : it_left ? it_left - 1 : 0;
    }
    return count;
}

static uint32_t indirects_of(uint8_t base, uint8_t index) {
    uint32_t bits = 0;
    if (base != NO_REGISTER && base >= FIRST_INDIRECT)
        bits |= 1u << (base - FIRST_INDIRECT);
    if (index != NO_REGISTER && index >= FIRST_INDIRECT)
        bits |= 1u << (index - FIRST_INDIRECT);
    return bits;
}

static void keep_indirects(Machine *m, Block *block, const Symbols *symbols) {
    memcpy(&m->indirects[m->indirects_used], symbols->indirects,
           symbols->indirect_count * sizeof *symbols->indirects);
    m->indirects_used += symbols->indirect_count;
    block->indirect_count = (uint8_t)symbols->indirect_count;
}

bool find_touches(Machine *m, Block *block) {
    if (m->groups_used + MAX_BLOCK_GROUPS > MAX_GROUPS ||
        m->indirects_used + BLOCK_INDIRECTS > MAX_INDIRECTS ||
        m->accesses_used + MAX_BLOCK_GROUPS * MAX_GROUP_ACCESSES > MAX_ACCESSES)
        return false;
    Touch touches[MAX_BLOCK_ACCESSES];
    bool taken[MAX_BLOCK_ACCESSES] = {false};
    Symbols symbols;
    uint32_t count = collect(m, block, touches, &symbols);
    uint32_t used = 0; /* indirects, a bit each */
    for (uint32_t k = 0; k < count; k++)
        used |= indirects_of(touches[k].address.base, touches[k].address.index);
    block->first_group = m->groups_used;
    block->first_indirect = m->indirects_used;
    block->indirect_count = 0;
    if (used)
        keep_indirects(m, block, &symbols);
    for (uint32_t k = 0; k < count && block->group_count < MAX_BLOCK_GROUPS; k++) {
        if (taken[k])
            continue;
        AccessGroup *group = &m->groups[m->groups_used++];
        block->group_count += 1;
        *group = (AccessGroup){.base = touches[k].address.base,
                               .index = touches[k].address.index,
                               .shift = touches[k].address.shift,
                               .first = m->accesses_used};
        for (uint32_t j = k; j < count && group->count < MAX_GROUP_ACCESSES; j++) {
            if (taken[j] || !belongs(group, &touches[j].address))
                continue;
            taken[j] = true;
            note_access(m, group, &touches[j].instruction, touches[j].address.constant);
        }
    }
    return true;
}

static uint32_t loads_from_flash(Machine *m, const AccessGroup *group, uint32_t base) {
    const MemoryPart *flash = &m->memories[0].part;
    uint32_t waited = 0;
    const Access *access = &m->accesses[group->first];
    for (uint32_t k = 0; k < group->count; k++, access++) {
        uint32_t address = base + (uint32_t)access->offset;
        if (access->is_load && address - flash->base < flash->size)
            waited += wait_for_data(m, address);
    }
    return waited;
}

static uint32_t sum_of(const uint32_t *registers, uint8_t base, uint8_t index, uint8_t shift) {
    uint32_t sum = base == NO_REGISTER ? 0 : registers[base];
    return index == NO_REGISTER ? sum : sum + (registers[index] << shift);
}

Waits wait_for_touches(Machine *m, const Block *block) {
    const AccessGroup *group = &m->groups[block->first_group];
    const MemoryPart *flash = &m->memories[0].part;
    const uint32_t *registers = m->registers;
    uint32_t extended[FIRST_INDIRECT + BLOCK_INDIRECTS];
    Waits waits = {0};
    if (block->indirect_count) {
        memcpy(extended, m->registers, FIRST_INDIRECT * sizeof *extended);
        registers = extended;
        for (uint32_t k = 0; k < block->indirect_count; k++) {
            const Indirect *i = &m->indirects[block->first_indirect + k];
            uint32_t address = sum_of(extended, i->base, i->index, i->shift) + (uint32_t)i->offset;
            const uint8_t *at = memory_at(m, address, 4, false);
            extended[FIRST_INDIRECT + k] = 0;
            if (at)
                memcpy(&extended[FIRST_INDIRECT + k], at, 4);
        }
    }
    for (uint32_t k = 0; k < block->group_count; k++, group++) {
        uint32_t base = sum_of(registers, group->base, group->index, group->shift);
        waits.memory += group->unaligned[base & 3];
        uint32_t address = base + (uint32_t)m->accesses[group->first].offset;
        if (m->waits_for_flash && address - flash->base < flash->size)
            waits.flash += loads_from_flash(m, group, base);
    }
    return waits;
}
