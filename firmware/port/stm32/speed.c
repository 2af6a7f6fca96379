/* How fast does the chip run, by its own registers? */
#include "speed.h"

#include "flash.h"
#include "port.h"

port_speed_t port_speed(void) {
    uint32_t acr = FLASH_ACR;
    return (port_speed_t){
        .sysclk_hz = clocks_sysclk_hz(),
        .flash_wait_states = (uint8_t)(acr & FLASH_ACR_LATENCY_MASK),
        .caches = (uint8_t)(((acr & FLASH_ACR_PRFTEN) != 0 ? PORT_PREFETCH : 0u) |
                            ((acr & FLASH_ACR_ICEN) != 0 ? PORT_INSTRUCTION_CACHE : 0u) |
                            ((acr & FLASH_ACR_DCEN) != 0 ? PORT_DATA_CACHE : 0u)),
    };
}
