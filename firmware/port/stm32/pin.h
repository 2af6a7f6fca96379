#ifndef HILNAS_STM32_PIN_H
#define HILNAS_STM32_PIN_H

#include <stdint.h>

/* Hands pin `pin` of GPIO port 'A' to 'K' to its peripheral number `alternate`. */
void pin_connect(char port, uint32_t pin, uint32_t alternate);

#endif
