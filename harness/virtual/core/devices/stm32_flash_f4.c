/* STM32F4 flash controller: RM0402, 3.7 and 3.8; two banks: RM0090, 3.7. Programming clears bits
 * and never sets one; times are typical ones of DS11139 and DS9405. */
#include "stm32_flash.h"

enum { ACR = 0x00, KEYR = 0x04, OPTKEYR = 0x08, SR = 0x0C, CR = 0x10, OPTCR = 0x14, OPTCR1 = 0x18 };
enum {
    SR_WRPERR = 1u << 4,
    SR_PGAERR = 1u << 5,
    SR_PGPERR = 1u << 6,
    SR_PGSERR = 1u << 7,
    SR_ERRORS = 0x1F2,
    CR_PG = 1u << 0,
    CR_SER = 1u << 1,
    CR_MER = 1u << 2,
    CR_MER1 = 1u << 15, /* the second bank */
    OPTCR_OPTLOCK = 1u << 0,
    OPTCR_OPTSTRT = 1u << 1,
    BANK_BYTES = 1u << 20,
    WORD_US = 16,
};

typedef struct {
    FlashControl common;
    bool powered;
    uint32_t optcr, optcr1; /* as last started: survive every reset */
} FlashState;

typedef struct {
    uint32_t start, bytes;
} Sector;

/* 4 x 16, 64, then 128 KiB, in each bank (RM0402, table 5). */
static Sector sector_of(uint32_t index) {
    uint32_t bank = index / 12 * BANK_BYTES, in_bank = index % 12;
    if (in_bank < 4)
        return (Sector){bank + in_bank * 0x4000, 0x4000};
    if (in_bank == 4)
        return (Sector){bank + 0x10000, 0x10000};
    return (Sector){bank + (in_bank - 4) * 0x20000, 0x20000};
}

static uint32_t index_of(uint32_t offset) {
    uint32_t index = 0;
    while (offset >= sector_of(index).start + sector_of(index).bytes)
        index++;
    return index;
}

static bool is_protected(const Device *d, uint32_t sector) {
    uint32_t word = d->words[(sector < 12 ? OPTCR : OPTCR1) / 4];
    return !(word >> (16 + sector % 12) & 1);
}

static void flash_advance(Machine *m, Device *d, uint64_t now) {
    if (stm32_flash_ends(m, d, now))
        d->words[OPTCR / 4] &= ~OPTCR_OPTSTRT;
}

static void begin(Machine *m, Device *d, uint32_t offset, uint64_t us) {
    uint32_t size = flash_array(m)->part.size;
    stm32_flash_begin(m, d, offset, us, size > BANK_BYTES ? BANK_BYTES : size);
}

static bool sectors_writable(const Machine *m, const Device *d, uint32_t start, uint32_t bytes) {
    for (uint32_t i = index_of(start); i <= index_of(start + bytes - 1); i++)
        if (is_protected(d, i))
            return false;
    return start + bytes <= flash_array(m)->part.size;
}

/* Typical times of an erase, by parallelism x8, x16, x32 (x64 like x32). */
static uint32_t sector_us(uint32_t bytes, uint32_t psize) {
    static const uint32_t times[3][3] = {
        {400000, 300000, 250000}, {1200000, 700000, 550000}, {2000000, 1300000, 1000000}};
    return times[bytes == 0x4000 ? 0 : bytes == 0x10000 ? 1 : 2][psize > 2 ? 2 : psize];
}

static uint32_t mass_us(uint32_t psize) {
    static const uint32_t times[3] = {16000000, 11000000, 8000000};
    return times[psize > 2 ? 2 : psize];
}

static void start_erase(Machine *m, Device *d) {
    uint32_t cr = d->words[CR / 4], psize = cr >> 8 & 3, size = flash_array(m)->part.size;
    uint32_t start = 0, bytes = 0, us = 0;
    if (cr & CR_SER) {
        uint32_t number = cr >> 3 & 0x1F; /* sectors of the second bank count from 16 */
        Sector sector = sector_of(number & 0x10 ? 12 + (number & 0xF) : number);
        bool exists = (number & 0xF) < 12;
        start = sector.start, bytes = exists ? sector.bytes : 0,
        us = sector_us(sector.bytes, psize);
    } else if (cr & (CR_MER | CR_MER1)) {
        uint32_t bank = size > BANK_BYTES ? BANK_BYTES : size;
        start = cr & CR_MER ? 0 : bank;
        bytes = (cr & CR_MER ? bank : 0) + (cr & CR_MER1 ? bank : 0);
        us = mass_us(psize) * (bytes / bank);
    }
    if (!bytes || start >= size || (cr & CR_PG)) {
        stm32_flash_fail(m, d, SR_PGSERR);
    } else if (!sectors_writable(m, d, start, bytes)) {
        stm32_flash_fail(m, d, SR_WRPERR);
    } else {
        erase_flash(m, flash_array(m)->part.base + start, bytes);
        begin(m, d, start, us);
    }
}

static bool flash_program(Machine *m, Device *d, uint32_t address, uint32_t bytes, uint64_t value) {
    uint32_t offset = address - flash_array(m)->part.base;
    if (offset >= flash_array(m)->part.size)
        return false;
    stm32_flash_wait(m, d);
    uint32_t cr = d->words[CR / 4], width = 1u << (cr >> 8 & 3);
    if (!(cr & CR_PG) || (cr & (CR_SER | CR_MER | CR_MER1)) || (cr & CR_LOCK))
        stm32_flash_fail(m, d, SR_PGSERR);
    else if (is_protected(d, index_of(offset)))
        stm32_flash_fail(m, d, SR_WRPERR);
    else if (bytes != width && !(width == 8 && bytes == 4)) /* 64 bits come as two words */
        stm32_flash_fail(m, d, SR_PGPERR);
    else if (offset % bytes)
        stm32_flash_fail(m, d, SR_PGAERR);
    else {
        program_bits(m, address, bytes, value);
        begin(m, d, offset, WORD_US);
    }
    return true;
}

static uint32_t flash_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == SR)
        return stm32_flash_status(m, d);
    return offset == KEYR || offset == OPTKEYR ? 0 : d->words[offset / 4];
}

static void write_control(Machine *m, Device *d, uint32_t value) {
    stm32_flash_wait(m, d);
    uint32_t *cr = &d->words[CR / 4];
    if (*cr & CR_LOCK)
        return;
    *cr = value;
    if (value & CR_STRT && !(value & CR_LOCK))
        start_erase(m, d);
    stm32_flash_interrupt(m, d);
}

static void write_options(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    FlashState *state = d->state;
    stm32_flash_wait(m, d);
    if (d->words[OPTCR / 4] & OPTCR_OPTLOCK)
        return;
    d->words[offset / 4] = value;
    if (offset == OPTCR && (value & OPTCR_OPTSTRT)) {
        state->optcr = (value | OPTCR_OPTLOCK) & ~OPTCR_OPTSTRT;
        state->optcr1 = d->words[OPTCR1 / 4];
        begin(m, d, 0, sector_us(0x4000, 2));
    }
}

static void flash_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    FlashState *state = d->state;
    KeyOutcome key = KEY_HEARD;
    switch (offset) {
    case ACR:
        d->words[ACR / 4] = value;
        set_accelerator(m, value, 0xF);
        break;
    case KEYR:
        if ((key = hear_key(&state->common.control, value)) == KEY_OPENS)
            d->words[CR / 4] &= ~CR_LOCK;
        break;
    case OPTKEYR:
        if ((key = hear_key(&state->common.options, value)) == KEY_OPENS)
            d->words[OPTCR / 4] &= ~OPTCR_OPTLOCK;
        break;
    case SR:
        d->words[SR / 4] &= ~(value & (SR_EOP | SR_ERRORS));
        stm32_flash_interrupt(m, d);
        break;
    case CR:
        write_control(m, d, value);
        break;
    case OPTCR:
    case OPTCR1:
        write_options(m, d, offset, value);
        break;
    default:
        break;
    }
    if (key == KEY_REFUSED) /* 3.5.1: a bus error, and locked until reset */
        refuse_store(m);
}

static void flash_reset(Machine *m, Device *d) {
    FlashState *state = d->state;
    if (!state->powered) {
        state->powered = true;
        state->optcr = d->words[OPTCR / 4];
        state->optcr1 = d->words[OPTCR1 / 4];
    }
    d->words[OPTCR / 4] = state->optcr;
    d->words[OPTCR1 / 4] = state->optcr1;
    state->common = stm32_flash_control(SR, CR, CR_STRT);
    set_accelerator(m, d->words[ACR / 4], 0xF);
}

const DeviceModel device_stm32f4_flash = {
    .name = "stm32f4-flash",
    .state_bytes = sizeof(FlashState),
    .state_survives = true,
    .reset = flash_reset,
    .read = flash_read,
    .write = flash_write,
    .advance = flash_advance,
    .program = flash_program,
};
