#include "paint.h"

#include <string.h>

#include "engine.h"
#include "port.h"

/* Below the frame of paint_stack() this much stays unpainted: room for what the compiler may keep
 * there. Less than any request needs, so that it never shows in a high-water mark. */
#define STACK_MARGIN_BYTES 32u

/* Not inlined: its frame marks the lower end of the stack in use. Calls nothing, because a callee
 * would live in the memory being painted; hence volatile, which keeps memset out. */
__attribute__((noinline)) static void paint_stack(uint8_t pattern) {
    uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - STACK_MARGIN_BYTES) & ~(uintptr_t)3;
    uint32_t word = pattern * 0x01010101u;
    for (uintptr_t at = (uintptr_t)port_stack_low(); at < end; at += sizeof word) {
        *(volatile uint32_t *)at = word;
    }
}

void paint_memory(uint8_t pattern) {
    memset(engine_arena(), pattern, engine_arena_bytes() + ENGINE_GUARD_BYTES);
    paint_stack(pattern);
}

uint32_t paint_arena_used(uint8_t pattern) {
    const uint8_t *arena = engine_arena();
    uint32_t used = engine_arena_bytes();
    while (used > 0 && arena[used - 1] == pattern) {
        used--;
    }
    return used;
}

uint32_t paint_stack_used(uint8_t pattern) {
    const volatile uint8_t *at = port_stack_low();
    const volatile uint8_t *high = port_stack_high();
    while (at < high && *at == pattern) {
        at++;
    }
    return (uint32_t)(high - at);
}

bool paint_guard_intact(uint8_t pattern) {
    const uint8_t *guard = engine_arena() + engine_arena_bytes();
    for (uint32_t i = 0; i < ENGINE_GUARD_BYTES; i++) {
        if (guard[i] != pattern) {
            return false;
        }
    }
    return true;
}
