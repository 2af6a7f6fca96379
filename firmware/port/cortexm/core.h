/* Where are the core's own registers that the ports use? ARMv7-M ARM, part B; the same in every
 * Cortex-M4. */
#ifndef HILNAS_CORTEXM_CORE_H
#define HILNAS_CORTEXM_CORE_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define HALFWORD(address) (*(const volatile uint16_t *)(uintptr_t)(address))

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
