/* How is a pin given to a peripheral? RM0402, chapter GPIO; every STM32 with alternate function
 * numbers does it so. */
#include "pin.h"

#include "registers.h"

#define GPIO_BASE(port) (GPIOA_BASE + 0x400u * (uint32_t)((port) - 'A'))
#define GPIO_MODER(port) REGISTER(GPIO_BASE(port))
#define GPIO_MODER_ALTERNATE 2u
#define GPIO_AFR(port, pin) REGISTER(GPIO_BASE(port) + 0x20u + 4u * ((pin) / 8u))

static uint32_t with_field(uint32_t word, uint32_t shift, uint32_t mask, uint32_t value) {
    return (word & ~(mask << shift)) | value << shift;
}

void pin_connect(char port, uint32_t pin, uint32_t alternate) {
    RCC_GPIO_ENABLE |= 1u << (port - 'A');
    (void)RCC_GPIO_ENABLE; /* reading back waits until the clock has arrived */
    GPIO_AFR(port, pin) = with_field(GPIO_AFR(port, pin), 4u * (pin % 8u), 15u, alternate);
    GPIO_MODER(port) = with_field(GPIO_MODER(port), 2u * pin, 3u, GPIO_MODER_ALTERNATE);
}
