"""A node that systemd boots: it keeps workers running, for one account and for the machine, and after a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import PYTHON, Lab, lab
from machine import Machine, machine
from world import until

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]
NODE = "citgit-unit"
CIT_NODE = ".local/share/citgit/current/bin/cit-node"


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lab, Machine]]:
    """A lab, and the machine that is to become its node."""
    with lab(monkeypatch, NODE) as made, machine(made.sshd) as there:
        yield made, there


def pid(there: Machine, user: str, *options: str) -> int:
    """The process that systemd keeps running for agent lab1."""
    said = there.on(user, "XDG_RUNTIME_DIR=/run/user/$(id -u)", "systemctl", *options, "show", "--value",
                    "--property=MainPID", "citgit-lab1.service")  # fmt: skip
    return int(said or 0)


def test_an_account_of_it(node: tuple[Lab, Machine]) -> None:
    """At first a process in the background, then a unit: started again after a kill, and a restart of the machine."""
    laptop, there = node
    host = f"{NODE}@127.0.0.1:{there.port}"
    install = ("agent", "install", host, "--name", "lab1", "--own", "--python", PYTHON)
    there.on("root", "chmod", "700", "/usr/bin/systemctl")
    said = laptop.site.cit(*install)
    assert "kept running by a background process" in said.err
    assert "there is no systemd, so nothing starts it after a restart" in said.err
    there.on("root", "chmod", "755", "/usr/bin/systemctl")
    said = laptop.site.cit(*install)
    assert "kept running by systemd" in said.err
    assert there.on("root", "loginctl", "show-user", "--property=Linger", "--value", NODE) == "yes\n"
    laptop.publish("add-lab1")
    before = pid(there, NODE, "--user")
    assert before
    build = laptop.ask("hello")
    assert laptop.final(build)["outcome"] == "passed"
    there.on(NODE, "kill", "-9", str(before))
    until("another supervisor", lambda: pid(there, NODE, "--user") not in (0, before), 30)
    assert laptop.final(laptop.ask("hello"))["outcome"] == "passed"
    there.restart()
    assert laptop.final(laptop.ask("hello"), 90)["outcome"] == "passed"
    laptop.site.cit("agent", "remove", "lab1", "--node", "--files")
    left = there.on(NODE, "find", ".config/systemd", ".local/share/citgit", "-name", "*citgit*", status=None)
    assert not left
    assert pid(there, NODE, "--user") == 0


def test_the_whole_machine(node: tuple[Lab, Machine]) -> None:
    """A service account, a unit of the machine and none in the background; an upgrade and a restart restart it."""
    laptop, there = node
    install = ("agent", "install", f"root@127.0.0.1:{there.port}", "--system", "--name", "lab1", "--own",
               "--python", PYTHON)  # fmt: skip
    there.on("root", "mv", "/run/systemd/system", "/run/systemd/away")
    said = laptop.site.cit(*install)
    assert "systemd does not run here, so nothing starts it after a restart" in said.err
    there.on("root", "mv", "/run/systemd/away", "/run/systemd/system")
    said = laptop.site.cit(*install)
    assert "kept running by systemd" in said.err
    assert "does not reach the repository yet" in said.err
    home = (there.on("root", "getent passwd citgit") or "").split(":")[5]
    there.on("root", f"cp -r ~{NODE}/.ssh {home}/.ssh && sed -i s,/home/{NODE},{home}, {home}/.ssh/config"
             f" && chown -R citgit: {home}/.ssh")  # fmt: skip
    said = laptop.site.cit(*install)
    assert "kept running by systemd" in said.err
    laptop.publish("add-lab1")
    until("the unit to last", lambda: pid(there, "root"), 30)
    first = pid(there, "root")
    build = laptop.ask("hello")
    assert laptop.final(build)["outcome"] == "passed"
    assert there.on("root", "ps", "-o", "user=", "-p", str(first)) == "citgit\n"
    laptop.site.cit(*install)
    until("the restarted unit", lambda: pid(there, "root") not in (0, first), 30)
    there.restart()
    assert laptop.final(laptop.ask("hello"), 90)["outcome"] == "passed"
