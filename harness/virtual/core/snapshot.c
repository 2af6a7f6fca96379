/* A board as it is at one moment, to go back to, or to go on from in another process. What a
 * debugger set, and who observes, is not of the board and stays as it is now. */
#include "machine.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The part of a Machine that is of the board: devices keep their state flat in `device_room`. */
#define BOARD_BYTES offsetof(Machine, debug)

typedef struct {
    uint8_t *board, *room;
    uint8_t *memories[MAX_MEMORIES];
    uint32_t memory_count;
    uc_context *context;
} Snapshot;

EXPORT void machine_forget_snapshot(Snapshot *s) {
    for (uint32_t i = 0; i < s->memory_count; i++)
        free(s->memories[i]);
    if (s->context)
        uc_context_free(s->context);
    free(s->room);
    free(s->board);
    free(s);
}

static uint8_t *copy_of(const void *bytes, size_t size) {
    uint8_t *copy = malloc(size);
    return copy ? memcpy(copy, bytes, size) : NULL;
}

/* While the core does not run. NULL: out of memory. */
EXPORT Snapshot *machine_snapshot(const Machine *m) {
    Snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->board = copy_of(m, BOARD_BYTES);
    s->room = copy_of(m->device_room, DEVICE_ROOM);
    bool whole = s->board && s->room && !uc_context_alloc(m->uc, &s->context) &&
                 !uc_context_save(m->uc, s->context);
    for (uint32_t i = 0; whole && i < m->memory_count; i++) {
        s->memories[i] = copy_of(m->memories[i].bytes, m->memories[i].part.size);
        s->memory_count = i + 1;
        whole = s->memories[i] != NULL;
    }
    if (!whole) {
        machine_forget_snapshot(s);
        return NULL;
    }
    return s;
}

/* While the core does not run; observing ends. `s` can be gone back to again. */
EXPORT void machine_restore(Machine *m, const Snapshot *s) {
    forget_observer(m);
    forget_traps(m);
    memcpy(m, s->board, BOARD_BYTES);
    m->observer = NULL;
    m->trap_count = 0;
    memcpy(m->device_room, s->room, DEVICE_ROOM);
    for (uint32_t i = 0; i < m->memory_count; i++)
        memcpy(m->memories[i].bytes, s->memories[i], m->memories[i].part.size);
    uc_context_restore(m->uc, s->context);
    restore_caches(m);
    uint32_t state = m->state;
    forget_last_block(m, m->registers[15] & ~1u);
    m->state = state;
    m->retranslate = true;
}

/* In a process that was forked while the core did not run: a line and doors of its own. */
EXPORT bool machine_adopt(Machine *m, int32_t serial_fd, int32_t wake_fd) {
    m->parts.serial_fd = serial_fd;
    m->parts.wake_fd = wake_fd;
    close_port(m);
    return open_port(m);
}
