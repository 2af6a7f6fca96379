#include "measure.h"

#include <stddef.h>

#include "clock.h"
#include "engine.h"
#include "port.h"
#include "wire.h"

typedef struct {
    uint16_t sequence;
    uint64_t layer_started;
    uint64_t spent_sending;
} profile_t;

static void send_layer(uint32_t index, void *context) {
    uint64_t layer_ended = clock_now();
    profile_t *profile = context;
    uint8_t *at = wire_put_u16(wire_payload(), (uint16_t)index);
    at = wire_put_u64(at, layer_ended - profile->layer_started);
    wire_send(WIRE_LAYER, profile->sequence, (uint32_t)(at - wire_payload()));
    profile->layer_started = clock_now();
    profile->spent_sending += profile->layer_started - layer_ended;
}

measure_result_t measure_run(void) {
    port_caches_empty();
    clock_start();
    uint64_t started = clock_now();
    int32_t code = engine_invoke(NULL, NULL);
    uint64_t ended = clock_now();
    clock_stop();
    return (measure_result_t){.engine_code = code, .cycles = ended - started};
}

measure_result_t measure_layers(uint16_t sequence) {
    profile_t profile = {.sequence = sequence};
    port_caches_empty();
    clock_start();
    uint64_t started = clock_now();
    profile.layer_started = started;
    int32_t code = engine_invoke(send_layer, &profile);
    uint64_t ended = clock_now();
    clock_stop();
    return (measure_result_t){.engine_code = code,
                              .cycles = ended - started - profile.spent_sending};
}
