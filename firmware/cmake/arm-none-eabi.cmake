# Which compiler builds for a Cortex-M? CMake toolchain file.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
if(NOT CMAKE_C_COMPILER)
  set(CMAKE_C_COMPILER arm-none-eabi-gcc)
endif()
if(NOT CMAKE_CXX_COMPILER)
  set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
endif()
# A probe program cannot be linked before the linker script is there.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
