/* STM32 USART with SR and DR: RM0402, 25.6. The console's line is the host's; any other hears
 * nothing. */
#include "stm32_uart.h"

enum { SR = 0x00, DR = 0x04, BRR = 0x08, CR1 = 0x0C, CR2 = 0x10, CR3 = 0x14 };
enum {
    SR_ORE = 1u << 3,
    SR_IDLE = 1u << 4,
    SR_RXNE = 1u << 5,
    SR_TC = 1u << 6,
    SR_TXE = 1u << 7,
    CR1_RE = 1u << 2,
    CR1_TE = 1u << 3,
    CR1_M = 1u << 12,
    CR1_UE = 1u << 13,
    CR1_OVER8 = 1u << 15,
    CR3_EIE = 1u << 0,
    CR3_DMAR = 1u << 6,
    CR3_DMAT = 1u << 7,
};
/* IDLEIE, RXNEIE, TCIE and TXEIE lie in CR1 where their flags lie in SR. */
#define CR1_INTERRUPTS (SR_IDLE | SR_RXNE | SR_TC | SR_TXE)

typedef struct {
    UartLine line;
    uint32_t last_read; /* flags that the next access to DR clears */
} UsartState;

static uint64_t byte_cycles(const Machine *m, const Device *d) {
    uint32_t brr = d->words[BRR / 4], cr1 = d->words[CR1 / 4];
    uint32_t ticks = cr1 & CR1_OVER8 ? (brr >> 4) * 8 + (brr & 7) : brr & 0xFFFF;
    uint32_t bits = 10 + (cr1 & CR1_M ? 1 : 0) + ((d->words[CR2 / 4] >> 12 & 3) == 2 ? 1 : 0);
    return (uint64_t)ticks * bits * cycles_per_tick(m, d);
}

static UartSetup setup_of(const Machine *m, const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4], cr3 = d->words[CR3 / 4];
    bool on = cr1 & CR1_UE;
    return (UartSetup){
        .byte_cycles = on ? byte_cycles(m, d) : 0,
        .depth = 1,
        .sends = on && (cr1 & CR1_TE),
        .receives = on && (cr1 & CR1_RE),
        .listens = (cr1 & SR_RXNE) || (cr3 & CR3_DMAR),
        .dma_sends = on && (cr1 & CR1_TE) && (cr3 & CR3_DMAT),
        .dma_receives = on && (cr1 & CR1_RE) && (cr3 & CR3_DMAR),
        .send_register = d->base + DR,
        .receive_register = d->base + DR,
    };
}

static uint32_t flags_of(const UartLine *line) {
    return (line->overrun ? SR_ORE : 0) | (line->idle ? SR_IDLE : 0) |
           (line->received_count ? SR_RXNE : 0) | (line->complete ? SR_TC : 0) |
           (line->to_send_count ? 0 : SR_TXE);
}

/* The interrupt line, and when to look again: only where something waits for it. */
static void update(Machine *m, Device *d) {
    const UsartState *state = d->state;
    uint32_t flags = flags_of(&state->line), cr1 = d->words[CR1 / 4], cr3 = d->words[CR3 / 4];
    uint32_t causes = flags & cr1 & CR1_INTERRUPTS;
    if ((cr1 & SR_RXNE) || ((cr3 & CR3_EIE) && (cr3 & CR3_DMAR)))
        causes |= flags & SR_ORE;
    set_interrupt(m, d->irq, (cr1 & CR1_UE) && causes);
    bool awaited =
        state->line.to_send_count || (cr1 & CR1_INTERRUPTS) || (cr3 & (CR3_DMAR | CR3_DMAT));
    schedule(m, d, awaited ? next_on_line(&state->line) : NEVER);
}

static void usart_advance(Machine *m, Device *d, uint64_t now) {
    (void)now;
    UsartState *state = d->state;
    UartSetup setup = setup_of(m, d);
    follow_line(m, d, &state->line, &setup);
    update(m, d);
}

static uint32_t read_data(Device *d) {
    UsartState *state = d->state;
    UartLine *line = &state->line;
    if (state->last_read & SR_ORE)
        line->overrun = false;
    if (state->last_read & SR_IDLE)
        line->idle = false;
    state->last_read = 0;
    if (line->received_count)
        d->words[DR / 4] = take_from_line(line);
    return d->words[DR / 4];
}

static uint32_t usart_read(Machine *m, Device *d, uint32_t offset) {
    UsartState *state = d->state;
    UartSetup setup = setup_of(m, d);
    uint32_t value = d->words[offset / 4];
    if (offset == SR) {
        watch_line(m, d, &state->line, &setup);
        value = state->last_read = flags_of(&state->line);
        update(m, d);
    } else if (offset == DR) {
        follow_line(m, d, &state->line, &setup);
        value = read_data(d);
        update(m, d);
    }
    return value;
}

static void usart_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    UsartState *state = d->state;
    UartLine *line = &state->line;
    UartSetup setup = setup_of(m, d);
    follow_line(m, d, line, &setup);
    if (offset == DR) {
        if (setup.sends) /* else, as on silicon, it goes nowhere */
            send_on_line(m, d, line, &setup, (uint8_t)value);
    } else if (offset == SR) { /* TC and RXNE are cleared by a zero */
        line->complete &= (value & SR_TC) != 0;
        if (!(value & SR_RXNE) && line->received_count)
            take_from_line(line);
    } else {
        d->words[offset / 4] = value;
    }
    usart_advance(m, d, m->status.cycles);
}

static bool usart_on(const Device *d) {
    uint32_t cr1 = d->words[CR1 / 4];
    return (cr1 & CR1_UE) && (cr1 & (CR1_TE | CR1_RE));
}

const DeviceModel device_stm32_usart_v1 = {
    .name = "stm32-usart-v1",
    .state_bytes = sizeof(UsartState),
    .narrow_is_whole = true,
    .reset = uart_reset,
    .read = usart_read,
    .write = usart_write,
    .advance = usart_advance,
    .on = usart_on,
    .heard = uart_heard,
};
