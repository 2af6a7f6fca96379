/* How do messages travel over the console? COBS frames closed by a zero byte, little-endian, with
 * a sequence number and CRC-32: docs/architecture.md, "The wire". Knows nothing of what the
 * messages ask for. */
#ifndef HILNAS_WIRE_H
#define HILNAS_WIRE_H

#include <stdint.h>

#define WIRE_PAYLOAD_MAX 512u
#define WIRE_REPLY 0x80u /* set in the type of a reply */

typedef enum {
    WIRE_HELLO = 0x01,
    WIRE_PREPARE = 0x02,
    WIRE_WRITE_INPUT = 0x03,
    WIRE_RUN = 0x04,
    WIRE_READ_OUTPUT = 0x05,
    WIRE_PROVOKE = 0x06,
    WIRE_CONDITIONS = 0x07,
    WIRE_CYCLES = 0x08,
    WIRE_BOOT = 0xC0,
    WIRE_LAYER = 0xC1,
    WIRE_LOG = 0xC2,
    WIRE_FAULT = 0xE0,
    WIRE_REFUSED = 0xE1,
} wire_type_t;

typedef struct {
    uint8_t type;
    uint16_t sequence;
    uint16_t length; /* of the payload, bytes */
} wire_header_t;

/* The one buffer there is: holds the payload of the request just received, then that of the reply
 * about to be sent. WIRE_PAYLOAD_MAX bytes. */
uint8_t *wire_payload(void);

/* Waits for the next good frame; bad ones are dropped without a word, the other side times out. */
wire_header_t wire_receive(void);

/* Sends wire_payload()[0, length) as one frame. */
void wire_send(uint8_t type, uint16_t sequence, uint32_t length);

/* Ends whatever was being sent, so that the next frame is read for itself. */
void wire_break(void);

/* Little-endian fields; put returns the byte behind the field. */
uint8_t *wire_put_u16(uint8_t *to, uint16_t value);
uint8_t *wire_put_u32(uint8_t *to, uint32_t value);
uint8_t *wire_put_u64(uint8_t *to, uint64_t value);
uint16_t wire_get_u16(const uint8_t *from);
uint32_t wire_get_u32(const uint8_t *from);

#endif
