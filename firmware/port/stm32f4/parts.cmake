set(PORT_PARTS cortexm stm32 stm32f4_adc)
