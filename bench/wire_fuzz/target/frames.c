#include "frames.h"

#include <string.h>

/* CRC-32 of IEEE 802.3, reflected, bit by bit. */
static uint32_t crc32(const uint8_t *bytes, size_t length) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        }
    }
    return ~crc;
}

bool frame_read(frame_t *frame, const uint8_t *stuffed, size_t length) {
    static uint8_t body[FRAME_BODY_ROOM];
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        size_t run = stuffed[at] - 1u;
        bool zero_follows = run < 254 && at + 1 + run < length;
        if (at + 1 + run > length || count + run + zero_follows > sizeof body) {
            return false;
        }
        memcpy(body + count, stuffed + at + 1, run);
        count += run;
        at += 1 + run;
        if (zero_follows) {
            body[count++] = 0;
        }
    }
    if (count < 7) {
        return false;
    }
    size_t checked = count - 4;
    uint32_t crc = 0;
    for (int i = 0; i < 4; i++) {
        crc |= (uint32_t)body[checked + i] << 8 * i;
    }
    frame->type = body[0];
    frame->sequence = (uint16_t)(body[1] | body[2] << 8);
    frame->length = checked - 3;
    memcpy(frame->payload, body + 3, frame->length);
    return crc == crc32(body, checked);
}

size_t frame_write(const frame_t *frame, uint8_t *to) {
    static uint8_t body[FRAME_BODY_ROOM];
    size_t count = 3 + frame->length;
    body[0] = frame->type;
    body[1] = (uint8_t)frame->sequence;
    body[2] = (uint8_t)(frame->sequence >> 8);
    memcpy(body + 3, frame->payload, frame->length);
    uint32_t crc = crc32(body, count);
    for (int i = 0; i < 4; i++) {
        body[count++] = (uint8_t)(crc >> 8 * i);
    }
    uint8_t *code = to, *end = to + 1;
    *code = 1;
    for (size_t i = 0; i < count; i++) {
        if (body[i] != 0) {
            *end++ = body[i];
            ++*code;
        }
        if (body[i] == 0 || (*code == 255 && i + 1 < count)) {
            code = end++;
            *code = 1;
        }
    }
    *end++ = 0;
    return (size_t)(end - to);
}
