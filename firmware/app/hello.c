#include "hello.h"

#include <string.h>

#include "board.h"
#include "engine.h"
#include "nonce.h"
#include "port.h"
#include "wire.h"

/* The board's name for whoever loads the ELF file: a note, no part of the image. */
__asm__(".pushsection .note.hilnas, \"\", %note\n\t"
        ".balign 4\n\t"
        ".4byte 1f - 0f, 3f - 2f, 1\n"
        "0:\t.asciz \"hilnas\"\n"
        "1:\t.balign 4\n"
        "2:\t.asciz \"" BOARD_NAME "\"\n"
        "3:\t.balign 4\n\t"
        ".popsection");

#define PROTOCOL 2u
#define STRING_MAX 255u /* its length is one byte */

typedef struct {
    uint8_t *at;
    uint8_t *end;
} cursor_t;

/* Room for `bytes` more, or NULL; once there was none, there is none any more. */
static uint8_t *take(cursor_t *cursor, uint32_t bytes) {
    if (cursor->at == NULL || (uint32_t)(cursor->end - cursor->at) < bytes) {
        cursor->at = NULL;
        return NULL;
    }
    uint8_t *taken = cursor->at;
    cursor->at += bytes;
    return taken;
}

static void put_u8(cursor_t *cursor, uint8_t value) {
    uint8_t *to = take(cursor, 1);
    if (to != NULL) {
        *to = value;
    }
}

static void put_u32(cursor_t *cursor, uint32_t value) {
    uint8_t *to = take(cursor, 4);
    if (to != NULL) {
        wire_put_u32(to, value);
    }
}

static void put_bytes(cursor_t *cursor, const void *bytes, uint32_t length) {
    uint8_t *to = take(cursor, length);
    if (to != NULL) {
        memcpy(to, bytes, length);
    }
}

static void put_string(cursor_t *cursor, const char *text) {
    uint32_t length = 0;
    while (length < STRING_MAX && text[length] != '\0') {
        length++;
    }
    put_u8(cursor, (uint8_t)length);
    put_bytes(cursor, text, length);
}

static uint8_t session[NONCE_BYTES]; /* zeros until a session has said hello */

void hello_from(const uint8_t *nonce) { memcpy(session, nonce, NONCE_BYTES); }

uint32_t hello_write(uint8_t *to, uint32_t room) {
    port_speed_t speed = port_speed();
    cursor_t cursor = {.at = to, .end = to + room};
    put_u8(&cursor, PROTOCOL);
    put_bytes(&cursor, build_nonce, NONCE_BYTES);
    put_bytes(&cursor, session, NONCE_BYTES);
    put_u32(&cursor, speed.sysclk_hz);
    put_u8(&cursor, speed.flash_wait_states);
    put_u8(&cursor, speed.caches);
    put_u32(&cursor, engine_arena_bytes());
    put_u8(&cursor, (uint8_t)engine_input_count());
    for (uint32_t i = 0; i < engine_input_count(); i++) {
        put_u32(&cursor, engine_input(i).bytes);
    }
    put_u8(&cursor, (uint8_t)engine_output_count());
    for (uint32_t i = 0; i < engine_output_count(); i++) {
        put_u32(&cursor, engine_output(i).bytes);
    }
    put_u8(&cursor, (uint8_t)engine_layer_count());
    put_u8(&cursor, (uint8_t)(engine_layer_count() >> 8));
    put_string(&cursor, BOARD_NAME);
    put_string(&cursor, engine_name);
    put_string(&cursor, engine_version);
    put_string(&cursor, engine_kernels);
    return cursor.at == NULL ? 0 : (uint32_t)(cursor.at - to);
}
