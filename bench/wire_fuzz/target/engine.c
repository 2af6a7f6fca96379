/* An engine for the fuzzer: every tensor is an array of its own, so that AddressSanitizer sees the
 * first byte too many. The first bytes of input 0 are commands: [0] what engine_invoke() returns,
 * [1] what the next engine_reset() returns. Each failure is explained in more words than a frame
 * holds. */
#include "engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

const char engine_name[] = "fuzz";
const char engine_version[] = "1";
const char engine_kernels[] = "none";

enum { ARENA_BYTES = 61, LAYERS = 3 };

static uint8_t arena[ARENA_BYTES + ENGINE_GUARD_BYTES];
static uint8_t commands[37], long_input[601]; /* one chunk, and more than one */
static uint8_t short_output[10], long_output[700];
static bool set_up;

uint8_t *engine_arena(void) { return arena; }

uint32_t engine_arena_bytes(void) { return ARENA_BYTES; }

uint32_t engine_input_count(void) { return 2; }

engine_tensor_t engine_input(uint32_t index) {
    engine_tensor_t tensor = index == 0 ? (engine_tensor_t){commands, sizeof commands}
                                        : (engine_tensor_t){long_input, sizeof long_input};
    tensor.data = set_up ? tensor.data : NULL;
    return tensor;
}

uint32_t engine_output_count(void) { return 2; }

engine_tensor_t engine_output(uint32_t index) {
    engine_tensor_t tensor = index == 0 ? (engine_tensor_t){short_output, sizeof short_output}
                                        : (engine_tensor_t){long_output, sizeof long_output};
    tensor.data = set_up ? tensor.data : NULL;
    return tensor;
}

uint32_t engine_layer_count(void) { return LAYERS; }

static int32_t fail(int32_t code) {
    if (code != 0) {
        char why[600];
        memset(why, 'x', sizeof why - 1);
        why[sizeof why - 1] = '\0';
        engine_log(why);
    }
    return code;
}

int32_t engine_reset(void) {
    int32_t code = commands[1];
    memset(commands, 0, sizeof commands);
    set_up = code == 0;
    return fail(code);
}

int32_t engine_invoke(engine_on_layer_t on_layer, void *context) {
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        if (on_layer != NULL) {
            on_layer(layer, context);
        }
    }
    memcpy(short_output, commands, sizeof short_output);
    memcpy(long_output, long_input, sizeof long_input);
    arena[commands[2] % sizeof arena] ^= commands[3]; /* the guard as well */
    return fail(commands[0]);
}
