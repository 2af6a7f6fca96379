/* Who is there? Board, engine, memory and tensors of this image. */
#ifndef HILNAS_HELLO_H
#define HILNAS_HELLO_H

#include <stdint.h>

/* The nonce of the session that asks, NONCE_BYTES (nonce.h): hello echoes it from now on. */
void hello_from(const uint8_t *nonce);

/* Writes hello into `to`, at most `room` bytes; returns its length, 0 when it does not fit. */
uint32_t hello_write(uint8_t *to, uint32_t room);

#endif
