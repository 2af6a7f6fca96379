/* How is a fault raised on purpose? Only in images built for tests (HILNAS_SELFTEST). */
#ifndef HILNAS_PROVOKE_H
#define HILNAS_PROVOKE_H

#include <stdbool.h>
#include <stdint.h>

/* Raises fault `kind` (fault.h). Returns false when it cannot be raised here, true when it should
 * have come and did not. */
bool provoke_fault(uint8_t kind);

#endif
