"""Which host, and which path there, an address of a repository means if git would reach it by ssh."""

from __future__ import annotations

import re
from dataclasses import dataclass

from citgit.model.pattern import pattern

_URL = pattern(r"(?i)(?:ssh|git\+ssh|ssh\+git)://(?P<host>[^/\s]+)(?P<path>/.+)")
_HOST = pattern(r"(?P<name>(?:[^@\[\]:]+@)?(?:\[[0-9A-Fa-f:.%\w]+\]|[^@\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
_SCP = pattern(r"(?P<name>(?:[^@/\[\]:]+@)?[^@/\[\]:]+):(?!//)(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is what ssh takes ("anna@lab1"), `port` "" for the usual one, `path` what git would hand to the host."""

    host: str
    port: str
    path: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The end of an ssh command line, up to the command."""
        return (*(("-p", self.port) if self.port else ()), "--", self.host)

    @property
    def url(self) -> str:
        """The login as a URL, ssh://[USER@]HOST[:PORT]; the colons of an IPv6 host are in brackets."""
        user, at, name = self.host.rpartition("@")
        name = f"[{name}]" if ":" in name else name
        return f"ssh://{user}{at}{name}" + (f":{self.port}" if self.port else "")


def ssh_address(url: str) -> Address | None:
    """The address in the forms ssh://[USER@]HOST[:PORT]/PATH and [USER@]HOST:PATH; None for any other."""
    if re.search(r"[\0-\x1f\x7f]", url):
        return None
    if found := _URL.fullmatch(url):
        host = _HOST.fullmatch(found["host"])
        # as git does: "/~anna/x" is below a home directory
        path = found["path"][1:] if found["path"].startswith("/~") else found["path"]
        return _safe(host["name"].replace("[", "").replace("]", ""), host["port"] or "", path) if host else None
    if "://" not in url and (found := _SCP.fullmatch(url)):
        return _safe(found["name"], "", found["path"])
    return None


def address_of(host: str) -> Address | None:
    """The login that a `host` in team.toml means, [USER@]HOST[:PORT] or a URL of ssh; None if it means none."""
    if host.startswith("ssh://"):
        found = ssh_address(f"{host.rstrip('/')}/.")
        return Address(found.host, found.port, "") if found else None
    return login_address(host)


def login_address(text: str) -> Address | None:
    """The address of an account, [USER@]HOST[:PORT] as a person types it; None if it is no such thing."""
    if re.search(r"[\0-\x20\x7f/]", text) or not (found := _HOST.fullmatch(text)):
        return None
    return _safe(found["name"].replace("[", "").replace("]", ""), found["port"] or "", "")


def _safe(host: str, port: str, path: str) -> Address | None:
    """Nothing that ssh or the host's git could take for an option (CVE-2017-1000117)."""
    hostile = host.startswith("-") or path.startswith("-") or "@-" in host or " " in host
    return None if hostile else Address(host, port, path)
