/* Where are the registers this port uses? They lie at the same place in all its parts: RM0402
 * (STM32F412), RM0390 (STM32F446), RM0090 (STM32F429). Chapters below are those of RM0402; what it
 * does not have, over-drive, is RM0390's. */
#ifndef HILNAS_STM32F4_REGISTERS_H
#define HILNAS_STM32F4_REGISTERS_H

#include "board.h"
#include "core.h"

/* Reset and clock control: 6.3 */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_PLLCFGR_PLLSRC_HSE (1u << 22)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_CFGR_SW_PLL 2u
#define RCC_CFGR_SWS_MASK (3u << 2)
#define RCC_CFGR_SWS_HSI (0u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB1ENR_PWREN (1u << 28)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_APB2ENR_ADC1EN (1u << 8)
#define RCC_APB2RSTR REGISTER(0x40023824u)
#define RCC_APB2RSTR_ADCRST (1u << 8) /* all the ADCs there are */

/* Power: 5.4; over-drive: RM0390, 5.4 */
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CR_VOS_SCALE1 (3u << 14)
#define PWR_CR_ODEN (1u << 16)
#define PWR_CR_ODSWEN (1u << 17)
#define PWR_CSR REGISTER(0x40007004u)
#define PWR_CSR_ODRDY (1u << 16)
#define PWR_CSR_ODSWRDY (1u << 17)

/* Flash interface: 3.8 */
#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY_MASK 15u

/* GPIO: 7.4. Port 'A' + n is enabled by bit n. */
#define GPIOA_BASE 0x40020000u
#define RCC_GPIO_ENABLE RCC_AHB1ENR

/* USART: 25.6 */
#define USART_STATUS REGISTER(BOARD_CONSOLE_BASE)           /* SR */
#define USART_RECEIVED REGISTER(BOARD_CONSOLE_BASE + 0x04u) /* DR */
#define USART_TO_SEND REGISTER(BOARD_CONSOLE_BASE + 0x04u)  /* DR */
#define USART_BRR REGISTER(BOARD_CONSOLE_BASE + 0x08u)
#define USART_CR1 REGISTER(BOARD_CONSOLE_BASE + 0x0Cu)
#define USART_CR1_UE (1u << 13)

/* ADC1 and what all ADCs share: 13 */
#define ADC_SR REGISTER(0x40012000u)
#define ADC_SR_EOC (1u << 1)
#define ADC_CR2 REGISTER(0x40012008u)
#define ADC_CR2_ADON (1u << 0)
#define ADC_CR2_SWSTART (1u << 30)
#define ADC_SMPR1 REGISTER(0x4001200Cu)
#define ADC_SMPR1_480_CYCLES(channel) (7u << 3u * ((channel) - 10u))
#define ADC_SQR3 REGISTER(0x40012034u)
#define ADC_DR REGISTER(0x4001204Cu)
#define ADC_CCR REGISTER(0x40012304u)
#define ADC_CCR_ADCPRE_8 (3u << 16)
#define ADC_CCR_TSVREFE (1u << 23)

/* What the factory read of each part's sensors, 12 bits at 3.3 V: the data sheets' tables of
 * calibration values (DS10086, DS8626, DS11139, DS9405, DS10693), the same in all. */
#define CALIBRATION_MV 3300u
#define CALIBRATION_REFERENCE HALFWORD(0x1FFF7A2Au) /* VREFIN_CAL */
#define CALIBRATION_COLD HALFWORD(0x1FFF7A2Cu)      /* TS_CAL1 */
#define CALIBRATION_COLD_CELSIUS 30
#define CALIBRATION_WARM HALFWORD(0x1FFF7A2Eu) /* TS_CAL2 */
#define CALIBRATION_WARM_CELSIUS 110

#endif
