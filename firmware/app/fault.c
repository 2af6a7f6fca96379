#include "fault.h"

#include "serve.h"
#include "wire.h"

void fault_report(fault_kind_t kind, const fault_registers_t *registers) {
    uint8_t *const payload = wire_payload();
    uint8_t *at = payload;
    *at++ = (uint8_t)kind;
    at = wire_put_u32(at, registers->pc);
    at = wire_put_u32(at, registers->lr);
    at = wire_put_u32(at, registers->psr);
    at = wire_put_u32(at, registers->cfsr);
    at = wire_put_u32(at, registers->hfsr);
    at = wire_put_u32(at, registers->mmfar);
    at = wire_put_u32(at, registers->bfar);
    at = wire_put_u32(at, registers->sp);
    wire_break(); /* the fault may have struck in the middle of a frame */
    wire_send(WIRE_FAULT, serve_sequence(), (uint32_t)(at - payload));
}
