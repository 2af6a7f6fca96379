#include "serve.h"

#include <stdbool.h>
#include <string.h>

#include "engine.h"
#include "hello.h"
#include "measure.h"
#include "nonce.h"
#include "paint.h"
#include "port.h"
#include "provoke.h"
#include "wire.h"

typedef enum {
    REFUSED_UNKNOWN_TYPE = 1, /* detail: 0 */
    REFUSED_BAD_LENGTH = 2,   /* detail: the payload's length */
    REFUSED_OUT_OF_RANGE = 3, /* detail: the first value that is too large */
    REFUSED_ENGINE = 4,       /* detail: the engine's code */
    REFUSED_NOT_PREPARED = 5, /* detail: 0 */
} refusal_t;

enum {
    RUN_PROFILE = 1,     /* flag of RUN */
    PLACE_BYTES = 1 + 4, /* tensor u8, offset u32 */
    CHUNK_MAX = WIRE_PAYLOAD_MAX - PLACE_BYTES,
};

static uint16_t sequence;
static bool prepared;
static uint16_t last_run; /* its sequence number; 0: none in this session */
static uint8_t pattern;   /* what memory was painted with last */

uint16_t serve_sequence(void) { return sequence; }

static void reply(const wire_header_t *request, uint32_t length) {
    wire_send(request->type | WIRE_REPLY, request->sequence, length);
}

static void refuse(const wire_header_t *request, refusal_t code, uint32_t detail) {
    uint8_t *payload = wire_payload();
    payload[0] = (uint8_t)code;
    payload[1] = request->type;
    wire_put_u32(payload + 2, detail);
    wire_send(WIRE_REFUSED, request->sequence, 6);
}

static void greet(const wire_header_t *request) {
    hello_from(wire_payload());
    last_run = 0;
    uint32_t length = hello_write(wire_payload(), WIRE_PAYLOAD_MAX);
    if (length == 0) {
        refuse(request, REFUSED_OUT_OF_RANGE, engine_input_count() + engine_output_count());
        return;
    }
    reply(request, length);
}

static void prepare(const wire_header_t *request) {
    pattern = wire_payload()[0];
    paint_memory(pattern);
    int32_t code = engine_reset();
    prepared = code == 0;
    if (!prepared) {
        refuse(request, REFUSED_ENGINE, (uint32_t)code);
        return;
    }
    reply(request, 0);
}

/* Checks that tensor[offset, offset + length) exists. Returns where it is, or NULL after having
 * refused the request. */
static uint8_t *locate(const wire_header_t *request, uint32_t count,
                       engine_tensor_t (*tensor_of)(uint32_t), uint32_t length) {
    uint32_t index = wire_payload()[0];
    uint32_t offset = wire_get_u32(wire_payload() + 1);
    if (index >= count) {
        refuse(request, REFUSED_OUT_OF_RANGE, index);
        return NULL;
    }
    engine_tensor_t tensor = tensor_of(index);
    if (offset > tensor.bytes) {
        refuse(request, REFUSED_OUT_OF_RANGE, offset);
        return NULL;
    }
    if (length > tensor.bytes - offset) {
        refuse(request, REFUSED_OUT_OF_RANGE, length);
        return NULL;
    }
    if (tensor.data == NULL) {
        refuse(request, REFUSED_NOT_PREPARED, 0);
        return NULL;
    }
    return tensor.data + offset;
}

static void write_input(const wire_header_t *request) {
    if (request->length < PLACE_BYTES) {
        refuse(request, REFUSED_BAD_LENGTH, request->length);
        return;
    }
    uint32_t length = request->length - (uint32_t)PLACE_BYTES;
    uint8_t *to = locate(request, engine_input_count(), engine_input, length);
    if (to != NULL) {
        memcpy(to, wire_payload() + PLACE_BYTES, length);
        reply(request, 0);
    }
}

static void read_output(const wire_header_t *request) {
    uint32_t length = wire_get_u16(wire_payload() + PLACE_BYTES);
    if (length > CHUNK_MAX) {
        refuse(request, REFUSED_OUT_OF_RANGE, length);
        return;
    }
    const uint8_t *from = locate(request, engine_output_count(), engine_output, length);
    if (from != NULL) {
        memcpy(wire_payload() + PLACE_BYTES, from, length); /* tensor and offset stay in place */
        reply(request, PLACE_BYTES + length);
    }
}

static void run(const wire_header_t *request) {
    uint8_t flags = wire_payload()[0];
    if ((flags & ~RUN_PROFILE) != 0) {
        refuse(request, REFUSED_OUT_OF_RANGE, flags);
        return;
    }
    if (!prepared) {
        refuse(request, REFUSED_NOT_PREPARED, 0);
        return;
    }
    if (request->sequence == last_run) {
        return; /* the line repeated it; the inputs may be overwritten by now */
    }
    last_run = request->sequence;
    measure_result_t result =
        (flags & RUN_PROFILE) != 0 ? measure_layers(request->sequence) : measure_run();
    if (result.engine_code != 0) {
        refuse(request, REFUSED_ENGINE, (uint32_t)result.engine_code);
        return;
    }
    uint8_t *payload = wire_payload();
    uint8_t *at = wire_put_u64(payload, result.cycles);
    at = wire_put_u32(at, paint_arena_used(pattern));
    at = wire_put_u32(at, paint_stack_used(pattern));
    *at++ = paint_guard_intact(pattern);
    reply(request, (uint32_t)(at - payload));
}

static void tell_conditions(const wire_header_t *request) {
    port_conditions_t conditions = port_conditions();
    uint8_t *payload = wire_payload();
    uint8_t *at = wire_put_u16(payload, (uint16_t)conditions.temperature);
    at = wire_put_u16(at, conditions.vdd_mv);
    reply(request, (uint32_t)(at - payload));
}

static void tell_cycles(const wire_header_t *request) {
    wire_put_u32(wire_payload(), port_cycles());
    reply(request, 4);
}

#ifdef HILNAS_SELFTEST
static void provoke(const wire_header_t *request) {
    uint8_t kind = wire_payload()[0];
    if (!provoke_fault(kind)) {
        refuse(request, REFUSED_OUT_OF_RANGE, kind);
        return;
    }
    reply(request, 0); /* the fault did not come: the other side was waiting for FAULT */
}
#endif

typedef struct {
    uint8_t type;
    uint16_t length; /* of the payload; ANY_LENGTH where `answer` checks it */
    void (*answer)(const wire_header_t *request);
} request_t;

#define ANY_LENGTH 0xFFFFu

static const request_t requests[] = {
    {WIRE_HELLO, NONCE_BYTES, greet},
    {WIRE_PREPARE, 1, prepare},
    {WIRE_WRITE_INPUT, ANY_LENGTH, write_input},
    {WIRE_RUN, 1, run},
    {WIRE_READ_OUTPUT, PLACE_BYTES + 2, read_output},
    {WIRE_CONDITIONS, 0, tell_conditions},
    {WIRE_CYCLES, 0, tell_cycles},
#ifdef HILNAS_SELFTEST
    {WIRE_PROVOKE, 1, provoke},
#endif
};

static void answer(const wire_header_t *request) {
    for (uint32_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if (requests[i].type != request->type) {
            continue;
        }
        if (requests[i].length != ANY_LENGTH && requests[i].length != request->length) {
            refuse(request, REFUSED_BAD_LENGTH, request->length);
            return;
        }
        requests[i].answer(request);
        return;
    }
    refuse(request, REFUSED_UNKNOWN_TYPE, 0);
}

_Noreturn void serve(void) {
    wire_break();                                   /* whatever the line held before the reset */
    const wire_header_t boot = {.type = WIRE_BOOT}; /* as if asked for: the reply bit is in it */
    greet(&boot);
    for (;;) {
        wire_header_t request = wire_receive();
        sequence = request.sequence;
        answer(&request);
    }
}
