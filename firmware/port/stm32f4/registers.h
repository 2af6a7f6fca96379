/* Where are the registers this port uses? RM0402 (STM32F412), ARMv7-M ARM part B for the core's. */
#ifndef HILNAS_STM32F4_REGISTERS_H
#define HILNAS_STM32F4_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Reset and clock control: RM0402, 6.3 */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_CFGR_SW_PLL 2u
#define RCC_CFGR_SWS_MASK (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB1ENR_PWREN (1u << 28)
#define RCC_APB2ENR REGISTER(0x40023844u)

/* Power: RM0402, 5.4 */
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CR_VOS_SCALE1 (3u << 14)

/* Flash interface: RM0402, 3.8 */
#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY_MASK 15u
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* GPIO port 'A' + n lies n KiB behind port A: RM0402, 7.4 */
#define GPIO_BASE(letter) (0x40020000u + 0x400u * (uint32_t)((letter) - 'A'))
#define GPIO_MODER(letter) REGISTER(GPIO_BASE(letter))
#define GPIO_AFR(letter, pin) REGISTER(GPIO_BASE(letter) + 0x20u + 4u * ((pin) / 8u))
#define GPIO_MODE_ALTERNATE 2u

/* USART: RM0402, 25.6 */
#define USART_SR REGISTER(BOARD_CONSOLE_BASE)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TC (1u << 6)
#define USART_SR_TXE (1u << 7)
#define USART_DR REGISTER(BOARD_CONSOLE_BASE + 0x04u)
#define USART_BRR REGISTER(BOARD_CONSOLE_BASE + 0x08u)
#define USART_CR1 REGISTER(BOARD_CONSOLE_BASE + 0x0Cu)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_UE (1u << 13)

/* SysTick: ARMv7-M ARM, B3.3 */
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE (1u << 2)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)

/* System control block: ARMv7-M ARM, B3.2 */
#define SCB_ICSR REGISTER(0xE000ED04u)
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_ICSR_VECTACTIVE_MASK 0x1FFu
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CCR_DIV_0_TRP (1u << 4)
#define SCB_SHCSR REGISTER(0xE000ED24u)
#define SCB_SHCSR_MEMFAULTENA (1u << 16)
#define SCB_SHCSR_BUSFAULTENA (1u << 17)
#define SCB_SHCSR_USGFAULTENA (1u << 18)
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_CFSR_MSTKERR (1u << 4)
#define SCB_CFSR_STKERR (1u << 12)
#define SCB_CFSR_BFARVALID (1u << 15)
#define SCB_HFSR REGISTER(0xE000ED2Cu)
#define SCB_MMFAR REGISTER(0xE000ED34u)
#define SCB_BFAR REGISTER(0xE000ED38u)
#define SCB_CPACR REGISTER(0xE000ED88u)
#define SCB_CPACR_FPU (15u << 20)

/* Debug: ARMv7-M ARM, C1.6.5 and C1.8 */
#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CYCCNT REGISTER(0xE0001004u)

#endif
