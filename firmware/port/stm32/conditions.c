/* How high is the supply, and how warm is the die? The ADC measures VREFINT and the temperature
 * sensor in parts of VDDA, which is VDD on these boards; what the factory read of both at a known
 * VDDA stands in system memory (RM0402, chapter ADC; RM0351, chapter ADC). */
#include "adc.h"
#include "part.h"
#include "port.h"
#include "registers.h"

/* Beyond these nothing runs: what was read is no supply, or no temperature. */
#define VDD_LEAST_MV 1000u
#define VDD_MOST_MV 5000u
#define COLDEST (-10000)
#define WARMEST 20000

#define ADC_MOST 4095u

static bool in_range(uint32_t calibration) { return calibration > 0 && calibration <= ADC_MOST; }

/* `sum`: of the sensor, as it would be at CALIBRATION_MV. Fits: sum is at most 16 * 4095 * 5 / 3.
 */
static int16_t temperature(uint32_t sum) {
    uint32_t cold = CALIBRATION_COLD, warm = CALIBRATION_WARM;
    if (!in_range(cold) || !in_range(warm) || warm <= cold) {
        return PORT_TEMPERATURE_UNKNOWN;
    }
    int32_t above = (int32_t)sum - (int32_t)(ADC_SAMPLES * cold);
    int32_t hundredths = 100 * (CALIBRATION_WARM_CELSIUS - CALIBRATION_COLD_CELSIUS);
    int32_t value = 100 * CALIBRATION_COLD_CELSIUS +
                    above * hundredths / (int32_t)(ADC_SAMPLES * (warm - cold));
    return value > COLDEST && value < WARMEST ? (int16_t)value : PORT_TEMPERATURE_UNKNOWN;
}

port_conditions_t port_conditions(void) {
    const port_conditions_t unknown = {PORT_TEMPERATURE_UNKNOWN, PORT_VDD_UNKNOWN};
    adc_sums_t sums;
    if (!adc_sums(&sums) || sums.reference == 0) {
        return unknown;
    }
    uint32_t calibrated = CALIBRATION_REFERENCE;
    if (!in_range(calibrated)) {
        return unknown;
    }
    uint32_t vdd_mv = CALIBRATION_MV * ADC_SAMPLES * calibrated / sums.reference;
    if (vdd_mv < VDD_LEAST_MV || vdd_mv > VDD_MOST_MV) {
        return unknown;
    }
    /* At most 16 * 4095 * 4095 * 16, just below 2^32. */
    uint32_t sensor = sums.sensor * calibrated * ADC_SAMPLES / sums.reference;
    return (port_conditions_t){.temperature = temperature(sensor), .vdd_mv = (uint16_t)vdd_mv};
}
