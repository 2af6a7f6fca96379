/* STM32 timers as up-counters of the modelled clock: RM0402, 17 to 19; the same registers in the
 * L4. Pins, slave modes, down-counting and repetition are not played. */
#include "stm32.h"

enum {
    CR1 = 0x00,
    DIER = 0x0C,
    SR = 0x10,
    EGR = 0x14,
    CNT = 0x24,
    PSC = 0x28,
    ARR = 0x2C,
    CCR1 = 0x34,
};
enum {
    CR1_CEN = 1u << 0,
    CR1_UDIS = 1u << 1,
    CR1_URS = 1u << 2,
    CR1_OPM = 1u << 3,
    UPDATE = 1u << 0,
    COMPARES = 0x1E, /* CC1 to CC4, in DIER, SR and EGR */
    CHANNELS = 4,
};

typedef struct {
    uint64_t since; /* cycle count at which the counter came to CNT */
    uint32_t prescaler;
    uint32_t seen; /* flags, when the firmware last looked */
} TimerState;

static uint32_t top(const Device *d) { return d->bits == 32 ? 0xFFFFFFFFu : 0xFFFF; }

static uint64_t step(const Machine *m, const Device *d) {
    const TimerState *state = d->state;
    return (uint64_t)cycles_per_tick(m, d) * (state->prescaler + 1);
}

/* With an ARR of 0 the counter stands still: RM0402, TIMx_ARR. */
static bool counts(const Device *d) { return (d->words[CR1 / 4] & CR1_CEN) && d->words[ARR / 4]; }

/* Where the counter goes back to 0: at the top when ARR has been set below it. */
static uint64_t period(const Device *d) {
    uint32_t arr = d->words[ARR / 4];
    return (uint64_t)(d->words[CNT / 4] > arr ? top(d) : arr) + 1;
}

static void update_interrupt(Machine *m, Device *d) {
    uint32_t flags = d->words[SR / 4] & d->words[DIER / 4];
    bool apart = d->irqs[1] != NO_INTERRUPT; /* TIM1 and TIM8 */
    set_interrupt(m, d->irqs[0], flags & (apart ? UPDATE : UPDATE | COMPARES));
    if (apart)
        set_interrupt(m, d->irqs[1], flags & COMPARES);
}

/* Ticks until the counter, now at `count`, arrives at `value`; 0 is a whole period away. */
static uint64_t ticks_to(uint64_t count, uint64_t value, uint64_t length) {
    return value > count ? value - count : value + length - count;
}

/* In ticks, of the flags in `wanted` that are not set yet; NEVER. */
static uint64_t next_flag(const Device *d, uint32_t wanted) {
    uint64_t next = NEVER, count = d->words[CNT / 4], length = period(d);
    wanted &= ~d->words[SR / 4];
    if (d->words[CR1 / 4] & CR1_UDIS)
        wanted &= ~(uint32_t)UPDATE;
    if (wanted & UPDATE)
        next = length - count;
    for (uint32_t i = 0; i < CHANNELS; i++) {
        uint64_t compare = d->words[CCR1 / 4 + i];
        if (!(wanted >> (i + 1) & 1) || compare >= length)
            continue;
        uint64_t ticks = ticks_to(count, compare, length);
        if (ticks < next)
            next = ticks;
    }
    return next;
}

static void count_over(Device *d, uint64_t ticks) {
    TimerState *state = d->state;
    uint64_t count = d->words[CNT / 4], length = period(d);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        uint64_t compare = d->words[CCR1 / 4 + i];
        if (compare < length && ticks_to(count, compare, length) <= ticks)
            d->words[SR / 4] |= 2u << i;
    }
    if (count + ticks >= length && !(d->words[CR1 / 4] & CR1_UDIS)) {
        d->words[SR / 4] |= UPDATE;
        state->prescaler = d->words[PSC / 4] & 0xFFFF;
    }
    bool ends = count + ticks >= length && (d->words[CR1 / 4] & CR1_OPM);
    if (ends)
        d->words[CR1 / 4] &= ~(uint32_t)CR1_CEN;
    d->words[CNT / 4] = ends ? 0 : (uint32_t)((count + ticks) % length);
}

/* The registers as they are at `now`. Overflows are gone through one by one only where the
 * prescaler or the period is about to change. */
static void follow(Machine *m, Device *d, uint64_t now) {
    TimerState *state = d->state;
    while (counts(d) && now > state->since) {
        uint64_t ticks = (now - state->since) / step(m, d);
        uint64_t left = period(d) - d->words[CNT / 4];
        bool changes = state->prescaler != (d->words[PSC / 4] & 0xFFFF) ||
                       d->words[CNT / 4] > d->words[ARR / 4];
        if (changes && ticks > left)
            ticks = left;
        if (!ticks)
            return;
        state->since += ticks * step(m, d);
        count_over(d, ticks);
        if (!changes)
            return;
    }
}

static void settle(Machine *m, Device *d) {
    TimerState *state = d->state;
    uint64_t ticks = next_flag(d, d->words[DIER / 4] & (UPDATE | COMPARES));
    bool awaited = counts(d) && ticks != NEVER;
    schedule(m, d, awaited ? state->since + ticks * step(m, d) : NEVER);
    update_interrupt(m, d);
}

static void timer_advance(Machine *m, Device *d, uint64_t now) {
    follow(m, d, now);
    settle(m, d);
}

static uint32_t timer_read(Machine *m, Device *d, uint32_t offset) {
    TimerState *state = d->state;
    if (offset == CNT) {
        follow(m, d, cycles_now(m, d->base + CNT, false));
    } else if (offset == SR) {
        follow(m, d, m->status.cycles);
        uint64_t ticks = next_flag(d, UPDATE | COMPARES);
        if (counts(d) && ticks != NEVER)
            poll_until(m, d, state->since + ticks * step(m, d));
        follow(m, d, m->status.cycles);
        settle(m, d);
        if (state->seen != d->words[SR / 4]) /* what it may have waited for */
            m->polls = 0;
        state->seen = d->words[SR / 4];
    }
    return d->words[offset / 4];
}

static void generate(Device *d, uint32_t value, uint64_t now) {
    TimerState *state = d->state;
    d->words[SR / 4] |= value & COMPARES;
    if (!(value & UPDATE))
        return;
    d->words[CNT / 4] = 0;
    state->since = now;
    state->prescaler = d->words[PSC / 4] & 0xFFFF;
    if (!(d->words[CR1 / 4] & (CR1_UDIS | CR1_URS)))
        d->words[SR / 4] |= UPDATE;
}

static void timer_write(Machine *m, Device *d, uint32_t offset, uint32_t value) {
    TimerState *state = d->state;
    uint64_t now = cycles_now(m, d->base + offset, true);
    follow(m, d, now);
    switch (offset) {
    case CR1:
        if ((value & CR1_CEN) && !(d->words[CR1 / 4] & CR1_CEN))
            state->since = now;
        d->words[CR1 / 4] = value;
        break;
    case SR: /* flags are cleared by zeros */
        d->words[SR / 4] &= value;
        break;
    case EGR:
        generate(d, value, now);
        break;
    case CNT:
        d->words[CNT / 4] = value & top(d);
        state->since = now;
        break;
    case ARR:
        if (!counts(d))
            state->since = now;
        d->words[ARR / 4] = value & top(d);
        break;
    case CCR1:
    case CCR1 + 4:
    case CCR1 + 8:
    case CCR1 + 12:
        d->words[offset / 4] = value & top(d);
        break;
    default:
        d->words[offset / 4] = value;
        break;
    }
    settle(m, d);
}

static void timer_reset(Machine *m, Device *d) {
    (void)m;
    d->words[ARR / 4] = top(d);
}

const DeviceModel device_stm32_timer = {
    .name = "stm32-timer",
    .state_bytes = sizeof(TimerState),
    .reset = timer_reset,
    .read = timer_read,
    .write = timer_write,
    .advance = timer_advance,
};
