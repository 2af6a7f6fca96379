set(PORT_PARTS cortexm stm32)

# Where QEMU plays the part these two do not do: qemu.c answers port_cycles() and port_read(), and
# elsewhere calls theirs by these names.
set_source_files_properties(port/cortexm/cycles.c PROPERTIES COMPILE_DEFINITIONS port_cycles=dwt_cycles)
set_source_files_properties(port/stm32/console.c PROPERTIES COMPILE_DEFINITIONS port_read=polled_byte)
