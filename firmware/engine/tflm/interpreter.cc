#include "interpreter.h"

#include <new>

#include "layers.h"
#include "resolver.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#ifndef TF_LITE_STRIP_ERROR_STRINGS
#include "tensorflow/lite/micro/cortex_m_generic/debug_log_callback.h"
#endif

namespace {

const tflite::MicroOpResolver *resolver;

/* Made anew in place for each arena. Never destroyed: a destructor would walk through an arena
 * that has been painted over, and there is nothing else it could free. */
alignas(tflite::MicroInterpreter) uint8_t storage[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter;

const tflite::Model &model() { return *tflite::GetModel(model_data); }

int32_t start() {
    interpreter = nullptr;
#ifndef TF_LITE_STRIP_ERROR_STRINGS
    RegisterDebugLogCallback(engine_log);
#endif
    resolver = model_resolver();
    return resolver == nullptr ? INTERPRETER_REFUSES_OPERATOR : 0;
}

int32_t allocate(tflite::MicroInterpreter *made) {
    if (made->AllocateTensors() != kTfLiteOk) {
        return INTERPRETER_CANNOT_ALLOCATE;
    }
    interpreter = made;
    return 0;
}

} // namespace

int32_t interpreter_set_up(uint8_t *arena, uint32_t bytes) {
    const int32_t refused = start();
    if (refused != 0) {
        return refused;
    }
    return allocate(new (storage) tflite::MicroInterpreter(&model(), *resolver, arena, bytes));
}

/* As the interpreter's own constructor does it, except that the allocator, which knows the parts,
 * is at hand. */
int32_t interpreter_try(uint8_t *arena, uint32_t bytes, interpreter_parts_t *parts) {
    const int32_t refused = start();
    if (refused != 0) {
        return refused;
    }
    auto *memory = tflite::SingleArenaBufferAllocator::Create(arena, bytes);
    auto *planner = new (memory->AllocatePersistentBuffer(sizeof(tflite::GreedyMemoryPlanner),
                                                          alignof(tflite::GreedyMemoryPlanner)))
        tflite::GreedyMemoryPlanner;
    auto *allocator = tflite::MicroAllocator::Create(memory, planner);
    const int32_t code =
        allocate(new (storage) tflite::MicroInterpreter(&model(), *resolver, allocator));
    if (code == 0) {
        parts->head_bytes = memory->GetNonPersistentUsedBytes();
        parts->tail_bytes = memory->GetPersistentUsedBytes();
    }
    return code;
}

uint8_t *interpreter_input(uint32_t index) {
    return interpreter == nullptr ? nullptr : interpreter->input(index)->data.uint8;
}

uint8_t *interpreter_output(uint32_t index) {
    return interpreter == nullptr ? nullptr : interpreter->output(index)->data.uint8;
}

int32_t interpreter_invoke() { return interpreter->Invoke(); }

int32_t interpreter_invoke_layers(engine_on_layer_t on_layer, void *context) {
    return invoke_by_layers(*interpreter, model(), *resolver, on_layer, context);
}
