"""Edits of cit.toml and team.toml keep what they do not touch, and refuse a layout that they cannot edit."""

from __future__ import annotations

import base64

import pytest

from citgit.config.blocks import with_copy, with_drain, with_job, without_agent
from citgit.config.read import read_cit, read_team
from citgit.errors import BadConfig, BadName, NotFound, UsageError


def key(number: int) -> str:
    """A public key that nobody has the other half of."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


TEAM = f"""\
[person.anna]
keys = ["{key(1)}"]
roles = ["admin"]

# In the cellar.
[agent.lab1]   # the old one
key = "{key(2)}"
labels = [
  "gpu",
]

# Upstairs.
[agent.lab2]
key = "{key(3)}"
drain = true

[pool.default]
claim = ["@agents"]
"""
CIT = """\
[job.check]        # the tests
command = ["make", "check"]

[job.check.env]
set = { A = "[job.check]" }

# Slow.
[job.all]
command = ["make", "all"]
"""


def test_drain_adds_or_changes_one_line() -> None:
    """Everything else stays as it was, comments included."""
    _, content = with_drain({"team.toml": TEAM.encode()}, "lab1", drain=True)
    text = content.decode()
    assert text == TEAM.replace("# the old one\n", "# the old one\ndrain = true\n")
    _, content = with_drain({"team.toml": content}, "lab1", drain=False)
    assert content.decode() == text.replace("old one\ndrain = true", "old one\ndrain = false")
    _, content = with_drain({"team.toml": TEAM.encode()}, "lab2", drain=False)
    assert content.decode() == TEAM.replace("drain = true", "drain = false")


def test_an_agent_goes_with_its_lines_alone() -> None:
    """The comment above the next table belongs to that."""
    _, content = without_agent({"team.toml": TEAM.encode()}, "lab1")
    assert content is not None
    assert "the old one" not in content.decode()
    assert "# Upstairs.\n[agent.lab2]" in content.decode()
    assert list(read_team({"team.toml": content}).agent) == ["lab2"]


def test_a_file_of_its_own_goes_whole() -> None:
    """As agents/lab3.toml, without a header."""
    files = {"team.toml": TEAM.encode(), "agents/lab3.toml": f'key = "{key(4)}"\n'.encode()}
    assert without_agent(files, "lab3") == ("agents/lab3.toml", None)
    path, content = with_drain(files, "lab3", drain=True)
    assert (path, content.decode().splitlines()[0]) == ("agents/lab3.toml", "drain = true")


def test_an_agent_that_is_needed_elsewhere_stays() -> None:
    """A team with a fault is never proposed."""
    text = TEAM + '\n[trigger.push]\nkeys = ["lab1"]\n'
    with pytest.raises(BadConfig):
        without_agent({"team.toml": text.encode()}, "lab1")


@pytest.mark.parametrize("text", [f'[agent]\nlab1 = {{ key = "{key(5)}" }}\n', f'agent.lab1.key = "{key(5)}"\n'])
def test_a_layout_that_a_program_cannot_edit_is_left_to_a_person(text: str) -> None:
    """Nothing is guessed."""
    files = {"team.toml": (text + TEAM.replace("lab1", "lab9")).encode()} if text[0] != "[" else {
        "team.toml": text.encode()
    }  # fmt: skip
    with pytest.raises(UsageError):
        with_drain(files, "lab1", drain=True)
    with pytest.raises(UsageError):
        without_agent(files, "lab1")


def test_a_new_job_stands_at_the_end() -> None:
    """Its command is as it was typed, quotes and all."""
    path, content = with_job({"cit.toml": CIT.encode()}, "lint", ["sh", "-c", 'echo "a b"'], ["main"])
    assert path == "cit.toml"
    assert content.decode().startswith(CIT)
    job = read_cit({"cit.toml": content}).job["lint"]
    assert (job.command, job.trigger.push) == (("sh", "-c", 'echo "a b"'), ("main",))
    assert with_job({}, "lint", ["true"], [])[0] == "cit.toml"


def test_a_copy_is_the_same_under_another_name() -> None:
    """Tables below it come along; text that only looks like a header does not change."""
    path, content = with_copy({"cit.toml": CIT.encode()}, "check", "check-2")
    jobs = read_cit({path: content}).job
    assert jobs["check-2"] == jobs["check"]
    assert jobs["check-2"].env.set == {"A": "[job.check]"}
    assert content.decode().count("# the tests") == 2
    assert content.decode().count("# Slow.") == 1
    files = {"cit.toml": CIT.encode(), "jobs/lint.toml": b'command = ["true"]\n'}
    assert with_copy(files, "lint", "lint2") == ("jobs/lint2.toml", b'command = ["true"]\n')


def test_names_that_cannot_be() -> None:
    """Taken, unknown, or no names."""
    files = {"cit.toml": CIT.encode()}
    with pytest.raises(UsageError, match="already"):
        with_copy(files, "check", "all")
    with pytest.raises(NotFound):
        with_copy(files, "none", "new")
    with pytest.raises(BadName):
        with_job(files, "../x", ["true"], [])
    with pytest.raises(NotFound):
        with_drain({"team.toml": TEAM.encode()}, "lab7", drain=True)
