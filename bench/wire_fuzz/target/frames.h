/* What is a frame? docs/architecture.md, "The wire", written down a second time: takes nothing from
 * firmware/app, so that each side checks the other. */
#ifndef HILNAS_FUZZ_FRAMES_H
#define HILNAS_FUZZ_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_PAYLOAD_ROOM = 1024, /* twice what is allowed: too long ones are inputs as well */
    FRAME_BODY_ROOM = 3 + FRAME_PAYLOAD_ROOM + 4,
    FRAME_STUFFED_ROOM = FRAME_BODY_ROOM + FRAME_BODY_ROOM / 254 + 2, /* closing zero included */
};

typedef struct {
    uint8_t type;
    uint16_t sequence;
    size_t length; /* of the payload, bytes */
    uint8_t payload[FRAME_PAYLOAD_ROOM];
} frame_t;

/* Reads what stands between two zeros. Returns false when it is not COBS, has a wrong CRC or is
 * shorter than 7 bytes or longer than FRAME_BODY_ROOM. */
bool frame_read(frame_t *frame, const uint8_t *stuffed, size_t length);

/* Writes `frame` with its CRC and the closing zero, at most FRAME_STUFFED_ROOM bytes; returns how
 * many. */
size_t frame_write(const frame_t *frame, uint8_t *to);

#endif
