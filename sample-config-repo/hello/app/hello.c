#include "greet.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char text[256];
    int times = argc > 2 ? atoi(argv[2]) : 1;

    if (argc < 2 || greet(text, sizeof text, argv[1]) < 0) {
        fprintf(stderr, "usage: hello NAME [TIMES]\n");
        return 2;
    }
    while (times-- > 0)
        puts(text);
    return 0;
}
