/* A block whose registers only remember: known to the chip file, without behaviour. */
#include "../device.h"

const DeviceModel device_storage = {.name = "storage"};
