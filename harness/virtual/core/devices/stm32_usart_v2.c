/* STM32 USART with ISR, RDR and TDR, and the low-power UART: RM0351, 40.8 and 41.7; FIFO mode:
 * RM0432, 49.8. The console's line is the host's; any other hears nothing. */
#include "stm32_uart.h"

enum {
    CR1 = 0x00,
    CR2 = 0x04,
    CR3 = 0x08,
    BRR = 0x0C,
    RQR = 0x18,
    ISR = 0x1C,
    ICR = 0x20,
    RDR = 0x24,
    TDR = 0x28,
    PRESC = 0x2C,
};
enum {
    ISR_ORE = 1u << 3,
    ISR_IDLE = 1u << 4,
    ISR_RXNE = 1u << 5,
    ISR_TC = 1u << 6,
    ISR_TXE = 1u << 7,
    ISR_BUSY = 1u << 16,
    ISR_TEACK = 1u << 21,
    ISR_REACK = 1u << 22,
    ISR_TXFE = 1u << 23,
    ISR_RXFF = 1u << 24,
    ISR_RXFT = 1u << 26,
    ISR_TXFT = 1u << 27,
    RQR_RXFRQ = 1u << 3,
    RQR_TXFRQ = 1u << 4,
    CR1_UE = 1u << 0,
    CR1_RE = 1u << 2,
    CR1_TE = 1u << 3,
    CR1_M0 = 1u << 12,
    CR1_OVER8 = 1u << 15,
    CR1_M1 = 1u << 28,
    CR1_FIFOEN = 1u << 29,
    CR1_TXFEIE = 1u << 30,
    CR1_RXFFIE = 1u << 31,
    CR3_EIE = 1u << 0,
    CR3_DMAR = 1u << 6,
    CR3_DMAT = 1u << 7,
    CR3_OVRDIS = 1u << 12,
    CR3_TXFTIE = 1u << 23,
    CR3_RXFTIE = 1u << 28,
};
/* IDLEIE, RXNEIE, TCIE and TXEIE lie in CR1 where their flags lie in ISR. */
#define CR1_INTERRUPTS (ISR_IDLE | ISR_RXNE | ISR_TC | ISR_TXE)

extern const DeviceModel device_stm32_lpuart;

static bool is_low_power(const Device *d) { return d->model == &device_stm32_lpuart; }

static uint32_t frame_bits(const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4];
    uint32_t data = cr1 & CR1_M1 ? 7 : cr1 & CR1_M0 ? 9 : 8;
    return 1 + data + ((d->words[CR2 / 4] >> 12 & 3) == 2 ? 2 : 1);
}

/* Ticks of the kernel clock that one bit takes, in 256ths. */
static uint64_t bit_ticks(const Device *d) {
    static const uint16_t prescalers[16] = {1,  2,  4,   6,   8,   10,  12,  16,
                                            32, 64, 128, 256, 256, 256, 256, 256};
    uint64_t brr = d->words[BRR / 4], ticks;
    if (is_low_power(d))
        ticks = brr & 0xFFFFF;
    else if (d->words[CR1 / 4] & CR1_OVER8)
        ticks = 256 * ((brr & 0xFFF0) | (brr & 7) << 1) / 2;
    else
        ticks = 256 * (brr & 0xFFFF);
    return ticks * prescalers[d->words[PRESC / 4] & 0xF];
}

/* By interrupt or DMA. */
static bool hears(const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4], cr3 = d->words[CR3 / 4];
    bool fifo = cr1 & CR1_FIFOEN;
    return (cr1 & (ISR_RXNE | (fifo ? CR1_RXFFIE : 0))) ||
           (cr3 & (CR3_DMAR | (fifo ? CR3_RXFTIE : 0)));
}

static UartSetup setup_of(Machine *m, const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4], cr3 = d->words[CR3 / 4];
    bool on = cr1 & CR1_UE;
    return (UartSetup){
        .byte_cycles =
            on ? bit_ticks(d) * frame_bits(d) * m->core_hz / stm32l4_uart_hz(m, d) / 256 : 0,
        .depth = cr1 & CR1_FIFOEN ? UART_FIFO_BYTES : 1,
        .sends = on && (cr1 & CR1_TE),
        .receives = on && (cr1 & CR1_RE),
        .listens = hears(d),
        .dma_sends = on && (cr1 & CR1_TE) && (cr3 & CR3_DMAT),
        .dma_receives = on && (cr1 & CR1_RE) && (cr3 & CR3_DMAR),
        .send_register = d->base + TDR,
        .receive_register = d->base + RDR,
    };
}

/* RXFTCFG, TXFTCFG: bytes in the FIFO, or free in it. */
static uint32_t threshold(uint32_t field) {
    static const uint8_t bytes[8] = {1, 2, 4, 6, 7, 8, 8, 8};
    return bytes[field & 7];
}

static uint32_t fifo_flags(const Device *d, const UartLine *line) {
    uint32_t cr3 = d->words[CR3 / 4], room = UART_FIFO_BYTES - line->to_send_count;
    return (line->to_send_count ? 0 : ISR_TXFE) |
           (line->received_count == UART_FIFO_BYTES ? ISR_RXFF : 0) |
           (line->received_count >= threshold(cr3 >> 25) ? ISR_RXFT : 0) |
           (room >= threshold(cr3 >> 29) ? ISR_TXFT : 0);
}

static uint32_t flags_of(const Device *d, const UartLine *line) {
    uint32_t cr1 = d->words[CR1 / 4];
    bool fifo = cr1 & CR1_FIFOEN, on = cr1 & CR1_UE;
    uint32_t flags = (line->overrun ? ISR_ORE : 0) | (line->idle ? ISR_IDLE : 0) |
                     (line->received_count ? ISR_RXNE : 0) | (line->complete ? ISR_TC : 0) |
                     (line->to_send_count < (fifo ? UART_FIFO_BYTES : 1) ? ISR_TXE : 0) |
                     (line->arrives_at != NEVER ? ISR_BUSY : 0) |
                     (on && (cr1 & CR1_TE) ? ISR_TEACK : 0) |
                     (on && (cr1 & CR1_RE) ? ISR_REACK : 0);
    return flags | (fifo ? fifo_flags(d, line) : 0);
}

/* The interrupt line, and when to look again: only where something waits for it. */
static void update(Machine *m, Device *d) {
    const UartLine *line = d->state;
    uint32_t flags = flags_of(d, line), cr1 = d->words[CR1 / 4], cr3 = d->words[CR3 / 4];
    bool fifo = cr1 & CR1_FIFOEN;
    uint32_t causes = flags & cr1 & CR1_INTERRUPTS;
    if ((cr1 & ISR_RXNE) || (cr3 & CR3_EIE))
        causes |= flags & ISR_ORE;
    if (fifo)
        causes |=
            (cr1 & CR1_TXFEIE ? flags & ISR_TXFE : 0) | (cr1 & CR1_RXFFIE ? flags & ISR_RXFF : 0) |
            (cr3 & CR3_TXFTIE ? flags & ISR_TXFT : 0) | (cr3 & CR3_RXFTIE ? flags & ISR_RXFT : 0);
    set_interrupt(m, d->irq, (cr1 & CR1_UE) && causes);
    bool awaited = hears(d) || line->to_send_count ||
                   (cr1 & (CR1_INTERRUPTS | (fifo ? CR1_TXFEIE : 0))) ||
                   (cr3 & (CR3_DMAT | (fifo ? CR3_TXFTIE : 0)));
    schedule(m, d, awaited ? next_on_line(line) : NEVER);
}

static void usart_advance(Machine *m, Device *d, uint64_t now) {
    (void)now;
    UartLine *line = d->state;
    UartSetup setup = setup_of(m, d);
    follow_line(m, d, line, &setup);
    if (d->words[CR3 / 4] & CR3_OVRDIS)
        line->overrun = false;
    update(m, d);
}

static uint32_t usart_read(Machine *m, Device *d, uint32_t offset) {
    UartLine *line = d->state;
    UartSetup setup = setup_of(m, d);
    uint32_t value = d->words[offset / 4];
    if (offset == ISR) {
        watch_line(m, d, line, &setup);
        update(m, d);
        value = flags_of(d, line);
    } else if (offset == RDR) {
        follow_line(m, d, line, &setup);
        if (line->received_count)
            d->words[RDR / 4] = take_from_line(line);
        value = d->words[RDR / 4];
        update(m, d);
    }
    return value;
}

static void clear_flags(UartLine *line, uint32_t value) {
    line->overrun &= !(value & ISR_ORE);
    line->idle &= !(value & ISR_IDLE);
    line->complete &= !(value & ISR_TC);
}

static void usart_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    UartLine *line = d->state;
    UartSetup setup = setup_of(m, d);
    follow_line(m, d, line, &setup);
    switch (offset) {
    case TDR:
        if (setup.sends) /* else, as on silicon, it goes nowhere */
            send_on_line(m, d, line, &setup, (uint8_t)value);
        break;
    case ICR:
        clear_flags(line, value);
        break;
    case RQR:
        if (value & RQR_RXFRQ)
            line->received_count = 0;
        if (value & RQR_TXFRQ)
            line->to_send_count = 0;
        break;
    case ISR:
    case RDR:
        break;
    case CR1:
        if ((d->words[CR1 / 4] & CR1_UE) && !(value & CR1_UE))
            reset_line(line); /* 40.5.5: the status goes back to its reset values */
        d->words[CR1 / 4] = value;
        break;
    default:
        d->words[offset / 4] = value;
        break;
    }
    usart_advance(m, d, m->status.cycles);
}

static bool usart_on(const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4];
    return (cr1 & CR1_UE) && (cr1 & (CR1_TE | CR1_RE));
}

const DeviceModel device_stm32_usart_v2 = {
    .name = "stm32-usart-v2",
    .state_bytes = sizeof(UartLine),
    .narrow_is_whole = true,
    .reset = uart_reset,
    .read = usart_read,
    .write = usart_write,
    .advance = usart_advance,
    .on = usart_on,
    .heard = uart_heard,
};

const DeviceModel device_stm32_lpuart = {
    .name = "stm32-lpuart",
    .state_bytes = sizeof(UartLine),
    .narrow_is_whole = true,
    .reset = uart_reset,
    .read = usart_read,
    .write = usart_write,
    .advance = usart_advance,
    .on = usart_on,
    .heard = uart_heard,
};
