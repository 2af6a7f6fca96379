/* The arithmetic that compilers make addresses with, followed through a block: moves, additions of
 * constants and registers, base write-back, literals. Encodings: DDI 0403, A5 and A7. */
#include "addresses.h"

static const Symbol UNKNOWN = {.known = false, .base = NO_REGISTER, .index = NO_REGISTER};

static Symbol constant(uint32_t value) {
    return (Symbol){
        .known = true, .base = NO_REGISTER, .index = NO_REGISTER, .constant = (int32_t)value};
}

void start_symbols(Symbols *s) {
    for (uint8_t r = 0; r < 16; r++)
        s->registers[r] = (Symbol){.known = true, .base = r, .index = NO_REGISTER};
    s->registers[15] = UNKNOWN;
    s->indirect_count = s->slot_count = 0;
    s->stored = false;
}

static Symbol plus(Symbol s, int32_t value) {
    s.constant = (int32_t)((uint32_t)s.constant + (uint32_t)value);
    return s;
}

/* a + (b << shift), where the sum needs no more than one register and one shifted one. */
static Symbol sum(Symbol a, Symbol b, uint8_t shift) {
    if (!a.known || !b.known || b.index != NO_REGISTER)
        return UNKNOWN;
    Symbol result = plus(a, (int32_t)((uint32_t)b.constant << shift));
    if (b.base == NO_REGISTER)
        return result;
    if (a.base == NO_REGISTER && shift == 0 && a.index == NO_REGISTER) {
        result.base = b.base;
    } else if (a.index == NO_REGISTER) {
        result.index = b.base;
        result.shift = shift;
    } else {
        return UNKNOWN;
    }
    return result;
}

Symbol address_symbol(const Symbols *s, const Instruction *i, uint32_t pc) {
    const Symbol *symbols = s->registers;
    if (i->base == NO_REGISTER)
        return UNKNOWN;
    Symbol base = i->base == 15 ? constant((pc + 4) & ~3u) : symbols[i->base];
    if (i->index != NO_REGISTER)
        base = sum(base, symbols[i->index], i->index_shift);
    return base.known ? plus(base, i->offset) : UNKNOWN;
}

/* ThumbExpandImm: DDI 0403, A5.3.2. */
static uint32_t expand_immediate(uint16_t first, uint16_t second) {
    uint32_t code = (uint32_t)(first >> 10 & 1) << 11 | (uint32_t)(second >> 12 & 7) << 8;
    uint32_t byte = second & 0xFF;
    switch (code >> 8) {
    case 0:
        return byte;
    case 1:
        return byte << 16 | byte;
    case 2:
        return byte << 24 | byte << 8;
    case 3:
        return byte * 0x01010101u;
    default: {
        uint32_t rotate = (code | byte) >> 7, value = 0x80 | (byte & 0x7F);
        return value >> rotate | value << (32 - rotate);
    }
    }
}

static uint32_t plain_immediate(uint16_t first, uint16_t second) {
    return (uint32_t)(first >> 10 & 1) << 11 | (uint32_t)(second >> 12 & 7) << 8 | (second & 0xFF);
}

typedef struct {
    uint8_t rd;
    Symbol value;
} Result;

static Result result_16(const Symbol *s, uint32_t pc, uint16_t w) {
    uint8_t low = w & 7, mid = w >> 3 & 7, high = w >> 6 & 7, wide = w >> 8 & 7;
    uint8_t rd = (uint8_t)((w >> 4 & 8) | (w & 7)), rm = w >> 3 & 15;
    int32_t byte = w & 0xFF;
    switch (w >> 9) {
    case 0x0C: /* ADDS Rd, Rn, Rm */
        return (Result){low, sum(s[mid], s[high], 0)};
    case 0x0E: /* ADDS and SUBS Rd, Rn, #imm3 */
        return (Result){low, plus(s[mid], high)};
    case 0x0F:
        return (Result){low, plus(s[mid], -high)};
    default:
        break;
    }
    switch (w >> 11) {
    case 0x00: /* LSLS: a move where it shifts by 0 */
        return (Result){low, w >> 6 & 31 ? sum(constant(0), s[mid], w >> 6 & 31) : s[mid]};
    case 0x04: /* MOVS Rd, #imm8 */
        return (Result){wide, constant((uint32_t)byte)};
    case 0x06: /* ADDS and SUBS Rd, #imm8 */
        return (Result){wide, plus(s[wide], byte)};
    case 0x07:
        return (Result){wide, plus(s[wide], -byte)};
    case 0x08:
        if ((w & 0xFF00) == 0x4600) /* MOV Rd, Rm */
            return (Result){rd, s[rm]};
        if ((w & 0xFF00) == 0x4400) /* ADD Rdn, Rm */
            return (Result){rd, sum(s[rd], s[rm], 0)};
        break;
    case 0x14: /* ADR */
        return (Result){wide, constant(((pc + 4) & ~3u) + 4 * (uint32_t)byte)};
    case 0x15: /* ADD Rd, SP, #imm8 */
        return (Result){wide, plus(s[13], 4 * byte)};
    case 0x16:
        if ((w & 0xFF00) == 0xB000) /* ADD and SUB SP, #imm7 */
            return (Result){13, plus(s[13], (w & 0x80 ? -4 : 4) * (w & 0x7F))};
        break;
    default:
        break;
    }
    return (Result){NO_REGISTER, UNKNOWN};
}

static Result result_32(const Symbol *s, uint16_t first, uint16_t second) {
    uint8_t rd = second >> 8 & 15, rn = first & 15, rm = second & 15;
    uint8_t shift = (uint8_t)((second >> 12 & 7) << 2 | (second >> 6 & 3));
    bool left = (second & 0x30) == 0; /* LSL */
    uint32_t plain = plain_immediate(first, second);
    if (rd == 15)
        return (Result){NO_REGISTER, UNKNOWN};
    switch (first & 0xFFE0) {
    case 0xEB00: /* ADD Rd, Rn, Rm, LSL #n */
        return (Result){rd, left ? sum(s[rn], s[rm], shift) : UNKNOWN};
    case 0xEA40: /* MOV, LSL */
        if (rn == 15 && left)
            return (Result){rd, shift ? sum(constant(0), s[rm], shift) : s[rm]};
        break;
    default:
        break;
    }
    if (second & 0x8000)
        return (Result){NO_REGISTER, UNKNOWN};
    uint32_t whole = (uint32_t)rn << 12 | plain;
    switch (first & 0xFBE0) {
    case 0xF100: /* ADD and SUB Rd, Rn, #const */
        return (Result){rd, plus(s[rn], (int32_t)expand_immediate(first, second))};
    case 0xF1A0:
        return (Result){rd, plus(s[rn], -(int32_t)expand_immediate(first, second))};
    case 0xF200: /* ADDW and SUBW; from PC: ADR */
        return (Result){rd, rn == 15 ? UNKNOWN : plus(s[rn], (int32_t)plain)};
    case 0xF2A0:
        return (Result){rd, rn == 15 ? UNKNOWN : plus(s[rn], -(int32_t)plain)};
    case 0xF240: /* MOVW */
        return (Result){rd, constant(whole)};
    case 0xF2C0: { /* MOVT */
        bool is_constant = s[rd].known && s[rd].base == NO_REGISTER && s[rd].index == NO_REGISTER;
        uint32_t low = (uint32_t)s[rd].constant & 0xFFFF;
        return (Result){rd, is_constant ? constant(whole << 16 | low) : UNKNOWN};
    }
    case 0xF040: /* MOV Rd, #const */
        return (Result){rd, rn == 15 ? constant(expand_immediate(first, second)) : UNKNOWN};
    default:
        return (Result){NO_REGISTER, UNKNOWN};
    }
}

/* By how much a base register moves on write-back. */
static int32_t write_back_step(const Instruction *i, uint16_t first, uint16_t second) {
    int32_t bytes = i->elements * 4;
    switch (i->class_) {
    case CLASS_LOAD_MULTIPLE:
    case CLASS_STORE_MULTIPLE:
    case CLASS_FP_LOAD_MULTIPLE:
    case CLASS_FP_STORE_MULTIPLE:
        return i->offset < 0 ? i->offset : bytes;
    case CLASS_LOAD_DUAL:
    case CLASS_STORE_DUAL:
        return (first & 0x80 ? 4 : -4) * (second & 0xFF);
    default:
        return (second & 0x200 ? 1 : -1) * (second & 0xFF);
    }
}

static bool is_slot(const Symbol *address) {
    return address->known && address->base == 13 && address->index == NO_REGISTER;
}

/* What a load from `address` brings. A spill slot is written through the stack pointer only. */
static Symbol loaded(Symbols *s, const Symbol *address) {
    if (!address->known)
        return UNKNOWN;
    for (uint32_t k = s->slot_count; is_slot(address) && k-- > 0;)
        if (s->slots[k].offset == address->constant)
            return s->slots[k].value;
    if (s->indirect_count == BLOCK_INDIRECTS || (s->stored && !is_slot(address)))
        return UNKNOWN;
    s->indirects[s->indirect_count] = (Indirect){.base = address->base,
                                                 .index = address->index,
                                                 .shift = address->shift,
                                                 .offset = address->constant};
    Symbol value = {.known = true, .index = NO_REGISTER};
    value.base = (uint8_t)(FIRST_INDIRECT + s->indirect_count++);
    return value;
}

static void note_store(Symbols *s, const Instruction *i, const Symbol *address) {
    uint32_t room = sizeof s->slots / sizeof *s->slots;
    s->stored |= !is_slot(address);
    for (uint32_t e = 0; is_slot(address) && e < i->elements; e++, s->slot_count++) {
        if (s->slot_count == room) {
            s->stored = true;
            return;
        }
        bool whole = i->class_ == CLASS_STORE && i->access_bytes == 4;
        s->slots[s->slot_count].offset = address->constant + 4 * (int32_t)e;
        s->slots[s->slot_count].value = whole ? s->registers[i->target] : UNKNOWN;
    }
}

void follow_symbols(Symbols *s, const Instruction *i, uint32_t pc, uint16_t first, uint16_t second,
                    bool certain, uint32_t literal) {
    Symbol *symbols = s->registers, base = UNKNOWN, address = address_symbol(s, i, pc);
    Result result = {NO_REGISTER, UNKNOWN};
    if (i->class_ == CLASS_ALU)
        result = i->bytes == 2 ? result_16(symbols, pc, first) : result_32(symbols, first, second);
    if (i->class_ == CLASS_LOAD && i->access_bytes == 4 && certain)
        result = (Result){i->target, i->base == 15 ? constant(literal) : loaded(s, &address)};
    if (is_store(i))
        note_store(s, i, &address);
    if (i->writes_back)
        base = plus(symbols[i->base], write_back_step(i, first, second));
    for (uint32_t r = 0; r < 15; r++)
        if (i->writes >> r & 1)
            symbols[r] = UNKNOWN;
    if (certain && result.rd < 15 && (i->writes >> result.rd & 1))
        symbols[result.rd] = result.value;
    if (certain && i->writes_back && result.rd != i->base)
        symbols[i->base] = base;
}
