"""Every fault of team.toml: names that do not exist, keys that are none, times that do not fit."""

from __future__ import annotations

import base64

import pytest

from citgit.config.public_key import key_fault
from citgit.config.read import read_team
from citgit.errors import BadConfig


def line(kind: str, *parts: bytes, inner: str = "") -> str:
    """A public key line whose blob is `kind` (or `inner`) and `parts`."""
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in ((inner or kind).encode(), *parts))
    return f"{kind} {base64.b64encode(blob).decode()}"


ANNA, BEN, LAB1 = (line("ssh-ed25519", bytes([number]) * 32) for number in (1, 2, 3))
TEAM = f"""\
[person.anna]
keys = ["{ANNA} anna"]
roles = ["admin"]
groups = ["dev"]
[agent.lab1]
key = "{LAB1}"
[pool.default]
"""


def faults(text: str, *, team: str = TEAM) -> list[str]:
    """The faults of a good team to which `text` is added at line 8."""
    with pytest.raises(BadConfig) as caught:
        read_team({"team.toml": (team + text).encode()})
    return [fault.removeprefix("team.toml:") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "claim = ['lab2']",
            "8: pool.default.claim[0]: unknown agent \"lab2\"; did you mean 'lab1'? known: @agents, lab1",
        ),
        ("claim = ['@dev']", '8: pool.default.claim[0]: unknown agent "@dev"; known: @agents, lab1'),
        (
            "request = ['@dve']",
            "8: pool.default.request[0]: unknown member \"@dve\"; did you mean '@dev'? "
            "known: @agents, @dev, @people, anna, lab1",
        ),
        ("jobs = ['']", '8: pool.default.jobs[0]: found ""; allowed: a job or a pattern of jobs'),
        (
            "branches = ['-x']",
            '8: pool.default.branches[0]: found "-x"; allowed: a branch or a pattern such as "release/*"',
        ),
        (
            f"[agent.anna]\nkey = '{BEN}'",
            "8: agent.anna: 'anna' is a person too; allowed: a name that is only one of both",
        ),
        (
            f"[agent.ben]\nkey = '{ANNA}'",
            "9: agent.ben.key: the key of 'anna' too; allowed: a key that belongs to one name",
        ),
        (
            f"[agent.ben]\nkey = '{BEN}'\npools = ['gpu']",
            '10: agent.ben.pools[0]: unknown pool "gpu"; known: default',
        ),
        (f"[agent.ben]\nkey = '{BEN}'\nslots = 0", "10: agent.ben.slots: found 0; allowed: at least 1"),
        (
            f"[agent.ben]\nkey = '{BEN}'\nhost = '-oProxyCommand=x'",
            '10: agent.ben.host: found "-oProxyCommand=x"; allowed: a host such as "anna@lab1"',
        ),
        ("[person.ben]\nkeys = []", "9: person.ben.keys: found none; allowed: at least one public key"),
        (
            f"[person.ben]\nkeys = ['{BEN}']\nroles = ['amdin']",
            "10: person.ben.roles[0]: found \"amdin\"; did you mean 'admin'? "
            "allowed: request, maintain, read, alias, admin",
        ),
        (
            f"[person.ben]\nkeys = ['{BEN}']\ngroups = ['agents']",
            "10: person.ben.groups[0]: reserved: @agents means all of them",
        ),
        ("[limits]\nttl = '20 s'", "8: limits.beat: found 20 s; allowed: less than ttl, 20 s"),
        ("[limits]\nadmins = 2", "9: limits.admins: found 2; allowed: at most 1, as many as there are"),
        ("[limits]\nadmins = 0", "9: limits.admins: found 0; allowed: at least 1"),
        (
            "[trigger.push]\nkeys = ['hook']",
            '9: trigger.push.keys[0]: unknown member "hook"; known: @agents, @dev, @people, anna, lab1',
        ),
        (
            "[trigger.push]\nkeys = ['@dev']\nvouches = ['lab1']",
            '10: trigger.push.vouches[0]: "lab1" may not speak for the trigger; allowed: members of its keys',
        ),
        (
            "[alias.release]\nconfig = []",
            "9: alias.release.config: found none; allowed: at least one protected branch",
        ),
        (
            "[alias.release]\nconfig = ['main']\nnodes = ['@dev']",
            '10: alias.release.nodes[0]: unknown agent "@dev"; known: lab1',
        ),
        ("[pool.Big]", None),
    ],
)
def test_team(text: str, fault: str | None) -> None:
    """One fault, told with its line."""
    found = faults(text)
    assert len(found) == 1
    assert found[0] == fault if fault else "not a name" in found[0]


def test_somebody_must_be_admin() -> None:
    """A team without an admin could never be changed."""
    assert faults("", team=TEAM.replace('"admin"', '"request"')) == [
        '1: person: no admin; allowed: at least one person with the role "admin"'
    ]


def test_a_good_team() -> None:
    """What the other tests start from has no fault; a trigger's groups cover their members."""
    more = "[trigger.push]\nkeys = ['@agents', '@dev']\nvouches = ['lab1', 'anna']\n"
    assert read_team({"team.toml": (TEAM + more).encode()}).limits.ttl == 60


@pytest.mark.parametrize(
    "good",
    [
        ANNA,
        f"{ANNA} anna's laptop",
        line("ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"x" * 64),
        line("ecdsa-sha2-nistp521", b"nistp521", b"\4" + b"x" * 132),
        line("ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 256),
    ],
)
def test_public_keys(good: str) -> None:
    """Ed25519, ECDSA and RSA keys, with a comment or without."""
    assert key_fault(good) == ""


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        ("", "not a public key"),
        ("ssh-ed25519", "not a public key"),
        (f"from=x {ANNA}", "not a public key"),
        (ANNA[:-4], "cut off"),
        (ANNA.replace("AAAA", "AAA*"), "not a public key"),
        (f"{ANNA}\n{BEN}", "not a public key"),
        ("ssh-ed25519 AAAA", "cut off"),
        (line("ssh-ed25519", b"x" * 31), "its bytes are not those of its type"),
        (line("ssh-ed25519", b"x" * 32, b"more"), "its bytes are not those of its type"),
        (line("ssh-ed25519", b"x" * 32, inner="ssh-rsa"), "does not fit the bytes"),
        (line("ecdsa-sha2-nistp256", b"nistp384", b"\4" + b"x" * 64), "its bytes are not those of its type"),
        (line("nistp256", b"nistp256", b"\4" + b"x" * 64), "not supported"),
        (line("ssh-rsa", b"\1\0\1", b"\xff" * 128), "less than 2048 bits"),
        (line("ssh-dss", b"x"), "not supported"),
        (line("sk-ssh-ed25519@openssh.com", b"x" * 32, b"ssh:"), "not supported"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "no secret any more"),
    ],
)
def test_what_is_no_public_key(bad: str, cause: str) -> None:
    """Every way in which a line is no key that we take."""
    assert cause in key_fault(bad)


def test_a_private_key_is_not_repeated() -> None:
    """A secret that was pasted by mistake does not get into messages."""
    (fault,) = faults("[person.ben]\nkeys = ['-----BEGIN OPENSSH PRIVATE KEY----- c2VjcmV0']")
    assert "c2VjcmV0" not in fault
