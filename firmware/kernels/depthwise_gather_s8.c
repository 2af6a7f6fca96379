#include "depthwise_gather_s8.h"

void depthwise_gather_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                         int32_t plane, int32_t count) {
    for (int32_t y = gather->rows; y > 0; y--) {
        for (int32_t x = gather->columns; x > 0; x--) {
            for (int32_t k = 0; k < count; k++) {
                to[k * plane] = from[k];
            }
            to++;
            from += gather->channels;
        }
        from += gather->skip;
        to += gather->gap;
    }
}
