#include "greet.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void check(const char *what, int ok)
{
    printf("%s - %s\n", ok ? "ok" : "not ok", what);
    failures += !ok;
}

int main(void)
{
    char text[32], tiny[8];

    check("greets by name", greet(text, sizeof text, "anna") == 11 && strcmp(text, "hello, anna") == 0);
    check("greets nobody", greet(text, sizeof text, "") == 7);
    check("says when there is no room", greet(tiny, sizeof tiny, "anna") == -1);
    return failures != 0;
}
