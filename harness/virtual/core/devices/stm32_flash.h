/* What the flash controllers of STM32 have in common: keys, a busy time, an end. */
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

/* Cycles of the core in that many microseconds. */
uint64_t microseconds(const Machine *m, uint64_t count);

/* The array is busy from now on: code that runs from it stalls, unless from the other bank;
 * other code may poll. Gives the cycle count of the end. */
uint64_t occupy_flash(Machine *m, uint32_t address, uint64_t cycles, uint32_t bank_bytes);

/* Somebody looks at BSY. Time stands still under a halted core: a debugger sees the end. */
void watch_busy(Machine *m, const Device *d, uint64_t busy_until);

/* FLASH_ACR of every family: latency, prefetch, caches. */
void set_accelerator(Machine *m, uint32_t acr, uint32_t latency_mask);

#endif
