# What a machine offers to an installation of citgit, as lines of KEY=VALUE. POSIX sh; changes nothing.
# $1: a Python to use instead of looking for one.
LC_ALL=C
export LC_ALL
say() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\n\r' '  ')"; }
home=${HOME:-$(cd && pwd)}
say user "$(id -un 2>/dev/null)"
say uid "$(id -u 2>/dev/null)"
say home "$home"
say host "$(uname -n)"
say os "$(uname -s)"
say arch "$(uname -m)"
say git "$(git --version 2>/dev/null)"
say disk "$(df -Pk "$home" 2>/dev/null | awk 'END { print $4 }')"
[ -w "$home" ] && say writable yes
say version "$(basename "$(readlink "$home/.local/share/citgit/current" 2>/dev/null)" 2>/dev/null)"
say bwrap "$(command -v bwrap 2>/dev/null)"

# Programs that last: systemd's manager for this user, if it may outlive the last login.
: "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"
export XDG_RUNTIME_DIR
if ! command -v systemctl >/dev/null 2>&1; then
    say unmanaged "there is no systemd"
elif [ "$(id -u)" = 0 ]; then
    [ -d /run/systemd/system ] && say manager system || say unmanaged "systemd does not run here"
elif ! systemctl --user show-environment >/dev/null 2>&1; then
    say unmanaged "systemd has no manager for this user"
elif [ "$(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)" = yes ] ||
    loginctl enable-linger >/dev/null 2>&1; then
    say manager user
else
    say unmanaged "systemd would end it with the last login (loginctl enable-linger needs an administrator)"
fi

# Which Python: the first that is new enough.
facts='
import json, platform, sys, sysconfig
if sys.version_info < (3, 11): sys.exit(1)
import venv, zipfile, ssl
if sys.platform == "darwin":
    libc, version = "", platform.mac_ver()[0]
else:
    libc, version = platform.libc_ver()
    if not libc:
        import glob, re
        found = glob.glob("/lib/ld-musl-*")
        libc, version = ("musl", "1.2") if found else ("", "0")
print(json.dumps([list(sys.version_info[:2]), libc, version]))
'
for name in ${1:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3 /usr/local/bin/python3}; do
    found=$(command -v "$name" 2>/dev/null) || continue
    if told=$("$found" -I -c "$facts" 2>/dev/null) && [ -n "$told" ]; then
        say python "$found"
        say platform "$told"
        break
    fi
    say older "$("$found" --version 2>&1) at $found"
done
