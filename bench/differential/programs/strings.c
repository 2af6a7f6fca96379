/* newlib's assembly and C: copies of all alignments, searches, numbers printed and parsed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char results[2048];
static char from[300], to[300];

void program(uint32_t rounds) {
    while (rounds--) {
        for (uint32_t i = 0; i < sizeof from; i++)
            from[i] = (char)('a' + i * 7 % 26);
        uint32_t at = 0;
        for (uint32_t shift = 0; shift < 8; shift++)
            for (uint32_t length = 0; length < 40; length += 3) {
                memset(to, '.', sizeof to);
                memcpy(to + shift, from + length % 5, length);
                memmove(to + 2, to + shift, length + 9);
                to[120] = 0;
                at = (at + strlen(strchr(to, '.')) + (uint32_t)memcmp(to, from, 30)) % 1024;
                results[at] ^= to[length];
            }
        char line[120];
        int written = snprintf(line, sizeof line, "%d %x %08o %s|%-6s|%c %u", -12345, 0xBEEFu, 8u,
                               "word", "pad", 'z', (unsigned)rounds);
        memcpy(results + 1100, line, (uint32_t)written + 1);
        long parsed = strtol("-0x7fAB", NULL, 16) + atoi("  4711x");
        memcpy(results + 1300, &parsed, sizeof parsed);
        char *word = strtok(strcpy(line, "one,two;;three"), ",;");
        for (at = 1400; word; word = strtok(NULL, ",;"), at += 20)
            strcpy(results + at, word);
    }
}
