/* What do the core's own registers answer? DDI 0403, chapter B3 and C1.8. */
#include "machine.h"
#include <string.h>

/* Offsets from PPB_BASE. */
enum {
    DWT_CTRL = 0x1000,
    DWT_CYCCNT = 0x1004,
    DWT_PCSR = 0x101C,
    DWT_COMP0 = 0x1020,
    DWT_END = 0x1060,
    FPB = 0x2000,
    FPB_END = 0x2028,
    SCS_ICTR = 0xE004,
    SYST_CSR = 0xE010,
    SYST_RVR = 0xE014,
    SYST_CVR = 0xE018,
    SYST_CALIB = 0xE01C,
    NVIC_ISER = 0xE100,
    NVIC_ICER = 0xE180,
    NVIC_ISPR = 0xE200,
    NVIC_ICPR = 0xE280,
    NVIC_IABR = 0xE300,
    NVIC_IPR = 0xE400,
    NVIC_END = 0xE500,
    SCB_CPUID = 0xED00,
    SCB_ICSR = 0xED04,
    SCB_VTOR = 0xED08,
    SCB_AIRCR = 0xED0C,
    SCB_SCR = 0xED10,
    SCB_CCR = 0xED14,
    SCB_SHPR1 = 0xED18,
    SCB_SHPR3 = 0xED20,
    SCB_SHCSR = 0xED24,
    SCB_CFSR = 0xED28,
    SCB_HFSR = 0xED2C,
    SCB_DFSR = 0xED30,
    SCB_MMFAR = 0xED34,
    SCB_BFAR = 0xED38,
    ID_PFR0 = 0xED40,
    SCB_CPACR = 0xED88,
    DHCSR = 0xEDF0,
    DEMCR = 0xEDFC,
    STIR = 0xEF00,
    FPCCR = 0xEF34,
    FPCAR = 0xEF38,
    FPDSCR = 0xEF3C,
    MVFR0 = 0xEF40,
    MVFR1 = 0xEF44,
};

enum { CCR_MASK = 0x31B };

/* ---- SysTick ---- */

static uint64_t systick_divider(const Machine *m) { return m->systick_core_clock ? 1 : 8; }

static uint64_t systick_period(const Machine *m) {
    return ((uint64_t)m->systick_reload + 1) * systick_divider(m);
}

void advance_systick(Machine *m, uint64_t now) {
    if (!m->systick_on || now < m->systick_zero_at)
        return;
    m->systick_flag = true;
    if (m->systick_interrupts)
        pend(m, EXCEPTION_SYSTICK);
    if (m->systick_reload == 0) {
        m->systick_zero_at = UINT64_MAX; /* a reload of 0 stops the counter */
        return;
    }
    uint64_t period = systick_period(m);
    m->systick_zero_at += ((now - m->systick_zero_at) / period + 1) * period;
}

static uint32_t systick_value(const Machine *m, uint64_t now) {
    if (!m->systick_on)
        return m->systick_stopped_at;
    if (m->systick_zero_at == UINT64_MAX)
        return 0;
    uint64_t left = (m->systick_zero_at - now) / systick_divider(m);
    return left > m->systick_reload ? 0 : (uint32_t)left;
}

static void write_systick_control(Machine *m, uint32_t value, uint64_t now) {
    bool on = value & 1;
    uint32_t current = systick_value(m, now);
    m->systick_interrupts = value & 2;
    m->systick_core_clock = value & 4;
    if (on && !m->systick_on)
        m->systick_zero_at = now + (current ? current * systick_divider(m) : systick_period(m));
    if (!on)
        m->systick_stopped_at = current;
    m->systick_on = on;
}

/* ---- DWT ---- */

static bool cycle_counter_runs(const Machine *m) {
    return (m->demcr & TRCENA) && (m->dwt_ctrl & 1);
}

static uint32_t cycle_counter(const Machine *m, uint64_t now) {
    return cycle_counter_runs(m) ? (uint32_t)(now - m->cycle_base) : m->cycle_stopped_at;
}

static void set_cycle_counter(Machine *m, uint32_t value, uint64_t now) {
    m->cycle_base = now - value;
    m->cycle_stopped_at = value;
}

/* ---- the core's private registers ---- */

static uint32_t read_bits(const bool *flags, uint32_t first) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 32 && first + i < EXCEPTIONS; i++)
        word |= (uint32_t)flags[first + i] << i;
    return word;
}

static void write_bits(bool *flags, uint32_t first, uint32_t word, bool value) {
    for (uint32_t i = 0; i < 32 && first + i < EXCEPTIONS; i++)
        if (word >> i & 1)
            flags[first + i] = value;
}

static uint32_t read_priorities(const Machine *m, uint32_t first) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4 && first + i < EXCEPTIONS; i++)
        word |= (uint32_t)m->priority[first + i] << (8 * i);
    return word;
}

static void write_priorities(Machine *m, uint32_t first, uint32_t word) {
    for (uint32_t i = 0; i < 4 && first + i < EXCEPTIONS; i++)
        m->priority[first + i] = (uint8_t)(word >> (8 * i)) & m->priority_mask;
}

static uint32_t read_icsr(const Machine *m) {
    uint32_t active = *m->ipsr, nesting = 0, interrupts = 0;
    for (int i = EXCEPTIONS - 1; i > 1; i--) {
        nesting += m->active[i];
        interrupts |= i >= EXCEPTION_IRQ0 && m->pending[i];
    }
    return active | (uint32_t)most_urgent(m) << 12 | (uint32_t)(nesting <= 1) << 11 |
           interrupts << 22 | (uint32_t)m->pending[EXCEPTION_NMI] << 31 |
           (uint32_t)m->pending[EXCEPTION_PENDSV] << 28 |
           (uint32_t)m->pending[EXCEPTION_SYSTICK] << 26;
}

static const struct {
    uint8_t bit, exception;
    bool pending;
} shcsr_bits[] = {
    {0, EXCEPTION_MEMORY, false},   {1, EXCEPTION_BUS, false},   {3, EXCEPTION_USAGE, false},
    {7, EXCEPTION_SVC, false},      {8, EXCEPTION_DEBUG, false}, {10, EXCEPTION_PENDSV, false},
    {11, EXCEPTION_SYSTICK, false}, {12, EXCEPTION_USAGE, true}, {13, EXCEPTION_MEMORY, true},
    {14, EXCEPTION_BUS, true},      {15, EXCEPTION_SVC, true},
};

static uint32_t read_shcsr(const Machine *m) {
    uint32_t word = m->shcsr_enables;
    for (size_t i = 0; i < sizeof shcsr_bits / sizeof *shcsr_bits; i++) {
        const bool *flags = shcsr_bits[i].pending ? m->pending : m->active;
        word |= (uint32_t)flags[shcsr_bits[i].exception] << shcsr_bits[i].bit;
    }
    return word;
}

static bool is_comparator(uint32_t offset) {
    return (offset >= DWT_COMP0 && offset < DWT_END) || (offset >= FPB && offset < FPB_END);
}

/* ID_PFR0 to ID_ISAR4 (DDI 0439, table 4-1). */
static const uint32_t features[] = {
    0x00000030, 0x00000200, 0x00100000, 0,          0x00000030, 0,          0x01000000,
    0,          0x01101110, 0x02112000, 0x21232231, 0x01111131, 0x01310102,
};

static uint32_t system_word(Machine *m, uint32_t offset) {
    uint64_t now = 0;
    settle_lazy_stacking(m);
    if (offset == DWT_CYCCNT || (offset >= SYST_CSR && offset <= SYST_CVR)) {
        now = cycles_now(m, PPB_BASE + offset, false);
        if (offset != DWT_CYCCNT)
            advance_systick(m, now);
    }
    if (offset >= NVIC_ISER && offset < NVIC_END) {
        uint32_t first = EXCEPTION_IRQ0 + (offset & 0x7F) * 8;
        if (offset >= NVIC_IPR)
            return read_priorities(m, EXCEPTION_IRQ0 + (offset - NVIC_IPR));
        return read_bits(offset >= NVIC_IABR   ? m->active
                         : offset >= NVIC_ISPR ? m->pending
                                               : m->enabled,
                         first);
    }
    if (is_comparator(offset))
        return read_comparators(m, offset);
    if (offset >= ID_PFR0 && offset < ID_PFR0 + sizeof features)
        return features[(offset - ID_PFR0) / 4];
    switch (offset) {
    case DWT_CTRL:
        return m->dwt_ctrl | 0x40000000;
    case DWT_PCSR:
        return m->debug.halted ? UINT32_MAX : m->last->start;
    case DWT_CYCCNT:
        return cycle_counter(m, now);
    case SCS_ICTR:
        return 3;
    case SYST_CSR: {
        uint32_t word = (uint32_t)m->systick_on | (uint32_t)m->systick_interrupts << 1 |
                        (uint32_t)m->systick_core_clock << 2 | (uint32_t)m->systick_flag << 16;
        if (!m->port.visiting)
            m->systick_flag = false;
        return word;
    }
    case SYST_RVR:
        return m->systick_reload;
    case SYST_CVR:
        return systick_value(m, now);
    case SYST_CALIB:
        return 0xC0000000; /* no reference clock, inexact */
    case SCB_CPUID:
        return 0x410FC241;
    case SCB_ICSR:
        return read_icsr(m);
    case SCB_VTOR:
        return m->vtor;
    case SCB_AIRCR:
        return 0xFA050000 | m->prigroup << 8;
    case SCB_SCR:
        return m->scr;
    case SCB_CCR:
        return m->ccr;
    case SCB_SHPR1:
    case SCB_SHPR1 + 4:
    case SCB_SHPR3:
        return read_priorities(m, 4 + (offset - SCB_SHPR1));
    case SCB_SHCSR:
        return read_shcsr(m);
    case SCB_CFSR:
        return m->cfsr;
    case SCB_HFSR:
        return m->hfsr;
    case SCB_DFSR:
        return m->dfsr;
    case SCB_MMFAR:
        return m->mmfar;
    case SCB_BFAR:
        return m->bfar;
    case SCB_CPACR:
        return m->cpacr;
    case DHCSR:
    case DHCSR + 4:
    case DHCSR + 8:
    case DEMCR:
        return read_debug_register(m, offset);
    case FPCCR:
        return m->ipsr[LIVE_FPCCR];
    case FPCAR:
        return m->ipsr[LIVE_FPCAR];
    case FPDSCR:
        return m->ipsr[LIVE_FPDSCR];
    case MVFR0:
        return 0x10110021;
    case MVFR1:
        return 0x11000011;
    default: { /* ITM, TPIU, IDs; reserved; what the vendor added */
        uint32_t word = 0;
        if (read_mpu(m, offset, &word))
            return word;
        if (device_holding(m, PPB_BASE + offset))
            return device_word(m, PPB_BASE + offset);
        read_coresight(m, offset, &word);
        return word;
    }
    }
}

static void write_interrupt_sets(Machine *m, uint32_t offset, uint32_t value) {
    uint32_t first = EXCEPTION_IRQ0 + (offset & 0x7F) * 8;
    if (offset >= NVIC_IPR) {
        write_priorities(m, EXCEPTION_IRQ0 + (offset - NVIC_IPR), value);
    } else if (offset < NVIC_ISPR) {
        write_bits(m->enabled, first, value, offset < NVIC_ICER);
    } else if (offset < NVIC_IABR) {
        for (uint32_t i = 0; i < 32 && first + i < EXCEPTIONS; i++)
            if (value >> i & 1)
                (offset < NVIC_ICPR ? pend : unpend)(m, (int)(first + i));
    }
    m->any_pending = true;
    stop_at_next_block(m);
}

static void write_icsr(Machine *m, uint32_t value) {
    static const struct {
        uint8_t bit, exception;
        bool pending;
    } changes[] = {{31, EXCEPTION_NMI, true},
                   {28, EXCEPTION_PENDSV, true},
                   {27, EXCEPTION_PENDSV, false},
                   {26, EXCEPTION_SYSTICK, true},
                   {25, EXCEPTION_SYSTICK, false}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (!(value >> changes[i].bit & 1))
            continue;
        if (changes[i].pending)
            pend(m, changes[i].exception);
        else
            m->pending[changes[i].exception] = false;
    }
}

static void write_aircr(Machine *m, uint32_t value) {
    enum { VECTRESET = 1, VECTCLRACTIVE = 2, SYSRESETREQ = 4 };
    m->prigroup = value >> 8 & 7;
    if (value & SYSRESETREQ)
        request_reset(m, RESET_SOFTWARE);
    if (!m->debug.halted)
        return; /* the other two are a debugger's */
    if (value & VECTCLRACTIVE) {
        memset(m->active, 0, sizeof m->active);
        set_mode(m, 0, read_control(m), read_stacks(m));
    }
    if (value & VECTRESET) {
        m->reset_spares_devices = true;
        request_reset(m, RESET_SOFTWARE);
    }
}

static void system_word_write(Machine *m, uint32_t offset, uint32_t value) {
    uint64_t now = 0;
    if (offset == DWT_CTRL || offset == DWT_CYCCNT || offset == DEMCR ||
        (offset >= SYST_CSR && offset <= SYST_CVR))
        now = cycles_now(m, PPB_BASE + offset, true);
    if (offset >= NVIC_ISER && offset < NVIC_END) {
        write_interrupt_sets(m, offset, value);
        return;
    }
    if (is_comparator(offset)) {
        write_comparators(m, offset, value);
        return;
    }
    switch (offset) {
    case DHCSR:
    case DHCSR + 4:
    case DHCSR + 8:
        write_debug_register(m, offset, value);
        break;
    case DWT_CTRL:
    case DEMCR: {
        uint32_t count = cycle_counter(m, now);
        if (offset == DWT_CTRL)
            m->dwt_ctrl = value & 1;
        else
            write_debug_register(m, offset, value);
        set_cycle_counter(m, count, now);
        break;
    }
    case DWT_CYCCNT:
        set_cycle_counter(m, value, now);
        break;
    case SYST_CSR:
        advance_systick(m, now);
        write_systick_control(m, value, now);
        stop_at_next_block(m);
        break;
    case SYST_RVR:
        m->systick_reload = value & 0xFFFFFF;
        break;
    case SYST_CVR:
        advance_systick(m, now);
        m->systick_flag = false;
        m->systick_stopped_at = 0;
        m->systick_zero_at = now + systick_period(m);
        stop_at_next_block(m);
        break;
    case SCB_ICSR:
        write_icsr(m, value);
        break;
    case SCB_VTOR:
        m->vtor = value & 0xFFFFFF80;
        break;
    case SCB_AIRCR:
        if (value >> 16 == 0x05FA)
            write_aircr(m, value);
        break;
    case SCB_SCR:
        m->scr = value & 0x16;
        break;
    case SCB_CCR:
        m->ccr = value & CCR_MASK;
        m->retranslate = true; /* divisions may trap now */
        stop_at_next_block(m);
        break;
    case SCB_SHPR1:
    case SCB_SHPR1 + 4:
    case SCB_SHPR3:
        write_priorities(m, 4 + (offset - SCB_SHPR1), value);
        break;
    case SCB_SHCSR:
        m->shcsr_enables = value & 0x70000;
        for (size_t i = 0; i < sizeof shcsr_bits / sizeof *shcsr_bits; i++)
            (shcsr_bits[i].pending ? m->pending : m->active)[shcsr_bits[i].exception] =
                value >> shcsr_bits[i].bit & 1;
        m->any_pending = true;
        stop_at_next_block(m);
        break;
    case SCB_CFSR:
        m->cfsr &= ~value;
        break;
    case SCB_HFSR:
        m->hfsr &= ~value;
        break;
    case SCB_DFSR:
        m->dfsr &= ~value;
        break;
    case SCB_MMFAR:
        m->mmfar = value;
        break;
    case SCB_BFAR:
        m->bfar = value;
        break;
    case SCB_CPACR:
        m->cpacr = value & 0x00F00000;
        m->retranslate = true; /* FP instructions may trap now, or no longer */
        stop_at_next_block(m);
        break;
    case STIR:
        if ((value & 0x1FF) + EXCEPTION_IRQ0 < EXCEPTIONS)
            pend(m, (int)(value & 0x1FF) + EXCEPTION_IRQ0);
        break;
    case FPCCR:
        m->ipsr[LIVE_FPCCR] = value & 0xC000017B;
        break;
    case FPCAR:
        m->ipsr[LIVE_FPCAR] = value & ~7u;
        break;
    case FPDSCR:
        m->ipsr[LIVE_FPDSCR] = value & 0x07C00000;
        break;
    default:
        if (!write_mpu(m, offset, value) && !write_coresight(m, offset, value) &&
            device_holding(m, PPB_BASE + offset))
            device_word_write(m, PPB_BASE + offset, value);
    }
}

uint64_t system_read(uc_engine *uc, uint64_t offset, unsigned size, void *machine) {
    (void)uc;
    return part_of(system_word(machine, (uint32_t)offset & ~3u), offset, size);
}

void system_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *machine) {
    (void)uc;
    uint32_t aligned = (uint32_t)offset & ~3u;
    bool keeps_rest = (aligned >= NVIC_IPR && aligned < NVIC_END) ||
                      (aligned >= SCB_SHPR1 && aligned <= SCB_SHPR3);
    uint32_t rest = size < 4 && keeps_rest ? system_word(machine, aligned) : 0;
    system_word_write(machine, aligned, merged(rest, offset, size, value));
}

void reset_system(Machine *m) {
    m->dwt_ctrl = 0;
    set_cycle_counter(m, 0, m->status.cycles);
    m->systick_on = m->systick_interrupts = m->systick_core_clock = m->systick_flag = false;
    m->systick_reload = m->systick_stopped_at = 0;
}
