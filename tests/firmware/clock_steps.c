/* The clock with a fake counter, driven by a script on standard input: "+N" lets N cycles pass,
 * "start", "tick" and "now" call the clock, "interrupted" is "now" with a tick in its midst. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "port.h"

static uint32_t counter;
static bool ticking;
static bool interrupt_due;

uint32_t port_cycles(void) {
    if (interrupt_due) {
        interrupt_due = false;
        clock_tick();
    }
    return counter;
}

void port_tick_start(void) { ticking = true; }

void port_tick_stop(void) { ticking = false; }

int main(void) {
    char word[32];
    while (scanf("%31s", word) == 1) {
        if (word[0] == '+') {
            counter += (uint32_t)strtoul(word + 1, NULL, 10);
        } else if (strcmp(word, "start") == 0) {
            clock_start();
        } else if (strcmp(word, "stop") == 0) {
            clock_stop();
        } else if (strcmp(word, "tick") == 0) {
            clock_tick();
        } else if (strcmp(word, "ticking") == 0) {
            printf("%d\n", ticking);
        } else {
            interrupt_due = strcmp(word, "interrupted") == 0;
            printf("%" PRIu64 "\n", clock_now());
        }
    }
    return 0;
}
