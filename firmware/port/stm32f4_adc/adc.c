/* What does the ADC of an STM32F4 read of the chip's own sensors? RM0402, chapter 13; RM0368, 11;
 * RM0090 and RM0390, 13: alike but for the sensor's channel. Where it shares that with VBAT, VBATE
 * must be off, as it is after reset. */
#include "adc.h"

#include "part.h"
#include "registers.h"
#include "wait.h"

#define REFERENCE_CHANNEL 17u

/* The ADC runs at an eighth of its bus: of 180 MHz at most, 22.5 of its 36 MHz, and 480 cycles of
 * that are 21 of the 10 us that both sensors are to be sampled for (DS11139, ADC characteristics).
 */
#define SETTLING_US 20u /* the sensors' start-up takes 10, the ADC's 3 */

static bool sum_of(uint32_t channel, uint32_t *sum) {
    ADC_SQR3 = channel; /* the first of a sequence of one, as SQR1 says after reset */
    *sum = 0;
    for (uint32_t i = 0; i < ADC_SAMPLES; i++) {
        ADC_CR2 = ADC_CR2_ADON | ADC_CR2_SWSTART;
        if (!becomes(&ADC_SR, ADC_SR_EOC, ADC_SR_EOC)) {
            return false;
        }
        *sum += ADC_DR; /* clears EOC */
    }
    return true;
}

bool adc_sums(adc_sums_t *sums) {
    RCC_APB2ENR |= RCC_APB2ENR_ADC1EN;
    (void)RCC_APB2ENR; /* reading back waits until the clock has arrived */
    ADC_CCR = ADC_CCR_ADCPRE_8 | ADC_CCR_TSVREFE;
    ADC_SMPR1 = ADC_SMPR1_480_CYCLES(REFERENCE_CHANNEL) | ADC_SMPR1_480_CYCLES(ADC_SENSOR_CHANNEL);
    ADC_CR2 = ADC_CR2_ADON;
    pass(SETTLING_US);
    bool done =
        sum_of(REFERENCE_CHANNEL, &sums->reference) && sum_of(ADC_SENSOR_CHANNEL, &sums->sensor);
    RCC_APB2RSTR |= RCC_APB2RSTR_ADCRST;
    RCC_APB2RSTR &= ~RCC_APB2RSTR_ADCRST;
    RCC_APB2ENR &= ~RCC_APB2ENR_ADC1EN;
    return done;
}
