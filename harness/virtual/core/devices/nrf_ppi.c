/* nRF52840 programmable peripheral interconnect: 20 channels of the firmware's, 12 that are wired
 * already, 6 groups. */
#include "nrf.h"

enum { CHEN = 0x500, CHENSET = 0x504, CHENCLR = 0x508, CH = 0x510, CHG = 0x800, FORK = 0x910 };
enum { FREE_CHANNELS = 20, CHANNELS = 32, GROUPS = 6 };
enum { LONGEST_CHAIN = 16, MOST_TASKS = 256 }; /* of one event: channels may lead in circles */

typedef struct {
    NrfPolls polls;
    uint32_t depth, tasks; /* of the event at work */
} State;

/* Channels 20 to 31: event end point, task end point ("Pre-programmed channels"). */
static const struct {
    uint32_t event, task;
} wired[CHANNELS - FREE_CHANNELS] = {
    {0x40008140, 0x40001004}, /* TIMER0 COMPARE[0], RADIO TXEN */
    {0x40008140, 0x40001000}, /* TIMER0 COMPARE[0], RADIO RXEN */
    {0x40008144, 0x40001010}, /* TIMER0 COMPARE[1], RADIO DISABLE */
    {0x40001128, 0x4000F000}, /* RADIO BCMATCH, AAR START */
    {0x40001100, 0x4000F000}, /* RADIO READY, CCM KSGEN */
    {0x40001104, 0x4000F004}, /* RADIO ADDRESS, CCM CRYPT */
    {0x40001104, 0x40008044}, /* RADIO ADDRESS, TIMER0 CAPTURE[1] */
    {0x4000110C, 0x40008048}, /* RADIO END, TIMER0 CAPTURE[2] */
    {0x4000B140, 0x40001004}, /* RTC0 COMPARE[0], RADIO TXEN */
    {0x4000B140, 0x40001000}, /* RTC0 COMPARE[0], RADIO RXEN */
    {0x4000B140, 0x4000800C}, /* RTC0 COMPARE[0], TIMER0 CLEAR */
    {0x4000B140, 0x40008000}, /* RTC0 COMPARE[0], TIMER0 START */
};

static uint32_t event_of(Device *d, uint32_t channel) {
    return channel < FREE_CHANNELS ? *nrf_word(d, CH + 8 * channel)
                                   : wired[channel - FREE_CHANNELS].event;
}

static uint32_t task_of(Device *d, uint32_t channel) {
    return channel < FREE_CHANNELS ? *nrf_word(d, CH + 8 * channel + 4)
                                   : wired[channel - FREE_CHANNELS].task;
}

static void trigger(Machine *m, uint32_t task) {
    if (task && device_exists(m, task))
        device_word_write(m, task & ~3u, 1);
}

void nrf_ppi_event(Machine *m, uint32_t address) {
    Device *d = find_device(m, "nrf-ppi");
    if (!d)
        return;
    State *s = d->state;
    if (s->depth == LONGEST_CHAIN)
        return;
    if (!s->depth)
        s->tasks = 0;
    s->depth += 1;
    uint32_t enabled = *nrf_word(d, CHEN);
    for (; enabled && s->tasks < MOST_TASKS; enabled &= enabled - 1) {
        uint32_t channel = (uint32_t)__builtin_ctz(enabled);
        if (event_of(d, channel) != address)
            continue;
        s->tasks += 1;
        trigger(m, task_of(d, channel));
        trigger(m, *nrf_word(d, FORK + 4 * channel));
    }
    s->depth -= 1;
}

bool nrf_ppi_in_use(Machine *m) {
    Device *d = find_device(m, "nrf-ppi");
    return d && *nrf_word(d, CHEN);
}

static void enable(Machine *m, Device *d, uint32_t channels) {
    *nrf_word(d, CHEN) = channels;
    for (uint32_t i = 0; i < m->device_count; i++) /* events are wanted that nobody had asked for */
        nrf_plan_anew(m, &m->devices[i]);
}

static uint32_t ppi_read(Machine *m, Device *d, uint32_t offset) {
    (void)m;
    if (nrf_is_task(offset))
        return 0;
    return *nrf_word(d, offset == CHENSET || offset == CHENCLR ? CHEN : offset);
}

static void ppi_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    uint32_t enabled = *nrf_word(d, CHEN), group = offset / 8;
    if (nrf_is_task(offset)) {
        if (group >= GROUPS || !(value & 1))
            return;
        uint32_t channels = *nrf_word(d, CHG + 4 * group);
        enable(m, d, offset & 4 ? enabled & ~channels : enabled | channels);
    } else if (offset == CHEN) {
        enable(m, d, value);
    } else if (offset == CHENSET) {
        enable(m, d, enabled | value);
    } else if (offset == CHENCLR) {
        enable(m, d, enabled & ~value);
    } else {
        *nrf_word(d, offset) = value;
    }
}

const DeviceModel device_nrf_ppi = {
    .name = "nrf-ppi",
    .state_bytes = sizeof(State),
    .read = ppi_read,
    .write = ppi_write,
};
