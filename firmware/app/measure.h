/* What does one inference cost? Cycles around engine_invoke(), and each operator's share. */
#ifndef HILNAS_MEASURE_H
#define HILNAS_MEASURE_H

#include <stdint.h>

typedef struct {
    int32_t engine_code; /* 0: success */
    uint64_t cycles;
} measure_result_t;

/* Runs one inference with nothing else going on. */
measure_result_t measure_run(void);

/* The same with a LAYER message after each operator; the cycles leave out their sending. */
measure_result_t measure_layers(uint16_t sequence);

#endif
