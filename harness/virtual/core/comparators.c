/* Where does a debugger want the core to stop? The comparators of FPB (DDI 0403, C1.11) and DWT
 * (C1.8). Breakpoints are exits of Unicorn's, at which translated blocks end: they cost nothing
 * elsewhere. Watchpoints are hooks of every instruction and of the accesses watched, added only
 * while one is set. */
#include "machine.h"

/* Offsets from PPB_BASE. */
enum {
    DWT_COMP0 = 0x1020,
    DWT_END = 0x1060,
    FP_CTRL = 0x2000,
    FP_REMAP = 0x2004,
    FP_COMP0 = 0x2008,
    FP_END = FP_COMP0 + 4 * (FPB_CODE + FPB_LITERAL),
};

#define FP_KEY (1u << 1)
#define FP_COUNTS ((uint32_t)FPB_CODE << 4 | (uint32_t)FPB_LITERAL << 8)
#define FP_COMP_ENABLE 1u
#define FP_COMP_ADDRESS 0x1FFFFFFCu
#define FP_REMAP_SUPPORTED (1u << 29)
#define DWT_MATCHED (1u << 24)

enum { REPLACE_REMAP, REPLACE_LOWER, REPLACE_UPPER, REPLACE_BOTH };
enum { WATCH_PC = 4, WATCH_READ = 5, WATCH_WRITE = 6, WATCH_ACCESS = 7, MAX_MASK = 15 };

static bool covers(uint32_t comparator, uint32_t pc) {
    uint32_t replace = comparator >> 30;
    return (comparator & FP_COMP_ENABLE) && (comparator & FP_COMP_ADDRESS) == (pc & ~3u) &&
           (replace == REPLACE_BOTH || replace == (pc & 2 ? REPLACE_UPPER : REPLACE_LOWER));
}

bool breakpoint_at(const Machine *m, uint32_t pc) {
    const Debug *d = &m->debug;
    if (!halting_debug(m) || !(d->fpb_control & 1))
        return false;
    for (uint32_t i = 0; i < FPB_CODE; i++)
        if (covers(d->fpb[i], pc))
            return true;
    return false;
}

/* Blocks that hold any of these bytes are translated again when they are next run. Not while the
 * emulator runs. */
void translate_anew(Machine *m, uint32_t first, uint32_t end) {
    if (end > first)
        uc_ctl_remove_cache(m->uc, (uint64_t)first, (uint64_t)end);
}

void place_exits(Machine *m, const uint32_t *also) {
    Debug *d = &m->debug;
    for (uint32_t i = 0; i < d->exit_count; i++)
        translate_anew(m, (uint32_t)d->exits[i] - 2, (uint32_t)d->exits[i] + 2);
    uint32_t before = d->exit_count;
    d->exit_count = 0;
    for (uint32_t i = 0; i < FPB_CODE && halting_debug(m) && (d->fpb_control & 1); i++)
        for (uint32_t half = 0; half <= 2; half += 2)
            if (covers(d->fpb[i], (d->fpb[i] & FP_COMP_ADDRESS) + half))
                d->exits[d->exit_count++] = (d->fpb[i] & FP_COMP_ADDRESS) + half;
    if (also)
        d->exits[d->exit_count++] = *also;
    if (before || d->exit_count)
        uc_ctl_set_exits(m->uc, d->exits, (size_t)d->exit_count);
    for (uint32_t i = 0; i < d->exit_count; i++)
        translate_anew(m, (uint32_t)d->exits[i] - 2, (uint32_t)d->exits[i] + 2);
}

static bool in_range(const Watch *watch, uint32_t first, uint32_t last) {
    uint32_t mask = (1u << watch->mask) - 1;
    return last >= (watch->comparator & ~mask) && first <= (watch->comparator | mask);
}

/* Only noted: stopping here would leave the access undone. */
static void on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                      void *user) {
    (void)uc, (void)value;
    Machine *m = user;
    uint32_t function = type == UC_MEM_WRITE ? WATCH_WRITE : WATCH_READ;
    for (uint32_t i = 0; i < DWT_COMPARATORS; i++) {
        Watch *watch = &m->debug.watch[i];
        if ((watch->function == WATCH_ACCESS || watch->function == function) &&
            in_range(watch, (uint32_t)address, (uint32_t)address + (uint32_t)size - 1))
            watch->matched = m->debug.watch_hit = true;
    }
}

/* An instruction that matched has been executed when the core halts, as on silicon. */
static void on_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    (void)size;
    Machine *m = user;
    if (m->debug.watch_hit) {
        uc_emu_stop(uc);
        return;
    }
    for (uint32_t i = 0; i < DWT_COMPARATORS; i++) {
        Watch *watch = &m->debug.watch[i];
        if (watch->function == WATCH_PC && in_range(watch, (uint32_t)address, (uint32_t)address))
            watch->matched = m->debug.watch_hit = true;
    }
}

static void place_watches(Machine *m) {
    Debug *d = &m->debug;
    bool had_hooks = d->watch_hook_count > 0;
    while (d->watch_hook_count)
        uc_hook_del(m->uc, d->watch_hooks[--d->watch_hook_count]);
    d->watch_hit = false;
    bool any = false;
    for (uint32_t i = 0; i < DWT_COMPARATORS && halting_debug(m) && (m->demcr & TRCENA); i++) {
        const Watch *watch = &d->watch[i];
        uint32_t mask = (1u << watch->mask) - 1, first = watch->comparator & ~mask;
        if (watch->function < WATCH_PC)
            continue;
        any = true;
        int kinds =
            (watch->function == WATCH_READ || watch->function == WATCH_ACCESS ? UC_HOOK_MEM_READ
                                                                              : 0) |
            (watch->function == WATCH_WRITE || watch->function == WATCH_ACCESS ? UC_HOOK_MEM_WRITE
                                                                               : 0);
        if (kinds) /* Unicorn looks at an access's first byte only */
            uc_hook_add(m->uc, &d->watch_hooks[d->watch_hook_count++], kinds, (void *)on_access, m,
                        (uint64_t)(first < 7 ? 0 : first - 7), (uint64_t)(first | mask));
    }
    if (any)
        uc_hook_add(m->uc, &d->watch_hooks[d->watch_hook_count++], UC_HOOK_CODE,
                    (void *)on_instruction, m, (uint64_t)1, (uint64_t)0);
    if (any || had_hooks)
        m->retranslate = true;
}

void place_comparators(Machine *m) {
    m->debug.comparators_changed = false;
    place_exits(m, NULL);
    place_watches(m);
}

uint32_t read_comparators(Machine *m, uint32_t offset) {
    Debug *d = &m->debug;
    if (offset >= DWT_COMP0 && offset < DWT_END) {
        Watch *watch = &d->watch[(offset - DWT_COMP0) / 16];
        switch (offset % 16 / 4) {
        case 0:
            return watch->comparator;
        case 1:
            return watch->mask;
        case 2: {
            uint32_t word = watch->function | (watch->matched ? DWT_MATCHED : 0);
            watch->matched = false;
            return word;
        }
        default:
            return 0;
        }
    }
    if (offset == FP_CTRL)
        return FP_COUNTS | d->fpb_control;
    if (offset == FP_REMAP)
        return FP_REMAP_SUPPORTED | d->fpb_remap;
    return offset >= FP_COMP0 && offset < FP_END ? d->fpb[(offset - FP_COMP0) / 4] : 0;
}

void write_comparators(Machine *m, uint32_t offset, uint32_t value) {
    Debug *d = &m->debug;
    if (offset >= DWT_COMP0 && offset < DWT_END) {
        Watch *watch = &d->watch[(offset - DWT_COMP0) / 16];
        switch (offset % 16 / 4) {
        case 0:
            watch->comparator = value;
            break;
        case 1:
            watch->mask = (value & 0x1F) > MAX_MASK ? MAX_MASK : value & 0x1F;
            break;
        case 2:
            watch->function = value & 7; /* trace packets (8 to 15) go nowhere */
            if (value & 8)
                watch->function = 0;
            watch->matched = false;
            break;
        default:
            break;
        }
    } else if (offset == FP_CTRL) {
        if (value & FP_KEY)
            d->fpb_control = value & 1;
    } else if (offset == FP_REMAP) {
        d->fpb_remap = value & 0x1FFFFFE0;
    } else if (offset >= FP_COMP0 && offset < FP_END) {
        d->fpb[(offset - FP_COMP0) / 4] = value & (0xC0000000u | FP_COMP_ADDRESS | FP_COMP_ENABLE);
    }
    d->comparators_changed = true;
    stop_at_next_block(m);
}
