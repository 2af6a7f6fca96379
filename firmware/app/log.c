/* What does the engine say of a failure? One LOG message, before the reply or the fault. */
#include <string.h>

#include "engine.h"
#include "serve.h"
#include "wire.h"

void engine_log(const char *text) {
    size_t length = strlen(text);
    if (length > WIRE_PAYLOAD_MAX) {
        length = WIRE_PAYLOAD_MAX;
    }
    memcpy(wire_payload(), text, length);
    wire_send(WIRE_LOG, serve_sequence(), (uint32_t)length);
}
