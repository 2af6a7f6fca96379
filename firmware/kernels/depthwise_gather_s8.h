/* Copies of a tensor's channels into planes. */
#ifndef HILNAS_DEPTHWISE_GATHER_S8_H
#define HILNAS_DEPTHWISE_GATHER_S8_H

#include <stdint.h>

/* How many pixels, `channels` bytes apart, go into the planes. */
typedef struct {
    int32_t channels, columns, rows;
    int32_t skip; /* bytes of the tensor between rows */
    int32_t gap;  /* bytes of a plane between rows */
} depthwise_gather_t;

/* `count` adjacent channels into planes `plane` bytes apart. */
void depthwise_gather_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                         int32_t plane, int32_t count);

/* Four of them; only where there are DSP instructions. */
void depthwise_gather_four_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                              int32_t plane);

#endif
