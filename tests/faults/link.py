"""A network between us and a repository on this machine, for GIT_SSH_COMMAND: it can be cut, mute, late, or gone.

It reads $FAULTS, a JSON object, and without one passes everything on:
  `mode`     "away" (nobody answers, and who was connected is cut off), "cut" (both ends lose each other after `bytes`),
             "mute" (the host does it, the client is not told), "late" (`seconds` pass before the first byte; on a kept
             channel before each answer), "kill" (as "cut", and the client's git is killed, where there is one),
             "reader" (the host knows a user who may only read; needs root)
  `services` some of "git-receive-pack", "git-upload-pack", "cit-serve"; left out: all
  `way`      "up" (client to host) or "down": which bytes count
  `times`    how many connections suffer; left out: all
  `number`   another one for each fault: a kept channel, which is a connection for long, suffers those that come later
The host has a `cit-serve` if $SERVE says how to run it. What a fault did to whom is written to $FAULTS.struck.
"""

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time

CHANNEL = "cit-serve"
LOOK = 0.05  # seconds between two looks at what became of the network


def main() -> int:
    """Serves one connection, as ssh would."""
    command = sys.argv[-1]
    service = command.split(" ")[0]
    fault = plan(service)
    mode = fault.get("mode", "")
    if mode == "away":
        struck(service, mode)
        print("ssh: connect to host node port 22: Connection refused", file=sys.stderr)
        return 255
    if service == CHANNEL and "SERVE" not in os.environ:
        print("sh: 1: cit-serve: not found", file=sys.stderr)
        return 127
    if mode == "late" and service != CHANNEL:
        struck(service, mode)
        time.sleep(fault["seconds"])
    if service == CHANNEL:
        command = os.environ["SERVE"] + command.removeprefix(CHANNEL)
    user = 65534 if mode == "reader" else None
    served = subprocess.Popen(
        ["/bin/sh", "-c", "exec " + command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user
    )
    line = Line(service, served, fault)
    if line.pump():
        return served.wait()
    mode = line.fault["mode"]
    struck(service, mode)
    if mode == "kill" and service != CHANNEL:
        os.kill(git_above(os.getppid()), signal.SIGKILL)
    for stream in (served.stdin, served.stdout):
        stream.close()
    if mode != "mute":
        served.kill()
    served.wait()
    print("client_loop: send disconnect: Broken pipe", file=sys.stderr)
    return 255


def struck(service: str, mode: str) -> None:
    """Writes down that a fault did what it is for."""
    with open(os.environ["FAULTS"] + ".struck", "a") as file:
        file.write(f"{service} {mode}\n")


def git_above(pid: int) -> int:
    """The git that started this, perhaps through a shell."""
    with open(f"/proc/{pid}/stat") as file:
        name, _, rest = file.read().partition(" (")[2].rpartition(") ")
    return pid if name == "git" else git_above(int(rest.split(" ")[1]))


def told() -> dict:
    """The fault as it is told now."""
    try:
        with open(os.environ["FAULTS"]) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return json.load(file)
    except (OSError, ValueError):
        return {}


def plan(service: str) -> dict:
    """The fault of this connection; each counts once, whichever process it is in."""
    try:
        with open(os.environ["FAULTS"], "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            fault = json.load(file)
            if service not in fault.get("services", [service]) or fault.get("times", 1) <= 0:
                return {"number": fault["number"]}
            if "times" in fault:
                file.seek(0)
                json.dump({**fault, "times": fault["times"] - 1}, file)
                file.truncate()
            return fault
    except (OSError, ValueError):
        return {}


class Line:
    """A connection from its beginning until the host has said everything, or a fault came first."""

    def __init__(self, service: str, served: subprocess.Popen, fault: dict) -> None:
        self.service, self.served = service, served
        self.suffer(fault)

    def suffer(self, fault: dict) -> None:
        """From now on this fault."""
        self.fault = fault
        self.left = fault["bytes"] if fault.get("mode") in ("cut", "kill") else None
        self.heard, self.swallowed = bytearray(), bytearray()

    def pump(self) -> bool:
        """Copies both ways; False if the fault came first."""
        ways = selectors.DefaultSelector()
        ways.register(0, selectors.EVENT_READ, ("up", self.served.stdin.fileno()))
        ways.register(self.served.stdout, selectors.EVENT_READ, ("down", 1))
        while True:
            ready = ways.select(LOOK)
            if self.is_cut_off():
                return False
            for key, _ in ready:
                way, target = key.data
                data = os.read(key.fd, 1 << 16)
                if way == self.fault.get("way", "up") and self.left is not None:
                    if len(data) >= self.left:
                        send(target, data[: self.left])
                        return False
                    self.left -= len(data)
                if not data and way == "up":
                    ways.unregister(0)
                    self.served.stdin.close()
                elif not data:
                    return self.fault.get("mode") != "mute" or not self.swallowed
                elif self.passes(way, data):
                    send(target, data)
                elif self.service == CHANNEL and b'"type":"answered"' in self.swallowed:
                    return False

    def is_cut_off(self) -> bool:
        """Whether the host went away meanwhile; a kept channel suffers every fault that came meanwhile."""
        now = told()
        if now.get("number") != self.fault.get("number"):
            if now.get("mode") == "away" and self.service in now.get("services", [self.service]):
                self.fault = now
                return True
            if self.service == CHANNEL:
                self.suffer(plan(CHANNEL))
        return False

    def passes(self, way: str, data: bytes) -> bool:
        """Whether the other end gets to see this, perhaps late."""
        mode = self.fault.get("mode")
        if way == "down" and mode == "late" and self.service == CHANNEL:
            struck(self.service, mode)
            time.sleep(self.fault["seconds"])
        if mode != "mute":
            return True
        if way == "down" and self.is_answer(data):
            self.swallowed += data
            return False
        if way == "up" and self.service == CHANNEL:
            self.heard += data
        return True

    def is_answer(self, data: bytes) -> bool:
        """Whether the host says what became of a push; without what it says before, nobody would push anything."""
        if self.service == CHANNEL:
            return b'"type":"push"' in self.heard
        if self.heard.endswith(b"0000"):
            return True
        self.heard += data
        return False


def send(target: int, data: bytes) -> None:
    """Writes all of it; whoever went away need not be told."""
    try:
        while data:
            data = data[os.write(target, data) :]
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    sys.exit(main())
