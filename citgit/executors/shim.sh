#!/bin/sh
# Runs one command and leaves behind how it ended, so that no worker has to outlive it.
#
#   shim.sh DIRECTORY CAT MASK CWD COMMAND [ARG...]
#
# stdin is the command's. Its output goes through the pipes DIRECTORY/out.pipe and err.pipe, which CAT copies to the
# log: were the log its stdout itself, `echo x >/dev/stdout` would empty it.
# Where the job has secrets CAT is Python and MASK its script, which gets their values on fd 8; else MASK is empty.
# fd 9 holds a lock on DIRECTORY/alive for as long as this runs, which is until the pipes are drained.
# It writes
#   DIRECTORY/alive  its own pid and those of its two helpers
#   DIRECTORY/usage  what `times` and /proc/self/io say when the command has ended
#   DIRECTORY/exit   "STATUS end" in one write, over a placeholder, so that a full disk cannot prevent it

directory=$1
cat=$2
mask=$3
cwd=$4
shift 4

# Whoever stops the attempt signals the command and all that descends from it: this has to live to tell.
# A handler, not '': ignored signals would stay ignored in the command.
trap : HUP INT TERM

"$cat" ${mask:+-IS "$mask"} <"$directory/out.pipe" >>"$directory/log/out" 2>/dev/null 9>&- &
out=$!
"$cat" ${mask:+-IS "$mask"} <"$directory/err.pipe" >>"$directory/log/err" 2>/dev/null 9>&- &
echo "$$ $out $!" >&9

(
    # In two steps: with redirections of its own, `exec` would leave saved descriptors to the command.
    exec >"$directory/out.pipe" 2>"$directory/err.pipe" 9>&- 8<&-
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

# What the command left behind may hold the pipes; the worker kills it, having read the status.
wait
