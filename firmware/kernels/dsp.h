/* The few DSP instructions the kernels use (ARMv7-M ARM, A7.7), as instructions on Arm and written
 * out in C elsewhere, so that the same kernels run in tests on the host. */
#ifndef HILNAS_DSP_H
#define HILNAS_DSP_H

#include <stdint.h>

#include "variant.h"
#include "words.h"

#if DSP_INSTRUCTIONS

/* Bytes 0 and 2, sign-extended into two halfwords. */
static inline uint32_t sxtb16(uint32_t bytes) {
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* Bytes 1 and 3, sign-extended into two halfwords. */
static inline uint32_t sxtb16_odd(uint32_t bytes) {
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* Bytes 0 and 2, zero-extended into two halfwords. */
static inline uint32_t uxtb16(uint32_t bytes) {
    uint32_t pair;
    __asm__("uxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* Bytes 1 and 3, zero-extended into two halfwords. */
static inline uint32_t uxtb16_odd(uint32_t bytes) {
    uint32_t pair;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* Low half of a, low half of b above it. */
static inline uint32_t pkhbt(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* Low half of b, high half of a above it. */
static inline uint32_t pack_ends(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* High half of a, high half of b above it. */
static inline uint32_t pkhtb(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* Bytes 1 and 3, sign-extended, added to two halfwords. */
static inline uint32_t sxtab16_odd(uint32_t halves, uint32_t bytes) {
    uint32_t pair;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(pair) : "r"(halves), "r"(bytes));
    return pair;
}

/* Halfword by halfword, wrapping. */
static inline uint32_t ssub16(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("ssub16 %0, %1, %2" : "=r"(pair) : "r"(a), "r"(b) : "cc");
    return pair;
}

/* sum + low * low + high * high */
static inline int32_t smlad(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* Bytes 0 and 2, sign-extended and added to two halfwords. */
static inline uint32_t sxtab16(uint32_t halves, uint32_t bytes) {
    uint32_t pair;
    __asm__("sxtab16 %0, %1, %2" : "=r"(pair) : "r"(halves), "r"(bytes));
    return pair;
}

/* The sums of the halfwords. */
static inline uint32_t sadd16(uint32_t a, uint32_t b) {
    uint32_t sums;
    __asm__("sadd16 %0, %1, %2" : "=r"(sums) : "r"(a), "r"(b) : "cc");
    return sums;
}

/* low * low */
static inline int32_t smulbb(uint32_t a, uint32_t b) {
    int32_t product;
    __asm__("smulbb %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

/* high * high */
static inline int32_t smultt(uint32_t a, uint32_t b) {
    int32_t product;
    __asm__("smultt %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

/* sum + low * high + high * low */
static inline int32_t smladx(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smladx %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + low * low */
static inline int32_t smlabb(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + low of a * high of b */
static inline int32_t smlabt(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlabt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + high of a * low of b */
static inline int32_t smlatb(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + high * high */
static inline int32_t smlatt(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* The rounded upper word of a * b: floor((a * b + 2^31) / 2^32) */
static inline int32_t smmulr(int32_t a, int32_t b) {
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* sum + floor(a * low of b / 2^16) */
static inline int32_t smlawb(int32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + floor(a * high of b / 2^16) */
static inline int32_t smlawt(int32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* x / 2^20, rounded down, then saturated to int8 */
static inline int32_t ssat8_shifted_20(int32_t x) {
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #20" : "=r"(result) : "r"(x) : "cc");
    return result;
}

/* smmulr(a, b) + sum */
static inline int32_t smmlar(int32_t a, int32_t b, int32_t sum) {
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* x saturated to int8 */
static inline int32_t ssat8(int32_t x) {
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x) : "cc");
    return result;
}

/* The larger of each two signed bytes: SSUB8 notes which of its differences are not negative. */
static inline uint32_t max_of_bytes(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

/* The smaller of each two signed bytes. */
static inline uint32_t min_of_bytes(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

#else

static inline uint32_t max_of_bytes(uint32_t a, uint32_t b) {
    uint32_t result = 0;
    for (int i = 0; i < 32; i += 8) {
        const uint32_t larger = (int8_t)(a >> i) >= (int8_t)(b >> i) ? a : b;
        result |= larger & (0xFFu << i);
    }
    return result;
}

static inline uint32_t min_of_bytes(uint32_t a, uint32_t b) {
    return ~max_of_bytes(~a, ~b); /* ~x = -1 - x, byte by byte */
}

static inline int32_t smmulr(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1ll << 31)) >> 32);
}

static inline int32_t smmlar(int32_t a, int32_t b, int32_t sum) { return smmulr(a, b) + sum; }

static inline int32_t smlawb(int32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)(((int64_t)a * (int16_t)b) >> 16));
}

static inline int32_t smlawt(int32_t a, uint32_t b, int32_t sum) { return smlawb(a, b >> 16, sum); }

static inline int32_t ssat8(int32_t x) {
    return x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x;
}

static inline int32_t ssat8_shifted_20(int32_t x) { return ssat8(x >> 20); }

static inline uint32_t pack_halves(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

static inline uint32_t sxtb16(uint32_t bytes) {
    return pack_halves((int8_t)bytes, (int8_t)(bytes >> 16));
}

static inline uint32_t sxtb16_odd(uint32_t bytes) {
    return pack_halves((int8_t)(bytes >> 8), (int8_t)(bytes >> 24));
}

static inline uint32_t sadd16(uint32_t a, uint32_t b) {
    return pack_halves((int16_t)a + (int16_t)b, (int16_t)(a >> 16) + (int16_t)(b >> 16));
}

static inline uint32_t sxtab16(uint32_t halves, uint32_t bytes) {
    return sadd16(halves, sxtb16(bytes));
}

static inline int32_t smulbb(uint32_t a, uint32_t b) { return (int16_t)a * (int16_t)b; }

static inline int32_t smultt(uint32_t a, uint32_t b) { return smulbb(a >> 16, b >> 16); }

static inline uint32_t uxtb16(uint32_t bytes) { return bytes & 0x00FF00FFu; }

static inline uint32_t uxtb16_odd(uint32_t bytes) { return uxtb16(bytes >> 8); }

static inline uint32_t pkhbt(uint32_t a, uint32_t b) { return (a & 0xFFFFu) | (b << 16); }

static inline uint32_t pack_ends(uint32_t a, uint32_t b) {
    return (b & 0xFFFFu) | (a & 0xFFFF0000u);
}

static inline uint32_t pkhtb(uint32_t a, uint32_t b) { return (a >> 16) | (b & 0xFFFF0000u); }

static inline uint32_t sxtab16_odd(uint32_t halves, uint32_t bytes) {
    return pack_halves((int32_t)(halves & 0xFFFFu) + (int8_t)(bytes >> 8),
                       (int32_t)(halves >> 16) + (int8_t)(bytes >> 24));
}

static inline uint32_t ssub16(uint32_t a, uint32_t b) {
    return pack_halves((int32_t)(a & 0xFFFFu) - (int32_t)(b & 0xFFFFu),
                       (int32_t)(a >> 16) - (int32_t)(b >> 16));
}

static inline int32_t smlabb(uint32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)a * (int16_t)b));
}

static inline int32_t smlatb(uint32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)(a >> 16) * (int16_t)b));
}

static inline int32_t smlabt(uint32_t a, uint32_t b, int32_t sum) {
    return smlabb(a, b >> 16, sum);
}

static inline int32_t smlatt(uint32_t a, uint32_t b, int32_t sum) {
    return smlatb(a, b >> 16, sum);
}

static inline int32_t smlad(uint32_t a, uint32_t b, int32_t sum) {
    return smlatb(a, b >> 16, smlabb(a, b, sum));
}

static inline int32_t smladx(uint32_t a, uint32_t b, int32_t sum) {
    return smlad(a, b >> 16 | b << 16, sum);
}

#endif
#endif
