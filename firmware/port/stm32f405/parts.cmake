set(PORT_PARTS cortexm stm32 stm32f4_adc)

# Where QEMU plays the part these three do not do: qemu.c answers port_cycles(), port_read() and
# port_conditions(), and elsewhere calls theirs by these names.
set_source_files_properties(port/cortexm/cycles.c PROPERTIES COMPILE_DEFINITIONS port_cycles=dwt_cycles)
set_source_files_properties(port/stm32/console.c PROPERTIES COMPILE_DEFINITIONS port_read=polled_byte)
set_source_files_properties(port/stm32/conditions.c PROPERTIES COMPILE_DEFINITIONS port_conditions=adc_conditions)
