/* STM32 USB on-the-go core, with no cable in its connector: RM0402, 30.15 and RM0090, 34.12. Its
 * resets end, its FIFOs are empty, it takes the mode it is forced into; no host ever comes, so
 * nothing is enumerated and no interrupt is raised. */
#include "stm32.h"

enum {
    GOTGCTL = 0x000,
    GOTGINT = 0x004,
    GUSBCFG = 0x00C,
    GRSTCTL = 0x010,
    GINTSTS = 0x014,
    GRXFSIZ = 0x024,
    GNPTXSTS = 0x02C,
    DSTS = 0x808,
    DIEPCTL0 = 0x900,
    DTXFSTS0 = 0x918,
    DOEPCTL0 = 0xB00,
    ENDPOINTS_END = 0xD00,
    ENDPOINT_BYTES = 0x20,
};
enum {
    GOTGCTL_CIDSTS = 1u << 16, /* the identification pin is open: a B-device */
    GUSBCFG_FHMOD = 1u << 29,
    /* CSRST, HSRST, FCRST, RXFFLSH, TXFFLSH: the core clears them when it has done it */
    GRSTCTL_REQUESTS = 0x35,
    GRSTCTL_AHBIDL = 1u << 31,
    GINTSTS_CMOD = 1u << 0,
    GINTSTS_FIFOS_EMPTY = 1u << 26 | 1u << 5, /* PTXFE, NPTXFE */
    DSTS_FULL_SPEED = 3u << 1,
    FIFO_WORDS = 0x200, /* after reset: RXFD, NPTXFSAV, INEPTFSAV */
    REQUEST_QUEUE = 8u << 16,
    EP_USBAEP = 1u << 15,
    EP_NAKSTS = 1u << 17,
    EP_CNAK = 1u << 26,
    EP_SNAK = 1u << 27,
    EP_EPDIS = 1u << 30,
    EP_EPENA = 1u << 31,
};

static bool in_endpoints(uint32_t offset) { return offset >= DIEPCTL0 && offset < ENDPOINTS_END; }

static uint32_t otg_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    switch (offset) {
    case GOTGCTL:
        return d->words[GOTGCTL / 4] | GOTGCTL_CIDSTS;
    case GRSTCTL:
        return d->words[GRSTCTL / 4] | GRSTCTL_AHBIDL;
    case GINTSTS:
        return GINTSTS_FIFOS_EMPTY | (d->words[GUSBCFG / 4] & GUSBCFG_FHMOD ? GINTSTS_CMOD : 0);
    case GNPTXSTS:
        return REQUEST_QUEUE | FIFO_WORDS;
    case DSTS:
        return DSTS_FULL_SPEED;
    default:
        if (in_endpoints(offset) && offset % ENDPOINT_BYTES == DTXFSTS0 % ENDPOINT_BYTES &&
            offset < DOEPCTL0)
            return FIFO_WORDS;
        return d->words[offset / 4];
    }
}

/* DIEPCTLx, DOEPCTLx: an endpoint that no host asks is disabled at once. */
static uint32_t endpoint_control(uint32_t old, uint32_t value) {
    uint32_t nak = value & EP_SNAK ? EP_NAKSTS : value & EP_CNAK ? 0 : old & EP_NAKSTS;
    if (value & EP_EPDIS)
        value &= ~(uint32_t)EP_EPENA;
    return (value & ~(uint32_t)(EP_EPDIS | EP_SNAK | EP_CNAK | EP_NAKSTS)) | nak;
}

static void otg_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    (void)m;
    uint32_t *word = &d->words[offset / 4];
    switch (offset) {
    case GRSTCTL:
        *word = value & ~(uint32_t)(GRSTCTL_REQUESTS | GRSTCTL_AHBIDL);
        break;
    case GOTGINT: /* flags that a one clears, and none is ever set */
    case GINTSTS:
    case GNPTXSTS:
    case DSTS:
        break;
    default:
        if (!in_endpoints(offset))
            *word = value;
        else if (offset % ENDPOINT_BYTES == 0)
            *word = endpoint_control(*word, value) |
                    (offset == DIEPCTL0 || offset == DOEPCTL0 ? EP_USBAEP : 0);
        else if (offset % ENDPOINT_BYTES != 8) /* DIEPINT, DOEPINT */
            *word = value;
        break;
    }
}

static void otg_reset(Machine *m, Device *d) {
    (void)m;
    d->words[GRXFSIZ / 4] = FIFO_WORDS;
    d->words[DIEPCTL0 / 4] = d->words[DOEPCTL0 / 4] = EP_USBAEP;
}

const DeviceModel device_stm32_otg = {
    .name = "stm32-otg",
    .reset = otg_reset,
    .read = otg_read,
    .write = otg_write,
};
