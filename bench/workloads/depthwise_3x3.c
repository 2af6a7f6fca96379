/* depthwise 3x3, plain C: a layer of 16 x 16 x 32, int8. */
#include "layer.h"

static void layer(void) {
    for (int y = 1; y < 15; y++)
        for (int x = 1; x < 15; x++)
            for (int c = 0; c < 32; c++) {
                int32_t sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++)
                        sum += (input[((y + dy) * 16 + x + dx) * 32 + c] + 128) *
                               weights[((dy + 1) * 3 + dx + 1) * 32 + c];
                output[(y * 16 + x) * 32 + c] = requantize(sum);
            }
}
