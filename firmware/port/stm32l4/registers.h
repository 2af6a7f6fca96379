/* Where are the registers this port uses? They lie at the same place in all its parts: RM0351
 * (STM32L475), RM0432 (STM32L4R5). Chapters below are those of RM0351; what it does not have, boost
 * mode, is RM0432's. */
#ifndef HILNAS_STM32L4_REGISTERS_H
#define HILNAS_STM32L4_REGISTERS_H

#include "board.h"
#include "core.h"

/* Reset and clock control: 6.4 */
#define RCC_CR REGISTER(0x40021000u)
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_CFGR_SW_PLL 3u
#define RCC_CFGR_SWS_MASK (3u << 2)
#define RCC_CFGR_SWS_HSI16 (1u << 2)
#define RCC_CFGR_SWS_PLL (3u << 2)
#define RCC_CFGR_HPRE_DIV2 (8u << 4)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_PLLCFGR_PLLSRC_MASK 3u
#define RCC_PLLCFGR_PLLSRC_HSI16 2u
#define RCC_PLLCFGR_PLLREN (1u << 24)
#define RCC_AHB2RSTR REGISTER(0x4002102Cu)
#define RCC_AHB2RSTR_ADCRST (1u << 13) /* all the ADCs there are */
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_AHB2ENR_ADCEN (1u << 13)
#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR1_PWREN (1u << 28)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define RCC_APB2ENR REGISTER(0x40021060u)

/* Power: 5.4; CR5: RM0432, 5.4 */
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_CR2_IOSV (1u << 9)
#define PWR_CR5 REGISTER(0x40007080u)
#define PWR_CR5_R1MODE (1u << 8)

/* Flash interface: 3.7. The fourth bit is reserved, and reads as 0, where fewer are needed. */
#define FLASH_ACR REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY_MASK 15u

/* GPIO: 8.4. Port 'A' + n is enabled by bit n. */
#define GPIOA_BASE 0x48000000u
#define RCC_GPIO_ENABLE RCC_AHB2ENR

/* USART: 40.8; LPUART: 41.7 */
#define USART_CR1 REGISTER(BOARD_CONSOLE_BASE)
#define USART_CR1_UE (1u << 0)
#define USART_BRR REGISTER(BOARD_CONSOLE_BASE + 0x0Cu)
#define USART_STATUS REGISTER(BOARD_CONSOLE_BASE + 0x1Cu)   /* ISR */
#define USART_RECEIVED REGISTER(BOARD_CONSOLE_BASE + 0x24u) /* RDR */
#define USART_TO_SEND REGISTER(BOARD_CONSOLE_BASE + 0x28u)  /* TDR */

/* ADC1 and what all ADCs share: chapter ADC */
#define ADC_ISR REGISTER(0x50040000u)
#define ADC_ISR_ADRDY (1u << 0)
#define ADC_ISR_EOC (1u << 2)
#define ADC_CR REGISTER(0x50040008u)
#define ADC_CR_ADEN (1u << 0)
#define ADC_CR_ADSTART (1u << 2)
#define ADC_CR_ADVREGEN (1u << 28)
#define ADC_CR_ADCAL (1u << 31)
#define ADC_SMPR1 REGISTER(0x50040014u) /* channels 0 to 9 */
#define ADC_SMPR2 REGISTER(0x50040018u) /* channels 10 to 18 */
#define ADC_SMPR_640_CYCLES(channel) (7u << 3u * ((channel) % 10u))
#define ADC_SQR1 REGISTER(0x50040030u)
#define ADC_DR REGISTER(0x50040040u)
#define ADC_CCR REGISTER(0x50040308u)
#define ADC_CCR_CKMODE_HCLK_4 (3u << 16)
#define ADC_CCR_VREFEN (1u << 22)
#define ADC_CCR_TSEN (1u << 23)

/* What the factory read of each part's sensors, 12 bits at 3.0 V: the data sheets' tables of
 * calibration values (DS10969, DS12023). */
#define CALIBRATION_MV 3000u
#define CALIBRATION_REFERENCE HALFWORD(0x1FFF75AAu) /* VREFINT */
#define CALIBRATION_COLD HALFWORD(0x1FFF75A8u)      /* TS_CAL1 */
#define CALIBRATION_COLD_CELSIUS 30
#define CALIBRATION_WARM HALFWORD(0x1FFF75CAu) /* TS_CAL2, at what part.h says */

#endif
