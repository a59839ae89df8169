"""A network between git and a repository on this machine, for GIT_SSH_COMMAND: it can be cut, mute, late, or gone.

It reads $FAULTS, a JSON object, and without one passes everything on:
  `mode`     "away" (nobody answers), "cut" (both ends lose each other after `bytes`), "mute" (the host does it, the
             client is not told), "late" (`seconds` pass before the first byte), "kill" (as "cut", and the client's
             git is killed), "reader" (the host knows a user who may only read; needs root)
  `service`  "git-receive-pack" or "git-upload-pack"; left out: both
  `way`      "up" (client to host) or "down": which bytes count
  `times`    how many connections suffer; left out: all
"""

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time


def main() -> int:
    """Serves one connection, as ssh would."""
    command = sys.argv[-1]
    fault = plan(command.split(" ")[0])
    mode = fault.get("mode", "")
    if mode == "away":
        print("ssh: connect to host node port 22: Connection refused", file=sys.stderr)
        return 255
    if mode == "late":
        time.sleep(fault["seconds"])
    user = 65534 if mode == "reader" else None
    served = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user)
    whole = pump(served, fault)
    if whole:
        return served.wait()
    if mode == "kill":
        os.kill(git_above(os.getppid()), signal.SIGKILL)
    for stream in (served.stdin, served.stdout):
        stream.close()
    if mode != "mute":
        served.kill()
    served.wait()
    print("client_loop: send disconnect: Broken pipe", file=sys.stderr)
    return 255


def git_above(pid: int) -> int:
    """The git that started this, perhaps through a shell."""
    with open(f"/proc/{pid}/stat") as file:
        name, _, rest = file.read().partition(" (")[2].rpartition(") ")
    return pid if name == "git" else git_above(int(rest.split(" ")[1]))


def plan(service: str) -> dict:
    """The fault of this connection; each counts once, whichever process it is in."""
    try:
        with open(os.environ["FAULTS"], "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            fault = json.load(file)
            if fault.get("service", service) != service or fault.get("times", 1) <= 0:
                return {}
            if "times" in fault:
                file.seek(0)
                json.dump({**fault, "times": fault["times"] - 1}, file)
                file.truncate()
            return fault
    except (OSError, ValueError):
        return {}


def pump(served: subprocess.Popen, fault: dict) -> bool:
    """Copies both ways until the host has said everything; False if the fault came first."""
    left = fault["bytes"] if fault.get("mode") in ("cut", "kill") else None
    counted = fault.get("way", "up")
    ways = selectors.DefaultSelector()
    ways.register(0, selectors.EVENT_READ, ("up", served.stdin.fileno()))
    ways.register(served.stdout, selectors.EVENT_READ, ("down", 1))
    while True:
        for key, _ in ways.select():
            way, target = key.data
            data = os.read(key.fd, 1 << 16)
            if way == counted and left is not None:
                if len(data) >= left:
                    send(target, data[:left])
                    return False
                left -= len(data)
            if not data and way == "up":
                ways.unregister(0)
                served.stdin.close()
            elif not data:
                return fault.get("mode") != "mute"
            elif not (way == "down" and fault.get("mode") == "mute" and not advert(data, fault)):
                send(target, data)


def advert(data: bytes, fault: dict) -> bool:
    """Whether the host is still telling its refs, up to the flush: without those no client would push anything."""
    told = fault.setdefault("told", bytearray())
    if told.endswith(b"0000"):
        return False
    told += data
    return True


def send(target: int, data: bytes) -> None:
    """Writes all of it; whoever went away need not be told."""
    try:
        while data:
            data = data[os.write(target, data) :]
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    sys.exit(main())
