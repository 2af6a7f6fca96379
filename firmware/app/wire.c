#include "wire.h"

#include <stdbool.h>

#include "port.h"

enum {
    HEADER_BYTES = 3, /* type u8, sequence u16 */
    CRC_BYTES = 4,
    FRAME_MAX = HEADER_BYTES + WIRE_PAYLOAD_MAX + CRC_BYTES,
    COBS_RUN_MAX = 254, /* non-zero bytes that one code byte can announce */
};

/* One frame at a time, in either direction: a request is read before its reply is written. */
static uint8_t frame[FRAME_MAX];

uint8_t *wire_payload(void) { return frame + HEADER_BYTES; }

uint8_t *wire_put_u16(uint8_t *to, uint16_t value) {
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    return to + 2;
}

uint8_t *wire_put_u32(uint8_t *to, uint32_t value) {
    return wire_put_u16(wire_put_u16(to, (uint16_t)value), (uint16_t)(value >> 16));
}

uint8_t *wire_put_u64(uint8_t *to, uint64_t value) {
    return wire_put_u32(wire_put_u32(to, (uint32_t)value), (uint32_t)(value >> 32));
}

uint16_t wire_get_u16(const uint8_t *from) { return (uint16_t)(from[0] | (from[1] << 8)); }

uint32_t wire_get_u32(const uint8_t *from) {
    return wire_get_u16(from) | ((uint32_t)wire_get_u16(from + 2) << 16);
}

/* CRC-32 of IEEE 802.3, reflected, four bits a step: 64 bytes of table instead of 1024. */
static uint32_t crc32(const uint8_t *bytes, uint32_t length) {
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

/* Reads up to the next zero byte and undoes COBS on the way. Returns the number of bytes in
 * `frame`, 0 when they are no frame. */
static uint32_t receive_unstuffed(void) {
    uint32_t length = 0;
    uint32_t run_left = 0;
    bool zero_due = false; /* the block just ended stands for a zero, unless it was the last */
    bool broken = false;
    for (;;) {
        uint8_t byte = port_read();
        if (byte == 0) {
            return broken || run_left != 0 ? 0 : length;
        }
        uint8_t decoded = byte;
        if (run_left == 0) {
            bool zero_now = zero_due;
            run_left = byte - 1u;
            zero_due = byte != COBS_RUN_MAX + 1;
            if (!zero_now) {
                continue;
            }
            decoded = 0;
        } else {
            run_left--;
        }
        if (length == FRAME_MAX) {
            broken = true;
        } else {
            frame[length++] = decoded;
        }
    }
}

wire_header_t wire_receive(void) {
    for (;;) {
        uint32_t length = receive_unstuffed();
        if (length < HEADER_BYTES + CRC_BYTES) {
            continue;
        }
        uint32_t checked = length - CRC_BYTES;
        if (crc32(frame, checked) == wire_get_u32(frame + checked)) {
            wire_header_t header = {
                .type = frame[0],
                .sequence = wire_get_u16(frame + 1),
                .length = (uint16_t)(checked - HEADER_BYTES),
            };
            return header;
        }
    }
}

void wire_send(uint8_t type, uint16_t sequence, uint32_t length) {
    uint32_t checked = HEADER_BYTES + length;
    frame[0] = type;
    wire_put_u16(frame + 1, sequence);
    wire_put_u32(frame + checked, crc32(frame, checked));
    const uint8_t *at = frame;
    const uint8_t *end = frame + checked + CRC_BYTES;
    for (;;) {
        uint32_t run = 0;
        while (at + run < end && at[run] != 0 && run < COBS_RUN_MAX) {
            run++;
        }
        uint8_t code = (uint8_t)(run + 1);
        port_write(&code, 1);
        port_write(at, run);
        at += run;
        if (at == end) {
            break;
        }
        if (run < COBS_RUN_MAX) {
            at++; /* the zero that the code stands for */
        }
    }
    wire_break();
}

void wire_break(void) {
    static const uint8_t zero = 0;
    port_write(&zero, 1);
}
