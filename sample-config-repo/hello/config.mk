# What both components are built with.
CC = cc
CFLAGS = -O2
# 1 breaks the greeting, so that a test fails and there is a red build to look at.
FAULT = 0
COMPILE = $(CC) -std=c99 -Wall -Wextra $(CFLAGS) -DFAULT=$(FAULT)
