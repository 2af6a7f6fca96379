/* How much arena does TFLite Micro need for this model? An engine whose inference is an attempt to
 * set the interpreter up in so many bytes, and fails where that does. Input 0 is their number, u32,
 * 0 for no attempt; output 0 is three u32: how many bytes there could be, and after a success the
 * head's and the tail's part of the arena. */
#include "engine.h"

#include <stdalign.h>

#include "chip.h"
#include "interpreter.h"
#include "model.h"

#if MODEL_ARENA_BYTES == 0

typedef struct {
    uint32_t asked_bytes;
    struct {
        uint32_t available_bytes;
        interpreter_parts_t parts;
    } outcome;
} attempt_t;

/* What the app paints and guards; the memory that is tried is all that is left of SRAM. */
alignas(8) uint8_t engine_arena_storage[sizeof(attempt_t) + ENGINE_GUARD_BYTES];

static attempt_t *const attempt = (attempt_t *)(void *)engine_arena_storage;

uint8_t *engine_arena(void) { return engine_arena_storage; }

uint32_t engine_arena_bytes(void) { return sizeof(attempt_t); }

uint32_t engine_input_count(void) { return 1; }

uint32_t engine_output_count(void) { return 1; }

uint32_t engine_layer_count(void) { return 0; }

engine_tensor_t engine_input(uint32_t index) {
    (void)index;
    return (engine_tensor_t){(uint8_t *)&attempt->asked_bytes, sizeof attempt->asked_bytes};
}

engine_tensor_t engine_output(uint32_t index) {
    (void)index;
    return (engine_tensor_t){(uint8_t *)&attempt->outcome, sizeof attempt->outcome};
}

int32_t engine_reset(void) { return 0; }

int32_t engine_invoke(engine_on_layer_t on_layer, void *context) {
    (void)on_layer;
    (void)context;
    const uintptr_t mask = INTERPRETER_ARENA_ALIGNMENT - 1;
    const uintptr_t low = ((uintptr_t)__bss_high + mask) & ~mask;
    const uint32_t available = ((uintptr_t)__sram_high - low) & ~mask;
    const uint32_t asked = attempt->asked_bytes;
    attempt->outcome.available_bytes = available;
    attempt->outcome.parts = (interpreter_parts_t){0, 0};
    if (asked == 0) {
        return 0;
    }
    return asked > available ? INTERPRETER_CANNOT_ALLOCATE
                             : interpreter_try((uint8_t *)low, asked, &attempt->outcome.parts);
}

#endif
