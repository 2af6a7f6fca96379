/* nRF52840 UART and UARTE: one block, ENABLE says which it is. The line runs at its baud rate in
 * virtual time. */
#include "nrf.h"

enum {
    STARTRX = 0x000,
    STOPRX = 0x004,
    STARTTX = 0x008,
    STOPTX = 0x00C,
    SUSPEND = 0x01C,
    FLUSHRX = 0x02C,
    RXDRDY = 0x108,
    ENDRX = 0x110,
    TXDRDY = 0x11C,
    ENDTX = 0x120,
    ERROR = 0x124,
    RXTO = 0x144,
    RXSTARTED = 0x14C,
    TXSTARTED = 0x150,
    TXSTOPPED = 0x158,
    ERRORSRC = 0x480,
    ENABLE = 0x500,
    PSEL_TXD = 0x50C,
    PSEL_RXD = 0x514,
    RXD = 0x518, /* of the UART; the UARTE's are EasyDMA channels */
    TXD = 0x51C,
    BAUDRATE = 0x524,
    RXD_PTR = 0x534,
    RXD_MAXCNT = 0x538,
    RXD_AMOUNT = 0x53C,
    TXD_PTR = 0x544,
    TXD_MAXCNT = 0x548,
    TXD_AMOUNT = 0x54C,
    CONFIG = 0x56C,
};
enum { ENABLED_UART = 4, ENABLED_UARTE = 8, OVERRUN = 1, FLOW_CONTROL = 1 };
enum { SHORT_ENDRX_STARTRX = 1u << 5, SHORT_ENDRX_STOPRX = 1u << 6 };
enum { FIFO_BYTES = 6, TIMEOUT_BYTES = 4, DMA_MASK = 0xFFFF };

typedef struct {
    NrfPolls polls;
    uint64_t sent_due, received_due, timeout_due; /* NEVER: nothing on the way */
    bool transmits, receives;                     /* between START and STOP */
    bool next_waits;                              /* a byte in TXD behind the one on the line */
    uint8_t next, fifo[FIFO_BYTES];
    uint32_t fifo_count;
    uint32_t out_at, out_count, out_done; /* EasyDMA of the transmitter, */
    uint32_t in_at, in_count, in_done;    /* and of the receiver */
    bool in_buffer;                       /* the receiver has one */
} State;

static bool is(Device *d, uint32_t kind) { return *nrf_word(d, ENABLE) == kind; }

/* A start bit, eight of data, a stop bit. BAUDRATE is the rate times 2^32 / 16 MHz; the divisor it
 * makes is a whole number, which is why the actual rates are what the register's table says. */
static uint64_t byte_cycles(Device *d) {
    uint64_t rate = *nrf_word(d, BAUDRATE);
    return rate ? 10 * (NRF_HZ / 16000000) * ((1ull << 32) / rate) : NEVER / 2;
}

static void plan(Machine *m, Device *d) {
    const State *s = d->state;
    schedule(m, d, nrf_sooner(s->sent_due, nrf_sooner(s->received_due, s->timeout_due)));
}

/* Transmitter */

static void put(Machine *m, Device *d, uint64_t now, uint8_t byte) {
    if (!(*nrf_word(d, PSEL_TXD) & NRF_NOT_CONNECTED))
        line_put(m, d, byte);
    ((State *)d->state)->sent_due = now + byte_cycles(d);
}

static void end_transfer(Machine *m, Device *d) {
    const State *s = d->state;
    *nrf_word(d, TXD_AMOUNT) = s->out_done;
    nrf_event(m, d, ENDTX);
}

static void put_next(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    const uint8_t *at =
        memory_at(m, s->out_at + s->out_done, 1, true); /* EasyDMA reaches RAM only */
    if (s->out_done < s->out_count && at) {
        s->out_done += 1;
        put(m, d, now, *at);
    } else {
        end_transfer(m, d);
    }
}

static void start_transmitter(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    if (is(d, ENABLED_UARTE)) {
        s->out_at = *nrf_word(d, TXD_PTR);
        s->out_count = *nrf_word(d, TXD_MAXCNT) & DMA_MASK;
        s->out_done = 0;
        nrf_event(m, d, TXSTARTED);
        if (s->sent_due == NEVER)
            put_next(m, d, now);
    }
    s->transmits = true;
}

static void stop_transmitter(Machine *m, Device *d) {
    State *s = d->state;
    bool busy = s->sent_due != NEVER;
    s->transmits = s->next_waits = false;
    s->sent_due = NEVER;
    if (!is(d, ENABLED_UARTE))
        return;
    if (busy)
        end_transfer(m, d);
    nrf_event(m, d, TXSTOPPED);
}

static void write_data(Machine *m, Device *d, uint8_t byte) {
    State *s = d->state;
    if (!s->transmits || !is(d, ENABLED_UART))
        return;
    if (s->sent_due == NEVER) {
        put(m, d, m->status.cycles, byte);
    } else {
        s->next = byte;
        s->next_waits = true;
    }
}

static void byte_is_sent(Machine *m, Device *d) {
    State *s = d->state;
    uint64_t now = s->sent_due;
    s->sent_due = NEVER;
    nrf_event(m, d, TXDRDY);
    if (is(d, ENABLED_UARTE)) {
        put_next(m, d, now);
    } else if (s->next_waits) {
        s->next_waits = false;
        put(m, d, now, s->next);
    }
}

/* Receiver */

static void start_receiver(Machine *m, Device *d);
static void stop_receiver(Machine *m, Device *d, uint64_t now);

static void end_reception(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    uint32_t shorts = *nrf_word(d, NRF_SHORTS);
    s->in_buffer = false;
    *nrf_word(d, RXD_AMOUNT) = s->in_done;
    nrf_event(m, d, ENDRX);
    if (shorts & SHORT_ENDRX_STARTRX)
        start_receiver(m, d);
    if (shorts & SHORT_ENDRX_STOPRX)
        stop_receiver(m, d, now);
}

/* From the FIFO into the buffer, as far as there are both. */
static void store(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    while (s->in_buffer && s->fifo_count) {
        if (s->in_done < s->in_count) {
            uint8_t *at = memory_at(m, s->in_at + s->in_done, 1, true);
            if (at)
                *at = s->fifo[0];
            s->in_done += 1;
            s->fifo_count -= 1;
            for (uint32_t i = 0; i < s->fifo_count; i++)
                s->fifo[i] = s->fifo[i + 1];
        }
        if (s->in_done == s->in_count)
            end_reception(m, d, now);
    }
}

static void take_buffer(Device *d) {
    State *s = d->state;
    s->in_at = *nrf_word(d, RXD_PTR);
    s->in_count = *nrf_word(d, RXD_MAXCNT) & DMA_MASK;
    s->in_done = 0;
    s->in_buffer = s->in_count > 0;
}

static void start_receiver(Machine *m, Device *d) {
    State *s = d->state;
    s->receives = true;
    s->timeout_due = NEVER;
    if (is(d, ENABLED_UARTE)) {
        take_buffer(d);
        nrf_event(m, d, RXSTARTED);
    }
}

/* Bytes that come within the time of four more are still taken into the FIFO. */
static void stop_receiver(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    if (!s->receives)
        return;
    s->receives = false;
    if (s->in_buffer)
        end_reception(m, d, now);
    s->timeout_due = now + TIMEOUT_BYTES * byte_cycles(d);
}

static void flush_receiver(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    take_buffer(d);
    store(m, d, now);
    if (s->in_buffer)
        end_reception(m, d, now);
}

/* The host's next byte begins to come in. */
static void listen(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    bool held = s->fifo_count == FIFO_BYTES && *nrf_word(d, CONFIG) & FLOW_CONTROL;
    if (d == m->console && s->receives && s->received_due == NEVER && m->received.count && !held &&
        !(*nrf_word(d, PSEL_RXD) & NRF_NOT_CONNECTED))
        s->received_due = now + byte_cycles(d);
}

static void show_next(Machine *m, Device *d) {
    State *s = d->state;
    if (is(d, ENABLED_UART) && s->fifo_count)
        nrf_event(m, d, RXDRDY);
}

/* The next byte begins to come in `now`, so that the firmware sees each one however far virtual
 * time has jumped. */
static void byte_is_received(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    uint8_t byte;
    s->received_due = NEVER;
    if (!serial_take(m, &byte))
        return;
    if (s->fifo_count == FIFO_BYTES) {
        *nrf_word(d, ERRORSRC) |= OVERRUN;
        nrf_event(m, d, ERROR);
    } else {
        s->fifo[s->fifo_count++] = byte;
        if (is(d, ENABLED_UARTE) || s->fifo_count == 1)
            nrf_event(m, d, RXDRDY);
        store(m, d, now);
    }
    listen(m, d, now);
}

/* RXD shows the oldest byte; reading it makes room, and RXDRDY comes again for the next one. */
static uint32_t read_data(Machine *m, Device *d) {
    State *s = d->state;
    uint32_t byte = s->fifo[0];
    if (!s->fifo_count)
        return *nrf_word(d, RXD);
    *nrf_word(d, RXD) = byte;
    s->fifo_count -= 1;
    for (uint32_t i = 0; i < s->fifo_count; i++)
        s->fifo[i] = s->fifo[i + 1];
    show_next(m, d);
    listen(m, d, m->status.cycles);
    plan(m, d);
    return byte;
}

/* Both */

static void uarte_advance(Machine *m, Device *d, uint64_t now) {
    State *s = d->state;
    while (s->sent_due <= now)
        byte_is_sent(m, d);
    if (s->received_due <= now)
        byte_is_received(m, d, now);
    if (s->timeout_due <= now) {
        s->timeout_due = NEVER;
        nrf_event(m, d, RXTO);
    }
    plan(m, d);
}

static void uarte_heard(Machine *m, Device *d) {
    listen(m, d, m->status.cycles);
    plan(m, d);
}

static void task(Machine *m, Device *d, uint32_t offset) {
    uint64_t now = m->status.cycles;
    switch (offset) {
    case STARTTX:
        start_transmitter(m, d, now);
        break;
    case STOPTX:
        stop_transmitter(m, d);
        break;
    case STARTRX:
        start_receiver(m, d);
        store(m, d, now);
        listen(m, d, now);
        break;
    case STOPRX:
        stop_receiver(m, d, now);
        break;
    case SUSPEND:
        stop_receiver(m, d, now);
        stop_transmitter(m, d);
        break;
    case FLUSHRX:
        if (is(d, ENABLED_UARTE))
            flush_receiver(m, d, now);
        break;
    default:
        break;
    }
}

static void silence(Device *d) {
    State *s = d->state;
    *s = (State){.sent_due = NEVER, .received_due = NEVER, .timeout_due = NEVER};
}

/* Only what the host sends can end this poll: the core sleeps until it does. */
static bool waits_for_host(Device *d, uint32_t offset) {
    const State *s = d->state;
    bool of_receiver = offset == RXDRDY || offset == ENDRX;
    return of_receiver && !*nrf_word(d, offset) && s->receives && s->received_due == NEVER &&
           s->sent_due == NEVER;
}

static uint32_t uarte_read(Machine *m, Device *d, uint32_t offset) {
    if (offset == RXD)
        return read_data(m, d);
    if (d == m->console && waits_for_host(d, offset) && serial_waits_for_host(m))
        uarte_heard(m, d);
    return nrf_read(m, d, offset);
}

static void uarte_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (nrf_is_task(offset)) {
        if (value & 1 && *nrf_word(d, ENABLE))
            task(m, d, offset);
    } else if (offset == TXD) {
        write_data(m, d, (uint8_t)value);
    } else if (offset == ERRORSRC) {
        *nrf_word(d, ERRORSRC) &= ~value;
    } else if (offset == ENABLE) {
        if (value != *nrf_word(d, ENABLE))
            silence(d);
        *nrf_word(d, ENABLE) = value & 15;
    } else if (!nrf_write(m, d, offset, value) && offset != RXD && offset != RXD_AMOUNT &&
               offset != TXD_AMOUNT) {
        *nrf_word(d, offset) = value;
    }
    plan(m, d);
}

static void uarte_reset(Machine *m, Device *d) {
    silence(d);
    for (uint32_t pin = 0x508; pin <= PSEL_RXD; pin += 4)
        *nrf_word(d, pin) = 0xFFFFFFFF;
    *nrf_word(d, BAUDRATE) = 0x04000000;
    if (d == m->console) {
        m->received.count = 0;
        m->polls = 0;
    }
}

static bool uarte_on(const Device *d) { return d->words[ENABLE / 4] != 0; }

const DeviceModel device_nrf_uarte = {
    .name = "nrf-uarte",
    .state_bytes = sizeof(State),
    .reset = uarte_reset,
    .read = uarte_read,
    .write = uarte_write,
    .advance = uarte_advance,
    .on = uarte_on,
    .heard = uarte_heard,
};
