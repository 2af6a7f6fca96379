/* Where are the registers this port uses? nRF52840 product specification, by chapter. */
#ifndef HILNAS_NRF52_REGISTERS_H
#define HILNAS_NRF52_REGISTERS_H

#include "board.h"
#include "core.h"

/* CLOCK */
#define CLOCK_TASKS_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100u)

#define CLOCK_HFCLKSTAT REGISTER(0x4000040Cu)
#define CLOCK_HFCLKSTAT_CRYSTAL (1u << 0)
#define CLOCK_HFCLKSTAT_RUNNING (1u << 16)

/* NVMC */
#define NVMC_ICACHECNF REGISTER(0x4001E540u)
#define NVMC_ICACHECNF_CACHEEN (1u << 0)

/* GPIO: the registers of port 1 lie 0x300 behind those of port 0. */
#define GPIO_BASE(port) (0x50000000u + 0x300u * (uint32_t)((port) - '0'))
#define GPIO_OUTSET(port) REGISTER(GPIO_BASE(port) + 0x508u)
#define GPIO_PIN_CNF(port, pin) REGISTER(GPIO_BASE(port) + 0x700u + 4u * (pin))
#define GPIO_PIN_CNF_OUTPUT 3u     /* DIR, and the input buffer disconnected */
#define GPIO_PIN_CNF_PULLED_UP 12u /* an input */

/* UART */
#define UART_REGISTER(offset) REGISTER(BOARD_CONSOLE_BASE + (offset))
#define UART_TASKS_STARTRX UART_REGISTER(0x000u)
#define UART_TASKS_STARTTX UART_REGISTER(0x008u)
#define UART_EVENTS_RXDRDY UART_REGISTER(0x108u)
#define UART_EVENTS_TXDRDY UART_REGISTER(0x11Cu)
#define UART_ENABLE UART_REGISTER(0x500u)
#define UART_ENABLE_ENABLED 4u
#define UART_PSEL_TXD UART_REGISTER(0x50Cu)
#define UART_PSEL_RXD UART_REGISTER(0x514u)
#define UART_RXD UART_REGISTER(0x518u)
#define UART_TXD UART_REGISTER(0x51Cu)
#define UART_BAUDRATE UART_REGISTER(0x524u)

#endif
