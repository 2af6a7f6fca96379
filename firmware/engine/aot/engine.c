/* The aot engine: a model that was compiled to C. */
#include "engine.h"

#include <stdalign.h>
#include <stddef.h>

#include "model.h"
#include "variant.h"

const char engine_name[] = "aot";
const char engine_version[] = "1";
const char engine_kernels[] = KERNELS_NAME;

/* Its size in the ELF, less the guard, is the planned arena. */
alignas(8) uint8_t engine_arena_storage[MODEL_ARENA_BYTES + ENGINE_GUARD_BYTES];

static const uint32_t input_offsets[] = MODEL_INPUT_OFFSETS;
static const uint32_t input_bytes[] = MODEL_INPUT_BYTES;
static const uint32_t output_offsets[] = MODEL_OUTPUT_OFFSETS;
static const uint32_t output_bytes[] = MODEL_OUTPUT_BYTES;

uint8_t *engine_arena(void) { return engine_arena_storage; }

uint32_t engine_arena_bytes(void) { return MODEL_ARENA_BYTES; }

uint32_t engine_input_count(void) { return MODEL_INPUT_COUNT; }

uint32_t engine_output_count(void) { return MODEL_OUTPUT_COUNT; }

uint32_t engine_layer_count(void) { return MODEL_LAYER_COUNT; }

engine_tensor_t engine_input(uint32_t index) {
    engine_tensor_t tensor = {NULL, 0};
    if (index < MODEL_INPUT_COUNT) {
        tensor.data = engine_arena_storage + input_offsets[index];
        tensor.bytes = input_bytes[index];
    }
    return tensor;
}

engine_tensor_t engine_output(uint32_t index) {
    engine_tensor_t tensor = {NULL, 0};
    if (index < MODEL_OUTPUT_COUNT) {
        tensor.data = engine_arena_storage + output_offsets[index];
        tensor.bytes = output_bytes[index];
    }
    return tensor;
}

int32_t engine_reset(void) {
    model_reset(engine_arena_storage);
    return 0;
}

int32_t engine_invoke(engine_on_layer_t on_layer, void *context) {
    return model_invoke(engine_arena_storage, on_layer, context);
}
