/* Integers of 8 to 64 bits: sorting, CRC, division, bit twiddling, a switch by table, recursion. */
#include <stdint.h>
#include <stdlib.h>

uint32_t results[64];
static uint32_t state = 1;
static int16_t numbers[200];

static uint32_t draw(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static int ascending(const void *a, const void *b) {
    return *(const int16_t *)a - *(const int16_t *)b;
}

static uint32_t crc32(const uint8_t *bytes, uint32_t count) {
    uint32_t crc = 0xFFFFFFFF;
    while (count--) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static uint32_t ackermann(uint32_t m, uint32_t n) {
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static int64_t operate(uint32_t which, int64_t a, int64_t b) {
    switch (which % 10) {
    case 0:
        return a + b;
    case 1:
        return a - b;
    case 2:
        return a * b;
    case 3:
        return b ? a / b : 0;
    case 4:
        return b ? (int64_t)((uint64_t)a % (uint64_t)b) : 1;
    case 5:
        return a << (b & 63);
    case 6:
        return a >> (b & 63);
    case 7:
        return __builtin_popcountll((uint64_t)a) + __builtin_clzll((uint64_t)b | 1);
    case 8:
        return (int32_t)a / ((int32_t)b | 1);
    default:
        return (uint8_t)a * (int16_t)b + (int8_t)(a >> 8);
    }
}

void program(uint32_t rounds) {
    while (rounds--) {
        for (int i = 0; i < 200; i++)
            numbers[i] = (int16_t)draw();
        qsort(numbers, 200, sizeof *numbers, ascending);
        results[0] += crc32((const uint8_t *)numbers, sizeof numbers);
        results[1] += ackermann(2, 20);
        int64_t sum = draw();
        for (uint32_t i = 0; i < 2000; i++) {
            sum = operate(i + draw(), sum, (int64_t)draw() << (draw() & 31));
            results[2 + i % 62] ^= (uint32_t)sum ^ (uint32_t)(sum >> 32);
        }
    }
}
