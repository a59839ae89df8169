#!/bin/sh
# Runs one command and leaves behind how it ended, so that no worker has to outlive it.
#
#   shim.sh DIRECTORY CWD COMMAND [ARG...]
#
# stdin, stdout and stderr are the command's. fd 9 holds a lock on DIRECTORY/alive for as long as this runs.
# It writes
#   DIRECTORY/alive  its own pid
#   DIRECTORY/usage  what `times` and /proc/self/io say at the end
#   DIRECTORY/exit   "STATUS end" in one write, over a placeholder, so that a full disk cannot prevent it

directory=$1
cwd=$2
shift 2
echo $$ >&9

# Whoever stops the attempt signals the whole group: the command must get that, the shim must live to tell.
# A handler, not '': ignored signals would stay ignored in the command.
trap : HUP INT TERM

# The shell's own remarks ("Killed") are not the command's output. `exec` never takes a builtin for a program.
exec 8>&2 2>/dev/null
(
    # In two steps: with redirections of its own, `exec` would leave saved descriptors to the command.
    exec 2>&8 8>&- 9>&-
    cd "$cwd" && unset OLDPWD && exec "$@"
)
status=$?

{
    times
    if [ -r /proc/$$/io ]; then
        while read -r line; do echo "$line"; done </proc/$$/io
    fi
} >"$directory/usage"
echo "$status end" 1<>"$directory/exit"
