/* What does the part's ADC read of the chip's own sensors? stm32f4_adc and stm32l4 each have one.
 */
#ifndef HILNAS_STM32_ADC_H
#define HILNAS_STM32_ADC_H

#include <stdbool.h>
#include <stdint.h>

#define ADC_SAMPLES 16u /* of which the noise is not seen any more */

typedef struct {
    uint32_t reference; /* VREFINT */
    uint32_t sensor;    /* of the temperature */
} adc_sums_t;

/* Sums of ADC_SAMPLES conversions of 12 bits each; false where the ADC does not answer. Leaves all
 * ADCs as after reset. */
bool adc_sums(adc_sums_t *sums);

#endif
