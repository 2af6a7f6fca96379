/* A chip whose console is the fuzzer: what the fuzzer made up comes in, and what goes out is held
 * against the wire's rules. Each good request gets one answer, with its sequence number and of its
 * type or a refusal, but for a RUN that was carried out before; nothing else is answered; bytes
 * said to be written or read are those of the tensor; every frame is well formed. */
#include "port.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "frames.h"
#include "nonce.h"
#include "serve.h"
#include "wire.h"

enum {
    STUFFED_MAX = 522,    /* of a payload of WIRE_PAYLOAD_MAX bytes, closing zero aside */
    STACK_BYTES = 4096,   /* below the caller of serve(), for the app to paint */
    PLACE_BYTES = 1 + 4,  /* of WRITE_INPUT, READ_OUTPUT: tensor u8, offset u32 */
    SESSION_AT = 1 + 16,  /* in a greeting: behind protocol u8 and the build's nonce */
    REFUSAL_BYTES = 6,    /* code u8, type u8, detail u32 */
    ENGINE_FAILED = 4,    /* code of a refusal */
    CYCLES_BY_LOOK = 100, /* between two looks at the counter */
};

const uint8_t build_nonce[NONCE_BYTES] = "not of any build";

/* The memory of firmware and engine, as ram.ld lays it out. */
extern uint64_t board_ram_start[], board_ram_end[];
static uint64_t *powered_up;

static const uint8_t *line, *line_end; /* what the firmware has not read yet */
static const uint8_t *piece;           /* what it read since the last zero begins here */
static jmp_buf hung_up;
static frame_t due; /* the request to be answered next, if one is */
static bool is_due;
static uint16_t last_run; /* sequence number of the RUN carried out last; 0: none since the hello */
static uint8_t sent[STUFFED_MAX]; /* since the last zero */
static size_t sent_length;
static uint8_t *stack_high;
static uint32_t cycles;

static void require(bool holds, const char *broken) {
    if (!holds) {
        fprintf(stderr, "wire: %s\n", broken);
        abort();
    }
}

/* Whether `chunk`, of WRITE_INPUT's form, lies in a tensor and has its bytes. */
static bool is_in(const frame_t *chunk, uint32_t count, engine_tensor_t (*tensor_of)(uint32_t)) {
    uint32_t offset = 0;
    for (int i = 0; i < 4; i++) {
        offset |= (uint32_t)chunk->payload[1 + i] << 8 * i;
    }
    size_t length = chunk->length - PLACE_BYTES;
    if (chunk->length < PLACE_BYTES || chunk->payload[0] >= count) {
        return false;
    }
    engine_tensor_t tensor = tensor_of(chunk->payload[0]);
    return offset <= tensor.bytes && length <= tensor.bytes - offset &&
           memcmp(tensor.data + offset, chunk->payload + PLACE_BYTES, length) == 0;
}

static void judge_read(const frame_t *answer) {
    const uint8_t *length = due.payload + PLACE_BYTES;
    require(due.length == PLACE_BYTES + 2 &&
                answer->length == PLACE_BYTES + (size_t)(length[0] | length[1] << 8) &&
                memcmp(answer->payload, due.payload, PLACE_BYTES) == 0,
            "READ_OUTPUT was answered with another piece");
    require(is_in(answer, engine_output_count(), engine_output),
            "READ_OUTPUT was answered with bytes that are not the output's");
}

static void judge_run(void) {
    require(due.sequence != last_run, "a RUN was carried out twice");
    last_run = due.sequence;
}

static void judge(const frame_t *answer) {
    require(is_due, "a frame was sent that nobody asked for");
    require(answer->sequence == due.sequence, "an answer has another request's sequence number");
    if (answer->type == WIRE_LOG || (answer->type == WIRE_LAYER && due.type == WIRE_RUN)) {
        return;
    }
    is_due = false;
    if (answer->type == WIRE_REFUSED) {
        require(answer->length == REFUSAL_BYTES && answer->payload[1] == due.type,
                "a refusal is not that of the request");
        if (due.type == WIRE_RUN && answer->payload[0] == ENGINE_FAILED) {
            judge_run();
        }
        return;
    }
    require(answer->type == (due.type | WIRE_REPLY), "an answer is of another request's type");
    if (due.type == WIRE_HELLO) {
        require(answer->length > SESSION_AT + NONCE_BYTES &&
                    memcmp(answer->payload + SESSION_AT, due.payload, NONCE_BYTES) == 0,
                "a greeting is that of another session");
        last_run = 0;
    } else if (due.type == WIRE_RUN) {
        judge_run();
    } else if (due.type == WIRE_WRITE_INPUT) {
        require(is_in(&due, engine_input_count(), engine_input),
                "WRITE_INPUT was taken and the input has not those bytes");
    } else if (due.type == WIRE_READ_OUTPUT) {
        judge_read(answer);
    }
}

uint8_t port_read(void) {
    bool repeated = due.type == WIRE_RUN && due.sequence == last_run;
    require(!is_due || repeated, "a request was not answered");
    require(sent_length == 0, "a frame was left open");
    if (line == line_end) {
        longjmp(hung_up, 1);
    }
    uint8_t byte = *line++;
    if (byte == 0) {
        is_due =
            frame_read(&due, piece, (size_t)(line - 1 - piece)) && due.length <= WIRE_PAYLOAD_MAX;
        piece = line;
    }
    return byte;
}

void port_write(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] != 0) {
            require(sent_length < sizeof sent, "a frame is too long");
            sent[sent_length++] = bytes[i];
        } else if (sent_length > 0) {
            frame_t answer;
            require(frame_read(&answer, sent, sent_length), "what was sent is no frame");
            sent_length = 0;
            judge(&answer);
        }
    }
}

uint32_t port_cycles(void) { return cycles += CYCLES_BY_LOOK; }

void port_tick_start(void) {}

void port_tick_stop(void) {}

port_speed_t port_speed(void) {
    return (port_speed_t){.sysclk_hz = 1000000, .caches = PORT_PREFETCH};
}

port_conditions_t port_conditions(void) {
    return (port_conditions_t){.temperature = 2500, .vdd_mv = 3300};
}

void port_caches_empty(void) {}

uint8_t *port_stack_low(void) { return stack_high - STACK_BYTES; }

uint8_t *port_stack_high(void) { return stack_high; }

/* Word by word and unchecked: the sanitizer's red zones lie between the variables. */
__attribute__((no_sanitize("address"))) static void copy_words(uint64_t *to, const uint64_t *from) {
    for (ptrdiff_t i = 0; i < board_ram_end - board_ram_start; i++) {
        ((volatile uint64_t *)to)[i] = from[i];
    }
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    powered_up = malloc((size_t)(board_ram_end - board_ram_start) * sizeof *powered_up);
    require(powered_up != NULL, "no memory for a copy of the board's");
    copy_words(powered_up, board_ram_start);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    copy_words(board_ram_start, powered_up);
    line = piece = data;
    line_end = data + size;
    due.type = WIRE_BOOT; /* what a reset is answered with */
    due.sequence = 0;
    is_due = true;
    last_run = 0;
    sent_length = 0;
    cycles = 0;
    stack_high = (uint8_t *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)7);
    if (setjmp(hung_up) == 0) {
        serve();
    }
    return 0;
}
