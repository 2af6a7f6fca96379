/* Which file descriptor plays the console? */
#ifndef HILNAS_HOST_CONSOLE_H
#define HILNAS_HOST_CONSOLE_H

/* Opens the terminal at `path` ("-": standard input is one, used both ways), or, when it is NULL,
 * a new pty whose other end's name is printed on standard output. Ends the program with a sentence
 * on standard error when that fails. */
void console_open(const char *path);

#endif
