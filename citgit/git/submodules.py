"""What a commit says about its submodules, and which of it is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from citgit.errors import Refused
from citgit.git.program import check_url, must, run, shown
from citgit.interfaces import Oid


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository, wanted at `path`."""

    path: str
    url: str
    commit: Oid


def submodules(mirror: Path, url: str, commit: Oid) -> list[Submodule]:
    """The submodules of a commit of the repository `url`. Raises Refused for one that has no usable address."""
    listing = must(
        ["ls-tree", "-r", "-z", "--full-tree", commit], git_dir=mirror, doing=f"list the files of {commit[:12]}"
    )
    links: list[tuple[str, Oid]] = []
    for line in listing.stdout.split(b"\0"):
        if line.startswith(b"160000 commit "):
            head, _, name = line.partition(b"\t")
            links.append((name.decode("utf-8", "surrogateescape"), head[14:54].decode()))
    if not links:
        return []
    known = _addresses(mirror, commit)
    found: list[Submodule] = []
    for path, oid in links:
        if path not in known:
            raise Refused(f"submodule {path!r} of {commit[:12]} has no address", hint="add it to .gitmodules")
        found.append(Submodule(path, resolve(url, known[path]), oid))
    return found


def _addresses(mirror: Path, commit: Oid) -> dict[str, str]:
    """The URLs in .gitmodules by path."""
    output = run(["config", "--no-includes", f"--blob={commit}:.gitmodules", "--list", "-z"], git_dir=mirror)
    if output.status:
        return {}
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for entry in output.stdout.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        if found := re.fullmatch(r"submodule\.(.+)\.(path|url)", key, re.DOTALL):
            (paths if found[2] == "path" else urls)[found[1]] = value
    return {path: urls[name] for name, path in paths.items() if name in urls}


def resolve(parent: str, url: str) -> str:
    """The address of a submodule, relative ones as git reads them.

    Raises:
        Refused: it leaves the parent's host by too many "..", or a remote repository names a path of this machine.
    """
    if url.startswith(("./", "../")):
        return check_url(_joined(parent, url))
    check_url(url)
    # Otherwise whoever can push there could have a node's private repositories checked out (CVE-2022-39253).
    if is_local(url) and not is_local(parent):
        raise Refused(
            f"submodule address {shown(url)!r} is a path of this machine, named by {shown(parent)!r}",
            hint="give submodules an address that every node can reach",
        )
    return url


def is_local(url: str) -> bool:
    """Whether the address is a path, as git decides it."""
    if url.lower().startswith("file://"):
        return True
    if "://" in url:
        return False
    colon, slash = url.find(":"), url.find("/")
    return colon < 0 or 0 <= slash < colon


def _joined(parent: str, url: str) -> str:
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*|[^/:]+:(?!//)|", parent)
    fixed = scheme[0] if scheme else ""
    rest = parent[len(fixed) :].rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            if not rest.strip("/"):
                raise Refused(f"submodule address leaves {shown(parent)!r} by too many '..'", hint="mend .gitmodules")
            rest = rest.rpartition("/")[0]
        url = url.partition("/")[2]
    slash = "" if fixed.endswith(":") and not rest else "/"
    return f"{fixed}{rest}{slash}{url}"
