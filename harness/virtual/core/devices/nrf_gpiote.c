/* nRF52840 GPIOTE: eight channels that turn a pin's changes into events, or tasks into a pin's
 * level; and the event that a port's DETECT makes. */
#include "nrf.h"

enum { OUT = 0x000, SET = 0x030, CLR = 0x060, IN = 0x100, PORT = 0x17C, CONFIG = 0x510 };
enum { CHANNELS = 8, MODE_EVENT = 1, MODE_TASK = 3 };
enum { RISES = 1, FALLS = 2, TOGGLES = 3 };

static uint32_t mode(uint32_t config) { return config & 3; }
static uint32_t pin_of(uint32_t config) { return config >> 8 & 63; }
static uint32_t polarity(uint32_t config) { return config >> 16 & 3; }

void nrf_pin_changed(Machine *m, uint32_t pin, bool level) {
    Device *d = find_device(m, "nrf-gpiote");
    for (uint32_t i = 0; d && i < CHANNELS; i++) {
        uint32_t config = *nrf_word(d, CONFIG + 4 * i);
        if (mode(config) == MODE_EVENT && pin_of(config) == pin &&
            polarity(config) & (level ? RISES : FALLS))
            nrf_event(m, d, IN + 4 * i);
    }
}

void nrf_detect(Machine *m) {
    Device *d = find_device(m, "nrf-gpiote");
    if (d)
        nrf_event(m, d, PORT);
}

static void task(Machine *m, Device *d, uint32_t offset) {
    uint32_t kind = offset / SET * SET, channel = (offset - kind) / 4;
    if (channel >= CHANNELS)
        return;
    uint32_t config = *nrf_word(d, CONFIG + 4 * channel);
    if (mode(config) != MODE_TASK)
        return;
    if (kind != OUT)
        nrf_drive_pin(m, pin_of(config), kind == SET);
    else if (polarity(config) == TOGGLES)
        nrf_drive_pin(m, pin_of(config), !nrf_pin(m, pin_of(config)));
    else if (polarity(config))
        nrf_drive_pin(m, pin_of(config), polarity(config) == RISES);
}

static void gpiote_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    if (nrf_is_task(offset)) {
        if (value & 1)
            task(m, d, offset);
    } else if (!nrf_write(m, d, offset, value)) {
        *nrf_word(d, offset) = value;
        if (offset >= CONFIG && offset < CONFIG + 4 * CHANNELS && mode(value) == MODE_TASK)
            nrf_drive_pin(m, pin_of(value), value >> 20 & 1);
    }
}

const DeviceModel device_nrf_gpiote = {
    .name = "nrf-gpiote",
    .state_bytes = sizeof(NrfPolls),
    .read = nrf_read,
    .write = gpiote_write,
};
