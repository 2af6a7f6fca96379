/* What does each operator of an inference cost? Libraries built for release have no profiler
 * events (upstream's ScopedMicroProfiler is empty without error strings), so operators are caught
 * as they are called. */
#ifndef HILNAS_TFLM_LAYERS_H
#define HILNAS_TFLM_LAYERS_H

#include "engine.h"
#include "tensorflow/lite/micro/micro_interpreter.h"

/* interpreter.Invoke(), with on_layer called after each operator of `model`, whose registrations
 * are the resolver's. Returns what Invoke() does. */
TfLiteStatus invoke_by_layers(tflite::MicroInterpreter &interpreter, const tflite::Model &model,
                              const tflite::MicroOpResolver &resolver, engine_on_layer_t on_layer,
                              void *context);

#endif
