/* How are the flash caches emptied? They may be reset only while they are off (RM0402, 3.8.1;
 * RM0351, 3.7.1). */
#include "flash.h"
#include "port.h"

#define CACHES (FLASH_ACR_ICEN | FLASH_ACR_DCEN)

void port_caches_empty(void) {
    uint32_t settings = FLASH_ACR;
    FLASH_ACR = settings & ~CACHES;
    FLASH_ACR = (settings & ~CACHES) | FLASH_ACR_ICRST | FLASH_ACR_DCRST;
    FLASH_ACR = settings & ~CACHES;
    FLASH_ACR = settings;
}
