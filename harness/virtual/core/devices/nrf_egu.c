/* nRF52840 EGU, which is SWI as well: sixteen tasks that are sixteen events. */
#include "nrf.h"

enum { CHANNELS = 16 };

static void egu_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (offset < 4 * CHANNELS && value & 1)
        nrf_event(m, d, NRF_EVENTS + offset);
    else if (!nrf_is_task(offset) && !nrf_write(m, d, offset, value))
        *nrf_word(d, offset) = value;
}

const DeviceModel device_nrf_egu = {
    .name = "nrf-egu",
    .state_bytes = sizeof(NrfPolls),
    .read = nrf_read,
    .write = egu_write,
};
