/* An engine whose every effect is known, to test the app with: two layers; the output is each input
 * byte after model_step(), reversed. With a MODEL_RESET_CODE it has no tensors. The first input
 * bytes are commands: [0] how many words of 8 bytes of stack to use, [1] the code to return, [2]
 * what to write behind the arena unless 0, [3] for how many times 65536 turns to spin. */
#include "engine.h"

#include <stddef.h>

#include "model.h"

const char engine_name[] = "test";
const char engine_version[] = "1";
const char engine_kernels[] = "none";

enum { INPUT_AT = 0, OUTPUT_AT = MODEL_TENSOR_BYTES };

static uint8_t engine_arena_storage[MODEL_ARENA_BYTES + ENGINE_GUARD_BYTES]
    __attribute__((aligned(16)));

uint8_t *engine_arena(void) { return engine_arena_storage; }

uint32_t engine_arena_bytes(void) { return MODEL_ARENA_BYTES; }

static uint8_t *place(uint32_t at) {
    return MODEL_RESET_CODE == 0 ? engine_arena_storage + at : NULL;
}

uint32_t engine_input_count(void) { return MODEL_INPUT_COUNT; }

engine_tensor_t engine_input(uint32_t index) {
    (void)index;
    return (engine_tensor_t){place(INPUT_AT), MODEL_TENSOR_BYTES};
}

uint32_t engine_output_count(void) { return 1; }

engine_tensor_t engine_output(uint32_t index) {
    (void)index;
    return (engine_tensor_t){place(OUTPUT_AT), MODEL_TENSOR_BYTES};
}

uint32_t engine_layer_count(void) { return 2; }

/* Touches `words` * 8 bytes of its own frame and nothing below. */
__attribute__((noinline)) static void use_stack(uint32_t words) {
    volatile uint64_t frame[words + 1];
    for (uint32_t i = 0; i <= words; i++) {
        frame[i] = 0x0123456789ABCDEFu;
    }
    (void)frame[0];
}

int32_t engine_reset(void) {
    if (MODEL_RESET_CODE != 0) {
        engine_log("no room for two\n");
    }
    return MODEL_RESET_CODE;
}

int32_t engine_invoke(engine_on_layer_t on_layer, void *context) {
    uint8_t *input = engine_arena_storage + INPUT_AT;
    uint8_t *output = engine_arena_storage + OUTPUT_AT;
    uint8_t stack_words = input[0], code = input[1], behind = input[2], spin = input[3];
    use_stack(stack_words);
    for (volatile uint32_t turn = 0; turn < (uint32_t)spin << 16; turn++) {
    }
    for (uint32_t i = 0; i < MODEL_TENSOR_BYTES; i++) {
        output[i] = model_step(i, input[i]);
    }
    if (on_layer != NULL) {
        on_layer(0, context);
    }
    for (uint32_t i = 0; i < MODEL_TENSOR_BYTES / 2; i++) {
        uint8_t other = output[MODEL_TENSOR_BYTES - 1 - i];
        output[MODEL_TENSOR_BYTES - 1 - i] = output[i];
        output[i] = other;
    }
    if (behind != 0) {
        engine_arena_storage[MODEL_ARENA_BYTES + ENGINE_GUARD_BYTES - 1] = behind;
    }
    if (on_layer != NULL) {
        on_layer(1, context);
    }
    return code;
}
