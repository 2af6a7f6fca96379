/* Which device answers at an address, and when does one want to act? */
#include "machine.h"
#include <stdio.h>
#include <string.h>

extern const DeviceModel device_storage, device_gpio, device_stm32_usart_v1, device_stm32_usart_v2,
    device_stm32_lpuart, device_stm32f4_rcc, device_stm32l4_rcc, device_stm32f4_pwr,
    device_stm32l4_pwr, device_stm32f4_flash, device_stm32l4_flash, device_stm32l4plus_flash,
    device_stm32_timer, device_stm32_iwdg, device_stm32_wwdg, device_stm32f4_crc,
    device_stm32l4_crc, device_stm32_rng, device_stm32_rtc, device_stm32_otg, device_stm32_exti,
    device_stm32f4_dma, device_stm32l4_dma, device_nrf_clock, device_nrf_egu, device_nrf_gpio,
    device_nrf_gpiote, device_nrf_nvmc, device_nrf_ppi, device_nrf_rng, device_nrf_rtc,
    device_nrf_saadc, device_nrf_storage, device_nrf_temp, device_nrf_timer, device_nrf_uarte,
    device_nrf_wdt, device_stm32f4_adc, device_stm32f405_adc, device_stm32l4_adc;

static const DeviceModel *const models[] = {
    &device_storage,      &device_gpio,          &device_stm32_usart_v1, &device_stm32_usart_v2,
    &device_stm32_lpuart, &device_stm32f4_rcc,   &device_stm32l4_rcc,    &device_stm32f4_pwr,
    &device_stm32l4_pwr,  &device_stm32f4_flash, &device_stm32l4_flash,  &device_stm32l4plus_flash,
    &device_stm32_timer,  &device_stm32_iwdg,    &device_stm32_wwdg,     &device_stm32f4_crc,
    &device_stm32l4_crc,  &device_stm32_rng,     &device_stm32_rtc,      &device_stm32_otg,
    &device_stm32_exti,   &device_stm32f4_dma,   &device_stm32l4_dma,    &device_nrf_clock,
    &device_nrf_egu,      &device_nrf_gpio,      &device_nrf_gpiote,     &device_nrf_nvmc,
    &device_nrf_ppi,      &device_nrf_rng,       &device_nrf_rtc,        &device_nrf_storage,
    &device_nrf_temp,     &device_nrf_timer,     &device_nrf_uarte,      &device_nrf_wdt,
    &device_nrf_saadc,    &device_stm32f4_adc,   &device_stm32f405_adc,  &device_stm32l4_adc,
};

/* A block nobody models: the chip file does not list it. */
static const DeviceModel device_unmodelled = {.name = "unmodelled"};

enum { SLOT_BITS = 10, NO_DEVICE = 0 };
#define SLOT_BYTES (1u << SLOT_BITS)
#define VENDOR_BASE 0xE0042000u /* the private bus behind the core's own blocks */
#define VENDOR_BYTES 0xBD000u
#define BIT_BAND_BASE 0x42000000u
#define BIT_BAND_BYTES 0x02000000u

static bool in_slots(uint32_t address) { return address - PERIPHERAL_BASE < PERIPHERAL_BYTES; }

static uint8_t *slot_of(const Machine *m, uint32_t address) {
    return &((Machine *)m)->device_at[(address - PERIPHERAL_BASE) >> SLOT_BITS];
}

static void *take_room(Machine *m, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (m->device_room_used + bytes > DEVICE_ROOM)
        return NULL;
    void *room = m->device_room + m->device_room_used;
    m->device_room_used += bytes;
    return room;
}

static Device *new_device(Machine *m, const DeviceModel *model, const DevicePart *part) {
    if (m->device_count == MAX_DEVICES)
        return NULL;
    Device *d = &m->devices[m->device_count];
    *d = (Device){.model = model,
                  .base = part->base,
                  .size = part->size,
                  .irq = part->irqs[0],
                  .clock = (Clock)part->clock,
                  .bits = part->bits,
                  .due = NEVER};
    memcpy(d->irqs, part->irqs, sizeof d->irqs);
    snprintf(d->name, sizeof d->name, "%s", part->name);
    d->words = take_room(m, part->size);
    d->state = model->state_bytes ? take_room(m, model->state_bytes) : NULL;
    if (!d->words || (model->state_bytes && !d->state))
        return NULL;
    m->device_count += 1;
    for (uint32_t at = part->base; in_slots(at) && at < part->base + part->size; at += SLOT_BYTES)
        *slot_of(m, at) = (uint8_t)m->device_count;
    return d;
}

/* NULL, or why the part cannot be had. */
const char *add_device(Machine *m, const DevicePart *part) {
    const DeviceModel *model = NULL;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(models[i]->name, part->model))
            model = models[i];
    if (!model)
        return "no such device model";
    uint32_t last = part->base + part->size - 1;
    bool vendors = part->base - VENDOR_BASE < VENDOR_BYTES && last - VENDOR_BASE < VENDOR_BYTES;
    bool outer = part->base - OUTER_BASE < OUTER_BYTES && last - OUTER_BASE < OUTER_BYTES;
    if (part->base % SLOT_BYTES || part->size % SLOT_BYTES || !part->size || last < part->base ||
        !(vendors || outer || (in_slots(part->base) && in_slots(last))))
        return "a device takes whole kilobytes from 0x40000000 to 0x5fffffff, from 0xa0000000 to "
               "0xa000ffff, or of the private bus from 0xe0042000";
    for (uint32_t at = part->base; in_slots(at) && at <= last; at += SLOT_BYTES)
        if (*slot_of(m, at) != NO_DEVICE)
            return "another device is there";
    return new_device(m, model, part) ? NULL : "too many devices";
}

Device *find_device(Machine *m, const char *model) {
    for (uint32_t i = 0; i < m->device_count; i++)
        if (!strcmp(m->devices[i].model->name, model))
            return &m->devices[i];
    return NULL;
}

Device *device_holding(Machine *m, uint32_t address) {
    if (in_slots(address))
        return *slot_of(m, address) ? &m->devices[*slot_of(m, address) - 1] : NULL;
    for (uint32_t i = 0; i < m->device_count; i++)
        if (address - m->devices[i].base < m->devices[i].size)
            return &m->devices[i];
    return NULL;
}

void reset_devices(Machine *m) {
    for (uint32_t i = 0; i < m->device_count; i++) {
        Device *d = &m->devices[i];
        if (!d->model->keeps_registers)
            memset(d->words, 0, d->size);
        if (d->state && (!d->model->state_survives || m->reset_cause == RESET_POWER))
            memset(d->state, 0, d->model->state_bytes);
        d->due = NEVER;
    }
    for (uint32_t i = 0; i < m->preset_count; i++) {
        const Preset *preset = &m->presets[i];
        Device *d = device_holding(m, preset->address);
        d->words[(preset->address - d->base) / 4] = preset->value;
    }
    for (uint32_t i = 0; i < m->device_count; i++)
        if (m->devices[i].model->reset)
            m->devices[i].model->reset(m, &m->devices[i]);
}

void advance_devices(Machine *m, uint64_t now) {
    for (uint32_t i = 0; i < m->device_count; i++)
        if (m->devices[i].due <= now)
            m->devices[i].model->advance(m, &m->devices[i], now);
}

uint64_t next_device_event(const Machine *m) {
    uint64_t next = NEVER;
    for (uint32_t i = 0; i < m->device_count; i++)
        if (m->devices[i].due < next)
            next = m->devices[i].due;
    return next;
}

static bool on_a_bus(const Machine *m, uint32_t address) {
    for (uint32_t i = 0; i < m->bus_count; i++)
        if (address - m->buses[i].base < m->buses[i].size)
            return true;
    return false;
}

bool device_exists(const Machine *m, uint32_t address) {
    if (address - OUTER_BASE < OUTER_BYTES)
        return device_holding((Machine *)m, address) != NULL;
    if (address - PERIPHERAL_BASE >= PERIPHERAL_BYTES)
        return false;
    if (address - BIT_BAND_BASE <
        BIT_BAND_BYTES) /* DDI 0439, 3.7: each bit of the first megabyte */
        return device_exists(m, PERIPHERAL_BASE + (address - BIT_BAND_BASE) / 32);
    return *slot_of(m, address) != NO_DEVICE || on_a_bus(m, address);
}

/* The device at `address`; one without a model is made, and told, at the first access. */
static Device *device_for(Machine *m, uint32_t address) {
    Device *known = device_holding(m, address);
    if (known)
        return known;
    DevicePart part = {.name = "?", .base = address & ~(SLOT_BYTES - 1), .size = SLOT_BYTES};
    for (int i = 0; i < DEVICE_IRQS; i++)
        part.irqs[i] = NO_INTERRUPT;
    notice(m, NOTICE_UNMODELLED, address);
    return new_device(m, &device_unmodelled, &part);
}

uint32_t device_word(Machine *m, uint32_t address) {
    Device *d = device_for(m, address);
    if (!d)
        return 0;
    uint32_t offset = address - d->base;
    return d->model->read ? d->model->read(m, d, offset) : d->words[offset / 4];
}

void device_word_write(Machine *m, uint32_t address, uint32_t value) {
    Device *d = device_for(m, address);
    if (!d)
        return;
    uint32_t offset = address - d->base;
    if (m->polled == d) /* it has done something else than look */
        m->polls = 0;
    if (d->model->write)
        d->model->write(m, d, offset, value);
    else
        d->words[offset / 4] = value;
}

uint64_t device_read(void *uc, uint64_t offset, unsigned size, void *machine) {
    (void)uc;
    uint32_t address = PERIPHERAL_BASE + (uint32_t)offset;
    if (address - BIT_BAND_BASE < BIT_BAND_BYTES) {
        uint32_t bit = (address - BIT_BAND_BASE) / 4, at = PERIPHERAL_BASE + bit / 8;
        return device_word(machine, at & ~3u) >> (bit % 8 + 8 * (at & 3)) & 1;
    }
    return part_of(device_word(machine, address & ~3u), offset, size);
}

void device_write(void *uc, uint64_t offset, unsigned size, uint64_t value, void *machine) {
    (void)uc;
    Machine *m = machine;
    uint32_t address = PERIPHERAL_BASE + (uint32_t)offset;
    if (address - BIT_BAND_BASE < BIT_BAND_BYTES) {
        uint32_t bit = (address - BIT_BAND_BASE) / 4, at = PERIPHERAL_BASE + bit / 8;
        uint32_t mask = 1u << (bit % 8 + 8 * (at & 3)), word = device_word(m, at & ~3u);
        device_word_write(m, at & ~3u, value & 1 ? word | mask : word & ~mask);
        return;
    }
    Device *d = device_for(m, address);
    if (!d)
        return;
    m->access_bytes = size;
    uint32_t rest = d->model->narrow_is_whole ? 0 : d->words[(address - d->base) / 4];
    device_word_write(m, address & ~3u, merged(rest, offset, size, value));
}

bool serve_by_dma(Machine *m, uint32_t address, bool to_peripheral) {
    for (uint32_t i = 0; i < m->device_count; i++) {
        Device *d = &m->devices[i];
        if (d->model->transfer && d->model->transfer(m, d, address, to_peripheral))
            return true;
    }
    return false;
}

/* This many looks, this densely, and the firmware is waiting. */
enum { WAITING_POLLS = 4, DENSE_CYCLES = 2000 };

bool polls_densely(Machine *m, const Device *d) {
    if (m->port.visiting) /* it is the debugger that looks */
        return false;
    uint64_t now = m->status.cycles;
    bool again = m->polled == d && now - m->polled_at < DENSE_CYCLES;
    m->polls = again ? m->polls + 1 : 0;
    m->polled = d;
    m->polled_at = now;
    return m->polls >= WAITING_POLLS;
}

void poll_until(Machine *m, const Device *d, uint64_t until) {
    if (!polls_densely(m, d))
        return;
    uint64_t next = until < m->next_event ? until : m->next_event;
    if (next > m->status.cycles)
        m->polled_at = m->status.cycles = next;
}

void schedule(Machine *m, Device *d, uint64_t due) {
    d->due = due;
    if (due < m->next_event)
        m->next_event = due;
}

uint32_t cycles_per_tick(const Machine *m, const Device *d) { return m->cycles_per_tick[d->clock]; }
