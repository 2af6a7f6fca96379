/* Where did the cycles go? Every cycle that the machine counts is charged to one block and to one
 * node of the call tree; what happens between two blocks (a branch, an exception, sleep) to the one
 * before. Nothing is sampled, so that both sums are the cycle count. */
#include "machine.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROOM (1u << 15) /* a power of two */
#define NODE_ROOM (1u << 15)
#define FRAMES 256u
#define THREADS 16u
#define LONGEST_BRANCH 64 /* refill, wait states and lazy stacking included */

typedef enum { ENDS_OTHER, ENDS_CALL, ENDS_INDIRECT, ENDS_WAIT } Ending;

typedef struct {
    uint32_t return_address; /* MARKER: an exception was taken here */
    uint32_t node, last;     /* what goes on then */
} Frame;

#define MARKER 1u /* no address of an instruction */

/* One stack of calls. An RTOS has several: each is known by where it was interrupted. */
typedef struct {
    Frame frames[FRAMES];
    uint32_t depth, node;
    uint32_t last;   /* the block that ran last, 0: none */
    uint32_t pc, sp; /* when it was interrupted */
    uint64_t left_at;
} Calls;

struct Profile {
    ProfiledBlock blocks[BLOCK_ROOM]; /* [0]: no block in particular */
    uint32_t slots[2 * BLOCK_ROOM];   /* hash table of block numbers; 0: free */
    uint8_t endings[BLOCK_ROOM];
    uint32_t functions_of[BLOCK_ROOM];
    CallNode nodes[NODE_ROOM]; /* [0]: the root */
    uint32_t block_count, node_count;
    uint64_t dropped, first_cycle, accounted;

    Calls threads[THREADS], handlers;
    uint32_t thread;
    bool in_handler, returned;

    /* What the next cycles without a block belong to. */
    uint32_t place, place_node;
    SpentReason between;
    Spent spent; /* in the block at `place`, without what led there */

    uint32_t function_count;
    uint32_t functions[];
};

Profile *new_profile(const uint32_t *functions, uint32_t count, uint64_t cycles) {
    Profile *p = calloc(1, sizeof *p + count * sizeof *functions);
    if (!p)
        return NULL;
    p->block_count = p->node_count = 1;
    p->first_cycle = p->accounted = cycles;
    p->between = SPENT_BRANCH;
    p->function_count = count;
    if (count)
        memcpy(p->functions, functions, count * sizeof *functions);
    return p;
}

void free_profile(Profile *p) { free(p); }

static void charge(Profile *p, uint32_t place, uint32_t node, SpentReason reason, int64_t cycles) {
    p->blocks[place].cycles[reason] += cycles;
    p->nodes[node].cycles[reason] += cycles;
    p->accounted += (uint64_t)cycles;
}

/* Cycles that passed without a block up to `now`. More than any branch takes: a poll that waits for
 * a UART, which virtual time skips. */
static void charge_between(Profile *p, uint64_t now) {
    int64_t cycles = (int64_t)(now - p->accounted);
    bool skipped = p->between == SPENT_BRANCH && cycles > LONGEST_BRANCH;
    if (cycles)
        charge(p, p->place, p->place_node, skipped ? SPENT_SLEEP : p->between, cycles);
}

static uint32_t function_at(const Profile *p, uint32_t pc) {
    uint32_t low = 0, high = p->function_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->functions[middle] <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? p->functions[low - 1] : 0;
}

static Ending ending_of(const Machine *m, uint32_t start, uint32_t end) {
    Instruction i = {0};
    for (uint32_t at = start; at < end && fetch_instruction(m, at, &i);)
        at += i.bytes;
    if (i.class_ == CLASS_WAIT_INTERRUPT)
        return ENDS_WAIT;
    if (i.class_ == CLASS_BRANCH || i.class_ == CLASS_BRANCH_INDIRECT) {
        if (i.writes & 1u << 14)
            return ENDS_CALL;
        return i.class_ == CLASS_BRANCH_INDIRECT ? ENDS_INDIRECT : ENDS_OTHER;
    }
    return i.writes_pc && i.class_ != CLASS_TABLE_BRANCH ? ENDS_INDIRECT : ENDS_OTHER;
}

/* The number of the block; 0 where there is no room for another. */
static uint32_t number_of(Profile *p, const Machine *m, uint32_t start, uint32_t bytes) {
    uint32_t slot = (start * 2654435761u ^ bytes * 40503u) % (2 * BLOCK_ROOM), number;
    while ((number = p->slots[slot])) {
        if (p->blocks[number].start == start && p->blocks[number].bytes == bytes)
            return number;
        slot = (slot + 1) % (2 * BLOCK_ROOM);
    }
    if (p->block_count == BLOCK_ROOM) {
        p->dropped += 1;
        return 0;
    }
    p->slots[slot] = number = p->block_count++;
    p->blocks[number].start = start;
    p->blocks[number].bytes = bytes;
    p->endings[number] = (uint8_t)ending_of(m, start, start + bytes);
    p->functions_of[number] = function_at(p, start);
    return number;
}

static uint32_t child_of(Profile *p, uint32_t parent, uint32_t function) {
    uint32_t before = 0, child = p->nodes[parent].first_child;
    while (child && p->nodes[child].function != function) {
        before = child;
        child = p->nodes[child].next_sibling;
    }
    if (!child) {
        if (p->node_count == NODE_ROOM) {
            p->dropped += 1;
            return parent;
        }
        child = p->node_count++;
        p->nodes[child] = (CallNode){.parent = parent, .function = function};
    } else if (before) {
        p->nodes[before].next_sibling = p->nodes[child].next_sibling;
    } else {
        return child;
    }
    p->nodes[child].next_sibling = p->nodes[parent].first_child; /* it will be called again */
    p->nodes[parent].first_child = child;
    return child;
}

static Calls *calls_of(Profile *p) { return p->in_handler ? &p->handlers : &p->threads[p->thread]; }

static void push(Calls *calls, uint32_t return_address) {
    if (calls->depth < FRAMES)
        calls->frames[calls->depth++] = (Frame){return_address, calls->node, calls->last};
}

/* Back to the frame that `pc` returns to; false where it returns to none. */
static bool pop_to(Calls *calls, uint32_t pc) {
    for (uint32_t i = calls->depth; i > 0 && calls->frames[i - 1].return_address != MARKER; i--)
        if (calls->frames[i - 1].return_address == pc) {
            calls->depth = i - 1;
            calls->node = calls->frames[i - 1].node;
            return true;
        }
    return false;
}

static bool is_root(const Profile *p, uint32_t node) {
    return node == 0 || p->nodes[node].function >= EXCEPTION_ROOT;
}

/* `function` was jumped to: a tail call, whose return goes where its caller's would have gone. A
 * jump back to one that jumped before does not make the tree deeper. */
static uint32_t jump_to(Profile *p, const Calls *calls, uint32_t function) {
    uint32_t base = calls->depth ? calls->frames[calls->depth - 1].node : 0;
    for (uint32_t n = calls->node; n != base && !is_root(p, n); n = p->nodes[n].parent)
        if (p->nodes[n].function == function)
            return n;
    return child_of(p, calls->node, function);
}

/* Which thread goes on at `pc`? The one that was interrupted there; the last one where only its pc
 * was moved, as fault handlers do; else a new one. */
static void resume_thread(Profile *p, uint32_t pc, uint32_t sp, uint64_t now) {
    Calls *last = &p->threads[p->thread];
    uint32_t oldest = 0;
    last->left_at = now;
    if (last->pc == pc && last->sp == sp)
        return;
    for (uint32_t i = 0; i < THREADS; i++) {
        if (p->threads[i].left_at && p->threads[i].pc == pc && p->threads[i].sp == sp) {
            p->thread = i;
            return;
        }
        if (p->threads[i].left_at < p->threads[oldest].left_at)
            oldest = i;
    }
    if (last->sp == sp)
        return;
    p->thread = oldest;
    p->threads[oldest].depth = p->threads[oldest].node = p->threads[oldest].last = 0;
}

/* Follow the calls from the block that ran last, before any exception, to the one at `pc`. */
static void follow(Profile *p, const Machine *m, uint32_t number, uint32_t pc) {
    if (p->returned)
        resume_thread(p, pc, m->registers[13], m->status.cycles);
    Calls *calls = calls_of(p);
    const ProfiledBlock *last = &p->blocks[calls->last];
    Ending ending = calls->last ? (Ending)p->endings[calls->last] : ENDS_OTHER;
    uint32_t function = p->functions_of[number], behind = last->start + last->bytes;
    bool called = ending == ENDS_CALL && pc != behind;
    bool popped = ending == ENDS_INDIRECT && pop_to(calls, pc);
    bool root = is_root(p, calls->node);
    if (!p->function_count) /* what is called is a function */
        function = root || called ? pc : p->nodes[calls->node].function;
    uint32_t before = calls->node;
    if (called) {
        push(calls, behind);
        calls->node = child_of(p, before, function);
    } else if (root) {
        calls->node = child_of(p, before, function);
    } else if (p->nodes[before].function != function) {
        /* Out of a call that was made before anybody watched, or a tail call. */
        bool left = ending == ENDS_INDIRECT && !popped && calls->depth == 0;
        calls->node =
            left ? child_of(p, p->nodes[before].parent, function) : jump_to(p, calls, function);
    }
    p->nodes[calls->node].calls += called || calls->node != before;
    calls->last = number;
    p->returned = false;
}

void profile_block(Profile *p, const Machine *m, const Block *block, const Spent *spent) {
    uint64_t whole = 0;
    for (uint32_t i = 0; i < SPENT_EXCEPTION; i++)
        whole += spent->by[i];
    charge(p, p->place, p->place_node, SPENT_BRANCH, spent->by[SPENT_BRANCH]);
    charge_between(p, m->status.cycles - whole + spent->by[SPENT_BRANCH]);

    uint32_t number = number_of(p, m, block->start, block->end - block->start);
    follow(p, m, number, block->start);
    p->place = number;
    p->place_node = calls_of(p)->node;
    p->between = p->endings[number] == ENDS_WAIT ? SPENT_SLEEP : SPENT_BRANCH;
    p->spent = *spent;
    p->spent.by[SPENT_BRANCH] = 0;
    p->blocks[number].executions += 1;
    for (uint32_t i = 0; i < SPENT_EXCEPTION; i++)
        charge(p, number, p->place_node, (SpentReason)i, p->spent.by[i]);
}

void profile_more(Profile *p, SpentReason reason, uint32_t cycles) {
    charge(p, p->place, p->place_node, reason, cycles);
}

/* The block at `place` was left before the instruction at `pc`: what was spent belongs to a shorter
 * block. */
void profile_cut(Profile *p, const Machine *m, const Block *block, uint32_t pc,
                 uint32_t taken_back) {
    if (!p->place || p->blocks[p->place].start != block->start)
        return;
    uint32_t whole = p->place, node = p->place_node, left = taken_back;
    p->blocks[whole].executions -= 1;
    for (uint32_t i = 0; i < SPENT_EXCEPTION; i++)
        charge(p, whole, node, (SpentReason)i, -(int64_t)p->spent.by[i]);
    p->place = pc > block->start ? number_of(p, m, block->start, pc - block->start) : 0;
    p->blocks[p->place].executions += p->place != 0;
    calls_of(p)->last = p->place;
    for (uint32_t i = 0; i < SPENT_EXCEPTION; i++) {
        uint32_t back = left < p->spent.by[i] ? left : p->spent.by[i];
        left -= back;
        charge(p, p->place, node, (SpentReason)i, p->spent.by[i] - back);
    }
    p->spent = (Spent){0};
}

/* The exception that is entered or left. */
static uint32_t exception_node(const Profile *p) {
    uint32_t node = p->handlers.node;
    while (node && p->nodes[node].function < EXCEPTION_ROOT)
        node = p->nodes[node].parent;
    return node;
}

void profile_switch(Profile *p, const Machine *m) {
    charge_between(p, m->status.cycles);
    p->place = 0;
    p->between = SPENT_EXCEPTION;
    if (p->in_handler)
        p->place_node = exception_node(p);
}

void profile_exception(Profile *p, const Machine *m, int number) {
    if (!p->in_handler) {
        Calls *thread = &p->threads[p->thread];
        if (!p->returned) { /* else tail-chained: the thread never went on */
            thread->pc = m->registers[15] & ~1u;
            thread->sp = m->registers[13];
        }
        p->handlers.depth = 0;
        p->in_handler = true;
    }
    push(&p->handlers, MARKER);
    p->handlers.last = 0;
    p->handlers.node = child_of(p, 0, EXCEPTION_ROOT + ((uint32_t)number & 0xFF));
    p->nodes[p->handlers.node].calls += 1;
    p->place = 0;
    p->place_node = p->handlers.node;
    p->between = SPENT_EXCEPTION;
    p->returned = false;
    charge_between(p, m->status.cycles);
}

void profile_return(Profile *p, const Machine *m) {
    Calls *calls = &p->handlers;
    p->place_node = exception_node(p);
    charge_between(p, m->status.cycles);
    while (calls->depth > 0 && calls->frames[calls->depth - 1].return_address != MARKER)
        calls->depth -= 1;
    if (calls->depth > 0) {
        const Frame *interrupted = &calls->frames[--calls->depth];
        calls->node = interrupted->node;
        calls->last = interrupted->last;
    }
    p->returned = p->in_handler && calls->depth == 0;
    p->in_handler = calls->depth > 0;
}

void profile_reset(Profile *p, const Machine *m) {
    charge_between(p, m->status.cycles);
    memset(p->threads, 0, sizeof p->threads);
    p->handlers.depth = p->thread = p->place = p->place_node = 0;
    p->in_handler = p->returned = false;
    p->between = SPENT_BRANCH;
}

void profile_read(Profile *p, const Machine *m, Observed *into) {
    charge_between(p, m->status.cycles);
    into->cycles = m->status.cycles - p->first_cycle;
    into->dropped = p->dropped;
    into->blocks = p->blocks;
    into->block_count = p->block_count;
    into->nodes = p->nodes;
    into->node_count = p->node_count;
}
