#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "port.h"

static int terminal = -1;
static uint8_t received[1024];
static ssize_t received_length, received_at;

static _Noreturn void give_up(const char *what, const char *path) {
    fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    exit(1);
}

void console_open(const char *path) {
    const char *name = path;
    if (path != NULL && strcmp(path, "-") == 0) {
        terminal = STDIN_FILENO;
    } else if (path != NULL) {
        terminal = open(path, O_RDWR | O_NOCTTY);
        if (terminal < 0) {
            give_up("cannot be opened", path);
        }
    } else {
        terminal = posix_openpt(O_RDWR | O_NOCTTY);
        if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0 ||
            (name = ptsname(terminal)) == NULL || open(name, O_RDWR | O_NOCTTY) < 0) {
            give_up("no pty to be had", "/dev/ptmx");
        }
        /* The second descriptor stays open, so that a client may come and go. */
    }
    struct termios settings;
    if (tcgetattr(terminal, &settings) == 0) {
        cfmakeraw(&settings);
        tcsetattr(terminal, TCSANOW, &settings);
    }
    if (path == NULL) {
        puts(name);
        fflush(stdout);
    }
}

uint8_t port_read(void) {
    while (received_at == received_length) {
        received_at = 0;
        received_length = read(terminal, received, sizeof received);
        if (received_length == 0 || (received_length < 0 && errno != EINTR)) {
            exit(0); /* the other side has closed the line: nobody is left to serve */
        }
        if (received_length < 0) {
            received_length = 0;
        }
    }
    return received[received_at++];
}

void port_write(const uint8_t *bytes, uint32_t length) {
    while (length > 0) {
        ssize_t written = write(terminal, bytes, length);
        if (written < 0 && errno != EINTR) {
            exit(0);
        }
        if (written > 0) {
            bytes += written;
            length -= (uint32_t)written;
        }
    }
}
