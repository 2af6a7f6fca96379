/* An application's own start-up and console on an STM32F412 after reset (HSI, 16 MHz): what a
 * deployment is linked with to see that it needs nothing else. RM0402: USART3 at 0x40004800. */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define USART3_SR REGISTER(0x40004800u)
#define USART3_DR REGISTER(0x40004804u)
#define USART3_BRR REGISTER(0x40004808u)
#define USART3_CR1 REGISTER(0x4000480Cu)
#define CPACR REGISTER(0xE000ED88u)

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
int main(void);
int _write(int file, const char *text, int count);
void reset(void);

int _write(int file, const char *text, int count) {
    (void)file;
    for (int i = 0; i < count; i++) {
        USART3_DR = (uint8_t)text[i];
        while ((USART3_SR & 0x40u) == 0) {
        }
    }
    return count;
}

void reset(void) {
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    CPACR |= 0xFu << 20;
    USART3_BRR = 16; /* a megabaud */
    USART3_CR1 = 0x200C;
    main();
    for (;;) {
        __asm volatile("wfi");
    }
}

__attribute__((section(".vectors"), used))
const uintptr_t vectors[] = {(uintptr_t)stack_top, (uintptr_t)reset};
