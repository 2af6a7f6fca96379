/* The firmware as an ordinary program: serves the terminal named on the command line, or a pty of
 * its own making. The app gets a stack of known bounds with an unmapped page below, so that
 * painting and overflow work as on a chip. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "console.h"
#include "faults.h"
#include "port.h"
#include "serve.h"

#define STACK_BYTES 65536u
#define GUARD_BYTES 4096u

static uint8_t *stack;

uint8_t *port_stack_low(void) { return stack; }

uint8_t *port_stack_high(void) { return stack + STACK_BYTES; }

static void start(void) { serve(); }

int main(int count, char **arguments) {
    if (count > 2) {
        fprintf(stderr, "usage: %s [TERMINAL | -]\n", arguments[0]);
        return 2;
    }
    uint8_t *memory = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, GUARD_BYTES, PROT_NONE) != 0) {
        perror("no memory for the stack");
        return 1;
    }
    stack = memory + GUARD_BYTES;
    faults_start();
    console_open(count == 2 ? arguments[1] : NULL);
    ucontext_t app, unused;
    getcontext(&app);
    app.uc_stack.ss_sp = stack;
    app.uc_stack.ss_size = STACK_BYTES;
    makecontext(&app, start, 0);
    swapcontext(&unused, &app);
    return 0; /* not reached: serve() ends with the line */
}
