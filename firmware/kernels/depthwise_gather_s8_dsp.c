/* Four adjacent channels, which lie in a word, are taken apart by fours of pixels: a transposition
 * of 4x4 bytes. */
#include "depthwise_gather_s8.h"

#include "dsp.h"
#include "variant.h"

#if KERNELS_DSP

#if DSP_LOOPS

/* As instructions: a compiler makes two loops of it, one of them for tensors of one channel, which
 * do not come here, and spills the planes' addresses. */
void depthwise_gather_four_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                              int32_t plane) {
    const depthwise_gather_t g = *gather; /* on the stack, which needs no register of its own */
    uint32_t a, b, c, d, x, y;
    int32_t left, rows = g.rows;
    if (rows <= 0) {
        return;
    }
    __asm__ volatile(
        "1:\n\t"
        "ldr.w %[left], %[columns]\n\t"
        "subs.w %[left], %[left], #4\n\t"
        "blt.w 3f\n\t"
        ".p2align 2\n"

        "2:\n\t" /* four pixels */
        "add.w %[y], %[channels], %[channels], lsl #1\n\t"
        "ldr.w %[a], [%[from]]\n\t"
        "ldr.w %[b], [%[from], %[channels]]\n\t"
        "ldr.w %[c], [%[from], %[channels], lsl #1]\n\t"
        "ldr.w %[d], [%[from], %[y]]\n\t"
        "add.w %[from], %[from], %[channels], lsl #2\n\t"
        "pkhbt %[x], %[a], %[c], lsl #16\n\t" /* a0 a1 c0 c1 */
        "pkhbt %[y], %[b], %[d], lsl #16\n\t"
        "pkhtb %[a], %[c], %[a], asr #16\n\t" /* a2 a3 c2 c3 */
        "pkhtb %[b], %[d], %[b], asr #16\n\t"
        "uxtb16 %[c], %[x]\n\t"
        "uxtb16 %[d], %[y]\n\t"
        "orr.w %[c], %[c], %[d], lsl #8\n\t"
        "uxtb16 %[x], %[x], ror #8\n\t"
        "uxtb16 %[y], %[y], ror #8\n\t"
        "str.w %[c], [%[to]]\n\t"
        "orr.w %[x], %[x], %[y], lsl #8\n\t"
        "uxtb16 %[c], %[a]\n\t"
        "uxtb16 %[d], %[b]\n\t"
        "str.w %[x], [%[to], %[plane]]\n\t"
        "orr.w %[c], %[c], %[d], lsl #8\n\t"
        "uxtb16 %[a], %[a], ror #8\n\t"
        "uxtb16 %[b], %[b], ror #8\n\t"
        "str.w %[c], [%[to], %[plane], lsl #1]\n\t"
        "orr.w %[a], %[a], %[b], lsl #8\n\t"
        "str.w %[a], [%[to], %[plane3]]\n\t"
        "add.w %[to], %[to], #4\n\t"
        "subs.w %[left], %[left], #4\n\t"
        "bge.w 2b\n"

        "3:\n\t" /* two pixels */
        "tst.w %[left], #2\n\t"
        "beq.w 4f\n\t"
        "ldr.w %[a], [%[from]]\n\t"
        "ldr.w %[b], [%[from], %[channels]]\n\t"
        "add.w %[from], %[from], %[channels], lsl #1\n\t"
        "uxtb16 %[x], %[a]\n\t"
        "uxtb16 %[y], %[b]\n\t"
        "orr.w %[x], %[x], %[y], lsl #8\n\t"
        "uxtb16 %[a], %[a], ror #8\n\t"
        "uxtb16 %[b], %[b], ror #8\n\t"
        "orr.w %[a], %[a], %[b], lsl #8\n\t"
        "strh.w %[x], [%[to]]\n\t"
        "strh.w %[a], [%[to], %[plane]]\n\t"
        "lsr.w %[x], %[x], #16\n\t"
        "lsr.w %[a], %[a], #16\n\t"
        "strh.w %[x], [%[to], %[plane], lsl #1]\n\t"
        "strh.w %[a], [%[to], %[plane3]]\n\t"
        "add.w %[to], %[to], #2\n"

        "4:\n\t" /* one pixel */
        "tst.w %[left], #1\n\t"
        "beq.w 5f\n\t"
        "ldr.w %[a], [%[from]]\n\t"
        "add.w %[from], %[from], %[channels]\n\t"
        "lsr.w %[b], %[a], #8\n\t"
        "lsr.w %[c], %[a], #16\n\t"
        "lsr.w %[d], %[a], #24\n\t"
        "strb.w %[a], [%[to]]\n\t"
        "strb.w %[b], [%[to], %[plane]]\n\t"
        "strb.w %[c], [%[to], %[plane], lsl #1]\n\t"
        "strb.w %[d], [%[to], %[plane3]]\n\t"
        "add.w %[to], %[to], #1\n"

        "5:\n\t"
        "ldr.w %[a], %[skip]\n\t"
        "ldr.w %[b], %[gap]\n\t"
        "add.w %[from], %[from], %[a]\n\t"
        "add.w %[to], %[to], %[b]\n\t"
        "subs.w %[rows], %[rows], #1\n\t"
        "bne.w 1b"
        : [from] "+r"(from), [to] "+r"(to), [rows] "+r"(rows), [left] "=&r"(left), [a] "=&r"(a),
          [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [x] "=&r"(x), [y] "=&r"(y)
        : [channels] "r"(g.channels), [plane] "r"(plane), [plane3] "r"(3 * plane),
          [columns] "m"(g.columns), [skip] "m"(g.skip), [gap] "m"(g.gap)
        : "cc", "memory");
}

#else

void depthwise_gather_four_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                              int32_t plane) {
    const depthwise_gather_t g = *gather;
    int8_t *to1 = to + plane, *to2 = to1 + plane, *to3 = to2 + plane;
    for (int32_t y = g.rows; y > 0; y--) {
        int32_t x = g.columns;
        for (; x >= 4; x -= 4) {
            const uint32_t a = load_word(from), b = load_word(from + g.channels);
            const uint32_t c = load_word(from + 2 * g.channels);
            const uint32_t d = load_word(from + 3 * g.channels);
            const uint32_t ac = pkhbt(a, c), bd = pkhbt(b, d);
            store_word(to, uxtb16(ac) | uxtb16(bd) << 8);
            store_word(to1, uxtb16_odd(ac) | uxtb16_odd(bd) << 8);
            const uint32_t ac23 = pkhtb(a, c), bd23 = pkhtb(b, d);
            store_word(to2, uxtb16(ac23) | uxtb16(bd23) << 8);
            store_word(to3, uxtb16_odd(ac23) | uxtb16_odd(bd23) << 8);
            from += 4 * g.channels;
            to += 4;
            to1 += 4;
            to2 += 4;
            to3 += 4;
        }
        if (x & 2) {
            const uint32_t a = load_word(from), b = load_word(from + g.channels);
            const uint32_t ab02 = uxtb16(a) | uxtb16(b) << 8;
            const uint32_t ab13 = uxtb16_odd(a) | uxtb16_odd(b) << 8;
            store_half(to, ab02);
            store_half(to1, ab13);
            store_half(to2, ab02 >> 16);
            store_half(to3, ab13 >> 16);
            from += 2 * g.channels;
            to += 2;
            to1 += 2;
            to2 += 2;
            to3 += 2;
        }
        if (x & 1) {
            const uint32_t a = load_word(from);
            from += g.channels;
            *to++ = (int8_t)a;
            *to1++ = (int8_t)(a >> 8);
            *to2++ = (int8_t)(a >> 16);
            *to3++ = (int8_t)(a >> 24);
        }
        from += g.skip;
        to += g.gap;
        to1 += g.gap;
        to2 += g.gap;
        to3 += g.gap;
    }
}

#endif

#endif
