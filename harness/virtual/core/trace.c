/* Which bytes of RAM were touched, how low did the stacks reach, and who read what was never
 * written? Unicorn tells of every access to RAM; what the core itself stacks comes from
 * exceptions.c. */
#include "machine.h"
#include <stdlib.h>
#include <string.h>

enum { UNINITIALISED_ROOM = 256, PUSH_BYTES = 256 /* the most that one PUSH or frame takes */ };

struct Trace {
    TouchedMemory memories[MAX_MEMORIES];
    uint32_t memory_count;
    uc_hook hooks[MAX_MEMORIES];
    UninitialisedRead uninitialised[UNINITIALISED_ROOM];
    uint32_t uninitialised_count;
    StackExtent main, process;
    Machine *machine;
    bool watch, on_process, mode_known;
    uint64_t block_cycles; /* of the block in which `behind` was found */
    uint32_t behind;
};

static void stretch(StackExtent *extent, uint32_t sp) {
    if (extent->lowest > extent->highest)
        *extent = (StackExtent){sp, sp};
    else if (sp < extent->lowest)
        extent->lowest = sp;
    else if (sp > extent->highest)
        extent->highest = sp;
}

static StackExtent *stack_in_use(Trace *t, const Machine *m) {
    if (!t->mode_known) {
        t->on_process = !in_handler(m) && (read_register(m, UC_ARM_REG_CONTROL) & 2);
        t->mode_known = true;
    }
    return t->on_process ? &t->process : &t->main;
}

void trace_mode(Trace *t) { t->mode_known = false; }

void trace_stack(Trace *t, const Machine *m, const Block *block) {
    stretch(stack_in_use(t, m), m->registers[13]);
    if (block->changes_mask) /* MSR: perhaps CONTROL */
        t->mode_known = false;
}

static void mark(uint8_t *bits, uint32_t offset, uint32_t bytes) {
    for (uint32_t i = offset; i < offset + bytes; i++)
        bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static bool all_marked(const uint8_t *bits, uint32_t offset, uint32_t bytes) {
    for (uint32_t i = offset; i < offset + bytes; i++)
        if (!(bits[i / 8] >> (i % 8) & 1))
            return false;
    return true;
}

static TouchedMemory *touched(Trace *t, const Machine *m, uint32_t address, uint32_t bytes,
                              uint32_t *offset) {
    const Memory *memory = memory_of(m, address, bytes);
    if (!memory)
        return NULL;
    const MemoryPart *part = &memory->part;
    *offset = address - (address - part->base < part->size ? part->base : part->alias);
    for (uint32_t i = 0; i < t->memory_count; i++)
        if (t->memories[i].base == part->base)
            return &t->memories[i];
    return NULL;
}

void trace_write(Trace *t, const Machine *m, uint32_t address, uint32_t bytes) {
    uint32_t offset, sp = m->registers[13];
    TouchedMemory *memory = touched(t, m, address, bytes, &offset);
    if (memory)
        mark(memory->written, offset, bytes);
    stretch(stack_in_use(t, m), sp - address <= PUSH_BYTES ? address : sp);
}

/* The load that reads `address` in the block at work, from where the last one was found. */
static uint32_t reader_of(Trace *t, const Machine *m, uint32_t address) {
    const Block *block = m->last;
    uint32_t at = t->block_cycles == m->status.cycles ? t->behind : block->start;
    Instruction i;
    for (; at < block->end && fetch_instruction(m, at, &i); at += i.bytes) {
        uint32_t bytes = (uint32_t)i.elements * i.access_bytes;
        if (is_load(&i) && address - effective_address(m, &i, at) < bytes) {
            t->block_cycles = m->status.cycles;
            t->behind = at;
            return at;
        }
    }
    return block->start;
}

static void report(Trace *t, const Machine *m, uint32_t address, uint32_t bytes) {
    uint32_t pc = reader_of(t, m, address);
    for (uint32_t i = 0; i < t->uninitialised_count; i++)
        if (t->uninitialised[i].pc == pc) {
            t->uninitialised[i].times += 1;
            return;
        }
    if (t->uninitialised_count < UNINITIALISED_ROOM)
        t->uninitialised[t->uninitialised_count++] =
            (UninitialisedRead){.address = address, .pc = pc, .bytes = bytes, .times = 1};
}

static void on_access(uc_engine *uc, uc_mem_type type, uint64_t at, int size, int64_t value,
                      void *user) {
    (void)uc, (void)value;
    Trace *t = user;
    const Machine *m = t->machine;
    uint32_t address = (uint32_t)at, bytes = (uint32_t)size, offset;
    if (type == UC_MEM_WRITE) {
        trace_write(t, m, address, bytes);
        return;
    }
    TouchedMemory *memory = touched(t, m, address, bytes, &offset);
    if (!memory)
        return;
    mark(memory->read, offset, bytes);
    if (t->watch && !all_marked(memory->written, offset, bytes))
        report(t, m, address, bytes);
}

static bool trace_memory(Trace *t, Machine *m, const MemoryPart *part) {
    TouchedMemory *memory = &t->memories[t->memory_count];
    *memory = (TouchedMemory){.base = part->base, .size = part->size};
    memory->read = calloc(2, part->size / 8);
    if (!memory->read)
        return false;
    memory->written = memory->read + part->size / 8;
    t->memory_count += 1;
    return !uc_hook_add(m->uc, &t->hooks[t->memory_count - 1], UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE,
                        (void *)on_access, t, part->base, part->base + part->size - 1);
}

Trace *new_trace(Machine *m, bool watch) {
    Trace *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->machine = m;
    t->watch = watch;
    t->block_cycles = NEVER;
    t->main = t->process = (StackExtent){1, 0};
    for (uint32_t i = 0; i < m->memory_count; i++)
        if (m->memories[i].part.kind == MEMORY_RAM && !trace_memory(t, m, &m->memories[i].part)) {
            free_trace(t, m);
            return NULL;
        }
    return t;
}

void trace_reset(Trace *t) {
    for (uint32_t i = 0; i < t->memory_count; i++)
        memset(t->memories[i].read, 0, t->memories[i].size / 8 * 2);
    t->main = t->process = (StackExtent){1, 0};
    t->uninitialised_count = 0;
    t->mode_known = false;
}

void trace_read(const Trace *t, Observed *into) {
    into->memories = t->memories;
    into->memory_count = t->memory_count;
    into->uninitialised = t->uninitialised;
    into->uninitialised_count = t->uninitialised_count;
    into->main = t->main;
    into->process = t->process;
}

void free_trace(Trace *t, Machine *m) {
    if (!t)
        return;
    for (uint32_t i = 0; i < t->memory_count; i++) {
        uc_hook_del(m->uc, t->hooks[i]);
        free(t->memories[i].read);
    }
    free(t);
}
