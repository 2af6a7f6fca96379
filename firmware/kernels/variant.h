/* Which variant of the kernels is compiled? The only place that chooses. DSP instructions where the
 * core has them (Cortex-M4, M7, M33), plain C elsewhere; HILNAS_REFERENCE_KERNELS forces plain C,
 * HILNAS_EMULATE_DSP compiles the DSP variants with the instructions written out in C. */
#ifndef HILNAS_VARIANT_H
#define HILNAS_VARIANT_H

#if (defined(__ARM_FEATURE_DSP) && !defined(HILNAS_REFERENCE_KERNELS)) ||                          \
    defined(HILNAS_EMULATE_DSP)
#define KERNELS_DSP 1
#define KERNELS_NAME "dsp"
#else
#define KERNELS_DSP 0
#define KERNELS_NAME "reference"
#endif

/* Are the instructions themselves there? Then dsp.h is made of them, and whole loops are where the
 * compiler optimises: otherwise it needs the registers that they take. */
#if defined(__ARM_FEATURE_DSP) && !defined(HILNAS_EMULATE_DSP)
#define DSP_INSTRUCTIONS 1
#else
#define DSP_INSTRUCTIONS 0
#endif
#if DSP_INSTRUCTIONS && defined(__OPTIMIZE__)
#define DSP_LOOPS 1
#else
#define DSP_LOOPS 0
#endif

#endif
