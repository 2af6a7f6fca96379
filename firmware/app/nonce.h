/* Which build is this? Sixteen bytes that the build writes and hello tells. */
#ifndef HILNAS_NONCE_H
#define HILNAS_NONCE_H

#include <stdint.h>

#define NONCE_BYTES 16u

extern const uint8_t build_nonce[NONCE_BYTES];

#endif
