/* What does a debugger see and change? The registers of ARMv7-M's halting debug, the comparators of
 * FPB and DWT, and the door through which another thread reaches the machine. */
#ifndef HILNAS_VIRTUAL_DEBUG_H
#define HILNAS_VIRTUAL_DEBUG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct Machine;

/* DHCSR (DDI 0403, C1.6.2). */
#define C_DEBUGEN (1u << 0)
#define C_HALT (1u << 1)
#define C_STEP (1u << 2)
#define C_MASKINTS (1u << 3)
#define C_SNAPSTALL (1u << 5)

/* DFSR */
#define DFSR_HALTED (1u << 0)
#define DFSR_BKPT (1u << 1)
#define DFSR_DWTTRAP (1u << 2)
#define DFSR_VCATCH (1u << 3)

/* DEMCR */
#define VC_CORERESET (1u << 0)
#define VC_MMERR (1u << 4)
#define VC_NOCPERR (1u << 5)
#define VC_CHKERR (1u << 6)
#define VC_STATERR (1u << 7)
#define VC_BUSERR (1u << 8)
#define VC_INTERR (1u << 9)
#define VC_HARDERR (1u << 10)
#define MON_EN (1u << 16)
#define TRCENA (1u << 24)

enum { FPB_CODE = 6, FPB_LITERAL = 2, DWT_COMPARATORS = 4 };

typedef struct {
    uint32_t comparator, mask, function;
    bool matched;
} Watch;

typedef struct {
    uint32_t control; /* the C_ bits of DHCSR */
    bool halted;
    bool reset_seen;        /* since DHCSR was read last */
    uint64_t retired_count; /* instructions, when it was */
    uint32_t transfer;      /* DCRDR */

    uint32_t fpb_control, fpb_remap, fpb[FPB_CODE + FPB_LITERAL];
    Watch watch[DWT_COMPARATORS];
    bool comparators_changed;         /* Unicorn does not know yet */
    uint64_t exits[2 * FPB_CODE + 1]; /* where translated blocks end and the emulator stops */
    uint32_t exit_count;
    size_t watch_hooks[2 * DWT_COMPARATORS + 1];
    uint32_t watch_hook_count;
    bool watch_hit;

    uint32_t itm_enable, itm_privilege, itm_control;
    uint32_t tpiu[4]; /* CSPSR, ACPR, SPPR, FFCR */

    uint32_t written_first, written_end; /* memory the debugger changed, not yet translated anew */
} Debug;

/* The core's thread holds `lock` except where it sleeps and where it admits a visitor. */
typedef struct {
    pthread_mutex_t turn; /* of the visitors */
    pthread_mutex_t lock;
    pthread_cond_t left;
    uint32_t visitors; /* atomic */
    int bell;          /* eventfd: a visitor changed what a sleeping core waits for */
    int answer;        /* eventfd: the core has done what a visitor waits for */
    bool awaited;      /* one does */
    bool visiting;     /* a visitor is at work, on its own thread */
    bool running;      /* machine_run() is under way */
    bool disturbed;    /* a visitor changed what the run loop decides on */
} DebugPort;

/* port.c */
bool open_port(struct Machine *m);
void close_port(struct Machine *m);
void take_machine(struct Machine *m); /* the thread that runs it, from here to there */
void leave_machine(struct Machine *m);
void admit_visitors(struct Machine *m);
void answer_visitor(struct Machine *m); /* if one waits, and has what it waits for */
bool visitors_wait(const struct Machine *m);
/* Sleep until the line, the control thread or a visitor wants something, or for `limit` where there
 * is one; visitors are served meanwhile. */
typedef enum { WOKEN_BY_NOTHING, WOKEN_BY_CONTROL, WOKEN_BY_VISITOR, WOKEN_BY_LINE } Waker;
Waker sleep_on_line(struct Machine *m, short serial_events, const struct timespec *limit);

/* debug.c */
void reset_debug(struct Machine *m, bool power);
bool debugger_halts(struct Machine *m);
void halt_core(struct Machine *m, uint32_t reason);
bool halting_debug(const struct Machine *m);
bool debugger_steps(const struct Machine *m);
void catch_vector(struct Machine *m, uint32_t vector_catch);
uint32_t read_debug_register(struct Machine *m, uint32_t offset);
void write_debug_register(struct Machine *m, uint32_t offset, uint32_t value);

/* comparators.c */
bool breakpoint_at(const struct Machine *m, uint32_t pc);
void place_comparators(struct Machine *m);
void place_exits(struct Machine *m, const uint32_t *also); /* NULL: the comparators' only */
void translate_anew(struct Machine *m, uint32_t first, uint32_t end);
uint32_t read_comparators(struct Machine *m, uint32_t offset);
void write_comparators(struct Machine *m, uint32_t offset, uint32_t value);

/* coresight.c */
bool read_coresight(const struct Machine *m, uint32_t offset, uint32_t *word);
bool write_coresight(struct Machine *m, uint32_t offset, uint32_t value);

#endif
