/* What does a debugger discover on the private peripheral bus? ROM table, component and peripheral
 * IDs of a Cortex-M4 r0p1 (DDI 0439, tables 4-1, 8-1, 9-1, 10-1, 11-1), and the registers of ITM
 * and TPIU, whose trace has nowhere to go. */
#include "machine.h"

/* Offsets from PPB_BASE. */
enum {
    ITM = 0x0000,
    DWT = 0x1000,
    FPB = 0x2000,
    SCS = 0xE000,
    TPIU = 0x40000,
    ROM_TABLE = 0xFF000,
};

enum {
    ITM_PORTS_END = 0x80,
    ITM_TER = 0xE00,
    ITM_TPR = 0xE40,
    ITM_TCR = 0xE80,
    TPIU_SSPSR = TPIU + 0x000,
    TPIU_CSPSR = TPIU + 0x004,
    TPIU_ACPR = TPIU + 0x010,
    TPIU_SPPR = TPIU + 0x0F0,
    TPIU_FFSR = TPIU + 0x300,
    TPIU_FFCR = TPIU + 0x304,
};

#define ITM_TCR_ENABLE 1u
#define TPIU_FORMATTER_ABSENT 0x8u /* FFSR.FtNonStop */

/* Entries: offset of the component from the table, 32-bit format, present or not. */
static const uint32_t rom_table[] = {
    0xFFF0F003, /* SCS */
    0xFFF02003, /* DWT */
    0xFFF03003, /* FPB */
    0xFFF01003, /* ITM */
    0xFFF41003, /* TPIU */
    0xFFF42002, /* ETM: not there */
    0,
};

static const struct {
    uint32_t base;
    uint64_t peripheral; /* PIDR0 to 3, then 4, a byte each */
    uint32_t component;  /* CIDR0 to 3 */
    uint32_t device_id, device_type;
} blocks[] = {
    {SCS, 0x4000BB00C, 0xB105E00D, 0, 0},
    {DWT, 0x4003BB002, 0xB105E00D, 0, 0},
    {FPB, 0x4002BB003, 0xB105E00D, 0, 0},
    {ITM, 0x4003BB001, 0xB105E00D, 0, 0},
    {TPIU, 0x4000BB9A1, 0xB105900D, 0xCA1, 0x11},
    {ROM_TABLE, 0x4000BB4C4, 0xB105100D, 0, 1 /* system memory is on this bus */},
};

static bool read_identity(uint32_t offset, uint32_t *word) {
    uint32_t at = offset & 0xFFF;
    for (uint32_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (blocks[i].base != (offset & ~0xFFFu) || at < 0xFC8)
            continue;
        if (at == 0xFC8)
            *word = blocks[i].device_id;
        else if (at == 0xFCC)
            *word = blocks[i].device_type;
        else if (at < 0xFE0)
            *word = blocks[i].peripheral >> (32 + 8 * ((at - 0xFD0) / 4)) & 0xFF;
        else if (at < 0xFF0)
            *word = blocks[i].peripheral >> (8 * ((at - 0xFE0) / 4)) & 0xFF;
        else
            *word = blocks[i].component >> (8 * ((at - 0xFF0) / 4)) & 0xFF;
        return true;
    }
    return false;
}

static uint32_t *trace_register(Debug *d, uint32_t offset) {
    switch (offset) {
    case ITM_TER:
        return &d->itm_enable;
    case ITM_TPR:
        return &d->itm_privilege;
    case ITM_TCR:
        return &d->itm_control;
    case TPIU_CSPSR:
        return &d->tpiu[0];
    case TPIU_ACPR:
        return &d->tpiu[1];
    case TPIU_SPPR:
        return &d->tpiu[2];
    case TPIU_FFCR:
        return &d->tpiu[3];
    default:
        return NULL;
    }
}

bool read_coresight(const Machine *m, uint32_t offset, uint32_t *word) {
    const uint32_t *stored = trace_register((Debug *)&m->debug, offset);
    if (stored) {
        *word = *stored;
    } else if (offset < ITM_PORTS_END) {
        *word = m->debug.itm_control & ITM_TCR_ENABLE; /* a port's FIFO has room */
    } else if (offset == TPIU_SSPSR) {
        *word = 1;
    } else if (offset == TPIU_FFSR) {
        *word = TPIU_FORMATTER_ABSENT;
    } else if (offset - ROM_TABLE < sizeof rom_table) {
        *word = rom_table[(offset - ROM_TABLE) / 4];
    } else {
        return read_identity(offset, word);
    }
    return true;
}

bool write_coresight(Machine *m, uint32_t offset, uint32_t value) {
    uint32_t *stored = trace_register(&m->debug, offset);
    if (stored)
        *stored = value;
    return stored != NULL;
}
