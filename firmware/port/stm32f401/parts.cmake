set(PORT_PARTS cortexm stm32)
