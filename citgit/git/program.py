"""The git program: the only place that starts it, in an environment that is not inherited.

GitPython drives what talks to a host; what stays on this machine is started without it (docs/adr/0007).
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from citgit.errors import Errored, UsageError
from citgit.model.pattern import pattern

# How long git may take to end by itself, removing its lock files, once it was told to.
_GRACE = 5.0

# What a user (or an administrator) sets to reach hosts: ssh, proxies, certificates, credentials. Everything else
# that starts with GIT_ is dropped: a hook's GIT_DIR, GIT_INDEX_FILE or GIT_QUARANTINE_PATH would make us work in
# the wrong repository, and an inherited GIT_CONFIG_PARAMETERS would undo the settings below.
_NETWORK = pattern(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_\w+|PROXY_\w+|HTTP_\w+|CURL_VERBOSE"
    r"|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|CONFIG_COUNT|CONFIG_(KEY|VALUE)_\d+|TRACE\w*)"
)
_LOCAL = pattern(r"GIT_TRACE\w*")

_SETTINGS = (
    "core.hooksPath=/dev/null",  # no hook of this machine runs on our behalf
    "core.fsmonitor=false",  # names a program to run
    "protocol.ext.allow=never",  # ext:: names a program to run
    "gc.auto=0",  # nothing is collected while a poll or a build reads it
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "core.quotePath=false",
)
# Filters, ignore files and attributes of the user must not decide what a build sees.
_LOCAL_SETTINGS = ("core.attributesFile=/dev/null", "core.excludesFile=/dev/null")

_TALKS = frozenset({"fetch", "push", "clone", "ls-remote", "submodule"})
_URL = pattern(r"(?i)(?P<scheme>[a-z][a-z0-9+.-]*)://")
_SCHEMES = frozenset({"file", "ssh", "git", "http", "https", "git+ssh", "ssh+git"})
_SECRET = pattern(r"(?i)(?<=https://)[^/@\s]+@|(?<=http://)[^/@\s]+@|(?<=://)(?P<user>[^/@:\s]*):[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Output:
    """How a git command ended; `status` is negative if a signal ended it."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: str
    timed_out: bool = False


class GitFailed(Errored):
    """A git command failed where that was not expected; the message holds its words, `output` everything."""

    def __init__(self, message: str, output: Output, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output


def shown(url: str) -> str:
    """The URL as it may be printed: without a password, and over http without a user, who may be a token."""
    return _SECRET.sub(lambda found: f"{found['user']}@" if found["user"] else "", url)


def check_url(url: str) -> str:
    """`url`, if it is safe to hand to git.

    Raises:
        UsageError: it would be read as an option, or it names a program to run.
    """
    hint = "use a path, ssh://, git://, https:// or host:path"
    if not url or url.startswith("-") or re.search(r"[\0\n\r]", url):
        raise UsageError(f"not the address of a repository: {shown(url)[:200]!a}", hint=hint)
    scheme = _URL.match(url)
    helper = re.match(r"[A-Za-z0-9+.-]*::", url)
    if helper or (scheme and scheme["scheme"].lower() not in _SCHEMES):
        raise UsageError(f"this kind of address is not allowed: {shown(url)[:200]!a}", hint=hint)
    return url


def environment(inherited: Mapping[str, str], *, network: bool) -> tuple[list[str], dict[str, str]]:
    """What git's environment differs in from `inherited`: the names to remove, the values to set."""
    keep = _NETWORK if network else _LOCAL
    drop = sorted(name for name in inherited if name.startswith("GIT_") and not keep.fullmatch(name))
    values = {
        "LC_ALL": "C",  # its words are read by this program
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",  # a worker has nobody to answer; ssh still asks its own terminal
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",  # no remote helper that a URL could name
        "GIT_OPTIONAL_LOCKS": "0",
    }
    if not network:
        # The user's insteadOf, credentials and proxies are for the network; here they could only change results.
        values |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    return drop, values


def run(
    args: Sequence[str],
    *,
    cwd: Path | str | None = None,
    git_dir: Path | str | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    network: bool = False,
    settings: Sequence[str] = (),
) -> Output:
    """Runs `git args…`; a failure is a status, not an exception.

    `timeout` is in seconds; `network` lets the user's git configuration and credentials count; `settings` are
    further `name=value` configuration. Raises Errored if git cannot be started.
    """
    drop, values = environment(os.environ, network=network)
    chosen = (*_SETTINGS, *(() if network else _LOCAL_SETTINGS), *settings)
    argv = ["git", *(part for setting in chosen for part in ("-c", setting))]
    argv += [] if cwd is None else ["-C", str(cwd)]
    argv += [] if git_dir is None else [f"--git-dir={git_dir}"]
    argv += args
    process = _start(argv, drop, {**values, **(env or {})}, talks=bool(_TALKS.intersection(args[:3])))
    try:
        stdout, stderr = process.communicate(input or b"", timeout)
    except subprocess.TimeoutExpired:
        stdout, stderr = _end(process)
        told = f"git did not finish within {timeout:g} s\n" + _text(stderr)
        return Output(tuple(argv), process.returncode or -15, stdout, told, timed_out=True)
    return Output(tuple(argv), process.returncode, stdout, _text(stderr))


def must(args: Sequence[str], *, doing: str, hint: str = "", **options: Any) -> Output:
    """`run`, for commands that fail only if something is wrong with this machine.

    Raises:
        GitFailed: git ended with another status than 0; the message starts with "cannot `doing`".
    """
    output = run(args, **options)
    if output.status:
        raise failed(doing, output, hint=hint)
    return output


def become(args: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Replaces this process by `git args…` with exactly that environment. Raises Errored if there is no git."""
    try:
        os.execvpe("git", ["git", *args], env)
    except OSError as error:
        raise Errored(f"cannot start git: {error.strerror}", hint="install git and have it on PATH") from error


def failed(doing: str, output: Output, *, hint: str = "") -> GitFailed:
    """The error that tells a failed command whole: what it was, its status, both streams."""
    said = output.stderr.strip() or output.stdout.decode(errors="replace").strip() or "git said nothing"
    command = shown(" ".join(output.argv))
    return GitFailed(
        f"cannot {doing}: {said[-2000:]} (status {output.status} of {command[:2000]!r})", output, hint=hint
    )


def kept(args: Sequence[str], *, git_dir: Path | str, beside: Path | None = None) -> subprocess.Popen[bytes]:
    """A git that answers on stdout what it is asked on stdin, and ends when that does. Raises Errored.

    `beside` is a further folder of objects, such as the quarantine of a push.
    """
    drop, values = environment(os.environ, network=False)
    if beside:
        quoted = str(beside).replace("\\", "\\\\").replace('"', '\\"')
        values["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f'"{quoted}"'
    argv = ["git", *(part for setting in (*_SETTINGS, *_LOCAL_SETTINGS) for part in ("-c", setting))]
    return _start([*argv, f"--git-dir={git_dir}", *args], drop, values, talks=False, stderr=subprocess.DEVNULL)


def _start(
    argv: list[str], drop: list[str], values: dict[str, str], *, talks: bool, stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    try:
        if talks:
            # GitPython hands the whole inherited environment on, so what must go is taken away by env(1).
            prefix = ["env", *(part for name in drop for part in ("-u", name))] if drop else []
            return _driven([*prefix, *argv], values)
        env = {name: value for name, value in os.environ.items() if name not in drop} | values
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=env)
    except OSError as error:
        raise Errored(f"cannot start git: {error}", hint="install git 2.39 or later and have it on PATH") from error


def _driven(argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """The process, from GitPython, whose import must not depend on finding git (it is slow, so it comes late)."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git.cmd import Git
    from git.exc import GitCommandNotFound

    try:
        wrapped = Git().execute(argv, istream=subprocess.PIPE, as_process=True, env=env)
    except GitCommandNotFound as error:
        raise OSError(str(error)) from error
    process: subprocess.Popen[bytes] | None = wrapped.proc
    assert process is not None
    wrapped.proc = None  # its destructor would wait for the process a second time
    return process


def _end(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Ends a git that took too long, gently: a killed one leaves lock files, at a host on this machine too."""
    import psutil

    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        below = []
    process.terminate()
    for attempt in (psutil.Process.terminate, psutil.Process.kill):
        try:
            return process.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            for child in below:
                with contextlib.suppress(psutil.Error):
                    attempt(child)
    process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
    process.wait()
    return b"", b""


def _text(stream: bytes) -> str:
    return stream.decode("utf-8", "replace")
