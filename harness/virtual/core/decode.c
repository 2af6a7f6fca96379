/* ARMv7-M ARM (DDI 0403), chapter A5: the encoding tables, one function a table. */
#include "decode.h"

static uint32_t bits(uint32_t value, int high, int low) {
    return (value >> low) & ((1u << (high - low + 1)) - 1);
}

static int count_ones(uint32_t value) { return __builtin_popcount(value); }

static uint16_t bit_of(uint32_t reg) { return (uint16_t)(1u << reg); }

/* A load or store of one element at base + offset (or base + index << shift). */
static void set_access(Instruction *i, bool load, uint32_t base, int32_t offset, uint32_t bytes) {
    i->class_ = load ? CLASS_LOAD : CLASS_STORE;
    i->base = (uint8_t)base;
    i->offset = offset;
    i->access_bytes = (uint8_t)bytes;
    i->elements = 1;
    i->reads |= bit_of(base);
}

static void set_target(Instruction *i, bool load, uint32_t reg) {
    if (i->target == NO_REGISTER)
        i->target = (uint8_t)reg;
    if (load) {
        i->writes |= bit_of(reg);
        if (reg == 15)
            i->writes_pc = true;
    } else {
        i->reads |= bit_of(reg);
    }
}

static void set_multiple(Instruction *i, bool load, uint32_t base, uint32_t list, bool before) {
    set_access(i, load, base, before ? -4 * count_ones(list) : 0, 4);
    i->class_ = load ? CLASS_LOAD_MULTIPLE : CLASS_STORE_MULTIPLE;
    i->elements = (uint8_t)count_ones(list);
    if (load) {
        i->writes |= (uint16_t)list;
        i->writes_pc = (list & 0x8000) != 0;
    } else {
        i->reads |= (uint16_t)list;
    }
}

static void write_back(Instruction *i) {
    i->writes_back = true;
    i->writes |= bit_of(i->base);
}

static void set_alu(Instruction *i, uint32_t rd, uint16_t reads) {
    i->class_ = CLASS_ALU;
    i->reads |= reads;
    if (rd == 15) {
        i->class_ = CLASS_BRANCH_INDIRECT;
        i->writes_pc = true;
    } else {
        i->writes |= bit_of(rd);
    }
}

static void decode_hint(Instruction *i, uint32_t hint) {
    i->class_ = hint == 3                ? CLASS_WAIT_INTERRUPT
                : hint == 1 || hint == 2 ? CLASS_WAIT_EVENT
                                         : CLASS_HINT;
}

static void decode_16_misc(Instruction *i, uint32_t w) { /* 1011 xxxx, table A5-5 */
    if ((w & 0xF500) == 0xB100) {
        i->class_ = CLASS_BRANCH_CONDITIONAL; /* CBZ, CBNZ */
        i->reads = bit_of(bits(w, 2, 0));
    } else if ((w & 0xFE00) == 0xB400) {
        set_multiple(i, false, 13, bits(w, 7, 0) | bits(w, 8, 8) << 14, true);
        write_back(i);
    } else if ((w & 0xFE00) == 0xBC00) {
        set_multiple(i, true, 13, bits(w, 7, 0) | bits(w, 8, 8) << 15, false);
        write_back(i);
    } else if ((w & 0xFF00) == 0xB000) {
        set_alu(i, 13, bit_of(13));
    } else if ((w & 0xFFE8) == 0xB660) {
        i->class_ = CLASS_STATUS; /* CPS */
    } else if ((w & 0xFF00) == 0xBE00) {
        i->class_ = CLASS_BREAKPOINT;
    } else if ((w & 0xFF00) == 0xBF00) {
        if (w & 0xF) {
            i->class_ = CLASS_IT;
            i->it_length = (uint8_t)(4 - __builtin_ctz(w & 0xF));
        } else {
            decode_hint(i, bits(w, 7, 4));
        }
    } else if ((w & 0xFF00) == 0xB200 || (w & 0xFF00) == 0xBA00) {
        set_alu(i, bits(w, 2, 0), bit_of(bits(w, 5, 3))); /* extend, reverse */
    } else {
        i->class_ = CLASS_UNDEFINED;
    }
}

static void decode_16_special(Instruction *i, uint32_t w) { /* 0100 01xx, table A5-4 */
    uint32_t rd = bits(w, 7, 7) << 3 | bits(w, 2, 0), rm = bits(w, 6, 3);
    switch (bits(w, 9, 8)) {
    case 0:
        set_alu(i, rd, bit_of(rd) | bit_of(rm));
        break;
    case 1:
        i->reads = bit_of(rd) | bit_of(rm);
        break;
    case 2:
        set_alu(i, rd, bit_of(rm));
        break;
    default:
        i->class_ = CLASS_BRANCH_INDIRECT;
        i->reads = bit_of(rm);
        i->writes_pc = true;
        if (w & 0x80)
            i->writes = bit_of(14);
    }
}

static void decode_16(Instruction *i, uint32_t w) {
    uint32_t low = bits(w, 2, 0), mid = bits(w, 5, 3), high = bits(w, 8, 6), wide = bits(w, 10, 8);
    static const uint8_t register_bytes[8] = {4, 2, 1, 1, 4, 2, 1, 2};
    switch (w >> 11) {
    case 0x00:
    case 0x01:
    case 0x02:
        set_alu(i, low, bit_of(mid));
        break;
    case 0x03:
        set_alu(i, low, bit_of(mid) | (w & 0x400 ? 0 : bit_of(high)));
        break;
    case 0x04:
        set_alu(i, wide, 0);
        break;
    case 0x05:
        i->reads = bit_of(wide);
        break;
    case 0x06:
    case 0x07:
        set_alu(i, wide, bit_of(wide));
        break;
    case 0x08:
        if (w & 0x400) {
            decode_16_special(i, w);
        } else {
            uint32_t op = bits(w, 9, 6);
            i->reads = bit_of(low) | bit_of(mid);
            if (op == 13)
                i->class_ = CLASS_MUL;
            if (op != 8 && op != 10 && op != 11)
                i->writes = bit_of(low);
        }
        break;
    case 0x09:
        set_access(i, true, 15, (int32_t)bits(w, 7, 0) * 4, 4);
        set_target(i, true, wide);
        break;
    case 0x0A:
    case 0x0B: {
        uint32_t op = bits(w, 11, 9);
        set_access(i, op >= 3, mid, 0, register_bytes[op]);
        i->index = (uint8_t)high;
        i->reads |= bit_of(high);
        set_target(i, op >= 3, low);
        break;
    }
    case 0x0C:
    case 0x0D:
        set_access(i, bits(w, 11, 11), mid, (int32_t)bits(w, 10, 6) * 4, 4);
        set_target(i, bits(w, 11, 11), low);
        break;
    case 0x0E:
    case 0x0F:
        set_access(i, bits(w, 11, 11), mid, (int32_t)bits(w, 10, 6), 1);
        set_target(i, bits(w, 11, 11), low);
        break;
    case 0x10:
    case 0x11:
        set_access(i, bits(w, 11, 11), mid, (int32_t)bits(w, 10, 6) * 2, 2);
        set_target(i, bits(w, 11, 11), low);
        break;
    case 0x12:
    case 0x13:
        set_access(i, bits(w, 11, 11), 13, (int32_t)bits(w, 7, 0) * 4, 4);
        set_target(i, bits(w, 11, 11), wide);
        break;
    case 0x14:
    case 0x15:
        set_alu(i, wide, w & 0x800 ? bit_of(13) : 0);
        break;
    case 0x16:
    case 0x17:
        decode_16_misc(i, w);
        break;
    case 0x18:
        set_multiple(i, false, wide, bits(w, 7, 0), false);
        write_back(i);
        break;
    case 0x19:
        set_multiple(i, true, wide, bits(w, 7, 0), false);
        if (!(bits(w, 7, 0) & bit_of(wide)))
            write_back(i);
        break;
    case 0x1A:
    case 0x1B:
        i->class_ = bits(w, 11, 8) == 14   ? CLASS_UNDEFINED
                    : bits(w, 11, 8) == 15 ? CLASS_SUPERVISOR
                                           : CLASS_BRANCH_CONDITIONAL;
        break;
    default: /* 0x1C */
        i->class_ = CLASS_BRANCH;
    }
}

static void decode_dual_exclusive_table(Instruction *i, uint32_t w1, uint32_t w2) { /* A5-18 */
    uint32_t base = bits(w1, 3, 0), rt = bits(w2, 15, 12);
    int32_t imm = (int32_t)bits(w2, 7, 0) * 4;
    if ((w1 & 0xFFE0) == 0xE840) {
        bool load = w1 & 0x10;
        set_access(i, load, base, imm, 4);
        set_target(i, load, rt);
        i->class_ = load ? CLASS_LOAD_EXCLUSIVE : CLASS_STORE_EXCLUSIVE;
        if (!load)
            i->writes |= bit_of(bits(w2, 11, 8));
    } else if ((w1 & 0xFFE0) == 0xE8C0) {
        bool load = w1 & 0x10;
        uint32_t op = bits(w2, 7, 4);
        if (load && op <= 1) {
            set_access(i, true, base, 0, op ? 2 : 1);
            if (base == 15)
                i->offset = 0;
            i->class_ = CLASS_TABLE_BRANCH;
            i->index = (uint8_t)bits(w2, 3, 0);
            i->index_shift = (uint8_t)op;
            i->reads |= bit_of(i->index);
            i->writes_pc = true;
        } else {
            set_access(i, load, base, 0, op == 5 ? 2 : 1);
            set_target(i, load, rt);
            i->class_ = load ? CLASS_LOAD_EXCLUSIVE : CLASS_STORE_EXCLUSIVE;
            if (!load)
                i->writes |= bit_of(bits(w2, 3, 0));
        }
    } else {
        bool load = w1 & 0x10, pre = w1 & 0x100, up = w1 & 0x80;
        set_access(i, load, base, pre ? (up ? imm : -imm) : 0, 4);
        i->class_ = load ? CLASS_LOAD_DUAL : CLASS_STORE_DUAL;
        i->elements = 2;
        set_target(i, load, rt);
        set_target(i, load, bits(w2, 11, 8));
        if (w1 & 0x20)
            write_back(i);
    }
}

static void decode_branch_control(Instruction *i, uint32_t w1, uint32_t w2) { /* A5-13 */
    if ((w2 & 0xD000) == 0x8000) {
        if ((w1 & 0x0380) != 0x0380) {
            i->class_ = CLASS_BRANCH_CONDITIONAL;
        } else if ((w1 & 0xFFE0) == 0xF380) {
            i->class_ = CLASS_STATUS; /* MSR */
            i->reads = bit_of(bits(w1, 3, 0));
        } else if ((w1 & 0xFFE0) == 0xF3E0) {
            i->class_ = CLASS_STATUS; /* MRS */
            i->writes = bit_of(bits(w2, 11, 8));
        } else if ((w1 & 0xFFF0) == 0xF3A0) {
            decode_hint(i, bits(w2, 7, 0));
        } else if ((w1 & 0xFFF0) == 0xF3B0) {
            i->class_ = bits(w2, 7, 4) == 2 ? CLASS_CLEAR_EXCLUSIVE : CLASS_BARRIER;
        } else {
            i->class_ = CLASS_UNDEFINED;
        }
    } else {
        i->class_ = CLASS_BRANCH;
        if ((w2 & 0xD000) == 0xD000)
            i->writes = bit_of(14);
    }
}

static void decode_single_access(Instruction *i, uint32_t w1, uint32_t w2) { /* A5-19..21 */
    bool load = w1 & 0x10;
    uint32_t size = bits(w1, 6, 5), base = bits(w1, 3, 0), rt = bits(w2, 15, 12);
    if (size == 3) {
        i->class_ = CLASS_UNDEFINED;
        return;
    }
    if (load && rt == 15 && size != 2) {
        i->class_ = CLASS_HINT; /* PLD, PLI */
        return;
    }
    set_access(i, load, base, 0, 1u << size);
    set_target(i, load, rt);
    if (base == 15) {
        i->offset = w1 & 0x80 ? (int32_t)bits(w2, 11, 0) : -(int32_t)bits(w2, 11, 0);
    } else if (w1 & 0x80) {
        i->offset = (int32_t)bits(w2, 11, 0);
    } else if (w2 & 0x800) {
        bool pre = w2 & 0x400, up = w2 & 0x200;
        int32_t imm = (int32_t)bits(w2, 7, 0);
        i->offset = pre ? (up ? imm : -imm) : 0;
        if (w2 & 0x100)
            write_back(i);
    } else {
        i->index = (uint8_t)bits(w2, 3, 0);
        i->index_shift = (uint8_t)bits(w2, 5, 4);
        i->reads |= bit_of(i->index);
    }
}

static void decode_multiply(Instruction *i, uint32_t w1, uint32_t w2) { /* A5-27, A5-28 */
    uint32_t ra = bits(w2, 15, 12), op = bits(w1, 6, 4);
    i->class_ = CLASS_MUL;
    i->reads = bit_of(bits(w1, 3, 0)) | bit_of(bits(w2, 3, 0));
    i->writes = bit_of(bits(w2, 11, 8));
    if (!(w1 & 0x80)) {
        if (ra != 15)
            i->reads |= bit_of(ra);
    } else if (op == 1 || op == 3) {
        i->class_ = CLASS_DIV;
    } else {
        i->writes |= bit_of(ra);
        if (op >= 4)
            i->reads |= i->writes;
    }
}

static uint32_t fp_range(uint32_t first, uint32_t count) {
    uint32_t mask = count >= 32 ? 0xFFFFFFFFu : (1u << count) - 1;
    return first < 32 ? mask << first : 0;
}

static void decode_fp_access(Instruction *i, uint32_t w1, uint32_t w2) { /* A6.6 */
    bool load = w1 & 0x10, twice = w2 & 0x100;
    uint32_t imm = bits(w2, 7, 0), d = bits(w1, 6, 6), vd = bits(w2, 15, 12);
    bool pre = w1 & 0x100, up = w1 & 0x80, back = w1 & 0x20;
    uint32_t count = pre && !back ? (twice ? 2 : 1) : imm & ~(twice ? 1u : 0u);
    uint32_t singles = fp_range(twice ? (d << 4 | vd) * 2 : vd << 1 | d, count);
    set_access(i, load, bits(w1, 3, 0), 0, 4);
    i->elements = (uint8_t)count;
    if (load)
        i->fp_writes = singles;
    else
        i->fp_reads = singles;
    if (pre && !back) {
        i->class_ = load ? CLASS_FP_LOAD : CLASS_FP_STORE;
        i->offset = (int32_t)imm * (up ? 4 : -4);
    } else {
        i->class_ = load ? CLASS_FP_LOAD_MULTIPLE : CLASS_FP_STORE_MULTIPLE;
        i->offset = pre ? (int32_t)imm * -4 : 0;
        if (back)
            write_back(i);
    }
}

static void decode_fp_arithmetic(Instruction *i, uint32_t w1, uint32_t w2) { /* A6.4 */
    uint32_t sd = bits(w2, 15, 12) << 1 | bits(w1, 6, 6);
    uint32_t sn = bits(w1, 3, 0) << 1 | bits(w2, 7, 7);
    uint32_t sm = bits(w2, 3, 0) << 1 | bits(w2, 5, 5);
    i->fp_reads = 1u << sn | 1u << sm;
    i->fp_writes = 1u << sd;
    i->class_ = CLASS_FP_SIMPLE;
    switch (bits(w1, 7, 7) << 2 | bits(w1, 5, 4)) {
    case 0:
    case 1:
    case 5:
    case 6:
        i->class_ = CLASS_FP_MAC;
        i->fp_reads |= 1u << sd;
        break;
    case 4:
        i->class_ = CLASS_FP_DIV;
        break;
    case 7: {
        uint32_t op = bits(w1, 3, 0);
        if (!(w2 & 0x40)) {
            i->fp_reads = 0; /* VMOV immediate */
        } else {
            i->fp_reads = 1u << sm;
            if (op == 1 && bits(w2, 7, 7))
                i->class_ = CLASS_FP_DIV; /* VSQRT */
            if ((op & 0xA) == 0xA)        /* VCVT from and to fixed point: in place */
                i->fp_reads = 1u << sd;
            if (op == 4 || op == 5) { /* VCMP: the result is FPSCR */
                i->fp_reads |= 1u << sd;
                i->fp_writes = 0;
            }
        }
        break;
    }
    default:
        break;
    }
}

static void decode_coprocessor(Instruction *i, uint32_t w1, uint32_t w2) {
    uint32_t coprocessor = bits(w2, 11, 8);
    if (coprocessor != 10 && coprocessor != 11) {
        i->class_ = CLASS_UNDEFINED;
        return;
    }
    i->is_fp = true;
    if ((w1 & 0xFFE0) == 0xEC40) {
        uint32_t sm = bits(w2, 3, 0) << 1 | bits(w2, 5, 5);
        uint32_t pair = coprocessor == 11 ? 3u << (2 * (bits(w2, 5, 5) << 4 | bits(w2, 3, 0)) & 31)
                                          : fp_range(sm, 2);
        uint16_t cores = bit_of(bits(w2, 15, 12)) | bit_of(bits(w1, 3, 0));
        i->class_ = CLASS_FP_MOVE_CORE_PAIR;
        if (w1 & 0x10) {
            i->writes = cores;
            i->fp_reads = pair;
        } else {
            i->reads = cores;
            i->fp_writes = pair;
        }
    } else if ((w1 & 0xFE00) == 0xEC00) {
        decode_fp_access(i, w1, w2);
    } else if ((w1 & 0xFF00) == 0xEE00 && !(w2 & 0x10)) {
        decode_fp_arithmetic(i, w1, w2);
    } else if ((w1 & 0xFF00) == 0xEE00) {
        uint32_t sn = bits(w1, 3, 0) << 1 | bits(w2, 7, 7), rt = bits(w2, 15, 12);
        bool single = bits(w1, 7, 5) == 0; /* else VMRS, VMSR */
        i->class_ = CLASS_FP_MOVE_CORE;
        if (w1 & 0x10) {
            i->writes = rt == 15 ? 0 : bit_of(rt);
            i->fp_reads = single ? 1u << sn : 0;
        } else {
            i->reads = bit_of(rt);
            i->fp_writes = single ? 1u << sn : 0;
        }
    } else {
        i->class_ = CLASS_UNDEFINED;
    }
}

static void decode_32(Instruction *i, uint32_t w1, uint32_t w2) { /* table A5-9 */
    uint32_t rd = bits(w2, 11, 8), rn = bits(w1, 3, 0), rm = bits(w2, 3, 0);
    if ((w1 & 0xFE40) == 0xE800) {
        set_multiple(i, bits(w1, 4, 4), rn, w2, bits(w1, 8, 8));
        if (w1 & 0x20)
            write_back(i);
    } else if ((w1 & 0xFE40) == 0xE840) {
        decode_dual_exclusive_table(i, w1, w2);
    } else if ((w1 & 0xFE00) == 0xEA00) {
        uint32_t op = bits(w1, 8, 5);
        bool compare = rd == 15 && (w1 & 0x10) && (op == 0 || op == 4 || op == 8 || op == 13);
        uint16_t reads = bit_of(rm) | (rn == 15 ? 0 : bit_of(rn));
        if (compare)
            i->reads = reads;
        else
            set_alu(i, rd, reads);
    } else if ((w1 & 0xEC00) == 0xEC00) {
        decode_coprocessor(i, w1, w2);
    } else if ((w1 & 0xF800) == 0xF000 && !(w2 & 0x8000)) {
        uint32_t op = bits(w1, 8, 5);
        bool modified = !(w1 & 0x200);
        bool compare =
            modified && rd == 15 && (w1 & 0x10) && (op == 0 || op == 4 || op == 8 || op == 13);
        uint16_t reads = rn == 15 ? 0 : bit_of(rn);
        if (!modified && bits(w1, 8, 4) == 0x04) /* MOVW: rn is part of the immediate */
            reads = 0;
        if (!modified && (bits(w1, 8, 4) == 0x0C || bits(w1, 8, 4) == 0x16)) /* MOVT, BFI */
            reads = bit_of(rd) | (bits(w1, 8, 4) == 0x0C ? 0 : reads);
        if (compare)
            i->reads = reads;
        else
            set_alu(i, rd, reads);
    } else if ((w1 & 0xF800) == 0xF000) {
        decode_branch_control(i, w1, w2);
    } else if ((w1 & 0xFE00) == 0xF800) {
        decode_single_access(i, w1, w2);
    } else if ((w1 & 0xFF00) == 0xFA00) {
        set_alu(i, rd, bit_of(rm) | (rn == 15 ? 0 : bit_of(rn)));
    } else if ((w1 & 0xFF00) == 0xFB00) {
        decode_multiply(i, w1, w2);
    } else {
        i->class_ = CLASS_UNDEFINED;
    }
}

EXPORT Instruction decode(uint16_t first, uint16_t second) {
    Instruction i = {
        .class_ = CLASS_ALU, .base = NO_REGISTER, .index = NO_REGISTER, .target = NO_REGISTER};
    if (is_wide(first)) {
        i.bytes = 4;
        decode_32(&i, first, second);
    } else {
        i.bytes = 2;
        decode_16(&i, first);
    }
    return i;
}
