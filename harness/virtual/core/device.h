/* What is a peripheral block to the machine? A model from devices/, an address, a line to the NVIC.
 * Everything a device remembers lies in `words` and `state`, flat and without pointers, so that a
 * board is copied by copying memory. */
#ifndef HILNAS_VIRTUAL_DEVICE_H
#define HILNAS_VIRTUAL_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Machine;
typedef struct Device Device;

#define NEVER UINT64_MAX
#define NO_INTERRUPT (-1)
#define DEVICE_IRQS 24

typedef enum {
    CLOCK_AHB,
    CLOCK_APB1,
    CLOCK_APB2,
    CLOCK_LOW,
    CLOCK_APB1_TIMERS, /* twice the bus where its divider is not 1 */
    CLOCK_APB2_TIMERS,
    CLOCKS,
} Clock;

/* What a chip file says of one block; harness/virtual/core.py mirrors it. */
typedef struct {
    const char *model; /* DeviceModel.name */
    const char *name;  /* the reference manual's: USART3 */
    uint32_t base, size;
    int32_t irqs[DEVICE_IRQS]; /* interrupt lines in the model's order, or NO_INTERRUPT */
    uint32_t clock;            /* Clock: what its counters run on */
    uint32_t bits;             /* width of its counter or data, where a model has several */
} DevicePart;

typedef struct {
    const char *name;
    size_t state_bytes;
    /* A narrow write hands over a word whose other bytes are 0, not what was stored there: for data
     * and trigger registers. */
    bool narrow_is_whole;
    /* Some of its registers outlive a reset: reset() clears the others, by m->reset_cause. */
    bool keeps_registers;
    bool state_survives; /* resets: cleared with the power only */
    /* Any may be NULL. Offsets are of whole words. `words` holds what was written before, and is
     * what a read without a model answers; a model's write() stores what is to be kept. */
    void (*reset)(struct Machine *m, Device *d);
    uint32_t (*read)(struct Machine *m, Device *d, uint32_t offset);
    void (*write)(struct Machine *m, Device *d, uint32_t offset, uint32_t value);
    /* Virtual time has reached `due`; sets the next one. */
    void (*advance)(struct Machine *m, Device *d, uint64_t now);
    /* Of a UART: its transmitter or its receiver is on. */
    bool (*on)(const Device *d);
    /* The console's host has sent: bytes wait for serial_take(). */
    void (*heard)(struct Machine *m, Device *d);
    /* One transfer between memory and the peripheral's register at `address`: false where no stream
     * or channel is set up for it. */
    bool (*transfer)(struct Machine *m, Device *d, uint32_t address, bool to_peripheral);
    /* Stores into flash, of the device that controls it: true when done or refused by a flag, false
     * when the bus answers with an error. */
    bool (*program)(struct Machine *m, Device *d, uint32_t address, uint32_t bytes, uint64_t value);
} DeviceModel;

struct Device {
    const DeviceModel *model;
    char name[16];
    uint32_t base, size;
    int32_t irq; /* irqs[0] */
    int32_t irqs[DEVICE_IRQS];
    Clock clock;
    uint32_t bits;
    uint32_t said;   /* bytes that a UART has sent since the board was erased */
    uint64_t due;    /* cycle count at which advance() is to be called; NEVER */
    uint32_t *words; /* size / 4 */
    void *state;
};

/* device.c */
const char *add_device(struct Machine *m, const DevicePart *part);
Device *find_device(struct Machine *m, const char *model); /* the first of that model, or NULL */
void reset_devices(struct Machine *m);
void advance_devices(struct Machine *m, uint64_t now);
uint64_t next_device_event(const struct Machine *m);
bool device_exists(const struct Machine *m, uint32_t address);
Device *device_holding(struct Machine *m, uint32_t address); /* that the chip lists, or NULL */
uint64_t device_read(void *uc, uint64_t offset, unsigned size, void *machine);
void device_write(void *uc, uint64_t offset, unsigned size, uint64_t value, void *machine);
uint32_t device_word(struct Machine *m, uint32_t address);
void device_word_write(struct Machine *m, uint32_t address, uint32_t value);

/* advance() is to be called at that cycle count, or NEVER. */
void schedule(struct Machine *m, Device *d, uint64_t due);

/* A peripheral's request to whichever DMA controller serves its register at `address`. */
bool serve_by_dma(struct Machine *m, uint32_t address, bool to_peripheral);

/* The firmware reads a flag of `d` that only time will change, at `until`. Where it does nothing
 * else, time goes there at once, but not past anything else that is due. */
bool polls_densely(struct Machine *m, const Device *d);
void poll_until(struct Machine *m, const Device *d, uint64_t until);

/* Set or clear the level of an interrupt line; the NVIC pends while it is set. */
void set_interrupt(struct Machine *m, int irq, bool level);

/* Cycles of the core that one tick of the device's clock takes, set by the clock tree's model. */
uint32_t cycles_per_tick(const struct Machine *m, const Device *d);

/* Narrow accesses see and change a part of the word. */
static inline uint64_t part_of(uint32_t word, uint64_t offset, unsigned size) {
    return size >= 4 ? word : word >> (8 * (offset & 3)) & ((1u << (8 * size)) - 1);
}

static inline uint32_t merged(uint32_t word, uint64_t offset, unsigned size, uint64_t value) {
    if (size >= 4)
        return (uint32_t)value;
    uint32_t mask = ((1u << (8 * size)) - 1) << (8 * (offset & 3));
    return (word & ~mask) | ((uint32_t)value << (8 * (offset & 3)) & mask);
}

#endif
