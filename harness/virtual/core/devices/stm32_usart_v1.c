/* STM32 USART with SR and DR (RM0402, 25.6). The console's line is the host's; any other hears
 * nothing. */
#include "../machine.h"

enum { SR = 0x00, DR = 0x04, CR1 = 0x0C };
enum { SR_RXNE = 1u << 5, SR_TC = 1u << 6, SR_TXE = 1u << 7 };
enum { CR1_RE = 1u << 2, CR1_TE = 1u << 3, CR1_UE = 1u << 13 };

static bool enabled(const Device *d, uint32_t direction) {
    return (d->words[CR1 / 4] & (CR1_UE | direction)) == (CR1_UE | direction);
}

static uint32_t usart_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == SR) {
        bool byte = d == m->console && enabled(d, CR1_RE) && serial_waits_for_host(m);
        return SR_TXE | SR_TC | (byte ? SR_RXNE : 0);
    }
    uint8_t byte;
    if (offset == DR && d == m->console && serial_take(m, &byte))
        d->words[DR / 4] = byte;
    return d->words[offset / 4];
}

static void usart_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (offset == DR) {
        if (d == m->console && enabled(d, CR1_TE)) /* else, as on silicon, it goes nowhere */
            serial_put(m, (uint8_t)value);
    } else if (offset != SR) {
        d->words[offset / 4] = value;
    }
}

static void usart_reset(Machine *m, Device *d) {
    if (d == m->console) {
        m->received.count = 0;
        m->empty_polls = 0;
    }
}

const DeviceModel device_usart_v1 = {
    .name = "stm32-usart-v1",
    .narrow_is_whole = true,
    .reset = usart_reset,
    .read = usart_read,
    .write = usart_write,
};
