/* How does a line change without every change being caught by the CRC? Most of the time one of its
 * frames is opened, changed and closed anew with the right CRC; else the line's bytes are changed
 * as they are. */
#include <string.h>

#include "frames.h"
#include "wire.h"

/* libFuzzer's own mutations: changes data[0, size) in place, returns its new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} line_t;

/* The piece [at, at + length) between two zeros, the second included. */
typedef struct {
    size_t at, length;
} piece_t;

/* Marsaglia's xorshift, 32 bits. */
static uint32_t draw(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static piece_t piece_at(const line_t *line, size_t at) {
    piece_t piece = {.at = at};
    while (piece.at > 0 && line->bytes[piece.at - 1] != 0) {
        piece.at--;
    }
    size_t end = at;
    while (end < line->size && line->bytes[end] != 0) {
        end++;
    }
    piece.length = end - piece.at + (end < line->size);
    return piece;
}

/* Puts bytes[0, length) in place of `piece`, if there is room. */
static void replace(line_t *line, piece_t piece, const uint8_t *bytes, size_t length) {
    if (line->size - piece.length + length > line->room) {
        return;
    }
    uint8_t *behind = line->bytes + piece.at + piece.length;
    memmove(line->bytes + piece.at + length, behind, line->size - piece.at - piece.length);
    memcpy(line->bytes + piece.at, bytes, length);
    line->size += length - piece.length;
}

static void repeat(line_t *line, piece_t piece, piece_t before) {
    uint8_t copy[FRAME_STUFFED_ROOM];
    if (piece.length <= sizeof copy) {
        memcpy(copy, line->bytes + piece.at, piece.length);
        before.length = 0;
        replace(line, before, copy, piece.length);
    }
}

static void change_body(frame_t *frame) {
    uint8_t body[3 + FRAME_PAYLOAD_ROOM] = {frame->type, (uint8_t)frame->sequence,
                                            (uint8_t)(frame->sequence >> 8)};
    memcpy(body + 3, frame->payload, frame->length);
    size_t length = LLVMFuzzerMutate(body, 3 + frame->length, sizeof body);
    if (length >= 3) {
        frame->type = body[0];
        frame->sequence = (uint16_t)(body[1] | body[2] << 8);
        frame->length = length - 3;
        memcpy(frame->payload, body + 3, frame->length);
    }
}

static void stretch(frame_t *frame, size_t length, uint32_t *state) {
    while (frame->length < length) {
        frame->payload[frame->length++] = (uint8_t)draw(state);
    }
    frame->length = length;
}

static void reframe(line_t *line, piece_t piece, uint32_t *state) {
    frame_t frame;
    const uint8_t *stuffed = line->bytes + piece.at;
    bool closed = piece.length > 0 && stuffed[piece.length - 1] == 0;
    if (!frame_read(&frame, stuffed, piece.length - closed)) {
        frame = (frame_t){.type = (uint8_t)(WIRE_HELLO + draw(state) % WIRE_PROVOKE)};
        piece.length = 0; /* before what is no frame */
    }
    switch (draw(state) % 8) {
    case 0:
        frame.type = (uint8_t)(WIRE_HELLO + draw(state) % WIRE_PROVOKE);
        break;
    case 1: /* around the longest that is allowed */
        stretch(&frame, WIRE_PAYLOAD_MAX - 8 + draw(state) % 16, state);
        break;
    case 2:
        frame.length = LLVMFuzzerMutate(frame.payload, frame.length, sizeof frame.payload);
        break;
    default:
        change_body(&frame);
    }
    uint8_t bytes[FRAME_STUFFED_ROOM];
    replace(line, piece, bytes, frame_write(&frame, bytes));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    uint32_t state = seed | 1; /* xorshift never leaves 0 */
    line_t line = {data, size, max_size};
    piece_t piece = piece_at(&line, draw(&state) % (size + 1));
    switch (draw(&state) % 8) {
    case 0:
    case 1:
        return LLVMFuzzerMutate(data, size, max_size);
    case 2:
        repeat(&line, piece, piece_at(&line, draw(&state) % (size + 1)));
        break;
    case 3:
        replace(&line, piece, data, 0);
        break;
    default:
        reframe(&line, piece, &state);
    }
    return line.size;
}
