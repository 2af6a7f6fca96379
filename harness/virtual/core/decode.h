/* What is this Thumb-2 instruction? Class, registers and effective address of what an ARMv7E-M core
 * with the single-precision FPU executes. Knows nothing of cycles, of Unicorn or of the board. */
#ifndef HILNAS_VIRTUAL_DECODE_H
#define HILNAS_VIRTUAL_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

typedef enum {
    CLASS_ALU,
    CLASS_MUL,
    CLASS_DIV,
    CLASS_LOAD,
    CLASS_STORE,
    CLASS_LOAD_DUAL,
    CLASS_STORE_DUAL,
    CLASS_LOAD_MULTIPLE,
    CLASS_STORE_MULTIPLE,
    CLASS_LOAD_EXCLUSIVE,
    CLASS_STORE_EXCLUSIVE,
    CLASS_CLEAR_EXCLUSIVE,
    CLASS_BRANCH,             /* direct, unconditional: B, BL */
    CLASS_BRANCH_CONDITIONAL, /* Bcc, CBZ, CBNZ */
    CLASS_BRANCH_INDIRECT,    /* BX, BLX, MOV PC, ADD PC */
    CLASS_TABLE_BRANCH,
    CLASS_IT,
    CLASS_HINT, /* NOP and those that behave like it */
    CLASS_WAIT_INTERRUPT,
    CLASS_WAIT_EVENT, /* WFE, YIELD */
    CLASS_STATUS,     /* MRS, MSR, CPS */
    CLASS_BARRIER,
    CLASS_SUPERVISOR,
    CLASS_BREAKPOINT,
    CLASS_UNDEFINED,
    CLASS_FP_SIMPLE,
    CLASS_FP_MAC,
    CLASS_FP_DIV, /* VDIV, VSQRT */
    CLASS_FP_MOVE_CORE,
    CLASS_FP_MOVE_CORE_PAIR,
    CLASS_FP_LOAD,
    CLASS_FP_STORE,
    CLASS_FP_LOAD_MULTIPLE,
    CLASS_FP_STORE_MULTIPLE,
} InstructionClass;

#define NO_REGISTER 0xFF

typedef struct {
    uint8_t class_;
    uint8_t bytes;                /* 2 or 4 */
    uint8_t base;                 /* register of the address, 15 = PC aligned down to 4 */
    uint8_t index;                /* index register, or NO_REGISTER */
    uint8_t index_shift;          /* LSL of the index */
    uint8_t access_bytes;         /* of one element; 0: no memory access */
    uint8_t elements;             /* elements in a row from the effective address */
    uint8_t target;               /* the register that is loaded or stored; of several, the first */
    uint8_t it_length;            /* instructions governed, when class_ is CLASS_IT */
    int32_t offset;               /* added to the base before the access */
    uint16_t reads, writes;       /* core registers, bit n = Rn */
    uint32_t fp_reads, fp_writes; /* S0..S31, bit n = Sn */
    bool writes_back;
    bool writes_pc;
    bool is_fp;
} Instruction;

/* Decode the instruction whose halfwords are `first` and `second` (the latter is ignored for 16-bit
 * encodings). Unallocated encodings come out as CLASS_UNDEFINED or CLASS_ALU: the emulator, not
 * this decoder, decides what is undefined. */
EXPORT Instruction decode(uint16_t first, uint16_t second);

static inline bool is_wide(uint16_t first) { return (first & 0xF800) >= 0xE800; }

static inline bool is_load(const Instruction *i) {
    switch (i->class_) {
    case CLASS_LOAD:
    case CLASS_LOAD_DUAL:
    case CLASS_LOAD_MULTIPLE:
    case CLASS_LOAD_EXCLUSIVE:
    case CLASS_FP_LOAD:
    case CLASS_FP_LOAD_MULTIPLE:
    case CLASS_TABLE_BRANCH:
        return true;
    default:
        return false;
    }
}

static inline bool is_store(const Instruction *i) {
    switch (i->class_) {
    case CLASS_STORE:
    case CLASS_STORE_DUAL:
    case CLASS_STORE_MULTIPLE:
    case CLASS_STORE_EXCLUSIVE:
    case CLASS_FP_STORE:
    case CLASS_FP_STORE_MULTIPLE:
        return true;
    default:
        return false;
    }
}

#endif
