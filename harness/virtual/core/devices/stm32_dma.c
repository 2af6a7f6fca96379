/* STM32 DMA controllers. F4: RM0402, 9, streams; L4: RM0351, 11, channels. A stream is served at
 * its peripheral's request; which request is wired to it (CHSEL, CSELR, DMAMUX) is not asked: the
 * register that it points at says which peripheral it serves. Memory to memory is done at once. */
#include "stm32.h"
#include <string.h>

enum { STREAMS = 8 };

/* Where a family keeps what a stream is set up with. */
typedef struct {
    uint32_t streams, first, stride; /* of the registers, bytes */
    uint32_t count, peripheral, memory;
    uint32_t status[2], clear[2];
} Layout;

static const Layout f4_layout = {8, 0x10, 0x18, 0x04, 0x08, 0x0C, {0x00, 0x04}, {0x08, 0x0C}};
static const Layout l4_layout = {7, 0x08, 0x14, 0x04, 0x08, 0x0C, {0x00, 0x00}, {0x04, 0x04}};

typedef struct {
    uint32_t count[STREAMS]; /* NDTR as written: what a circular stream starts again with */
} DmaState;

/* A stream's control register in either family's words. */
typedef struct {
    bool on, to_peripheral, between_memories, circular;
    bool whole_interrupts, half_interrupts;
    bool peripheral_moves, memory_moves;
    uint32_t peripheral_bytes, memory_bytes;
} Stream;

extern const DeviceModel device_stm32f4_dma;

static bool is_f4(const Device *d) { return d->model == &device_stm32f4_dma; }
static const Layout *layout_of(const Device *d) { return is_f4(d) ? &f4_layout : &l4_layout; }

static uint32_t *stream_word(const Device *d, uint32_t stream, uint32_t offset) {
    const Layout *l = layout_of(d);
    return &d->words[(l->first + stream * l->stride + offset) / 4];
}

/* PSIZE, MSIZE: the fourth is reserved, and moves words here. */
static uint32_t width(uint32_t field) { return 1u << ((field & 3) > 2 ? 2 : field & 3); }

static Stream stream_of(const Device *d, uint32_t index) {
    uint32_t cr = *stream_word(d, index, 0);
    if (is_f4(d))
        return (Stream){cr & 1,          (cr >> 6 & 3) == 1, (cr >> 6 & 3) == 2, cr >> 8 & 1,
                        cr >> 4 & 1,     cr >> 3 & 1,        cr >> 9 & 1,        cr >> 10 & 1,
                        width(cr >> 11), width(cr >> 13)};
    return (Stream){cr & 1,      cr >> 4 & 1, cr >> 14 & 1, cr >> 5 & 1,    cr >> 1 & 1,
                    cr >> 2 & 1, cr >> 6 & 1, cr >> 7 & 1,  width(cr >> 8), width(cr >> 10)};
}

/* Flags of a stream: where they lie, and which of them say whole and half. */
static uint32_t flag_shift(const Device *d, uint32_t index) {
    static const uint8_t f4[4] = {0, 6, 16, 22};
    return is_f4(d) ? f4[index % 4] : 4 * index;
}

static uint32_t *flags_of(const Device *d, uint32_t index) {
    return &d->words[layout_of(d)->status[is_f4(d) ? index / 4 : 0] / 4];
}

enum { F4_HALF = 1u << 4, F4_WHOLE = 1u << 5 };
enum { L4_ANY = 1u << 0, L4_WHOLE = 1u << 1, L4_HALF = 1u << 2, L4_ALL = 0xF };

static void update_interrupt(Machine *m, Device *d, uint32_t index) {
    Stream s = stream_of(d, index);
    uint32_t flags = *flags_of(d, index) >> flag_shift(d, index);
    bool whole = flags & (is_f4(d) ? F4_WHOLE : L4_WHOLE);
    bool half = flags & (is_f4(d) ? F4_HALF : L4_HALF);
    set_interrupt(m, d->irqs[index], (whole && s.whole_interrupts) || (half && s.half_interrupts));
}

static void raise_flag(Machine *m, Device *d, uint32_t index, bool whole) {
    uint32_t flag = is_f4(d) ? (whole ? F4_WHOLE : F4_HALF) : L4_ANY | (whole ? L4_WHOLE : L4_HALF);
    *flags_of(d, index) |= flag << flag_shift(d, index);
    update_interrupt(m, d, index);
}

static uint32_t bus_load(Machine *m, uint32_t address, uint32_t bytes) {
    const uint8_t *at = memory_at(m, address, bytes, false);
    uint32_t value = 0;
    if (at)
        memcpy(&value, at, bytes);
    else if (device_exists(m, address))
        value = (uint32_t)device_read(m->uc, address - PERIPHERAL_BASE, bytes, m);
    return value;
}

static void bus_store(Machine *m, uint32_t address, uint32_t bytes, uint32_t value) {
    uint8_t *at = memory_at(m, address, bytes, true);
    if (at)
        memcpy(at, &value, bytes);
    else if (device_exists(m, address))
        device_write(m->uc, address - PERIPHERAL_BASE, bytes, value, m);
}

/* One item; the pointers that move are derived from what is left. */
static void move_item(Machine *m, Device *d, uint32_t index) {
    const Layout *l = layout_of(d);
    DmaState *state = d->state;
    Stream s = stream_of(d, index);
    uint32_t *left = stream_word(d, index, l->count), done = state->count[index] - *left;
    uint32_t peripheral = *stream_word(d, index, l->peripheral);
    uint32_t memory =
        *stream_word(d, index, l->memory) + (s.memory_moves ? done * s.memory_bytes : 0);
    peripheral += s.peripheral_moves ? done * s.peripheral_bytes : 0;
    /* RM0402, 9.3.5: between memories the peripheral's side is the source; so it is in the L4 with
     * DIR 0. */
    if (s.to_peripheral)
        bus_store(m, peripheral, s.peripheral_bytes, bus_load(m, memory, s.memory_bytes));
    else
        bus_store(m, memory, s.memory_bytes, bus_load(m, peripheral, s.peripheral_bytes));
    *left -= 1;
    if (*left == state->count[index] / 2)
        raise_flag(m, d, index, false);
    if (*left)
        return;
    raise_flag(m, d, index, true);
    if (s.circular)
        *left = state->count[index];
    else if (is_f4(d))
        *stream_word(d, index, 0) &= ~1u; /* the L4 leaves EN set */
}

static bool dma_transfer(Machine *m, Device *d, uint32_t address, bool to_peripheral) {
    const Layout *l = layout_of(d);
    for (uint32_t i = 0; i < l->streams; i++) {
        Stream s = stream_of(d, i);
        if (s.on && !s.between_memories && s.to_peripheral == to_peripheral &&
            *stream_word(d, i, l->peripheral) == address && *stream_word(d, i, l->count)) {
            move_item(m, d, i);
            return true;
        }
    }
    return false;
}

static void start(Machine *m, Device *d, uint32_t index) {
    const Layout *l = layout_of(d);
    DmaState *state = d->state;
    uint32_t *left = stream_word(d, index, l->count);
    state->count[index] = *left;
    if (stream_of(d, index).between_memories) {
        while (*left && (*stream_word(d, index, 0) & 1))
            move_item(m, d, index);
        return;
    }
    Device *peripheral = device_holding(m, *stream_word(d, index, l->peripheral));
    if (peripheral && peripheral->model->advance) /* its request may be waiting */
        peripheral->model->advance(m, peripheral, m->status.cycles);
}

static void write_stream(Machine *m, Device *d, uint32_t index, uint32_t offset, uint32_t value) {
    uint32_t *word = stream_word(d, index, offset), *control = stream_word(d, index, 0);
    bool was_on = *control & 1;
    if (offset == layout_of(d)->count) {
        if (!was_on)
            *word = value & 0xFFFF;
        return;
    }
    *word = value;
    if (offset)
        return;
    if ((value & 1) && !was_on)
        start(m, d, index);
    update_interrupt(m, d, index);
}

static void clear_flags(Machine *m, Device *d, uint32_t which, uint32_t value) {
    const Layout *l = layout_of(d);
    if (!is_f4(d)) /* CGIF clears all of a channel */
        for (uint32_t i = 0; i < l->streams; i++)
            if (value >> (4 * i) & L4_ANY)
                value |= (uint32_t)L4_ALL << (4 * i);
    d->words[l->status[which] / 4] &= ~value;
    for (uint32_t i = 0; !is_f4(d) && i < l->streams; i++) /* GIF follows the others */
        if (!(d->words[0] >> (4 * i) & (L4_ALL & ~L4_ANY)))
            d->words[0] &= ~((uint32_t)L4_ANY << (4 * i));
    for (uint32_t i = 0; i < l->streams; i++)
        update_interrupt(m, d, i);
}

static void dma_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    const Layout *l = layout_of(d);
    uint32_t streams_end = l->first + l->streams * l->stride;
    if (offset == l->clear[0] || offset == l->clear[1])
        clear_flags(m, d, offset == l->clear[0] ? 0 : 1, value);
    else if (offset >= l->first && offset < streams_end)
        write_stream(m, d, (offset - l->first) / l->stride, (offset - l->first) % l->stride, value);
    else if (offset != l->status[0] && offset != l->status[1])
        d->words[offset / 4] = value; /* CSELR */
}

const DeviceModel device_stm32f4_dma = {
    .name = "stm32f4-dma",
    .state_bytes = sizeof(DmaState),
    .write = dma_write,
    .transfer = dma_transfer,
};

const DeviceModel device_stm32l4_dma = {
    .name = "stm32l4-dma",
    .state_bytes = sizeof(DmaState),
    .write = dma_write,
    .transfer = dma_transfer,
};
