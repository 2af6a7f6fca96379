/* The name of a board that there is only in the fuzzer. */
#ifndef HILNAS_BOARD_H
#define HILNAS_BOARD_H

#define BOARD_NAME "fuzz"

#endif
