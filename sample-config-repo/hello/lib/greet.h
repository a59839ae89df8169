#ifndef GREET_H
#define GREET_H

#include <stddef.h>

/* Writes "hello, NAME" into text; returns its length, or -1 if it does not fit into size bytes. */
int greet(char *text, size_t size, const char *name);

#endif
