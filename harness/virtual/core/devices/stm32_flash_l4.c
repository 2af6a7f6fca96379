/* STM32L4 and L4+ flash controllers: RM0351, 3.3 and 3.7; RM0432, 3.3 and 3.7. Double words are
 * programmed whole and, because of their error correction, once. Times are typical ones of DS10969
 * and DS12023. */
#include "stm32_flash.h"
#include <string.h>

enum {
    ACR = 0x00,
    KEYR = 0x08,
    OPTKEYR = 0x0C,
    SR = 0x10,
    CR = 0x14,
    OPTR = 0x20,
    WRP1AR = 0x2C,
    WRP2AR = 0x4C,
    OPTIONS_END = 0x54,
};
enum {
    SR_PROGERR = 1u << 3,
    SR_WRPERR = 1u << 4,
    SR_PGAERR = 1u << 5,
    SR_SIZERR = 1u << 6,
    SR_PGSERR = 1u << 7,
    SR_FASTERR = 1u << 9,
    SR_PROGRAM_ERRORS = 0x3F8,
    SR_CLEARED = 0xC3FB,
    CR_PG = 1u << 0,
    CR_PER = 1u << 1,
    CR_MER1 = 1u << 2,
    CR_BKER = 1u << 11,
    CR_MER2 = 1u << 15,
    CR_OPTSTRT = 1u << 17,
    CR_FSTPG = 1u << 18,
    CR_OBL_LAUNCH = 1u << 27,
    CR_OPTLOCK = 1u << 30,
    CR_STARTS = CR_STRT | CR_OPTSTRT,
    OPTR_DBANK = 1u << 22, /* L4+ only */
    DOUBLE_WORD_US = 82,
    ROW_US = 2610, /* 32 double words; 64 in the L4+ with the same time for each */
    PAGE_US = 22020,
    MASS_US = 22130,
};

typedef struct {
    FlashControl common;
    bool half; /* the lower word of a double word has come */
    uint32_t half_at, half_value;
    uint32_t row_at, row_words; /* fast programming: where the next double word must go */
    bool powered;
    uint32_t loaded[(OPTIONS_END - OPTR) / 4]; /* the options: survive every reset */
} FlashState;

extern const DeviceModel device_stm32l4plus_flash;

/* The L4+ can make one bank of two (DBANK). */
static bool is_plus(const Device *d) { return d->model == &device_stm32l4plus_flash; }

static bool two_banks(const Device *d) { return !is_plus(d) || (d->words[OPTR / 4] & OPTR_DBANK); }

static uint32_t page_bytes(const Device *d) {
    return !is_plus(d) ? 0x800 : two_banks(d) ? 0x1000 : 0x2000;
}

static uint32_t bank_bytes(const Machine *m, const Device *d) {
    return two_banks(d) ? flash_array(m)->part.size / 2 : flash_array(m)->part.size;
}

/* WRPxAR, WRPxBR: first and last protected page; nothing where the first is behind the last. In one
 * bank the second pair of areas protects as well (RM0432, 3.5.4). */
static bool is_protected(const Machine *m, const Device *d, uint32_t offset) {
    uint32_t bank = offset / bank_bytes(m, d);
    uint32_t page = offset % bank_bytes(m, d) / page_bytes(d);
    for (uint32_t area = 0; area < 4; area++) {
        if (two_banks(d) && area / 2 != bank)
            continue;
        uint32_t word = d->words[((area < 2 ? WRP1AR : WRP2AR) + 4 * (area % 2)) / 4];
        if (page >= (word & 0xFF) && page <= (word >> 16 & 0xFF))
            return true;
    }
    return false;
}

static void fail(Machine *m, Device *d, uint32_t flags) {
    ((FlashState *)d->state)->half = false;
    stm32_flash_fail(m, d, flags);
}

static void flash_advance(Machine *m, Device *d, uint64_t now) { stm32_flash_ends(m, d, now); }

static void begin(Machine *m, Device *d, uint32_t offset, uint64_t us) {
    stm32_flash_begin(m, d, offset, us, bank_bytes(m, d));
}

static void start_erase(Machine *m, Device *d) {
    uint32_t cr = d->words[CR / 4], bank = bank_bytes(m, d), page = page_bytes(d);
    uint32_t start = 0, bytes = 0, us = MASS_US;
    if ((d->words[SR / 4] & SR_PROGRAM_ERRORS) || (cr & (CR_PG | CR_FSTPG))) {
        fail(m, d, SR_PGSERR);
        return;
    }
    if (cr & CR_PER) {
        start = (two_banks(d) && (cr & CR_BKER) ? bank : 0) + (cr >> 3 & 0xFF) * page;
        bytes = page;
        us = PAGE_US;
    } else if (cr & (CR_MER1 | CR_MER2)) {
        bool second = cr & CR_MER2;
        start = cr & CR_MER1 || !two_banks(d) ? 0 : bank;
        bytes = !two_banks(d) ? bank : ((cr & CR_MER1 ? bank : 0) + (second ? bank : 0));
    }
    bool writable = bytes && start + bytes <= flash_array(m)->part.size;
    for (uint32_t at = start; writable && at < start + bytes; at += page)
        writable = !is_protected(m, d, at);
    if (!bytes) {
        fail(m, d, SR_PGSERR);
    } else if (!writable) {
        fail(m, d, SR_WRPERR);
    } else {
        erase_flash(m, flash_array(m)->part.base + start, bytes);
        begin(m, d, start, us);
    }
}

static bool is_blank(const Machine *m, uint32_t offset) {
    uint64_t word;
    memcpy(&word, flash_array(m)->bytes + offset, sizeof word);
    return word == UINT64_MAX;
}

/* 3.3.8: a row in one go, after a mass erase; its first double word decides where. */
static void program_row(Machine *m, Device *d, uint32_t offset, uint64_t value) {
    FlashState *state = d->state;
    uint32_t row = is_plus(d) ? 512 : 256;
    if (!state->row_words) {
        if (offset % row) {
            fail(m, d, SR_PGAERR);
            return;
        }
        state->row_at = offset;
    } else if (offset != state->row_at + 8 * state->row_words) {
        state->row_words = 0;
        fail(m, d, SR_FASTERR);
        return;
    }
    program_bits(m, flash_array(m)->part.base + offset, 8, value);
    if (++state->row_words == row / 8) {
        state->row_words = 0;
        begin(m, d, offset, (uint64_t)ROW_US * row / 256);
    }
}

static void program_double_word(Machine *m, Device *d, uint32_t offset, uint64_t value) {
    if (is_protected(m, d, offset)) {
        fail(m, d, SR_WRPERR);
    } else if (!is_blank(m, offset) && value) { /* zero may go over anything */
        fail(m, d, SR_PROGERR);
    } else if (d->words[CR / 4] & CR_FSTPG) {
        program_row(m, d, offset, value);
    } else {
        program_bits(m, flash_array(m)->part.base + offset, 8, value);
        begin(m, d, offset, DOUBLE_WORD_US);
    }
}

static bool flash_program(Machine *m, Device *d, uint32_t address, uint32_t bytes, uint64_t value) {
    FlashState *state = d->state;
    uint32_t offset = address - flash_array(m)->part.base, flags = 0;
    if (offset >= flash_array(m)->part.size)
        return false;
    stm32_flash_wait(m, d);
    uint32_t cr = d->words[CR / 4], mode = cr & (CR_PG | CR_FSTPG);
    if (bytes < 4)
        flags |= SR_SIZERR;
    if (offset % 4 || (offset % 8 == 4) != state->half ||
        (state->half && offset != state->half_at + 4))
        flags |= SR_PGAERR;
    if (!mode || mode == (CR_PG | CR_FSTPG) || (cr & (CR_PER | CR_MER1 | CR_MER2 | CR_LOCK)) ||
        (d->words[SR / 4] & SR_PROGRAM_ERRORS))
        flags |= SR_PGSERR;
    if (flags) {
        fail(m, d, flags);
    } else if (bytes == 8) {
        program_double_word(m, d, offset, value);
    } else if (!state->half) {
        state->half = true;
        state->half_at = offset;
        state->half_value = (uint32_t)value;
    } else {
        state->half = false;
        program_double_word(m, d, offset - 4, value << 32 | state->half_value);
    }
    return true;
}

static uint32_t flash_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == SR)
        return stm32_flash_status(m, d);
    return offset == KEYR || offset == OPTKEYR ? 0 : d->words[offset / 4];
}

static void write_control(Machine *m, Device *d, uint32_t value) {
    FlashState *state = d->state;
    stm32_flash_wait(m, d);
    uint32_t *cr = &d->words[CR / 4];
    if (*cr & CR_LOCK)
        return;
    if (*cr & CR_OPTLOCK)
        value = (value & ~(uint32_t)(CR_OPTSTRT | CR_OBL_LAUNCH)) | CR_OPTLOCK;
    *cr = value & ~(uint32_t)CR_OBL_LAUNCH;
    if (!(value & (CR_PG | CR_FSTPG)))
        state->half = false, state->row_words = 0;
    if (value & CR_STRT) {
        start_erase(m, d);
    } else if (value & CR_OPTSTRT) {
        memcpy(state->loaded, &d->words[OPTR / 4], sizeof state->loaded);
        begin(m, d, 0, PAGE_US);
    } else if (value & CR_OBL_LAUNCH) {
        request_reset(m, RESET_OPTIONS);
    }
    stm32_flash_interrupt(m, d);
}

static void flash_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    FlashState *state = d->state;
    KeyOutcome key = KEY_HEARD;
    switch (offset) {
    case ACR:
        d->words[ACR / 4] = value;
        set_accelerator(m, value, is_plus(d) ? 0xF : 7);
        break;
    case KEYR:
        if ((key = hear_key(&state->common.control, value)) == KEY_OPENS)
            d->words[CR / 4] &= ~CR_LOCK;
        break;
    case OPTKEYR:
        if ((key = hear_key(&state->common.options, value)) == KEY_OPENS)
            d->words[CR / 4] &= ~(uint32_t)CR_OPTLOCK;
        break;
    case SR:
        d->words[SR / 4] &= ~(value & SR_CLEARED);
        stm32_flash_interrupt(m, d);
        break;
    case CR:
        write_control(m, d, value);
        break;
    default:
        if (offset >= OPTR && offset < OPTIONS_END && !(d->words[CR / 4] & CR_OPTLOCK))
            d->words[offset / 4] = value;
        break;
    }
    if (key == KEY_REFUSED) /* 3.3.5: a bus error, and locked until reset */
        refuse_store(m);
}

static void flash_reset(Machine *m, Device *d) {
    FlashState *state = d->state;
    if (!state->powered) {
        state->powered = true;
        memcpy(state->loaded, &d->words[OPTR / 4], sizeof state->loaded);
    }
    memcpy(&d->words[OPTR / 4], state->loaded, sizeof state->loaded);
    state->common = stm32_flash_control(SR, CR, CR_STARTS);
    state->half = false;
    state->row_words = 0;
    if (is_plus(d)) { /* RM0432, 3.3.1: one bank is read 128 bits at a time */
        m->accelerator.read_bytes = two_banks(d) ? 8 : 16;
        accelerator_changed(m);
    }
    set_accelerator(m, d->words[ACR / 4], is_plus(d) ? 0xF : 7);
}

const DeviceModel device_stm32l4_flash = {
    .name = "stm32l4-flash",
    .state_bytes = sizeof(FlashState),
    .state_survives = true,
    .reset = flash_reset,
    .read = flash_read,
    .write = flash_write,
    .advance = flash_advance,
    .program = flash_program,
};

const DeviceModel device_stm32l4plus_flash = {
    .name = "stm32l4plus-flash",
    .state_bytes = sizeof(FlashState),
    .state_survives = true,
    .reset = flash_reset,
    .read = flash_read,
    .write = flash_write,
    .advance = flash_advance,
    .program = flash_program,
};
