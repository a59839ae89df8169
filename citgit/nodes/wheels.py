"""The wheels of the running installation: its own, and those of what it needs, made anew from the installed files."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from citgit.errors import Errored
from citgit.rules.wheels import normal, project

OWN = "citgit"
EXTRA = ("pyrage",)
"""Sent along where they are installed: what private builds need."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# What an installer notes about its own work is not part of a wheel.
_NOTES = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"})
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: its file name says what it is and where it fits."""

    file: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def project(self) -> str:
        """Its name in normal form."""
        return project(self.file)[0]


def own_version() -> str:
    """The version of the running installation."""
    return metadata.version(OWN)


def needed() -> dict[str, str]:
    """What the running installation needs, itself included: project to version. Raises Errored if it is broken."""
    found: dict[str, str] = {}
    waiting = [OWN, *(one for one in EXTRA if _installed(one))]
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        distribution = _installed(name)
        if distribution is None:
            continue  # wanted on another platform or by an older Python only
        found[name] = distribution.version
        for line in distribution.requires or []:
            what, _, condition = line.partition(";")
            wanted = _REQUIREMENT.match(what)
            if wanted and "extra" not in condition:
                waiting.append(wanted[1])
    if OWN not in found:
        raise Errored("cannot tell which citgit this is: its metadata are missing", hint="install it anew with pip")
    return found


def collect(projects: Iterable[str]) -> Iterator[Wheel]:
    """The wheels of those of the projects that are installed here."""
    for name in sorted(projects):
        if _installed(name) is not None:
            yield _made(name)


@cache
def _made(name: str) -> Wheel:
    distribution = metadata.distribution(name)
    return _own(distribution) if name == OWN else _again(distribution)


def from_folder(folder: Path) -> list[Wheel]:
    """The wheels that somebody downloaded."""
    return [Wheel(path.name, path.read_bytes()) for path in sorted(folder.glob("*.whl")) if project(path.name)[0]]


def file_name(name: str) -> str:
    """What the wheel of an installed project is called: its name, version and tags."""
    distribution = _installed(name)
    return _file(distribution) if distribution else ""


def programs() -> dict[str, str]:
    """citgit's programs: name to "module:function"."""
    distribution = _installed(OWN)
    found = {
        one.name: one.value
        for one in (distribution.entry_points if distribution else ())
        if one.group == "console_scripts"
    }
    return {"cit-node": "citgit.programs.node_agent:main", **found}


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _file(distribution: metadata.Distribution) -> str:
    tags = re.findall(r"(?m)^Tag: *(\S+)-(\S+)-(\S+) *$", distribution.read_text("WHEEL") or "")
    if not tags or normal(distribution.name) == OWN:
        tags = [("py3", "none", "any")]
    together = "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
    return f"{re.sub(r'[-.]+', '_', distribution.name)}-{distribution.version}-{together}.whl"


def _again(distribution: metadata.Distribution) -> Wheel:
    """The wheel of a dependency, from its installed files; programs that came with it are left out."""
    files: dict[str, Path] = {}
    for one in distribution.files or []:
        if one.parts[0] == ".." or one.is_absolute() or "__pycache__" in one.parts or one.name in _NOTES:
            continue
        files[one.as_posix()] = Path(str(one.locate()))
    return Wheel(_file(distribution), _zipped(files, _record_of(distribution)))


def _own(distribution: metadata.Distribution) -> Wheel:
    """citgit's wheel, from its package and its metadata: it may be a checkout that is installed for editing."""
    package = Path(__file__).resolve().parent.parent
    files = {
        f"{OWN}/{path.relative_to(package).as_posix()}": path
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return Wheel(_file(distribution), _zipped(files, _record_of(distribution), {
        "METADATA": distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: citgit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": distribution.read_text("entry_points.txt") or "",
    }))  # fmt: skip


def _record_of(distribution: metadata.Distribution) -> str:
    return f"{re.sub(r'[-.]+', '_', distribution.name)}-{distribution.version}.dist-info"


def _zipped(files: dict[str, Path], about: str, texts: dict[str, str] | None = None) -> bytes:
    """A wheel of these files, with its list of digests; the same files make the same bytes."""
    stream = io.BytesIO()
    lines = []
    contents = {name: path.read_bytes() for name, path in files.items()}
    contents |= {f"{about}/{name}": text.encode() for name, text in (texts or {}).items()}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name, _EPOCH)
            mode = 0o755 if name in files and files[name].stat().st_mode & 0o100 else 0o644
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, contents[name])
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(contents[name])}")
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD", _EPOCH), "\n".join([*lines, f"{about}/RECORD,,", ""]))
    return stream.getvalue()
