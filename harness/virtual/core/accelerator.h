/* The vocabulary of flash time: the caches between the core and the array. */
#ifndef HILNAS_VIRTUAL_ACCELERATOR_H
#define HILNAS_VIRTUAL_ACCELERATOR_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_LINES 254

/* One line of a cache. */
typedef struct {
    uint32_t number; /* of the line of flash that it holds */
    uint32_t used;   /* when: the least recently used is replaced */
    uint32_t parts;  /* which reads of the array it holds: a bit each */
} CacheLine;

/* A fully associative cache. */
typedef struct {
    uint8_t *way_of; /* way + 1 by line of flash; 0: not held */
    uint32_t ways;   /* 0: switched off */
    CacheLine lines[MAX_LINES];
} Cache;

#endif
