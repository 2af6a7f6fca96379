#include "clock.h"

#include "port.h"

/* Only clock_tick() writes while the clock runs; a reader that was interrupted by it sees the
 * generation change and reads again, so no interrupt is ever masked. */
static volatile uint32_t generation;
static volatile uint64_t elapsed;
static volatile uint32_t counted_to;

void clock_start(void) {
    port_tick_stop();
    elapsed = 0;
    port_tick_start();
    counted_to = port_cycles();
}

uint64_t clock_now(void) {
    for (;;) {
        uint32_t before = generation;
        uint64_t sum = elapsed + (uint32_t)(port_cycles() - counted_to);
        if (before == generation) {
            return sum;
        }
    }
}

void clock_stop(void) { port_tick_stop(); }

void clock_tick(void) {
    uint32_t now = port_cycles();
    elapsed += (uint32_t)(now - counted_to);
    counted_to = now;
    generation++;
}
