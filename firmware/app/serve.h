/* Which requests does the unit answer, and how? */
#ifndef HILNAS_SERVE_H
#define HILNAS_SERVE_H

#include <stdint.h>

/* Announces the image (BOOT), then answers requests for ever. */
_Noreturn void serve(void);

/* Sequence number of the request being served, 0 before the first. */
uint16_t serve_sequence(void);

#endif
