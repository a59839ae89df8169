#include "greet.h"

#include <stdio.h>

int greet(char *text, size_t size, const char *name)
{
    int length = snprintf(text, size, "%s, %s", FAULT ? "helo" : "hello", name);

    return length >= 0 && (size_t)length < size ? length : -1;
}
