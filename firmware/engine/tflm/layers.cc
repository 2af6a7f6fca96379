#include "layers.h"

namespace {

using Invoke = TfLiteStatus (*)(TfLiteContext *, TfLiteNode *);

/* An operator code of the model. Its registration calls catch_operator() meanwhile. */
struct Caught {
    TFLMRegistration *registration;
    Invoke invoke;
};

struct Pass {
    const tflite::Model &model;
    engine_on_layer_t on_layer;
    void *context;
    const Caught *caught;
    uint32_t layer;
};

Pass *pass;

/* Operators are called in the file's order. */
TfLiteStatus catch_operator(TfLiteContext *context, TfLiteNode *node) {
    const uint32_t layer = pass->layer++;
    const auto *operation = pass->model.subgraphs()->Get(0)->operators()->Get(layer);
    const TfLiteStatus status = pass->caught[operation->opcode_index()].invoke(context, node);
    if (status == kTfLiteOk) {
        pass->on_layer(layer, pass->context);
    }
    return status;
}

/* What `registration` does, be it caught already: versions of an operator share one. */
Invoke invoke_of(const TFLMRegistration *registration, const Caught *caught, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (caught[i].registration == registration) {
            return caught[i].invoke;
        }
    }
    return registration->invoke;
}

} // namespace

TfLiteStatus invoke_by_layers(tflite::MicroInterpreter &interpreter, const tflite::Model &model,
                              const tflite::MicroOpResolver &resolver, engine_on_layer_t on_layer,
                              void *context) {
    const auto &codes = *model.operator_codes();
    /* On the stack, so that no inference but this one pays for it. */
    auto *caught = static_cast<Caught *>(__builtin_alloca(codes.size() * sizeof(Caught)));
    for (uint32_t i = 0; i < codes.size(); i++) {
        const TFLMRegistration *registration = nullptr;
        tflite::GetRegistrationFromOpCode(codes.Get(i), resolver, &registration);
        if (registration == nullptr) { /* a code that no operator has */
            caught[i] = {};
            continue;
        }
        /* The resolver keeps copies of its own, which are no constants. */
        auto *own = const_cast<TFLMRegistration *>(registration);
        caught[i] = {own, invoke_of(registration, caught, i)};
        own->invoke = catch_operator;
    }
    Pass here = {model, on_layer, context, caught, 0};
    pass = &here;
    const TfLiteStatus status = interpreter.Invoke();
    pass = nullptr;
    for (uint32_t i = 0; i < codes.size(); i++) {
        if (caught[i].registration != nullptr) {
            caught[i].registration->invoke = caught[i].invoke;
        }
    }
    return status;
}
