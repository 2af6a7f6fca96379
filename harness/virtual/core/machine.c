/* What is a unit made of, and what may Python do with it? Construction, memories, the calls from
 * outside; execution.c runs it. */
#include "machine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SRAM_PATTERN 0xA5C3u /* start-up SRAM is not zero; firmware must not rely on it */

/* Where the memory behind `address` lies in this process; NULL when `bytes` of it are not there. */
EXPORT uint8_t *machine_memory(Machine *m, uint32_t address, uint32_t bytes) {
    const Memory *memory = memory_of(m, address, bytes);
    if (!memory)
        return NULL;
    bool aliased = address - memory->part.base >= memory->part.size;
    return memory->bytes + (address - (aliased ? memory->part.alias : memory->part.base));
}

EXPORT const Status *machine_status(const Machine *m) { return &m->status; }

/* A unit as it comes: flash at 0xFF, RAM at its start-up pattern, nothing on the line, no power. */
EXPORT void machine_erase(Machine *m) {
    for (uint32_t k = 0; k < m->memory_count; k++) {
        Memory *memory = &m->memories[k];
        if (memory->part.kind == MEMORY_FLASH)
            memset(memory->bytes, 0xFF, memory->part.size);
        for (uint32_t i = 0; memory->part.kind == MEMORY_RAM && i < memory->part.size; i++)
            memory->bytes[i] = (uint8_t)(SRAM_PATTERN >> (i & 1 ? 8 : 0));
    }
    m->sent.count = m->received.count = 0;
    for (uint32_t i = 0; i < m->device_count; i++)
        m->devices[i].said = 0;
    m->notice_count = 0;
    reset_limits(m);
    m->reset_wanted = true;
    m->reset_cause = RESET_POWER;
    forget_traps(m);
}

EXPORT void machine_reset(Machine *m) {
    if (!m->reset_wanted)
        m->reset_cause = RESET_PIN;
    m->reset_wanted = true;
    m->error[0] = 0;
}

void request_reset(Machine *m, ResetCause cause) {
    m->reset_wanted = true;
    m->reset_cause = cause;
    stop_at_next_block(m);
}

/* Told once a place: `address` of an access in the block at work. */
void notice(Machine *m, NoticeKind kind, uint32_t address) {
    for (uint32_t i = 0; i < m->notice_count; i++)
        if (m->notices[i].kind == kind && m->notices[i].address == address)
            return;
    if (m->notice_count < MAX_NOTICES)
        m->notices[m->notice_count++] = (Notice){kind, address, accessing_pc(m, address)};
    if (kind == NOTICE_UNMODELLED)
        refuse_unmodelled(m);
}

EXPORT uint32_t machine_notices(const Machine *m, Notice *into) {
    memcpy(into, m->notices, m->notice_count * sizeof *into);
    return m->notice_count;
}

static uc_err map_memories(Machine *m) {
    for (uint32_t i = 0; i < m->memory_count; i++) {
        const Memory *memory = &m->memories[i];
        uint32_t access =
            memory->part.kind == MEMORY_RAM ? UC_PROT_ALL : UC_PROT_READ | UC_PROT_EXEC;
        uc_err error =
            uc_mem_map_ptr(m->uc, memory->part.base, memory->part.size, access, memory->bytes);
        if (error)
            return error;
    }
    return UC_ERR_OK;
}

static uint64_t on_device_read(uc_engine *uc, uint64_t offset, unsigned size, void *machine) {
    return device_read(uc, offset, size, machine);
}

static void on_device_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value,
                            void *machine) {
    device_write(uc, offset, size, value, machine);
}

static uint64_t on_outer_read(uc_engine *uc, uint64_t offset, unsigned size, void *machine) {
    return device_read(uc, offset + OUTER_BASE - PERIPHERAL_BASE, size, machine);
}

static void on_outer_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value,
                           void *machine) {
    device_write(uc, offset + OUTER_BASE - PERIPHERAL_BASE, size, value, machine);
}

static uc_err build(Machine *m) {
    uc_engine *uc;
    uc_hook hook;
    uc_err error = uc_open(UC_ARCH_ARM, UC_MODE_THUMB, &uc);
    if (error)
        return error;
    m->uc = uc;
    if ((error = uc_ctl_set_cpu_model(uc, UC_CPU_ARM_CORTEX_M4)) ||
        (error = uc_ctl_exits_enable(uc)) || (error = uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL)) ||
        (error = map_memories(m)) ||
        (error = uc_mmio_map(uc, PERIPHERAL_BASE, PERIPHERAL_BYTES, on_device_read, m,
                             on_device_write, m)) ||
        (error = uc_mmio_map(uc, OUTER_BASE, OUTER_BYTES, on_outer_read, m, on_outer_write, m)) ||
        (error = uc_mmio_map(uc, PROGRAM_BASE, (uint64_t)MAX_MEMORIES << PROGRAM_BITS, program_read,
                             m, program_write, m)) ||
        (error = uc_mmio_map(uc, PPB_BASE, PPB_BYTES, system_read, m, system_write, m)) ||
        (error = uc_hook_add(uc, &hook, UC_HOOK_TLB_FILL, (void *)on_tlb_miss, m, 1, 0)) ||
        (error = uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_interrupt, m, 1, 0)) ||
        (error = uc_hook_add(uc, &hook, UC_HOOK_BLOCK, (void *)on_block, m, 1, 0)) ||
        (error = uc_hook_add(uc, &hook, UC_HOOK_EDGE_GENERATED, (void *)on_translation, m, 1, 0)) ||
        (error = uc_context_alloc(uc, &m->pristine)) || (error = uc_context_alloc(uc, &m->scratch)))
        return error;
    return uc_context_save(uc, m->pristine);
}

EXPORT void machine_free(Machine *m) {
    if (!m)
        return;
    forget_observer(m);
    close_port(m);
    if (m->pristine)
        uc_context_free(m->pristine);
    if (m->scratch)
        uc_context_free(m->scratch);
    if (m->uc)
        uc_close(m->uc);
    for (uint32_t i = 0; i < m->memory_count; i++) {
        free(m->memories[i].bytes);
        free(m->memories[i].fetched);
    }
    free(m->instruction_cache.way_of);
    free(m->data_cache.way_of);
    free(m->groups);
    free(m->accesses);
    free(m->indirects);
    free(m->device_room);
    free(m->blocks);
    free(m->code_pages);
    free(m);
}

static uint8_t *allocate_pages(uint32_t bytes) {
    void *pages = NULL;
    return posix_memalign(&pages, MAP_BYTES, bytes) ? NULL : pages;
}

/* Where Unicorn would stumble: a reason, or NULL. */
static const char *refuse_parts(const Parts *p) {
    if (p->memory_count > MAX_MEMORIES || p->bus_count > MAX_BUSES ||
        p->preset_count > MAX_PRESETS || p->interrupts > EXCEPTIONS - EXCEPTION_IRQ0)
        return "the chip has more memories, buses, presets or interrupts than there is room for";
    if (!p->memory_count || p->memories[0].kind != MEMORY_FLASH)
        return "the chip's first memory must be the flash that boots";
    if (p->priority_bits < 3 || p->priority_bits > 8)
        return "an ARMv7-M core has 3 to 8 priority bits";
    for (uint32_t i = 0; i < p->memory_count; i++)
        if (!p->memories[i].size ||
            (p->memories[i].base | p->memories[i].size | p->memories[i].alias) % MAP_BYTES)
            return "memories must be whole pages of 4096 bytes";
    const Accelerator *a = &p->accelerator;
    if (!a->read_bytes || (a->read_bytes & (a->read_bytes - 1)) || a->line_bytes < a->read_bytes ||
        (a->line_bytes & (a->line_bytes - 1)) || a->line_bytes / a->read_bytes > 16 ||
        a->instruction_lines > MAX_LINES || a->data_lines > MAX_LINES)
        return "the accelerator's reads and lines must be powers of two, its lines at most 16 "
               "reads and 254";
    return NULL;
}

static const char *take_parts(Machine *m, const Parts *p) {
    m->blocks = calloc(BLOCKS, sizeof *m->blocks);
    m->device_room = calloc(1, DEVICE_ROOM);
    m->code_pages = calloc(p->memories[0].size / MAP_BYTES, sizeof *m->code_pages);
    m->groups = calloc(MAX_GROUPS, sizeof *m->groups);
    m->accesses = calloc(MAX_ACCESSES, sizeof *m->accesses);
    m->indirects = calloc(MAX_INDIRECTS, sizeof *m->indirects);
    if (!m->blocks || !m->device_room || !m->code_pages || !m->groups || !m->accesses ||
        !m->indirects)
        return "out of memory";
    for (uint32_t i = 0; i < p->memory_count; i++) {
        Memory *memory = &m->memories[i];
        memory->part = p->memories[i];
        memory->bytes = allocate_pages(memory->part.size);
        memory->fetched = calloc(memory->part.size / MAP_BYTES, 1);
        if (!memory->bytes || !memory->fetched)
            return "out of memory";
        memset(memory->bytes, memory->part.kind == MEMORY_ROM ? 0xFF : 0, memory->part.size);
        m->memory_count += 1;
    }
    m->accelerator = p->accelerator;
    uint32_t flash_lines = m->memories[0].part.size / m->accelerator.line_bytes;
    m->instruction_cache.way_of = calloc(flash_lines, 1);
    m->data_cache.way_of = calloc(flash_lines, 1);
    if (!m->instruction_cache.way_of || !m->data_cache.way_of)
        return "out of memory";
    memcpy(m->buses, p->buses, p->bus_count * sizeof *p->buses);
    m->bus_count = p->bus_count;
    for (uint32_t i = 0; i < p->device_count; i++) {
        const char *refusal = add_device(m, &p->devices[i]);
        if (refusal)
            return refusal;
        Device *added = &m->devices[m->device_count - 1];
        if (added->base == p->console_base)
            m->console = added;
        if (added->model->program && !m->flash_controller)
            m->flash_controller = added;
    }
    if (!m->console)
        return "the console is not among the devices";
    for (uint32_t i = 0; i < p->preset_count; i++) {
        uint32_t at = p->presets[i].address;
        if (at % 4 || !device_holding(m, at))
            return "a reset value belongs to no device";
        m->presets[m->preset_count++] = p->presets[i];
    }
    return NULL;
}

/* NULL, and `reason` filled, when the parts or the emulator refuse. */
EXPORT Machine *machine_new(const Parts *parts, char *reason, size_t reason_bytes) {
    const char *refusal = refuse_parts(parts);
    Machine *m = refusal ? NULL : calloc(1, sizeof *m);
    if (!m) {
        snprintf(reason, reason_bytes, "%s", refusal ? refusal : "out of memory");
        return NULL;
    }
    m->parts = *parts;
    m->port.bell = m->port.answer = -1;
    m->priority_mask = (uint8_t)(0xFF00u >> parts->priority_bits);
    refusal = open_port(m) ? take_parts(m, parts) : "no more file descriptors";
    if (!refusal) {
        uc_err error = build(m);
        if (error)
            refusal = uc_strerror(error);
        else if (!find_registers(m) || !find_mode_fields(m))
            refusal = "this Unicorn lays out its core state differently";
    }
    if (refusal) {
        snprintf(reason, reason_bytes, "%s", refusal);
        machine_free(m);
        return NULL;
    }
    forget_last_block(m, 0);
    forget_costs(m);
    machine_erase(m);
    m->core_hz = m->limits.clock_hz = parts->reset_hz;
    m->status.state = STOPPED;
    m->reset_wanted = true;
    return m;
}
