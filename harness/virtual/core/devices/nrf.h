/* What do the nRF52's peripherals have in common? Tasks, events, shorts and interrupts at the same
 * offsets in each (nRF52840 product specification, "Peripheral interface"), and PPI between them.
 */
#ifndef HILNAS_VIRTUAL_NRF_H
#define HILNAS_VIRTUAL_NRF_H

#include "../machine.h"

enum {
    NRF_EVENTS = 0x100, /* below: tasks */
    NRF_EVENTS_END = 0x180,
    NRF_SHORTS = 0x200,
    NRF_INTEN = 0x300,
    NRF_INTENSET = 0x304,
    NRF_INTENCLR = 0x308,
};

/* HCLK is 64 MHz whatever its source; the low-frequency clock ticks 32768 times a second. */
#define NRF_HZ 64000000u
#define NRF_MICROSECOND (NRF_HZ / 1000000u)
#define NRF_NOT_CONNECTED (1u << 31) /* of a PSEL register */

/* The state of every model here starts with it. */
typedef struct {
    uint64_t last;
    uint32_t count;
} NrfPolls;

static inline uint32_t *nrf_word(Device *d, uint32_t offset) { return &d->words[offset / 4]; }

static inline bool nrf_is_task(uint32_t offset) { return offset < NRF_EVENTS; }

static inline uint64_t nrf_sooner(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* The event register at `offset` is set; what PPI connects with it happens. */
void nrf_event(Machine *m, Device *d, uint32_t offset);

/* Reads of what all have in common, and of registers that only remember. An event that is polled
 * while the device waits for nothing but time is what nrf_poll() is for. */
uint32_t nrf_read(Machine *m, Device *d, uint32_t offset);

/* True where the write was to events or interrupt enables, and is done. */
bool nrf_write(Machine *m, Device *d, uint32_t offset, uint32_t value);

/* Firmware that does nothing but look again and again need not be emulated doing so: virtual time
 * goes on to what the device has due. */
void nrf_poll(Machine *m, Device *d);

/* What the device waits for has changed by another's doing: its advance() is called soon, and must
 * bear being called before anything is due. */
void nrf_plan_anew(Machine *m, Device *d);

/* nrf_clock.c: ticks of the low-frequency clock since it was started, 0 while it is stopped, and
 * the cycle at which one comes. */
uint64_t nrf_low_ticks(Machine *m, uint64_t now);
uint64_t nrf_low_tick_at(Machine *m, uint64_t tick);

/* nrf_ppi.c */
void nrf_ppi_event(Machine *m, uint32_t address);
bool nrf_ppi_in_use(Machine *m);

/* nrf_gpio.c: pins are numbered as PSEL does, port 1 from 32. */
bool nrf_pin(Machine *m, uint32_t pin);
void nrf_drive_pin(Machine *m, uint32_t pin, bool level);

/* nrf_gpiote.c */
void nrf_pin_changed(Machine *m, uint32_t pin, bool level);
void nrf_detect(Machine *m);

#endif
