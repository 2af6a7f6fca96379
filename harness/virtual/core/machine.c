/* The run loop: Unicorn executes, this file pays for the blocks, decides what a stop meant and
 * hands it to exceptions.c. */
#include "machine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define NO_KEY UINT64_MAX
#define LOOK_AROUND_CYCLES 2000000 /* some 20 ms of host time */
#define PAGE_BYTES 4096u           /* what Unicorn maps */
#define SRAM_PATTERN 0xA5C3u       /* start-up SRAM is not zero; firmware must not rely on it */

enum { CCR_UNALIGN_TRP = 1u << 3, CCR_DIV_0_TRP = 1u << 4, CPACR_FULL = 0x00F00000 };
/* QEMU's EXCP_* */
enum { UC_SWI = 2, UC_DATA_ABORT = 4, UC_BKPT = 7, UC_EXCEPTION_EXIT = 8, UC_NO_COPROCESSOR = 17 };

uint32_t read_register(const Machine *m, int id) {
    uint32_t value = 0;
    uc_reg_read(m->uc, id, &value);
    return value;
}

void write_register(Machine *m, int id, uint32_t value) { uc_reg_write(m->uc, id, &value); }

uint8_t *memory_at(const Machine *m, uint32_t address, uint32_t bytes, bool write) {
    const Parts *p = &m->parts;
    if (address - p->sram_base <= p->sram_size - bytes)
        return m->sram + (address - p->sram_base);
    if (write)
        return NULL;
    if (address - p->flash_base <= p->flash_size - bytes)
        return m->flash + (address - p->flash_base);
    if (address <= p->flash_size - bytes) /* BOOT0 low: flash shows at 0 as well */
        return m->flash + address;
    return NULL;
}

bool fetch_instruction(const Machine *m, uint32_t pc, Instruction *instruction) {
    uint16_t first, second = 0;
    const uint8_t *at = memory_at(m, pc, 2, false);
    if (!at)
        return false;
    memcpy(&first, at, 2);
    if (is_wide(first)) {
        at = memory_at(m, pc + 2, 2, false);
        if (!at)
            return false;
        memcpy(&second, at, 2);
    }
    *instruction = decode(first, second);
    return true;
}

uint32_t effective_address(const Machine *m, const Instruction *i, uint32_t pc) {
    /* R0 to R12 are consecutive in Unicorn's numbering; R13 to R15 are not. */
    static const int high[3] = {UC_ARM_REG_R13, UC_ARM_REG_R14, UC_ARM_REG_R15};
    bool table = i->class_ == CLASS_TABLE_BRANCH;
    uint32_t base = i->base == 15   ? (table ? pc + 4 : (pc + 4) & ~3u)
                    : i->base >= 13 ? read_register(m, high[i->base - 13])
                                    : read_register(m, UC_ARM_REG_R0 + i->base);
    uint32_t index = i->index == NO_REGISTER ? 0
                     : i->index >= 13        ? read_register(m, high[i->index - 13])
                                             : read_register(m, UC_ARM_REG_R0 + i->index);
    return base + (uint32_t)i->offset + (index << i->index_shift);
}

/* ---- time ---- */

/* Cycles at the start of the instruction that is accessing `address`. Unicorn's pc stands at the
 * block's start here, so the instruction is found by its effective address: the first match behind
 * the last access of the same block. */
uint64_t cycles_now(Machine *m, uint32_t address, bool write) {
    const Block *block = m->last;
    Instruction i;
    bool same_block = m->access_cycles == m->status.cycles;
    uint32_t at = same_block ? m->access_pc : block->start;
    for (; at < block->end && fetch_instruction(m, at, &i); at += i.bytes) {
        if (!(write ? is_store(&i) : is_load(&i)))
            continue;
        uint32_t first = effective_address(m, &i, at) & ~3u;
        if (address - first < 4u * i.elements + (i.elements == 0))
            break;
    }
    if (at >= block->end)
        return m->status.cycles;
    m->access_cycles = m->status.cycles;
    m->access_pc = at + i.bytes;
    return m->status.cycles - block->cost + cost_before(m, block, at, NULL);
}

void stop_at_next_block(Machine *m) { m->next_event = 0; }

void plan_next_event(Machine *m) {
    m->next_event = m->status.cycles + LOOK_AROUND_CYCLES;
    if (m->systick_on && m->systick_interrupts && m->systick_zero_at < m->next_event)
        m->next_event = m->systick_zero_at;
}

static void forget_last_block(Machine *m, uint32_t next) {
    m->none = (Block){.key = NO_KEY, .start = next, .end = next, .last_class = CLASS_HINT};
    m->last = &m->none;
}

/* The block in progress was left before the instruction at `pc`: take back the rest. */
static void settle_at(Machine *m, uint32_t pc) {
    const Block *block = m->last;
    if (pc < block->start || pc >= block->end)
        return;
    uint32_t done, cost = cost_before(m, block, pc, &done);
    m->status.cycles -= block->cost - cost;
    m->status.instructions -= block->instructions - done;
}

static void forget_costs(Machine *m) {
    for (uint32_t i = 0; i < BLOCKS; i++)
        m->blocks[i].key = NO_KEY;
}

/* ---- hooks ---- */

static void on_trap(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)size;
    Machine *m = user;
    uint32_t pc = (uint32_t)address;
    Instruction i;
    if (!fetch_instruction(m, pc, &i))
        return;
    if (i.is_fp && (m->cpacr & CPACR_FULL) != CPACR_FULL) {
        m->trap_cfsr = CFSR_NOCP;
    } else if (i.class_ == CLASS_DIV && (m->ccr & CCR_DIV_0_TRP)) {
        uint32_t divisor = memory_at(m, pc + 2, 2, false)[0] & 0xF;
        if (read_register(m, UC_ARM_REG_R0 + (int)divisor) == 0)
            m->trap_cfsr = CFSR_DIVBYZERO;
    } else if (i.access_bytes > 1 && (m->ccr & CCR_UNALIGN_TRP)) {
        if (effective_address(m, &i, pc) & (i.access_bytes - 1u))
            m->trap_cfsr = CFSR_UNALIGNED;
    }
    if (m->trap_cfsr) {
        m->trap_pc = pc;
        uc_emu_stop(uc);
    }
}

/* Instructions that may have to trap get a hook of their own, when their block is first seen in a
 * mode that makes them trap. */
static bool add_traps(Machine *m, const Block *block) {
    bool fp = (m->cpacr & CPACR_FULL) != CPACR_FULL, added = false;
    if (!fp && !(m->ccr & (CCR_DIV_0_TRP | CCR_UNALIGN_TRP)))
        return false;
    Instruction i;
    for (uint32_t at = block->start; at < block->end && fetch_instruction(m, at, &i);
         at += i.bytes) {
        if (!((i.is_fp && fp) || (i.class_ == CLASS_DIV && (m->ccr & CCR_DIV_0_TRP)) ||
              (i.access_bytes > 1 && (m->ccr & CCR_UNALIGN_TRP))))
            continue;
        bool known = false;
        for (uint32_t k = 0; k < m->trap_count; k++)
            known |= m->traps[k].address == at;
        if (known || m->trap_count == MAX_TRAPS)
            continue;
        Trap *trap = &m->traps[m->trap_count++];
        trap->address = at;
        uc_hook_add(m->uc, &trap->hook, UC_HOOK_CODE, (void *)on_trap, m, at, at);
        added = true;
    }
    return added;
}

static void stop_here(Machine *m, uint32_t pc) {
    forget_last_block(m, pc);
    m->stop_at_block = true;
    uc_emu_stop(m->uc);
}

/* First sight of a block, or one that must not be cached. Returns false where the core must stop.
 */
static bool meet_block(Machine *m, Block *block, uint32_t pc, uint32_t bytes) {
    cost_block(m, block, pc, bytes);
    if (add_traps(m, block)) {
        block->key = NO_KEY;
        m->retranslate = true;
        stop_here(m, pc);
        return false;
    }
    if (block->changes_mask)
        block->key = NO_KEY;
    return true;
}

static void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)uc;
    Machine *m = user;
    uint32_t pc = (uint32_t)address;
    Block *block = &m->blocks[(pc >> 1) & (BLOCKS - 1)];
    const Block *last = m->last;
    bool branched = last->end != pc;
    uint64_t cycles = m->status.cycles + (branched ? last->taken : 0);
    if (__builtin_expect(block->key != (pc | (uint64_t)size << 32), 0)) {
        /* `last` may be overwritten from here on. */
        if (!meet_block(m, block, pc, size)) {
            m->status.cycles = cycles + (branched ? block->entry : 0);
            return;
        }
    }
    cycles += branched ? block->entry : 0;
    if (__builtin_expect(cycles >= m->next_event, 0)) {
        m->status.cycles = cycles;
        stop_here(m, pc);
        return;
    }
    m->status.cycles = cycles + block->cost;
    m->status.instructions += block->instructions;
    m->last = block;
    if (__builtin_expect(block->changes_mask && m->any_pending, 0))
        stop_at_next_block(m);
}

/* A block was translated (again): what it cost before no longer holds. */
static void on_translation(uc_engine *uc, uc_tb *block, uc_tb *previous, void *user) {
    (void)uc, (void)previous;
    Machine *m = user;
    m->blocks[((uint32_t)block->pc >> 1) & (BLOCKS - 1)].key = NO_KEY;
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *user) {
    ((Machine *)user)->interrupt = (int)number;
    uc_emu_stop(uc);
}

/* Address decoding. Unicorn asks once a page and access kind; it has set its pc to the instruction
 * by then, which is what makes faults precise. */
static bool on_tlb_miss(uc_engine *uc, uint64_t address, uc_mem_type type, uc_tlb_entry *entry,
                        void *user) {
    (void)uc;
    Machine *m = user;
    const Parts *p = &m->parts;
    uint32_t at = (uint32_t)address;
    entry->paddr = at;
    entry->perms = 0;
    if (at - p->sram_base < p->sram_size) {
        entry->perms = UC_PROT_ALL;
    } else if (at - p->flash_base < p->flash_size) {
        entry->perms = UC_PROT_READ | UC_PROT_EXEC;
    } else if (at < p->flash_size) {
        entry->paddr = at + p->flash_base;
        entry->perms = UC_PROT_READ | UC_PROT_EXEC;
    } else if (at - PPB_BASE < PPB_BYTES || peripheral_exists(m, at)) {
        entry->perms = UC_PROT_READ | UC_PROT_WRITE;
    }
    uint32_t needed = type == UC_MEM_FETCH   ? UC_PROT_EXEC
                      : type == UC_MEM_WRITE ? UC_PROT_WRITE
                                             : UC_PROT_READ;
    if (!(entry->perms & needed)) {
        m->access_refused = true;
        m->refused_page = at;
        m->refused_type = type;
        return false;
    }
    if (type != UC_MEM_FETCH) {
        /* Finding the pc also set the IT state of the instruction; the translated block does not
         * expect that and would leave it behind for the next block. */
        uint32_t cpsr = read_register(m, UC_ARM_REG_CPSR);
        if (cpsr & 0x0600FC00u)
            write_register(m, UC_ARM_REG_CPSR, cpsr & ~0x0600FC00u);
    }
    return true;
}

/* ---- what a stop meant ---- */

static void refuse_access(Machine *m, uint32_t pc) {
    if (m->refused_type == UC_MEM_FETCH) {
        bool never_executes = (pc >= 0x40000000 && pc < 0x60000000) || pc >= 0xA0000000;
        if (never_executes)
            raise_fault(m, EXCEPTION_MEMORY, CFSR_IACCVIOL, 0);
        else
            raise_fault(m, EXCEPTION_BUS, CFSR_IBUSERR, 0);
        return;
    }
    Instruction i;
    settle_at(m, pc);
    m->bfar = m->refused_page;
    if (fetch_instruction(m, pc, &i)) {
        uint32_t first = effective_address(m, &i, pc), bytes = i.elements * i.access_bytes;
        if (m->refused_page - first >= bytes) /* the page does not start inside the access */
            m->bfar = first;
    }
    raise_fault(m, EXCEPTION_BUS, CFSR_PRECISERR | CFSR_BFARVALID, 0);
}

static void take_interrupt(Machine *m, uint32_t pc) {
    switch (m->interrupt) {
    case UC_SWI:
        raise_fault(m, EXCEPTION_SVC, 0, 0);
        break;
    case UC_BKPT: /* no debugger, monitor disabled */
        settle_at(m, pc);
        m->dfsr |= 2;
        raise_fault(m, EXCEPTION_HARD, 0, HFSR_DEBUGEVT);
        break;
    case UC_EXCEPTION_EXIT:
        return_from_exception(m, pc | 1);
        break;
    case UC_DATA_ABORT: /* an exclusive access that is not aligned */
        settle_at(m, pc);
        raise_fault(m, EXCEPTION_USAGE, CFSR_UNALIGNED, 0);
        break;
    case UC_NO_COPROCESSOR: /* any but 10 and 11, which are the FPU */
        settle_at(m, pc);
        raise_fault(m, EXCEPTION_USAGE, CFSR_NOCP, 0);
        break;
    default:
        snprintf(m->error, sizeof m->error, "unexpected emulator exception %d at 0x%08x",
                 m->interrupt, pc);
    }
}

static void refuse_instruction(Machine *m, uint32_t pc) {
    if (m->last->last_class == CLASS_WAIT_EVENT && pc == m->last->end)
        return; /* WFE and YIELD come this way too; an event is always there */
    settle_at(m, pc);
    raise_fault(m, EXCEPTION_USAGE, CFSR_UNDEFINSTR, 0);
}

static void sleep_until_interrupt(Machine *m) {
    while (!m->stop_wanted) {
        advance_systick(m, m->status.cycles);
        if (would_interrupt(m))
            return;
        bool ticks = m->systick_on && m->systick_interrupts && m->systick_zero_at != NEVER;
        if (ticks && !m->pending[EXCEPTION_SYSTICK]) { /* a masked tick wakes nothing, ever */
            flush_serial(m);
            m->status.cycles = m->systick_zero_at; /* nothing happens before */
        } else {
            wait_for_anything(m, ASLEEP, false);
        }
    }
}

static void reset_core(Machine *m) {
    uint32_t vector[2];
    uc_context_restore(m->uc, m->pristine);
    reset_exceptions(m);
    reset_peripherals(m);
    memcpy(vector, m->flash, sizeof vector);
    write_register(m, UC_ARM_REG_R13, vector[0] & ~3u);
    write_register(m, UC_ARM_REG_R14, 0xFFFFFFFF);
    write_register(m, UC_ARM_REG_R15, vector[1]);
    forget_last_block(m, vector[1] & ~1u);
    m->reset_wanted = false;
    m->retranslate = true;
    m->access_cycles = NEVER;
    m->status.state = RUNNING;
}

static void execute(Machine *m) {
    uint32_t pc = read_register(m, UC_ARM_REG_R15) & ~1u;
    uint32_t thumb = read_register(m, UC_ARM_REG_CPSR) >> 5 & 1;
    if (!thumb) {
        raise_fault(m, EXCEPTION_USAGE, CFSR_INVSTATE, 0);
        return;
    }
    m->interrupt = -1;
    m->trap_cfsr = 0;
    m->access_refused = m->stop_at_block = false;
    plan_next_event(m);
    uc_err error = uc_emu_start(m->uc, pc | 1, 0, 0, 0);
    pc = read_register(m, UC_ARM_REG_R15) & ~1u;
    if (m->stop_at_block)
        return;
    if (m->trap_cfsr) {
        settle_at(m, m->trap_pc);
        write_register(m, UC_ARM_REG_R15, m->trap_pc | 1);
        raise_fault(m, EXCEPTION_USAGE, m->trap_cfsr, 0);
    } else if (m->access_refused) {
        refuse_access(m, pc);
    } else if (m->interrupt >= 0) {
        take_interrupt(m, pc);
    } else if (error == UC_ERR_INSN_INVALID) {
        if (read_register(m, UC_ARM_REG_CPSR) >> 5 & 1)
            refuse_instruction(m, pc);
        else
            raise_fault(m, EXCEPTION_USAGE, CFSR_INVSTATE, 0);
    } else if (error == UC_ERR_OK && m->last->last_class == CLASS_WAIT_INTERRUPT) {
        sleep_until_interrupt(m);
    } else {
        snprintf(m->error, sizeof m->error, "emulator stopped at 0x%08x: %s", pc,
                 uc_strerror(error));
    }
    forget_last_block(m, read_register(m, UC_ARM_REG_R15) & ~1u);
}

/* ---- what Python calls ---- */

/* Run until the control thread wants a stop. NULL, or what broke inside the emulation itself. */
EXPORT const char *machine_run(Machine *m) {
    while (!m->stop_wanted && !m->error[0]) {
        if (m->reset_wanted)
            reset_core(m);
        if (m->retranslate) {
            m->retranslate = false;
            uc_ctl_flush_tb(m->uc);
            forget_costs(m);
        }
        if (m->status.state == LOCKED_UP) {
            wait_for_anything(m, LOCKED_UP, false);
            continue;
        }
        pump_serial(m);
        advance_systick(m, m->status.cycles);
        if (m->any_pending)
            take_pending(m);
        if (m->status.state != LOCKED_UP)
            execute(m);
    }
    flush_serial(m);
    return m->error[0] ? m->error : NULL;
}

EXPORT void machine_stop(Machine *m) {
    m->stop_wanted = true;
    m->next_event = 0;
}

EXPORT void machine_allow(Machine *m) { m->stop_wanted = false; }

EXPORT uint8_t *machine_flash(Machine *m) { return m->flash; }

EXPORT const Status *machine_status(const Machine *m) { return &m->status; }

EXPORT void machine_erase(Machine *m) {
    memset(m->flash, 0xFF, m->parts.flash_size);
    for (uint32_t i = 0; i < m->parts.sram_size; i++)
        m->sram[i] = (uint8_t)(SRAM_PATTERN >> (i & 1 ? 8 : 0));
    m->sent.count = m->received.count = 0;
    while (m->trap_count)
        uc_hook_del(m->uc, m->traps[--m->trap_count].hook);
}

EXPORT void machine_reset(Machine *m) {
    m->reset_wanted = true;
    m->error[0] = 0;
}

/* Where in a saved context IPSR and CONTROL lie: found by changing what Unicorn's interface can
 * change, then checked by reading back through it. */
static bool find_mode_fields(Machine *m) {
    size_t size = uc_context_size(m->uc), primask = 0, control = 0;
    const uint8_t *before = (const uint8_t *)m->pristine, *after = (const uint8_t *)m->scratch;
    write_register(m, UC_ARM_REG_PRIMASK, 1);
    write_register(m, UC_ARM_REG_PSP, 0x12345678);
    write_register(m, UC_ARM_REG_CONTROL, 1); /* last: unprivileged code can change nothing more */
    uc_context_save(m->uc, m->scratch);
    uc_context_restore(m->uc, m->pristine);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t was, is;
        memcpy(&was, before + i, 4);
        memcpy(&is, after + i, 4);
        if (was == is || is != 1)
            continue;
        if (!control)
            control = i;
        else if (!primask)
            primask = i;
    }

    if (control < 28 || !primask)
        return false;
    uint32_t other, exception = EXCEPTION_SYSTICK;
    memcpy(&other, after + control - 28, 4);
    uc_context_save(m->uc, m->scratch);
    memcpy((uint8_t *)m->scratch + primask - 4, &exception, 4);
    uc_context_restore(m->uc, m->scratch);
    bool found = other == 0x12345678 && read_register(m, UC_ARM_REG_IPSR) == exception;
    uc_context_restore(m->uc, m->pristine);
    m->control_offset = control;
    m->exception_offset = primask - 4;
    return found;
}

static uc_err build(Machine *m) {
    const Parts *p = &m->parts;
    uc_engine *uc;
    uc_hook hook;
    uc_err error = uc_open(UC_ARCH_ARM, UC_MODE_THUMB, &uc);
    if (error)
        return error;
    m->uc = uc;
    if ((error = uc_ctl_set_cpu_model(uc, UC_CPU_ARM_CORTEX_M4)) ||
        (error = uc_ctl_exits_enable(uc)) || (error = uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL)) ||
        (error = uc_mem_map_ptr(uc, p->flash_base, p->flash_size, UC_PROT_READ | UC_PROT_EXEC,
                                m->flash)) ||
        (error = uc_mem_map_ptr(uc, p->sram_base, p->sram_size, UC_PROT_ALL, m->sram)) ||
        (error = uc_mmio_map(uc, PERIPHERAL_BASE, PERIPHERAL_BYTES, peripheral_read, m,
                             peripheral_write, m)) ||
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
    if (m->pristine)
        uc_context_free(m->pristine);
    if (m->scratch)
        uc_context_free(m->scratch);
    if (m->uc)
        uc_close(m->uc);
    free(m->flash);
    free(m->sram);
    free(m->blocks);
    free(m);
}

static uint8_t *allocate_pages(uint32_t bytes) {
    void *pages = NULL;
    return posix_memalign(&pages, PAGE_BYTES, bytes) ? NULL : pages;
}

/* Where Unicorn or peripherals.c would stumble: a reason, or NULL. */
static const char *refuse_parts(const Parts *p) {
    if (!p->flash_size || !p->sram_size ||
        (p->flash_base | p->flash_size | p->sram_base | p->sram_size) % PAGE_BYTES)
        return "flash and SRAM must be whole pages of 4096 bytes";
    if (p->uart_base % 4 || p->uart_base < PERIPHERAL_BASE ||
        p->uart_base - PERIPHERAL_BASE > PERIPHERAL_BYTES - UART_BYTES)
        return "the console is not among the peripherals";
    return NULL;
}

/* NULL, and `reason` filled, when the emulator refuses. */
EXPORT Machine *machine_new(const Parts *parts, char *reason, size_t reason_bytes) {
    const char *refusal = refuse_parts(parts);
    Machine *m = refusal ? NULL : calloc(1, sizeof *m);
    if (!m) {
        snprintf(reason, reason_bytes, "%s", refusal ? refusal : "out of memory");
        return NULL;
    }
    m->parts = *parts;
    m->flash = allocate_pages(parts->flash_size);
    m->sram = allocate_pages(parts->sram_size);
    m->blocks = calloc(BLOCKS, sizeof *m->blocks);
    uc_err error = m->flash && m->sram && m->blocks ? build(m) : UC_ERR_NOMEM;
    if (error || !find_mode_fields(m)) {
        snprintf(reason, reason_bytes, "%s",
                 error ? uc_strerror(error) : "this Unicorn lays out its core state differently");
        machine_free(m);
        return NULL;
    }
    forget_last_block(m, 0);
    forget_costs(m);
    machine_erase(m);
    m->status.state = STOPPED;
    m->reset_wanted = true;
    return m;
}
