/* The contract between the app and an inference engine. The engine owns the tensor arena and the
 * model; the app owns time, memory painting and the wire. One engine is linked into an image. */
#ifndef HILNAS_ENGINE_H
#define HILNAS_ENGINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint8_t *data; /* inside the arena */
    uint32_t bytes;
} engine_tensor_t;

/* Called after each operator of a profiled inference. */
typedef void (*engine_on_layer_t)(uint32_t index, void *context);

/* Behind the arena lie this many bytes that no inference may touch. */
#define ENGINE_GUARD_BYTES 16u

extern const char engine_name[]; /* "aot", "tflm" */
extern const char engine_version[];
extern const char engine_kernels[]; /* "dsp", "cmsis_nn", "reference" */

uint8_t *engine_arena(void); /* ENGINE_GUARD_BYTES longer than engine_arena_bytes() */
uint32_t engine_arena_bytes(void);
uint32_t engine_input_count(void);
engine_tensor_t engine_input(uint32_t index);
uint32_t engine_output_count(void);
engine_tensor_t engine_output(uint32_t index);
uint32_t engine_layer_count(void);

/* Where a tensor lies may be known only after engine_reset() succeeded; how large it is, always. */

/* Sets the arena up for the next inference and forgets what earlier ones left there: called after
 * the arena was painted and before inputs are written. Returns 0 on success, else an
 * engine-specific code; then there is nothing to be invoked. */
int32_t engine_reset(void);

/* Runs one inference on what the inputs hold. on_layer may be NULL. Returns 0 on success, else an
 * engine-specific code. Inputs may be overwritten: the arena is reused during the inference. */
int32_t engine_invoke(engine_on_layer_t on_layer, void *context);

/* The app gives an engine this one: tells the host, in the engine's words, why something fails. */
void engine_log(const char *text);

#ifdef __cplusplus
}
#endif
#endif
