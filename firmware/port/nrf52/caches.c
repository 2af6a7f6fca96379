/* How is the instruction cache emptied? By switching it off. */
#include "port.h"
#include "registers.h"

void port_caches_empty(void) {
    uint32_t setting = NVMC_ICACHECNF;
    NVMC_ICACHECNF = setting & ~NVMC_ICACHECNF_CACHEEN;
    NVMC_ICACHECNF = setting;
}
