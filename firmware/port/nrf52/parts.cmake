set(PORT_PARTS cortexm)
