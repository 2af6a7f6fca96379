/* Which part is it? nRF52840 product specification, "Interrupt controller". */
#ifndef HILNAS_NRF52_PART_H
#define HILNAS_NRF52_PART_H

#include "board.h"

#if defined(CHIP_NRF52840)
#define PART_INTERRUPTS 48
#else
#error "chip is not one of this port: nrf52840"
#endif

#endif
