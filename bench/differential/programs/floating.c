/* Single precision in hardware and double in software: libm, a transform, an iteration, casts. */
#include <math.h>
#include <stdint.h>

float results[64];
double doubles[16];
static float re[64], im[64];

static void transform(void) {
    for (int size = 2; size <= 64; size *= 2)
        for (int start = 0; start < 64; start += size)
            for (int k = 0; k < size / 2; k++) {
                float angle = -6.2831853f * (float)k / (float)size;
                float c = cosf(angle), s = sinf(angle);
                int a = start + k, b = a + size / 2;
                float x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x, im[b] = im[a] - y;
                re[a] += x, im[a] += y;
            }
}

static int escape(float x, float y) {
    float a = 0, b = 0;
    int steps = 0;
    while (a * a + b * b < 4 && steps < 60) {
        float next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
        steps++;
    }
    return steps;
}

void program(uint32_t rounds) {
    while (rounds--) {
        for (int i = 0; i < 64; i++)
            re[i] = (float)(i * i % 17) / 3.0f, im[i] = sqrtf((float)i);
        transform();
        for (int i = 0; i < 64; i++) {
            float x = (float)i * 0.37f - 11.0f;
            results[i] += re[i] + im[i] * expf(-fabsf(x)) + atan2f(x, 2.0f) + powf(fabsf(x), 0.7f);
            results[i] += (float)escape((float)(i % 8) / 4 - 1.5f, (float)(i / 8) / 4 - 1);
            results[i] += (float)(int32_t)(x * 1e6f) + (float)(uint32_t)fabsf(x) + fmaf(x, x, -x);
        }
        for (int i = 0; i < 16; i++) {
            double x = i * 0.731 - 5;
            doubles[i] += sin(x) * exp(x / 3) + log(fabs(x) + 1) / 7 + (double)(int64_t)(x * 1e12);
            doubles[i] +=
                (double)(float)x + fmod(x * 1e5, 3.3) + cbrt(x) + (double)(uint32_t)(x * x);
        }
    }
}
