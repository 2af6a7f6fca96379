/* Who counts the core's cycles? DWT CYCCNT; SysTick says when it is time to look. */
#include "chip.h"
#include "clock.h"
#include "core.h"
#include "port.h"

#define TICK_CYCLES (1u << 24) /* SysTick has 24 bits; shorter runs see no interrupt */

#ifdef HILNAS_SELFTEST
#define COUNTER_AT_RESET 0xFF800000u /* so that tests see it wrap */
#else
#define COUNTER_AT_RESET 0u
#endif

void cycles_start(void) {
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = COUNTER_AT_RESET;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

uint32_t port_cycles(void) { return DWT_CYCCNT; }

void port_tick_start(void) {
    SYST_RVR = TICK_CYCLES - 1;
    SYST_CVR = 0; /* any write restarts the period */
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE;
}

void port_tick_stop(void) {
    SYST_CSR = 0;
    SCB_ICSR = SCB_ICSR_PENDSTCLR; /* a tick that came just now must not count into the next run */
}

void systick_entry(void) { clock_tick(); }
