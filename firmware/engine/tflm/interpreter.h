/* How is TFLite Micro asked from C? The only way to it: upstream's headers take the compiler
 * seconds, so what includes them must not change with each model. Knows the model as a file and the
 * arena as bytes. */
#ifndef HILNAS_TFLM_INTERPRETER_H
#define HILNAS_TFLM_INTERPRETER_H

#include <stdint.h>

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { INTERPRETER_ARENA_ALIGNMENT = 16 }; /* upstream's MicroArenaBufferAlignment() */

/* Codes of interpreter_set_up() and interpreter_try(); those of inferences are TfLiteStatus. */
enum { INTERPRETER_REFUSES_OPERATOR = 1, INTERPRETER_CANNOT_ALLOCATE = 2 };

/* The generated model, a FlatBuffer. */
extern const unsigned char model_data[];

/* Makes the interpreter of model_data anew in `bytes` at `arena`, which may have been overwritten
 * since the last time. Returns 0 or one of the codes above; then there is no interpreter. */
int32_t interpreter_set_up(uint8_t *arena, uint32_t bytes);

/* Where the tensors lie in the arena; NULL without an interpreter. */
uint8_t *interpreter_input(uint32_t index);
uint8_t *interpreter_output(uint32_t index);

/* One inference. Returns 0, else a TfLiteStatus. */
int32_t interpreter_invoke(void);

/* The same, on_layer being called after each operator. */
int32_t interpreter_invoke_layers(engine_on_layer_t on_layer, void *context);

/* The arena fills up from both ends. */
typedef struct {
    uint32_t head_bytes; /* tensors and scratch buffers */
    uint32_t tail_bytes; /* what lives as long as the interpreter */
} interpreter_parts_t;

/* interpreter_set_up() for the sake of the parts alone, which are told after a success. */
int32_t interpreter_try(uint8_t *arena, uint32_t bytes, interpreter_parts_t *parts);

#ifdef __cplusplus
}
#endif
#endif
