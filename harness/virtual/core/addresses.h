/* Which addresses does a block touch? Sums of the registers at its start, found once, so that the
 * block hook knows every address without a hook on any load. */
#ifndef HILNAS_VIRTUAL_ADDRESSES_H
#define HILNAS_VIRTUAL_ADDRESSES_H

#include "decode.h"

/* One load or store of a group, at the group's address + offset. */
typedef struct {
    int32_t offset;
    uint8_t bytes;
    uint8_t is_load;
} Access;

/* A pointer that the block loads before it uses it, from a spill slot or a structure: the word at
 * base + (index << shift) + offset when the block starts. */
typedef struct {
    uint8_t base, index, shift;
    int32_t offset;
} Indirect;

enum {
    BLOCK_INDIRECTS = 8, /* a block may use */
    FIRST_INDIRECT = 16, /* numbered behind the registers, in groups and symbols */
};

/* Accesses whose addresses differ by constants: base + (index << shift), registers at the block's
 * start or indirects; either may be NO_REGISTER. */
typedef struct {
    uint8_t base, index, shift, count;
    uint16_t unaligned[4]; /* cycles that all accesses together take more, by the sum's low bits */
    uint32_t first;        /* in the pool of accesses */
} AccessGroup;

/* What a register holds, in terms of the block's start. */
typedef struct {
    bool known;
    uint8_t base, index, shift;
    int32_t constant;
} Symbol;

/* What the registers and the stack's spill slots hold, as the block goes on. */
typedef struct {
    Symbol registers[16];
    Indirect indirects[BLOCK_INDIRECTS];
    uint32_t indirect_count;
    struct {
        int32_t offset; /* from the stack pointer at the block's start */
        Symbol value;
    } slots[8]; /* stored to in this block */
    uint32_t slot_count;
    bool stored; /* somewhere else, or to more slots than there is room for */
} Symbols;

void start_symbols(Symbols *s);

/* The address of `i`'s access. */
Symbol address_symbol(const Symbols *s, const Instruction *i, uint32_t pc);

/* Follow what the instruction of halfwords `first`, `second` at `pc` does to the registers;
 * `certain`: it is executed. A literal's value is `literal`. */
void follow_symbols(Symbols *s, const Instruction *i, uint32_t pc, uint16_t first, uint16_t second,
                    bool certain, uint32_t literal);

#endif
