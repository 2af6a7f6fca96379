/* The tflm engine: TFLite Micro's interpreter, out of a library that was built elsewhere, in an
 * arena of MODEL_ARENA_BYTES. A model without that size gets sizing.c instead. */
#include "engine.h"

#include <stdalign.h>
#include <stddef.h>

#include "interpreter.h"
#include "model.h"

const char engine_name[] = "tflm";
const char engine_version[] = MODEL_ENGINE_VERSION;
const char engine_kernels[] = MODEL_ENGINE_KERNELS;

#if MODEL_ARENA_BYTES > 0

/* Its size in the ELF, less the guard, is the arena. */
alignas(INTERPRETER_ARENA_ALIGNMENT) uint8_t
    engine_arena_storage[MODEL_ARENA_BYTES + ENGINE_GUARD_BYTES];

static const uint32_t input_bytes[] = MODEL_INPUT_BYTES;
static const uint32_t output_bytes[] = MODEL_OUTPUT_BYTES;

uint8_t *engine_arena(void) { return engine_arena_storage; }

uint32_t engine_arena_bytes(void) { return MODEL_ARENA_BYTES; }

uint32_t engine_input_count(void) { return MODEL_INPUT_COUNT; }

uint32_t engine_output_count(void) { return MODEL_OUTPUT_COUNT; }

uint32_t engine_layer_count(void) { return MODEL_LAYER_COUNT; }

engine_tensor_t engine_input(uint32_t index) {
    engine_tensor_t tensor = {NULL, 0};
    if (index < MODEL_INPUT_COUNT) {
        tensor.data = interpreter_input(index);
        tensor.bytes = input_bytes[index];
    }
    return tensor;
}

engine_tensor_t engine_output(uint32_t index) {
    engine_tensor_t tensor = {NULL, 0};
    if (index < MODEL_OUTPUT_COUNT) {
        tensor.data = interpreter_output(index);
        tensor.bytes = output_bytes[index];
    }
    return tensor;
}

int32_t engine_reset(void) { return interpreter_set_up(engine_arena_storage, MODEL_ARENA_BYTES); }

int32_t engine_invoke(engine_on_layer_t on_layer, void *context) {
    return on_layer == NULL ? interpreter_invoke() : interpreter_invoke_layers(on_layer, context);
}

#endif
