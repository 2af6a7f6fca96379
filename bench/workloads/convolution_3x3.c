/* convolution 3x3, plain C: a layer of 16 x 16 x 32, int8. */
#include "layer.h"

static void layer(void) {
    for (int y = 1; y < 15; y++)
        for (int x = 1; x < 15; x++)
            for (int o = 0; o < 32; o++) {
                int32_t sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++) {
                        const int8_t *in = input + ((y + dy) * 16 + x + dx) * 32;
                        const int8_t *w = weights + ((o * 3 + dy + 1) * 3 + dx + 1) * 32;
                        for (int c = 0; c < 32; c++)
                            sum += (in[c] + 128) * w[c];
                    }
                output[(y * 16 + x) * 32 + o] = requantize(sum);
            }
}
