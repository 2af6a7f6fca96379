/* nRF52840 GPIO: both ports, in one block. Nothing is wired to a pin but its own driver and pull
 * resistor; an input that nobody drives reads its pull, low without one. */
#include "nrf.h"

enum {
    OUT = 0x504,
    OUTSET = 0x508,
    OUTCLR = 0x50C,
    IN = 0x510,
    DIR = 0x514,
    DIRSET = 0x518,
    DIRCLR = 0x51C,
    LATCH = 0x520,
    DETECTMODE = 0x524,
    PIN_CNF = 0x700,
    PORT_BYTES = 0x300,
};
enum { PINS_A_PORT = 32, PINS = 48 };
enum { CNF_OUTPUT = 1, CNF_NO_INPUT = 2, CNF_PULL_UP = 3, CNF_SENSE_HIGH = 2, CNF_SENSE_LOW = 3 };

typedef struct {
    NrfPolls polls;
    uint32_t levels[2]; /* of the pins, as last seen */
    bool detected;
} State;

static uint32_t *port_word(Device *d, uint32_t port, uint32_t offset) {
    return nrf_word(d, port * PORT_BYTES + offset);
}

static uint32_t configuration(Device *d, uint32_t pin) {
    return *port_word(d, pin / PINS_A_PORT, PIN_CNF + 4 * (pin % PINS_A_PORT));
}

static bool level_of(Device *d, uint32_t pin) {
    uint32_t cnf = configuration(d, pin);
    if (cnf & CNF_OUTPUT)
        return *port_word(d, pin / PINS_A_PORT, OUT) >> (pin % PINS_A_PORT) & 1;
    return (cnf >> 2 & 3) == CNF_PULL_UP;
}

/* Who listens hears what has changed. LATCH holds what SENSE looks for; DETECT is their sum. */
static void settle(Machine *m, Device *d) {
    State *s = d->state;
    bool detects = false;
    for (uint32_t pin = 0; pin < PINS; pin++) {
        uint32_t port = pin / PINS_A_PORT, bit = 1u << pin % PINS_A_PORT;
        bool level = level_of(d, pin);
        uint32_t cnf = configuration(d, pin), sense = cnf >> 16 & 3;
        bool found = sense == CNF_SENSE_HIGH ? level : sense == CNF_SENSE_LOW && !level;
        if (found && !(cnf & CNF_NO_INPUT)) {
            *port_word(d, port, LATCH) |= bit;
            detects |= !*port_word(d, port, DETECTMODE);
        }
        detects |= *port_word(d, port, DETECTMODE) && *port_word(d, port, LATCH) & bit;
        if (level != !!(s->levels[port] & bit)) {
            s->levels[port] ^= bit;
            nrf_pin_changed(m, pin, level);
        }
    }
    if (detects && !s->detected)
        nrf_detect(m);
    s->detected = detects;
}

bool nrf_pin(Machine *m, uint32_t pin) { return level_of(find_device(m, "nrf-gpio"), pin); }

void nrf_drive_pin(Machine *m, uint32_t pin, bool level) {
    Device *d = find_device(m, "nrf-gpio");
    uint32_t port = pin / PINS_A_PORT, bit = 1u << pin % PINS_A_PORT;
    uint32_t *out = port_word(d, port, OUT);
    *out = level ? *out | bit : *out & ~bit;
    *port_word(d, port, PIN_CNF + 4 * (pin % PINS_A_PORT)) |= CNF_OUTPUT;
    settle(m, d);
}

static uint32_t inputs(Device *d, uint32_t port) {
    uint32_t word = 0;
    for (uint32_t pin = port * PINS_A_PORT; pin < PINS && pin < (port + 1) * PINS_A_PORT; pin++)
        if (!(configuration(d, pin) & CNF_NO_INPUT) && level_of(d, pin))
            word |= 1u << pin % PINS_A_PORT;
    return word;
}

/* DIR is the lowest bit of every pin's configuration. */
static uint32_t directions(Device *d, uint32_t port) {
    uint32_t word = 0;
    for (uint32_t pin = 0; pin < PINS_A_PORT; pin++)
        word |= (*port_word(d, port, PIN_CNF + 4 * pin) & CNF_OUTPUT) << pin;
    return word;
}

static void set_directions(Device *d, uint32_t port, uint32_t word) {
    for (uint32_t pin = 0; pin < PINS_A_PORT; pin++) {
        uint32_t *cnf = port_word(d, port, PIN_CNF + 4 * pin);
        *cnf = (*cnf & ~(uint32_t)CNF_OUTPUT) | (word >> pin & 1);
    }
}

/* Port 1's registers lie behind port 0's: OUT at 0x804, its last pin at 0xA7C. */
static uint32_t port_of(uint32_t offset) { return offset >= PIN_CNF + 4 * PINS_A_PORT ? 1 : 0; }

static uint32_t gpio_read(Machine *m, Device *d, uint32_t offset) {
    uint32_t port = port_of(offset);
    (void)m;
    switch (offset - port * PORT_BYTES) {
    case OUTSET:
    case OUTCLR:
        return *port_word(d, port, OUT);
    case IN:
        return inputs(d, port);
    case DIR:
    case DIRSET:
    case DIRCLR:
        return directions(d, port);
    default:
        return *nrf_word(d, offset);
    }
}

static void gpio_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint32_t port = port_of(offset);
    switch (offset - port * PORT_BYTES) {
    case OUTSET:
        *port_word(d, port, OUT) |= value;
        break;
    case OUTCLR:
        *port_word(d, port, OUT) &= ~value;
        break;
    case IN:
        return;
    case DIR:
        set_directions(d, port, value);
        break;
    case DIRSET:
        set_directions(d, port, directions(d, port) | value);
        break;
    case DIRCLR:
        set_directions(d, port, directions(d, port) & ~value);
        break;
    case LATCH:
        *port_word(d, port, LATCH) &= ~value;
        break;
    default:
        *nrf_word(d, offset) = value;
    }
    settle(m, d);
}

static void gpio_reset(Machine *m, Device *d) {
    (void)m;
    for (uint32_t pin = 0; pin < PINS; pin++)
        *port_word(d, pin / PINS_A_PORT, PIN_CNF + 4 * (pin % PINS_A_PORT)) = CNF_NO_INPUT;
}

const DeviceModel device_nrf_gpio = {
    .name = "nrf-gpio",
    .state_bytes = sizeof(State),
    .reset = gpio_reset,
    .read = gpio_read,
    .write = gpio_write,
};
