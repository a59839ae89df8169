"""A node's verbs behind a real sshd: who is asking is bound to the key, and nothing but the verbs is answered."""

from __future__ import annotations

import msgspec
import pytest
from nodes import Node, build, node

from citgit.model.job import Job, Requires, Where
from citgit.model.request import Cause, CauseKind, Config, PinnedSource, Request
from citgit.programs.node.probe import Ask, Said
from citgit.programs.node.stats import End, Used

__all__ = ["build", "node"]

pytestmark = pytest.mark.privileged


def test_how_a_node_is_used(node: Node, build: str) -> None:
    """Who has a role is told; who has none gets the same answer as on a node without workers."""
    with node.call(node.key("ben"), "stats") as call:
        used = call.hear(Used)
        assert (used.agent, used.running, used.kept) == ("lab1", 0, 1)
        assert 0 < used.free < used.total
        call.hear(End)
    for stranger in ("eve", "nobody"):
        with node.call(node.key(stranger), "stats") as call:
            call.hear(End)


def test_only_the_verbs(node: Node, build: str) -> None:
    """Through sshd: no shell, no other program, no option, no repository; each refused with the same words."""
    key = node.key("ben")
    lines = [
        "", "id", "sh", "cit-serve", "cit-serve shell", "cit-serve clean", "cit-serve clean ..", "cit-serve clean 'x'",
        "cit-serve stats;id", "cit-serve stats --home /",
        "cit-serve stats\nid", "cit-serve --as person:anna stats", "CIT_X=1 cit-serve stats", "scp -f /etc/passwd",
        f"git-upload-pack '{node.site.bare}'", f"cit-serve state '{node.site.bare}'", "cit-serve stats $(id)",
    ]  # fmt: skip
    for line in lines:
        told = node.raw(key, line)
        assert (told.returncode, told.stdout) == (3, b""), (line, told)
        assert b"cit-serve: error: " in told.stderr


def test_a_key_that_is_not_theirs_any_more(node: Node, build: str) -> None:
    """A binding that names a key holds for as long as that key is in force."""
    with node.call(node.key("cat", "--key SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "stats") as call:
        call.hear(End)


def test_a_probe_runs_nothing_that_no_record_could_ask_for(node: Node, build: str) -> None:
    """A question is no record: neither a promise nor a pool of one's own lets a key have a program run there."""
    commit = node.site.git("rev-parse", "HEAD").strip()
    job = Job(
        command=("true",),
        place=Where(executor="process", as_="requester"),
        requires=Requires(can_build="ci/x"),
    )
    asked = Request(
        job="make", branch="main", config=Config(branch="main", commit=commit), definition=job,
        sources=(PinnedSource(ref="refs/heads/main", commit=commit),), cause=Cause(kind=CauseKind.PERSON),
    )  # fmt: skip
    promised = msgspec.structs.replace(asked, cause=Cause(kind=CauseKind.PROMISE, build=build))
    for person, pool, request in (("cat", "default", promised), ("ben", "here", asked), ("cat", "default", asked)):
        with node.call(node.key(person), "probe") as call:
            call.say(Ask(agents=("lab1",), pool=pool, request=request))
            (decision,) = call.hear(Said).decisions
            assert (decision.check, decision.ok) == ("policy", False), decision
            call.hear(End)


def test_words_of_a_login(node: Node, build: str) -> None:
    """What a node's shell prints before cit-serve begins is skipped; what is no cit-serve is said to be none."""
    shell = [*node.sshd.command.split(), "-p", str(node.sshd.port), "citgit-anna@127.0.0.1"]
    serve = f"{node.sshd.python()} -m citgit.programs.serve --home {node.home}"
    from citgit.errors import NoServe
    from citgit.ssh.call import Call

    with Call([*shell, f"echo welcome; {serve} stats"], node="lab1", patience=30) as call:
        assert call.hear(Used).agent == "lab1"
    with Call([*shell, "echo cit-server 1"], node="lab1", patience=30) as call, pytest.raises(NoServe):
        call.hear(Used)
