/* What the flash controllers of STM32 have in common: keys, a busy time, an end, errors. */
#ifndef HILNAS_VIRTUAL_STM32_FLASH_H
#define HILNAS_VIRTUAL_STM32_FLASH_H

#include "stm32.h"

/* A lock opened by two keys in a row; anything else keeps it shut until reset. */
typedef struct {
    uint32_t keys[2];
    uint32_t taken; /* keys heard so far */
    bool refused;
} KeyLock;

typedef enum { KEY_HEARD, KEY_OPENS, KEY_REFUSED } KeyOutcome;
KeyOutcome hear_key(KeyLock *lock, uint32_t key);

/* Bits that lie alike in every family's SR and CR. */
enum {
    SR_EOP = 1u << 0,
    SR_OPERR = 1u << 1,
    SR_BSY = 1u << 16,
    CR_STRT = 1u << 16,
    CR_EOPIE = 1u << 24,
    CR_ERRIE = 1u << 25,
    CR_LOCK = 1u << 31,
};

/* The first member of a model's state. */
typedef struct {
    KeyLock control, options;
    uint64_t busy_until;
    uint32_t sr, cr; /* where the family has them */
    uint32_t starts; /* bits of CR that an operation's end clears */
} FlashControl;

/* What a reset leaves of it. */
FlashControl stm32_flash_control(uint32_t sr, uint32_t cr, uint32_t starts);

void stm32_flash_interrupt(Machine *m, Device *d);
void stm32_flash_fail(Machine *m, Device *d, uint32_t flags);

/* advance(): true when an operation ended. */
bool stm32_flash_ends(Machine *m, Device *d, uint64_t now);

/* An operation on the array at `offset` takes so long from now. */
void stm32_flash_begin(Machine *m, Device *d, uint32_t offset, uint64_t us, uint32_t bank_bytes);

/* Whatever touches the array or CR while it is busy waits for it (RM0402, 3.5). */
void stm32_flash_wait(Machine *m, Device *d);

/* SR, as firmware or a debugger sees it. */
uint32_t stm32_flash_status(Machine *m, Device *d);

static inline const Memory *flash_array(const Machine *m) { return &m->memories[0]; }

/* FLASH_ACR of every family: latency, prefetch, caches. */
void set_accelerator(Machine *m, uint32_t acr, uint32_t latency_mask);

#endif
