/* How warm is the die, and how high is its supply? TEMP counts quarters of a degree; SAADC compares
 * VDD with a reference of its own, uncalibrated, as precise as its gain is: some per cent. */
#include "port.h"
#include "registers.h"
#include "wait.h"

/* nRF52840 errata 66: TEMP is linear only with the factory's trim, which is not there after a
 * reset. The registers come in three groups, the factory's words without gaps. */
static void trim_temp(void) {
    static const uint8_t words[] = {6, 6, 5}; /* A0 to A5, B0 to B5, T0 to T4 */
    uint32_t from = 0;
    for (uint32_t group = 0; group < sizeof words; group++) {
        for (uint32_t i = 0; i < words[group]; i++) {
            TEMP_TRIM(group, i) = FICR_TEMP(from++);
        }
    }
}

static int16_t temperature(void) {
    trim_temp();
    TEMP_EVENTS_DATARDY = 0;
    TEMP_TASKS_START = 1;
    bool ready = becomes(&TEMP_EVENTS_DATARDY, 1, 1);
    int32_t quarters = (int32_t)TEMP_TEMP;
    TEMP_TASKS_STOP = 1;
    TEMP_EVENTS_DATARDY = 0;
    return ready ? (int16_t)(25 * quarters) : PORT_TEMPERATURE_UNKNOWN;
}

static bool did(volatile uint32_t *task, volatile uint32_t *event) {
    *event = 0;
    *task = 1;
    bool done = becomes(event, 1, 1);
    *event = 0;
    return done;
}

static uint16_t vdd_mv(void) {
    static volatile int16_t sample; /* none of the stack: it may be written late */
    sample = 0;
    SAADC_RESOLUTION = SAADC_RESOLUTION_12_BITS;
    SAADC_CH0_PSELP = SAADC_PSELP_VDD;
    SAADC_RESULT_PTR = (uint32_t)(uintptr_t)&sample;
    SAADC_RESULT_MAXCNT = 1;
    SAADC_ENABLE = 1;
    bool done = did(&SAADC_TASKS_START, &SAADC_EVENTS_STARTED) &&
                did(&SAADC_TASKS_SAMPLE, &SAADC_EVENTS_END);
    did(&SAADC_TASKS_STOP, &SAADC_EVENTS_STOPPED);
    SAADC_EVENTS_DONE = 0;
    SAADC_EVENTS_RESULTDONE = 0;
    SAADC_ENABLE = 0;
    SAADC_RESULT_MAXCNT = 0;
    SAADC_RESULT_PTR = 0;
    SAADC_CH0_PSELP = 0;
    SAADC_RESOLUTION = SAADC_RESOLUTION_RESET;
    if (!done || sample <= 0) {
        return PORT_VDD_UNKNOWN;
    }
    return (uint16_t)((uint32_t)sample * SAADC_FULL_SCALE_MV >> 12);
}

port_conditions_t port_conditions(void) {
    return (port_conditions_t){.temperature = temperature(), .vdd_mv = vdd_mv()};
}
