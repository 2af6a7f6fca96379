/* What does the app need from a chip? This much and no more; one folder per chip family implements
 * it, together with the folders that its parts.cmake names. The port owns the entry point: it sets
 * up clocks, caches, console and cycle counter as board.h says, then calls serve(). It calls
 * clock_tick() (app/clock.h) from its timer and fault_report() (app/fault.h) from its fault
 * handlers. */
#ifndef HILNAS_PORT_H
#define HILNAS_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Waits for one byte from the console. */
uint8_t port_read(void);

/* Returns when the console has taken all bytes. */
void port_write(const uint8_t *bytes, uint32_t length);

/* A free-running counter of core cycles that wraps at 2^32. */
uint32_t port_cycles(void);

/* From the call on, clock_tick() is called at least once every 2^31 cycles, for the first time not
 * before 2^24 cycles have passed; port_tick_stop() ends it. */
void port_tick_start(void);
void port_tick_stop(void);

/* What the chip says of its speed, read back from its registers. sysclk_hz: 0 where they do not
 * tell; caches: the bits below, of what is on. */
#define PORT_PREFETCH 1u
#define PORT_INSTRUCTION_CACHE 2u
#define PORT_DATA_CACHE 4u
typedef struct {
    uint32_t sysclk_hz;
    uint8_t flash_wait_states;
    uint8_t caches;
} port_speed_t;
port_speed_t port_speed(void);

/* What the chip's own sensors say of it. What is used for that is left as after reset, so that an
 * inference takes the same cycles before and behind. Takes some milliseconds, and returns where
 * nothing answers, too. Never called while an inference is timed. */
#define PORT_TEMPERATURE_UNKNOWN INT16_MIN
#define PORT_VDD_UNKNOWN 0u
typedef struct {
    int16_t temperature; /* of the die, hundredths of a degree Celsius */
    uint16_t vdd_mv;     /* the supply, millivolts */
} port_conditions_t;
port_conditions_t port_conditions(void);

/* Forgets what the flash caches hold, so that what a run takes does not depend on what was executed
 * before it. */
void port_caches_empty(void);

/* The memory the stack may use: [low, high), growing down from high. */
uint8_t *port_stack_low(void);
uint8_t *port_stack_high(void);

#ifdef HILNAS_SELFTEST
/* Raises fault `kind` (app/fault.h) where only this chip family knows how; returns false when it
 * does not. */
bool port_provoke(uint8_t kind);
/* An address that no access may reach. */
#define PORT_UNMAPPED_ADDRESS ((uintptr_t)0x30000000u)
#endif

#endif
