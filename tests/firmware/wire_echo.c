/* The wire with a fake port: every good frame on standard input comes back on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"
#include "wire.h"

uint8_t port_read(void) {
    int byte = getchar();
    if (byte == EOF) {
        exit(0);
    }
    return (uint8_t)byte;
}

void port_write(const uint8_t *bytes, uint32_t length) { fwrite(bytes, 1, length, stdout); }

int main(void) {
    for (;;) {
        wire_header_t header = wire_receive();
        wire_send(header.type, header.sequence, header.length);
    }
}
