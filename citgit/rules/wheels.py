"""Which wheels a node's Python can use, told from their file names and what the node says of itself."""

from __future__ import annotations

import re

from citgit.model.node import Platform

_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(?:-[0-9][A-Za-z0-9_.]*)?"
    r"-(?P<python>[a-z0-9_.]+)-(?P<abi>[a-z0-9_.]+)-(?P<platform>[a-z0-9_.]+)\.whl",
    re.IGNORECASE,
)
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
# The first glibc 2.x that manylinux wheels of a machine may ask for: the oldest on two, a later one on all others.
_FIRST_GLIBC, _LATER = {"x86_64": 5, "i686": 5}, 17
_LIBC = re.compile(r"(manylinux|musllinux)_([0-9]+)_([0-9]+)_(.+)")
_MAC = re.compile(r"macosx_([0-9]+)_([0-9]+)_(.+)")


def project(file: str) -> tuple[str, str]:
    """(name, version) of the wheel, the name in its normal form; ("", "") if the file is no wheel."""
    found = _NAME.fullmatch(file)
    return (normal(found["name"]), found["version"]) if found else ("", "")


def normal(name: str) -> str:
    """The name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fits(file: str, node: Platform) -> bool:
    """Whether that node's Python can use the wheel."""
    found = _NAME.fullmatch(file)
    if found is None:
        return False
    pythons, abis, platforms = (found[part].split(".") for part in ("python", "abi", "platform"))
    interpreter = any(_speaks(python, abi, node) for python in pythons for abi in abis)
    return interpreter and any(_runs(platform, node) for platform in platforms)


def _speaks(python: str, abi: str, node: Platform) -> bool:
    major, minor = node.python
    mine = f"cp{major}{minor}"
    if python in (f"py{major}", f"py{major}{minor}"):
        return abi == "none"
    if python == mine:
        return abi in (mine, "abi3", "none")
    older = re.fullmatch(rf"cp{major}([0-9]+)", python)
    return abi == "abi3" and older is not None and int(older[1]) <= minor


def _runs(platform: str, node: Platform) -> bool:
    if platform == "any":
        return True
    if node.os == "macos":
        mac = _MAC.fullmatch(platform)
        return mac is not None and mac[3] in (node.arch, "universal2") and _at_least(node, mac[1], mac[2])
    if platform == f"linux_{node.arch}":
        return True
    for name, version in _LEGACY.items():
        if platform == f"{name}_{node.arch}":
            return node.libc == "glibc" and node.libc_version >= version
    libc = _LIBC.fullmatch(platform)
    wanted = {"manylinux": "glibc", "musllinux": "musl"}
    return (
        libc is not None and libc[4] == node.arch and wanted[libc[1]] == node.libc and _at_least(node, libc[2], libc[3])
    )


def _at_least(node: Platform, major: str, minor: str) -> bool:
    return node.libc_version >= (int(major), int(minor))


def download_tags(node: Platform) -> list[str]:
    """The options of `pip download` that fetch for that node instead of the machine it is typed on."""
    options = [f"--platform={platform}" for platform in _platforms(node)]
    return ["--only-binary=:all:", f"--python-version={node.python[0]}.{node.python[1]}", *options]


def _platforms(node: Platform) -> list[str]:
    """The platforms of wheels that the node takes, newest first; of a Mac's pip knows the older ones itself."""
    major, minor = node.libc_version
    if node.os == "macos":
        return [f"macosx_{major}_0_{arch}" for arch in (node.arch, "universal2")]
    if node.libc == "musl":
        return [f"musllinux_{major}_{one}_{node.arch}" for one in range(minor, -1, -1)]
    found = []
    for one in range(minor, _FIRST_GLIBC.get(node.arch, _LATER) - 1, -1):
        aliases = [name for name, version in _LEGACY.items() if version == (major, one)]
        found += [f"{name}_{node.arch}" for name in (f"manylinux_{major}_{one}", *aliases)]
    return found
