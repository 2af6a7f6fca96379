/* What lies at an address, and what becomes of an access to nothing? The memory map of the chip, as
 * Unicorn asks for it page by page. */
#include "machine.h"
#include <string.h>

static bool holds(uint32_t base, uint32_t size, uint32_t address, uint32_t bytes) {
    return bytes <= size && address - base <= size - bytes;
}

const Memory *memory_of(const Machine *m, uint32_t address, uint32_t bytes) {
    for (uint32_t i = 0; i < m->memory_count; i++) {
        const MemoryPart *part = &m->memories[i].part;
        if (holds(part->base, part->size, address, bytes) ||
            holds(part->alias, part->size, address, bytes))
            return &m->memories[i];
    }
    return NULL;
}

uint8_t *memory_at(const Machine *m, uint32_t address, uint32_t bytes, bool write) {
    const Memory *memory = memory_of(m, address, bytes);
    if (!memory || (write && memory->part.kind != MEMORY_RAM))
        return NULL;
    const MemoryPart *part = &memory->part;
    return memory->bytes + (holds(part->base, part->size, address, bytes) ? address - part->base
                                                                          : address - part->alias);
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

/* Address decoding. Unicorn asks once a page and access kind; it has set its pc to the instruction
 * by then, which is what makes faults precise. */
/* A page that may be executed is written through Unicorn's slow path for ever, for code may change
 * there. So a page of RAM may be executed from its first fetch on. */
static uint32_t access_to_ram(const Memory *memory, uint32_t address, uc_mem_type type) {
    const MemoryPart *part = &memory->part;
    bool based = holds(part->base, part->size, address, 1);
    uint8_t *fetched = &memory->fetched[(address - (based ? part->base : part->alias)) / MAP_BYTES];
    *fetched |= type == UC_MEM_FETCH;
    return *fetched ? UC_PROT_ALL : UC_PROT_READ | UC_PROT_WRITE;
}

bool on_tlb_miss(uc_engine *uc, uint64_t address, uc_mem_type type, uc_tlb_entry *entry,
                 void *user) {
    (void)uc;
    Machine *m = user;
    uint32_t at = (uint32_t)address;
    entry->paddr = at;
    entry->perms = 0;
    const Memory *memory = memory_of(m, at, 1);
    if (memory) {
        const MemoryPart *part = &memory->part;
        if (!holds(part->base, part->size, at, 1))
            entry->paddr = at - part->alias + part->base;
        entry->perms = part->kind == MEMORY_RAM ? access_to_ram(memory, at, type)
                                                : UC_PROT_READ | UC_PROT_EXEC;
        if (part->kind == MEMORY_FLASH && type == UC_MEM_WRITE && m->flash_controller) {
            /* The store goes to program_write(); the next load of this page asks here again. */
            uint32_t index = (uint32_t)(memory - m->memories);
            entry->paddr = PROGRAM_BASE + (index << PROGRAM_BITS) + (entry->paddr - part->base);
            entry->perms = UC_PROT_WRITE;
        }
    } else if (at - PPB_BASE < PPB_BYTES || device_exists(m, at)) {
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

void refuse_store(Machine *m) {
    m->store_refused = true;
    stop_at_next_block(m);
}

/* Not asked by the core: the pages that lead here are for writing only. */
uint64_t program_read(uc_engine *uc, uint64_t offset, unsigned size, void *user) {
    (void)uc, (void)offset, (void)size, (void)user;
    return 0;
}

void program_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *user) {
    (void)uc;
    Machine *m = user;
    const MemoryPart *part = &m->memories[offset >> PROGRAM_BITS].part;
    uint32_t address = part->base + (uint32_t)(offset & ((1u << PROGRAM_BITS) - 1));
    if (!program_flash(m, address, size, value))
        refuse_store(m);
}

bool program_flash(Machine *m, uint32_t address, uint32_t bytes, uint64_t value) {
    Device *controller = m->flash_controller;
    const Memory *memory = memory_of(m, address, bytes);
    if (memory && !holds(memory->part.base, memory->part.size, address, bytes))
        address += memory->part.base - memory->part.alias;
    m->polls = 0;
    return controller && controller->model->program(m, controller, address, bytes, value);
}

void note_code(Machine *m, uint32_t pc) {
    const MemoryPart *part = &m->memories[0].part;
    uint32_t offset = holds(part->base, part->size, pc, 1) ? pc - part->base : pc - part->alias;
    if (offset < part->size)
        m->code_pages[offset / MAP_BYTES] = true;
}

/* What is in flash now may not be what was translated; most of what is programmed never was. */
static void forget_code(Machine *m, const Memory *memory, uint32_t offset, uint32_t bytes) {
    bool translated = memory != &m->memories[0];
    for (uint32_t at = offset & ~(MAP_BYTES - 1); !translated && at < offset + bytes;
         at += MAP_BYTES)
        translated = m->code_pages[at / MAP_BYTES];
    if (translated) {
        m->retranslate = true;
        stop_at_next_block(m);
    }
}

void erase_flash(Machine *m, uint32_t address, uint32_t bytes) {
    const Memory *memory = memory_of(m, address, bytes);
    uint32_t offset = address - memory->part.base;
    memset(memory->bytes + offset, 0xFF, bytes);
    forget_code(m, memory, offset, bytes);
}

void program_bits(Machine *m, uint32_t address, uint32_t bytes, uint64_t value) {
    const Memory *memory = memory_of(m, address, bytes);
    uint32_t offset = address - memory->part.base;
    for (uint32_t i = 0; i < bytes; i++)
        memory->bytes[offset + i] &= (uint8_t)(value >> (8 * i));
    forget_code(m, memory, offset, bytes);
}

void refuse_access(Machine *m, uint32_t pc) {
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
