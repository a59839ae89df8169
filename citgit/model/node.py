"""What a node says of itself when citgit is to be installed there."""

from __future__ import annotations

import msgspec


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether compiled code fits: `python` as (3, 11), `os` "linux" or "macos", `arch` as uname has it.

    `libc` is "glibc", "musl" or "" with its version; on macOS the version is that of the system.
    """

    python: tuple[int, int]
    os: str
    arch: str
    libc: str = ""
    libc_version: tuple[int, int] = (0, 0)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A node as its probe found it; what is missing is "", `disk` free bytes at home, `installed` the version in use.

    `python` is the path of the first Python that will do, `older` lists those that will not. `manager` says how
    programs are kept running: "systemd" or "" with the reason in `unmanaged`.
    """

    user: str
    home: str
    host: str
    os: str
    arch: str
    python: str = ""
    older: str = ""
    platform: Platform | None = None
    git: str = ""
    disk: int = 0
    installed: str = ""
    manager: str = ""
    unmanaged: str = ""
    sandbox: str = ""
