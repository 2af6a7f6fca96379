/* What does the ADC of an STM32L4 read of the chip's own sensors? RM0351, RM0432: chapter ADC. */
#include "adc.h"

#include "registers.h"
#include "wait.h"

#define REFERENCE_CHANNEL 0u
#define SENSOR_CHANNEL 17u

/* The ADC runs at a quarter of the core's clock: of 120 MHz at most, 30 of its 80 MHz, and 640
 * cycles of that are 21 us: the sensor is to be sampled for 5, the reference for 4 (DS10969,
 * DS12023). */
#define SETTLING_US 120u /* the sensor's start-up; the reference's takes 12, the regulator's 20 */

/* Bits of CR that are set by ones are left alone by zeros. */
static void command(uint32_t bits) { ADC_CR = ADC_CR_ADVREGEN | bits; }

/* Out of deep power-down, calibrated and ready. */
static bool adc_start(void) {
    ADC_CCR = ADC_CCR_CKMODE_HCLK_4 | ADC_CCR_VREFEN | ADC_CCR_TSEN;
    ADC_CR = 0; /* DEEPPWD goes first */
    command(0);
    pass(SETTLING_US);
    command(ADC_CR_ADCAL);
    if (!becomes(&ADC_CR, ADC_CR_ADCAL, 0)) {
        return false;
    }
    pass(1); /* ADEN may follow four cycles of the ADC later */
    command(ADC_CR_ADEN);
    return becomes(&ADC_ISR, ADC_ISR_ADRDY, ADC_ISR_ADRDY);
}

static bool sum_of(uint32_t channel, uint32_t *sum) {
    ADC_SQR1 = channel << 6; /* the first of a sequence of one */
    *sum = 0;
    for (uint32_t i = 0; i < ADC_SAMPLES; i++) {
        command(ADC_CR_ADSTART);
        if (!becomes(&ADC_ISR, ADC_ISR_EOC, ADC_ISR_EOC)) {
            return false;
        }
        *sum += ADC_DR; /* clears EOC */
    }
    return true;
}

bool adc_sums(adc_sums_t *sums) {
    RCC_AHB2ENR |= RCC_AHB2ENR_ADCEN;
    (void)RCC_AHB2ENR; /* reading back waits until the clock has arrived */
    ADC_SMPR1 = ADC_SMPR_640_CYCLES(REFERENCE_CHANNEL);
    ADC_SMPR2 = ADC_SMPR_640_CYCLES(SENSOR_CHANNEL);
    bool done = adc_start() && sum_of(REFERENCE_CHANNEL, &sums->reference) &&
                sum_of(SENSOR_CHANNEL, &sums->sensor);
    RCC_AHB2RSTR |= RCC_AHB2RSTR_ADCRST;
    RCC_AHB2RSTR &= ~RCC_AHB2RSTR_ADCRST;
    RCC_AHB2ENR &= ~RCC_AHB2ENR_ADCEN;
    return done;
}
