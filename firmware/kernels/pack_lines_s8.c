/* Packed columns (matmul.h) from int8. */
#include "dsp.h"
#include "kernels.h"

/* -128 in both halfwords: what is taken from odd values, and what even ones are summed with. */
#define OFFSETS 0xFF80FF80u
#define HIGH_BYTES 0xFF00FF00u

#if DSP_LOOPS

/* Loads in one run, instructions on words (multiply_filters_s8_dsp.c). */
#define PACK(word, at)                                                                             \
    "sxtb16 %[even], %[" word "]\n\t"                                                              \
    "and.w %[high], %[mask], %[" word "], lsl #8\n\t"                                              \
    "sxtab16 %[" word "], %[offsets], %[" word "], ror #8\n\t"                                     \
    "str.w %[even], [%[to], #" at "]\n\t"                                                          \
    "ssub16 %[" word "], %[" word "], %[high]\n\t"                                                 \
    "smlad %[sum], %[even], %[offsets], %[sum]\n\t"                                                \
    "str.w %[" word "], [%[to], #" at "+16]\n\t"

/* Sixteen values for a column of a group of four. */
static inline __attribute__((always_inline)) int32_t pack_sixteen(const int8_t *values, int32_t *to,
                                                                  int32_t sum) {
    uint32_t a, b, c, d, even, high;
    __asm__ volatile(
        ".p2align 2\n\t"
        "ldr.w %[a], [%[values]]\n\t"
        "ldr.w %[b], [%[values], #4]\n\t"
        "ldr.w %[c], [%[values], #8]\n\t"
        "ldr.w %[d], [%[values], #12]\n\t" PACK("a", "0") PACK("b", "32") PACK("c", "64")
            PACK("d", "96")
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [even] "=&r"(even),
          [high] "=&r"(high), [sum] "+r"(sum)
        : [values] "r"(values), [to] "r"(to), [offsets] "r"(OFFSETS), [mask] "r"(HIGH_BYTES)
        : "cc", "memory");
    return sum;
}

#define SIXTEENS 1
#else
#define SIXTEENS 0
#endif

static inline int32_t pack(uint32_t bytes, int32_t *to, int32_t columns, int32_t sum) {
    const uint32_t even = sxtb16(bytes);
    to[0] = (int32_t)even;
    to[columns] = (int32_t)ssub16(sxtab16_odd(OFFSETS, bytes), (bytes << 8) & HIGH_BYTES);
    return smlad(even, OFFSETS, sum);
}

int32_t pack_lines_s8(const int8_t *values, int32_t words, int32_t lines, int32_t pitch,
                      int32_t *to, int32_t columns) {
    int32_t sum = 0;
    for (; lines > 0; lines--) {
        const int8_t *from = values, *const end = from + 4 * words;
#if SIXTEENS
        if (columns == 4) {
            for (; end - from >= 16; from += 16) {
                sum = pack_sixteen(from, to, sum);
                to += 32;
            }
        }
#endif
        for (; from != end; from += 4) {
            sum = pack(load_word(from), to, columns, sum);
            to += 2 * columns;
        }
        values += pitch;
    }
    return sum;
}
