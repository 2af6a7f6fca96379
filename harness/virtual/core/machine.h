/* The state of one virtual board and what its parts offer each other. Python sees `Status` through
 * ctypes (harness/virtual/core.py mirrors it) and the functions marked EXPORT, nothing else. */
#ifndef HILNAS_VIRTUAL_MACHINE_H
#define HILNAS_VIRTUAL_MACHINE_H

#include "accelerator.h"
#include "addresses.h"
#include "debug.h"
#include "decode.h"
#include "device.h"
#include "observe.h"
#include "timing.h"
#include <unicorn/unicorn.h>

typedef enum { RUNNING, WAITING_FOR_SERIAL, ASLEEP, LOCKED_UP, STOPPED, HALTED } RunState;

/* Read by the control thread while the core runs. */
typedef struct {
    uint64_t instructions;
    uint64_t cycles;
    uint32_t state; /* RunState */
    uint32_t pc;    /* where the core locked up */
} Status;

typedef enum { MEMORY_FLASH, MEMORY_RAM, MEMORY_ROM } MemoryKind;

/* One memory of the chip; sizes in bytes. It shows at `alias` as well, which is `base` where there
 * is no second place. The first flash is what boots. */
typedef struct {
    uint32_t base, size, alias;
    uint32_t kind; /* MemoryKind */
} MemoryPart;

typedef struct {
    MemoryPart part;
    uint8_t *bytes;
    uint8_t *fetched; /* pages that instructions came from */
} Memory;

/* Addresses that the chip's buses answer, with a device behind them or not. */
typedef struct {
    uint32_t base, size;
} Bus;

/* The flash accelerator of a family; enabled by the firmware, through the flash controller. */
typedef struct {
    uint32_t read_bytes; /* what one access to the array brings */
    uint32_t line_bytes; /* what a cache line holds */
    uint32_t instruction_lines, data_lines;
    uint32_t wait_states, prefetch, instruction_cache, data_cache; /* at reset, then as set */
} Accelerator;

/* A register's value after reset, where it is not 0. */
typedef struct {
    uint32_t address, value;
} Preset;

typedef enum {
    RESET_POWER,
    RESET_PIN,
    RESET_SOFTWARE,
    RESET_WATCHDOG,
    RESET_WINDOW_WATCHDOG,
    RESET_LOCKUP,
    RESET_OPTIONS, /* option bytes were loaded again */
} ResetCause;

enum { MPU_REGIONS = 8 };
typedef struct {
    uint32_t control, region; /* MPU_CTRL, MPU_RNR */
    uint32_t base[MPU_REGIONS], attributes[MPU_REGIONS];
} Mpu;

/* What the machine noticed and the user should hear once. */
typedef enum { NOTICE_UNMODELLED } NoticeKind;
typedef struct {
    uint32_t kind, address, pc;
} Notice;

/* Why a run ended by itself. */
typedef enum { ENDED_NOT, ENDED_DEADLINE, ENDED_TEXT, ENDED_REFUSED, ENDED_IDLE } EndKind;

/* A fault as it was raised, before any handler ran. */
typedef struct {
    uint32_t number, pc, lr, sp, cfsr, hfsr, mmfar, bfar;
    uint64_t cycles;
} FaultRecord;

#define LIMIT_TEXT_BYTES 200

typedef struct {
    uint64_t deadline_ns;            /* of virtual time; NEVER */
    uint64_t clock_ns, clock_cycles; /* virtual time was so much at that cycle count */
    uint32_t clock_hz;               /* and goes so fast since */
    uint64_t host_lead_ns;           /* host time minus virtual time, when they last met */
    uint8_t text[LIMIT_TEXT_BYTES + 1], text_fallback[LIMIT_TEXT_BYTES + 1];
    uint32_t text_bytes, text_matched;
    bool refuse_unmodelled, pace;
    volatile bool input_over; /* the host sends no more: waiting for it ends the run */
    EndKind ended;
    uint32_t fault_count;
    FaultRecord fault; /* the last one */
} Limits;

/* What Python asks after a run. */
typedef struct {
    uint32_t ended, fault_count;
    uint64_t virtual_ns;
    uint32_t core_hz, cfsr, hfsr, registers[16], special[4]; /* xPSR, MSP, PSP, CONTROL */
    FaultRecord fault;
} Report;

/* What a unit is made of; harness/virtual/core.py mirrors it. */
typedef struct {
    const MemoryPart *memories;
    const Bus *buses;
    const DevicePart *devices;
    const Preset *presets;
    uint32_t memory_count, bus_count, device_count, preset_count;
    Accelerator accelerator;
    uint32_t interrupts;    /* lines of the NVIC */
    uint32_t priority_bits; /* of each exception's priority; the upper ones of its byte */
    uint32_t reset_hz;      /* the core's clock after reset */
    uint32_t console_base;  /* the device whose line is the pty */
    int32_t serial_fd;      /* the pty's master end, non-blocking */
    int32_t wake_fd;        /* readable: the control thread wants the core to stop */
} Parts;

/* What a block costs when the pipeline is in a given state at its start. */
typedef struct {
    uint16_t before, after; /* states, see timing.c */
    uint32_t cost;          /* the last instruction as not taken */
} Variant;

#define VARIANTS 3
#define NOWHERE 0xFFFFFFFFu /* no block starts there */

/* One translated block, resolved when it is first seen. */
typedef struct Block {
    uint64_t key;        /* pc | bytes << 32, or one that never matches */
    uint32_t start, end; /* end: first address behind it */
    uint32_t next;       /* where it falls through to: end, or NOWHERE */
    Variant variants[VARIANTS];
    uint16_t instructions;
    uint16_t taken_state; /* what its branch leaves behind when it is taken */
    uint8_t taken_extra;  /* cycles more when it is, before the pipeline is refilled */
    uint8_t next_variant; /* to be replaced */
    uint8_t last_class;
    uint8_t changes_mask; /* holds MSR or CPS */
    uint8_t in_flash;     /* its instructions come through the accelerator */
    uint8_t group_count;
    uint8_t indirect_count;
    uint32_t first_group, first_indirect; /* in the pools */
} Block;

/* Cycles that a block takes more than its pipeline does. */
typedef struct {
    uint32_t memory, flash;
} Waits;

#define BLOCKS (1u << 15)
#define MAX_STATES 4096
#define MAX_GROUPS (1u << 17)
#define MAX_ACCESSES (1u << 18)
#define MAX_INDIRECTS (1u << 15)

enum {
    EXCEPTION_RESET = 1,
    EXCEPTION_NMI = 2,
    EXCEPTION_HARD = 3,
    EXCEPTION_MEMORY = 4,
    EXCEPTION_BUS = 5,
    EXCEPTION_USAGE = 6,
    EXCEPTION_SVC = 11,
    EXCEPTION_DEBUG = 12,
    EXCEPTION_PENDSV = 14,
    EXCEPTION_SYSTICK = 15,
    EXCEPTION_IRQ0 = 16,
    EXCEPTIONS = 16 + 112,
};

/* Configurable fault status bits (DDI 0403, B3.2.15). */
#define CFSR_IACCVIOL (1u << 0)
#define CFSR_MMARVALID (1u << 7)
#define CFSR_IBUSERR (1u << 8)
#define CFSR_PRECISERR (1u << 9)
#define CFSR_IMPRECISERR (1u << 10)
#define CFSR_UNSTKERR (1u << 11)
#define CFSR_STKERR (1u << 12)
#define CFSR_BFARVALID (1u << 15)
#define CFSR_UNDEFINSTR (1u << 16)
#define CFSR_INVSTATE (1u << 17)
#define CFSR_INVPC (1u << 18)
#define CFSR_NOCP (1u << 19)
#define CFSR_UNALIGNED (1u << 24)
#define CFSR_DIVBYZERO (1u << 25)
#define HFSR_VECTTBL (1u << 1)
#define HFSR_FORCED (1u << 30)
#define HFSR_DEBUGEVT (1u << 31)

/* Fields of Unicorn's core state in words from `control` and from `ipsr`. Read there and not as
 * registers, because unprivileged code reads the registers as zero. */
enum { LIVE_OTHER_SP = -7, LIVE_BASEPRI = -2, LIVE_FPCA = 1 };
enum {
    LIVE_PRIMASK = 1,
    LIVE_FAULTMASK = 3,
    LIVE_FPCAR = 15,
    LIVE_FPCCR = 17,
    LIVE_SECURE_FPCCR = 18,
    LIVE_FPDSCR = 19,
    LIVE_CPACR = 21,
    LIVE_NSACR = 23,
};
#define FPCCR_ASPEN (1u << 31)

typedef enum { AWAKE, SLEEPS_FOR_INTERRUPT, SLEEPS_FOR_EVENT, SLEEPS_ON_EXIT } SleepKind;

#define FOREVER (-1)
#define MAX_TRAPS 4096
#define SERIAL_BYTES 4096
#define MAX_MEMORIES 8
#define MAX_BUSES 16
#define MAX_DEVICES 200
#define MAX_PRESETS 64
#define MAX_NOTICES 32
#define DEVICE_ROOM (1u << 20) /* registers and state of all devices, bytes */
#define MAP_BYTES 4096u        /* what Unicorn maps */
#define PERIPHERAL_BASE 0x40000000u
#define PERIPHERAL_BYTES 0x20000000u
/* Where Unicorn takes stores to flash, among addresses that no chip uses: 16 MiB a memory. */
#define PROGRAM_BASE 0xB0000000u
#define PROGRAM_BITS 24
#define OUTER_BASE 0xA0000000u /* controllers of external memories */
#define OUTER_BYTES 0x10000u
#define PPB_BASE 0xE0000000u
#define PPB_BYTES 0x100000u

typedef struct {
    uint8_t bytes[SERIAL_BYTES];
    uint32_t head, count;
} Queue;

/* An instruction that may have to trap. */
typedef struct {
    uint32_t address;
    uc_hook hook;
} Trap;

typedef struct Machine {
    /* Touched by every block: kept together. */
    Block *last;
    uint32_t state;      /* of the pipeline, behind the block `last` when it falls through */
    uint32_t entered_in; /* the state in which `last` was entered */
    uint32_t last_cost;  /* without what it waited for data and flash */
    bool waits_for_flash;
    uint32_t read_shift, line_shift; /* of the accelerator: logarithms of its bytes */
    uint32_t use; /* counts block executions and flash loads, for the caches' replacement */
    AccessGroup *groups;
    uint64_t next_event; /* cycle count at which the run loop must look around */
    Status status;
    Observer *observer; /* NULL: nobody watches */

    Parts parts;
    uc_engine *uc;
    uc_context *pristine, *scratch;
    uint32_t *registers;      /* R0 to R15 of the running core; R15 is stale inside a block */
    uint32_t *ipsr, *control; /* and the fields around these, at the LIVE_ distances */
    Memory memories[MAX_MEMORIES];
    uint32_t memory_count;
    Block *blocks;
    Block none; /* "no block before this one" */
    Access *accesses;
    Indirect *indirects;
    uint32_t groups_used, accesses_used, indirects_used;
    Cache instruction_cache, data_cache;
    Pipeline states[MAX_STATES];
    uint32_t state_count;
    char error[256];

    /* Why the emulator was left. */
    bool stop_at_block;
    volatile bool stop_wanted; /* set by the control thread */
    bool reset_wanted, retranslate;
    bool reset_spares_devices;     /* of the core alone */
    uint32_t stale_from, stale_to; /* this code alone is to be translated again */
    ResetCause reset_cause;        /* of the last reset, for the clock controller to show */
    int interrupt;                 /* Unicorn's exception number, or -1 */
    uint32_t trap_cfsr, trap_pc;   /* a trap hook refused the instruction there */
    bool access_refused;
    bool store_refused; /* a bus error of a store, which comes later than the store */
    uint32_t refused_page;
    uc_mem_type refused_type;

    /* Exceptions. */
    bool pending[EXCEPTIONS], active[EXCEPTIONS], enabled[EXCEPTIONS];
    uint8_t priority[EXCEPTIONS], priority_mask;
    bool any_pending;
    Mpu mpu;
    uint32_t vtor, prigroup, scr, ccr, shcsr_enables, cfsr, hfsr, dfsr, mmfar, bfar, cpacr, demcr;
    bool event;      /* WFE's event register */
    bool lazy_frame; /* FP registers were left for later, and what storing them takes as well */
    SleepKind sleep;
    uint32_t exit_link; /* EXC_RETURN that waits while the core sleeps on exit */

    /* Timers. */
    uint32_t dwt_ctrl, systick_reload, systick_stopped_at;
    uint64_t cycle_base; /* CYCCNT = cycles - cycle_base while it runs */
    uint32_t cycle_stopped_at;
    bool systick_on, systick_interrupts, systick_core_clock, systick_flag;
    uint64_t systick_zero_at;

    /* One access in a block: finds the instruction that made it. */
    uint64_t access_in; /* the instruction count says which block */
    uint32_t access_pc;

    /* The console's line to the host. */
    Queue received, sent;
    uint64_t heard;    /* bytes that ever came from the host */
    uint64_t pump_due; /* when the run loop looks at the line again */

    Trap traps[MAX_TRAPS];
    uint32_t trap_count;

    /* Devices. */
    Bus buses[MAX_BUSES];
    uint32_t bus_count;
    Device devices[MAX_DEVICES];
    uint32_t device_count;
    Preset presets[MAX_PRESETS];
    uint32_t preset_count;
    uint8_t device_at[PERIPHERAL_BYTES >> 10]; /* index + 1, by kilobyte */
    uint8_t *device_room;
    size_t device_room_used;
    Device *console;
    uint32_t access_bytes;    /* of the store that a device hears */
    Device *flash_controller; /* or NULL: then flash refuses stores */
    bool *code_pages;         /* of the flash that boots: translated since the last retranslation */
    const Device *polled;     /* whose flag the firmware is waiting for, and how often it looked */
    uint32_t polls;
    uint64_t polled_at;
    bool line[EXCEPTIONS]; /* level of each interrupt line */
    uint32_t core_hz, cycles_per_tick[CLOCKS];
    Accelerator accelerator;

    Limits limits;
    Notice notices[MAX_NOTICES];
    uint32_t notice_count;

    /* Up to here it is the board: what a snapshot holds. */
    Debug debug;
    DebugPort port;
} Machine;

/* timing.c */
void reset_states(Machine *m);
void describe_block(const Machine *m, Block *block, uint32_t pc, uint32_t bytes);
const Variant *cost_variant(Machine *m, Block *block, uint32_t state);
uint32_t cost_upto(const Machine *m, const Block *block, uint32_t state, uint32_t pc,
                   uint32_t *instructions);
Spent spend_of(const Machine *m, const Block *block, uint32_t state);
uint32_t division_cycles(uint32_t dividend, uint32_t divisor, bool is_signed);
uint32_t cost_before(Machine *m, const Block *block, uint32_t pc, uint32_t *instructions);

/* touches.c */
bool find_touches(Machine *m, Block *block); /* false: no room left */
Waits wait_for_touches(Machine *m, const Block *block);

/* accelerator.c */
void accelerator_changed(Machine *m); /* wait states, prefetch or caches were set */
void restore_caches(Machine *m);      /* what the caches hold was copied into place */
uint32_t wait_for_instructions(Machine *m, const Block *block, uint32_t cycles, bool branched);
uint32_t wait_for_data(Machine *m, uint32_t address);

/* blocks.c */
void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *machine);
void on_translation(uc_engine *uc, uc_tb *block, uc_tb *previous, void *machine);
uint64_t cycles_now(Machine *m, uint32_t address, bool write);
void forget_last_block(Machine *m, uint32_t next);
void settle_at(Machine *m, uint32_t pc);
void forget_costs(Machine *m);
uint32_t accessing_pc(const Machine *m, uint32_t address);

/* traps.c */
bool add_traps(Machine *m, const Block *block);
void forget_traps(Machine *m);

/* memory.c */
const Memory *memory_of(const Machine *m, uint32_t address, uint32_t bytes);
uint8_t *memory_at(const Machine *m, uint32_t address, uint32_t bytes, bool write);
bool fetch_instruction(const Machine *m, uint32_t pc, Instruction *instruction);
bool on_tlb_miss(uc_engine *uc, uint64_t address, uc_mem_type type, uc_tlb_entry *entry,
                 void *machine);
void refuse_access(Machine *m, uint32_t pc);
void refuse_store(Machine *m);
uint64_t program_read(uc_engine *uc, uint64_t offset, unsigned size, void *machine);
void program_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *machine);
/* A store of the core or of a debugger, through the controller; false: the bus refuses it. */
bool program_flash(Machine *m, uint32_t address, uint32_t bytes, uint64_t value);
void note_code(Machine *m, uint32_t pc); /* a block there was translated */

/* For flash controllers: memory changes, translations and costs of it are forgotten. */
void erase_flash(Machine *m, uint32_t address, uint32_t bytes);
void program_bits(Machine *m, uint32_t address, uint32_t bytes, uint64_t value); /* 1 to 0 only */

/* registers.c */
bool find_registers(Machine *m);
bool find_mode_fields(Machine *m);
uint32_t read_register(const Machine *m, int id);
void write_register(Machine *m, int id, uint32_t value);
uint32_t effective_address(const Machine *m, const Instruction *instruction, uint32_t pc);

typedef struct {
    uint32_t main, process;
} Stacks;

Stacks read_stacks(const Machine *m);
uint32_t program_status(const Machine *m);
uint32_t read_control(const Machine *m);
/* Put the core into the mode that IPSR = `exception` and CONTROL = `control` stand for. */
void set_mode(Machine *m, uint32_t exception, uint32_t control, Stacks stacks);
void set_program_status(Machine *m, uint32_t psr); /* all but IPSR */

/* execution.c */
void reset_core(Machine *m);
void run_once(Machine *m); /* a turn of the run loop, for a core that no thread runs */
void stop_at_next_block(Machine *m);
void catch_up(Machine *m); /* what virtual time has brought by now */
uint64_t next_timed_event(const Machine *m);
void on_interrupt(uc_engine *uc, uint32_t number, void *machine);

/* limits.c */
uint64_t virtual_ns(Machine *m);
void set_core_clock(Machine *m, uint32_t hz);
uint64_t deadline_cycles(Machine *m);
void check_deadline(Machine *m);
bool check_input(Machine *m);
void check_text(Machine *m, uint8_t byte);
void refuse_unmodelled(Machine *m);
void record_fault(Machine *m, int number, uint32_t cfsr_bits);
bool pace_until(Machine *m, uint64_t next);
void reset_limits(Machine *m);

/* machine.c */
void request_reset(Machine *m, ResetCause cause);
void notice(Machine *m, NoticeKind kind, uint32_t address);

/* nvic.c */
void reset_nvic(Machine *m);
int priority_of(const Machine *m, int number);
int execution_priority(const Machine *m);
bool is_enabled(const Machine *m, int number);
int most_urgent(const Machine *m); /* pending and enabled; 0: none */
int takeable(const Machine *m);    /* what would be taken now; 0: none */
bool would_interrupt(const Machine *m);
void pend(Machine *m, int number);
void unpend(Machine *m, int number);
void deactivate(Machine *m, int number);

/* mpu.c: false where `offset` from PPB_BASE is none of its registers */
bool read_mpu(const Machine *m, uint32_t offset, uint32_t *word);
bool write_mpu(Machine *m, uint32_t offset, uint32_t value);

/* exceptions.c */
void reset_exceptions(Machine *m);
void raise_fault(Machine *m, int number, uint32_t cfsr_bits, uint32_t hfsr_bits);
void raise_breakpoint(Machine *m);
void take_pending(Machine *m);
void return_from_exception(Machine *m, uint32_t exc_return);
void finish_return(Machine *m, uint32_t exc_return);
void begin_fp_context(Machine *m);
void settle_lazy_stacking(Machine *m);
bool in_handler(const Machine *m);

/* system.c */
void reset_system(Machine *m);
uint64_t system_read(uc_engine *uc, uint64_t offset, unsigned size, void *machine);
void system_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *machine);
void advance_systick(Machine *m, uint64_t now);

/* serial.c */
void finish_serial(Machine *m); /* all of it, while the host reads */
void pump_serial(Machine *m);
void wait_for_anything(Machine *m, RunState state, bool also_serial);
bool serial_waits_for_host(Machine *m);
bool serial_take(Machine *m, uint8_t *byte);
bool line_stalls(Machine *m);                       /* no block starts before the host has read */
void line_put(Machine *m, Device *d, uint8_t byte); /* the host hears the console's only */

#endif
