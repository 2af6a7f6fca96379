/* Two filters times four columns at once: eight sums, so that a word of weights is used four times
 * and a word of columns twice. Dual multiplications alone would be 2 a cycle; loads (12 words for
 * 32 multiplications) and widening leave 1.
 *
 * On Arm it is written as instructions: its registers fill the core exactly, and a compiler that
 * moves loads to the front has to spill half of them. Loads stand in runs, where all but the first
 * take one cycle. All instructions of the loop are wide and start on a word: a run of wide ones
 * across word boundaries starves the fetch buffer. Pointers stand one word before what is read
 * next, so that the last load of a round moves them on its way. A round is 16 of depth; where
 * depth is no multiple of it, the first round is entered in its middle. All loops together fit
 * into the KiB of instruction cache that an STM32 has in front of its flash. */
#include "multiply_filters_s8.h"

#include "dsp.h"
#include "kernels.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

#if DSP_INSTRUCTIONS

/* Words on the stack: first a copy of the job. */
#define JOB(word) "[sp, #4*" #word "]\n\t"
#define COLUMNS JOB(0)
#define RECORD JOB(1)
#define BUFFER JOB(2)
#define RECORD_BYTES JOB(3)
#define PAIRS JOB(4)
#define GROUPS JOB(5)
#define OUTPUT JOB(6)
#define CHANNELS JOB(7)
#define DEPTH JOB(8)
#define ZERO_POINT JOB(9)
#define RESCALING JOB(10)
#define ENTRY JOB(11)        /* into the first round */
#define SKIP_WEIGHTS JOB(12) /* bytes before it */
#define SKIP_COLUMNS JOB(13)
#define ROUNDS_BYTES JOB(14) /* of columns */
#define END JOB(15)          /* of a group's last round */
#define GROUPS_LEFT JOB(16)
#define TO JOB(17)
#define WEIGHTS JOB(18)
#define BIAS_A JOB(19)
#define BIAS_B JOB(20)
#define MULTIPLIER_A JOB(21)
#define SHIFT_A JOB(22)
#define MULTIPLIER_B JOB(23)
#define SHIFT_B JOB(24)
#define OFFSET JOB(25)
_Static_assert(sizeof(multiply_filters_t) == 4 * 11, "words that the instructions copy");

#define MULTIPLY_TWO(at, write_back, sum_af, sum_bf, sum_as, sum_bs)                               \
    "ldr.w xf, [col, #" at "]\n\t"                                                                 \
    "ldr.w xs, [col, #" at "+4]" write_back "\n\t"                                                 \
    "smlad " sum_af ", wa, xf, " sum_af "\n\t"                                                     \
    "smlad " sum_bf ", wb, xf, " sum_bf "\n\t"                                                     \
    "smlad " sum_as ", wa, xs, " sum_as "\n\t"                                                     \
    "smlad " sum_bs ", wb, xs, " sum_bs "\n\t"

/* Four of depth, the i-th of a round; its last moves the pointers. 112 bytes. */
#define MULTIPLY_FOUR(i, write_back)                                                               \
    "ldr.w wa, [wgt, #8*" #i "+4]\n\t"                                                             \
    "ldr.w wb, [wgt, #8*" #i "+8]" write_back                                                      \
    "\n\t" MULTIPLY_TWO("32*" #i "+4", "", "sa0", "sb0", "sa1", "sb1") MULTIPLY_TWO(               \
        "32*" #i "+12", "", "sa2", "sb2", "sa3",                                                   \
        "sb3") "sxtb16 wa, wa, ror #8\n\t"                                                         \
               "sxtb16 wb, wb, ror #8\n\t" MULTIPLY_TWO("32*" #i "+20", "", "sa0", "sb0", "sa1",   \
                                                        "sb1")                                     \
                   MULTIPLY_TWO("32*" #i "+28", write_back, "sa2", "sb2", "sa3", "sb3")

/* requantize_simple() of sums that need not be doubled: t is sum + the rounded upper word of sum *
 * (2 * multiplier - 2^32), which is an int32, for multipliers are at least 2^30. Halves are rounded
 * before the last shift by one, to which SSAT adds saturation. */
#define STORE(sum, at)                                                                             \
    "smmlar " sum ", " sum ", xf, " sum "\n\t"                                                     \
    "add.w " sum ", " sum ", " sum ", asr #31\n\t"                                                 \
    "asr.w " sum ", " sum ", xs\n\t"                                                               \
    "add.w " sum ", " sum ", wa\n\t"                                                               \
    "ssat " sum ", #8, " sum ", asr #1\n\t"                                                        \
    "strb.w " sum ", [wgt, #" #at "]\n\t"

#define STORE_FOUR(multiplier, shift, sum0, sum1, sum2, sum3, at)                                  \
    "ldr.w xf, " multiplier "ldr.w xs, " shift "ldr.w wa, " OFFSET "ldr.w wb, " CHANNELS           \
    "ldr.w wgt, " TO                                                                               \
    STORE(sum0, at) "add.w wgt, wgt, wb\n\t" STORE(sum1, at) "add.w wgt, wgt, wb\n\t" STORE(       \
        sum2, at) "add.w wgt, wgt, wb\n\t" STORE(sum3, at)

/* No function of C, whose compiler would need a register to find its variables. */
__asm__(".syntax unified\n\t"
        ".thumb\n\t"
        ".section .text.multiply_filters_s8, \"ax\", %progbits\n\t"
        ".p2align 5\n\t"
        ".global multiply_filters_s8\n\t"
        ".type multiply_filters_s8, %function\n\t"
        ".thumb_func\n"
        "multiply_filters_s8:\n\t"
        "col .req r0\n\t wgt .req r1\n\t wa .req r2\n\t wb .req r3\n\t"
        "sa0 .req r4\n\t sa1 .req r5\n\t sa2 .req r6\n\t sa3 .req r7\n\t"
        "sb0 .req r8\n\t sb1 .req r9\n\t sb2 .req r10\n\t sb3 .req r11\n\t"
        "xf .req r12\n\t xs .req lr\n\t"
        "push.w {r4-r11, lr}\n\t"
        "sub sp, #4*27\n\t"
        "ldmia.w r0, {r1-r11}\n\t"
        "stmia.w sp, {r1-r11}\n\t"

        /* Where the first round is entered: fours that are missing in a last whole one. */
        "ldr r4, " DEPTH "rsb r5, r4, #0\n\t"
        "and r5, r5, #12\n\t" /* 4 * missing fours */
        "lsl r6, r5, #1\n\t"
        "str r6, " SKIP_WEIGHTS "lsl r7, r5, #3\n\t"
        "str r7, " SKIP_COLUMNS "add r6, r4, r5\n\t"
        "lsl r6, r6, #3\n\t"
        "str r6, " ROUNDS_BYTES "adr r6, 4f+1\n\t"
        "rsb r5, r5, r5, lsl #3\n\t" /* 28 * missing */
        "add r6, r6, r5, lsl #2\n\t"
        "str r6, " ENTRY

        "ldr r4, " ZERO_POINT "lsl r4, r4, #1\n\t"
        "add r4, #1\n\t"
        "str r4, " OFFSET

        /* A pair. */
        "1:\n\t"
        "ldr r0, " RECORD "ldr r1, " BUFFER "cbz r1, 3f\n\t"
        "ldr r2, " RECORD_BYTES "add r2, r0\n\t"
        "2:\n\t"
        "ldmia.w r0!, {r4-r11}\n\t"
        "stmia.w r1!, {r4-r11}\n\t"
        "cmp r0, r2\n\t"
        "blo 2b\n\t"
        "ldr r0, " BUFFER "3:\n\t"
        "ldrd r4, r5, [r0], #4\n\t"
        "strd r4, r5, " BIAS_A "ldr r4, " SKIP_WEIGHTS "ldr r5, " RESCALING "ldr r6, " DEPTH
        "sub r4, r0, r4\n\t"
        "str r4, " WEIGHTS "cmp r5, #0\n\t"
        "itt eq\n\t"
        "addeq r5, r0, r6, lsl #1\n\t"
        "addeq r5, #4\n\t"
        "ldmia r5, {r2, r4, r5}\n\t"
        "lsl r2, r2, #1\n\t"
        "lsl r4, r4, #1\n\t"
        "sxtb r3, r5\n\t"
        "sbfx r5, r5, #8, #8\n\t"
        "mvn r3, r3\n\t"
        "mvn r5, r5\n\t"
        "strd r2, r3, " MULTIPLIER_A "strd r4, r5, " MULTIPLIER_B "ldr r2, " GROUPS
        "ldr r3, " OUTPUT "ldr r0, " COLUMNS "str r2, " GROUPS_LEFT "str r3, " TO "add r3, #2\n\t"
        "str r3, " OUTPUT "sub col, #4\n\t"
        ".p2align 2\n\t"

        /* A group. */
        "5:\n\t"
        "ldr.w sa0, [col, #4]\n\t"
        "ldr.w sa1, [col, #8]\n\t"
        "ldr.w sa2, [col, #12]\n\t"
        "ldr.w sa3, [col, #16]!\n\t"
        "ldr.w wa, " BIAS_A "ldr.w wb, " BIAS_B "ldr.w wgt, " WEIGHTS "ldr.w xf, " SKIP_COLUMNS
        "ldr.w xs, " ROUNDS_BYTES "add.w sb0, sa0, wb\n\t"
        "sub.w col, col, xf\n\t"
        "add.w xs, xs, col\n\t"
        "str.w xs, " END "ldr.w xf, " ENTRY "add.w sb1, sa1, wb\n\t"
        "add.w sb2, sa2, wb\n\t"
        "add.w sb3, sa3, wb\n\t"
        "add.w sa0, sa0, wa\n\t"
        "add.w sa1, sa1, wa\n\t"
        "add.w sa2, sa2, wa\n\t"
        "add.w sa3, sa3, wa\n\t"
        "bx xf\n\t"
        ".p2align 2\n\t"
        "4:\n\t" MULTIPLY_FOUR(0, "") MULTIPLY_FOUR(1, "") MULTIPLY_FOUR(2, "") MULTIPLY_FOUR(
            3, "!") "ldr.w xf, " END "cmp.w col, xf\n\t"
                    "bne.w 4b\n\t" STORE_FOUR(MULTIPLIER_A, SHIFT_A, "sa0", "sa1", "sa2", "sa3", 0)
                        STORE_FOUR(MULTIPLIER_B, SHIFT_B, "sb0", "sb1", "sb2", "sb3",
                                   1) "ldr.w xf, " GROUPS_LEFT "add.w wgt, wgt, wb\n\t"
                                      "str.w wgt, " TO "subs.w xf, xf, #1\n\t"
                                      "str.w xf, " GROUPS_LEFT "bne.w 5b\n\t"

                                      "ldr r2, " RECORD "ldr r3, " RECORD_BYTES "ldr r4, " PAIRS
                                      "add r2, r3\n\t"
                                      "str r2, " RECORD "subs r4, #1\n\t"
                                      "str r4, " PAIRS "bne.w 1b\n\t"
                                      "add sp, #4*27\n\t"
                                      "pop.w {r4-r11, pc}\n\t"
                                      ".unreq col\n\t .unreq wgt\n\t .unreq wa\n\t .unreq wb\n\t"
                                      ".unreq sa0\n\t .unreq sa1\n\t .unreq sa2\n\t .unreq sa3\n\t"
                                      ".unreq sb0\n\t .unreq sb1\n\t .unreq sb2\n\t .unreq sb3\n\t"
                                      ".unreq xf\n\t .unreq xs\n\t"
                                      ".size multiply_filters_s8, . - multiply_filters_s8\n\t"
                                      ".text\n");

#else

static void multiply_pair(const multiply_filters_t *job) {
    const int32_t *const record = job->record, *x = job->columns;
    const int32_t *const rescaling = job->rescaling ? job->rescaling : record + 2 + job->depth / 2;
    const simple_t simple[2] = {simple_of_filter(rescaling, 0, job->zero_point),
                                simple_of_filter(rescaling, 1, job->zero_point)};
    int8_t *to = job->output;
    for (int32_t group = 0; group < job->groups; group++) {
        const int32_t *w = record + 2;
        int32_t sums[2][4];
        for (int32_t i = 0; i < 4; i++) {
            sums[0][i] = add_wrapping(x[i], record[0]);
            sums[1][i] = add_wrapping(x[i], record[1]);
        }
        x += 4;
        for (int32_t k = 0; k < job->depth; k += 4) {
            for (int32_t f = 0; f < 2; f++) {
                const uint32_t pairs = (uint32_t)*w++, odd = sxtb16_odd(pairs);
                for (int32_t i = 0; i < 4; i++) {
                    sums[f][i] = smlad(pairs, (uint32_t)x[i], sums[f][i]);
                    sums[f][i] = smlad(odd, (uint32_t)x[4 + i], sums[f][i]);
                }
            }
            x += 8;
        }
        for (int32_t i = 0; i < 4; i++) {
            to[0] = requantize_simple(sums[0][i], simple[0]);
            to[1] = requantize_simple(sums[1][i], simple[1]);
            to += job->channels;
        }
    }
}

void multiply_filters_s8(const multiply_filters_t *given) {
    multiply_filters_t job = *given;
    for (; job.pairs > 0; job.pairs--) {
        multiply_pair(&job);
        job.record += job.record_bytes / 4;
        job.output += 2;
    }
}

#endif
#endif
