"""`cit policy …` over a real host with real keys: publish, sign, revoke, recover, invite, join, accept."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from citgit.flows.policies import fetch_policies
from citgit.programs.cit import main
from citgit.programs.policy_keys import named_keys
from citgit.wiring.clone import open_clone

CIT = '[job.check]\ncommand = ["true"]\n'


@dataclass
class Site:
    """A bare host and the checkouts of people, each with keys of their own."""

    home: Path
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)

    @property
    def host(self) -> Path:
        """The bare repository."""
        return self.home / "host.git"

    def git(self, who: str, *argv: str) -> str:
        """git in somebody's checkout."""
        top = self.host if who == "host" else self.home / who
        return subprocess.run(["git", "-C", str(top), *argv], check=True, capture_output=True, text=True).stdout

    def cit(self, who: str, *argv: str, ok: int = 0, at: str = "") -> str:
        """A verb of somebody's; its stdout and stderr."""
        self.patch.setenv("CITGIT_HOME", str(self.home / f"{who}-keys"))
        self.patch.chdir(self.home / (at or who))
        self.capsys.readouterr()
        status = main(argv)
        out, err = self.capsys.readouterr()
        assert status == ok, (argv, status, out, err)
        return out + err

    def shown(self, who: str) -> dict[str, Any]:
        """The policy in force."""
        found: dict[str, Any] = json.loads(self.cit(who, "policy", "show", "--json"))
        return found

    def team(self, who: str, old: str, new: str) -> None:
        """Changes team.toml on main, and pushes it."""
        path = self.home / who / "team.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        self.git(who, "commit", "-q", "-am", "team")
        self.git(who, "push", "-q", "origin", "main")

    def let_in(self, who: str, *options: str) -> None:
        """Invites, joins, accepts."""
        line = self.cit("anna", "policy", "invite", who, *options).splitlines()[0]
        self.cit(who, *shlex.split(line)[1:], "--into", who, at=".")
        self.cit("anna", "policy", "accept")
        self.git("anna", "push", "-q", "origin", "main")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """anna's repository, pushed, with its root policy."""
    for key, value in {
        "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "anna",
        "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_COMMITTER_NAME": "anna", "GIT_COMMITTER_EMAIL": "a@example.org",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    made = Site(tmp_path, monkeypatch, capsys)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(made.host)], check=True)
    subprocess.run(["git", "clone", "-q", str(made.host), str(tmp_path / "anna")], check=True, capture_output=True)
    (tmp_path / "anna" / "cit.toml").write_text(CIT)
    made.git("anna", "add", ".")
    made.git("anna", "commit", "-q", "-m", "first")
    made.cit("anna", "init", "--name", "anna")
    made.git("anna", "push", "-q", "origin", "HEAD:main")
    made.git("anna", "branch", "-q", "--set-upstream-to=origin/main")
    return made


def test_a_colleague_is_in_with_one_command_each(site: Site) -> None:
    """invite, join, accept: then ben asks for a build, and his record counts."""
    site.let_in("ben")
    assert site.shown("anna")["team"]["person"]["ben"]["roles"] == ["request", "read"]
    site.cit("ben", "run", "check", "--pool", "default")
    assert "waiting" in site.cit("anna", "status", "--all")
    assert site.git("host", "for-each-ref", "refs/heads/cit-join/") == ""
    site.cit("ben", "status")
    for who in ("anna", "ben"):  # plain git knows everybody as soon as the policy that names them was seen
        site.git(who, "verify-commit", "refs/cit-seen/tip/policy")
        assert "person:ben" in (site.home / who / ".git" / "cit-allowed-signers").read_text()
    assert "nobody waits" in site.cit("anna", "policy", "accept", ok=2)


def test_an_invitation_is_for_who_has_the_line_and_counts_once(site: Site) -> None:
    """Another secret, a replay after ben was let in and removed, and a second answer are refused."""
    line = shlex.split(site.cit("anna", "policy", "invite", "ben").splitlines()[0])[1:]
    invited = site.git("host", "rev-parse", "cit-join/ben").strip()
    url, code = line[-2:]
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    assert "not for the invitation" in site.cit("eve", *line[:-2], url, wrong, "--into", "eve", at=".", ok=3)
    site.cit("ben", *line, "--into", "ben", at=".")
    assert "answered already" in site.cit("ben", *line, "--into", "again", at=".", ok=2)
    answered = site.git("host", "rev-parse", "cit-join/ben").strip()
    # eve, who saw the branch, answers in ben's place
    site.git("host", "update-ref", "refs/heads/cit-join/ben", invited)
    forged = site.git("host", "cat-file", "commit", answered).replace("ben", "eve")
    oid = subprocess.run(
        ["git", "-C", str(site.host), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=forged, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    site.git("host", "update-ref", "refs/heads/cit-join/ben", oid)
    assert "refused: ben" in site.cit("anna", "policy", "accept", "ben", ok=3)
    site.git("host", "update-ref", "refs/heads/cit-join/ben", answered)
    site.cit("anna", "policy", "accept", "ben")
    block = (site.home / "anna" / "team.toml").read_text().partition("\n[person.ben]")[2]
    site.team("anna", "\n[person.ben]" + block, "\n")
    site.cit("anna", "policy", "publish")
    site.git("host", "update-ref", "refs/heads/cit-join/ben", answered)
    assert "joined already" in site.cit("anna", "policy", "accept", "ben", ok=3)


def test_two_admins_must_sign(site: Site) -> None:
    """With `admins = 2` one admin proposes, the other's `cit policy sign` puts it in force, and neither alone can."""
    site.let_in("ben", "--role", "admin", "--role", "request")
    site.team("anna", 'roles = ["admin"]\n', "roles = []\n")  # the recovery key is no second admin here
    site.team("anna", "[pool.default]", "[limits]\nadmins = 2\n\n[pool.default]")
    site.cit("anna", "policy", "publish")
    site.team("anna", 'groups = ["dev"]\n\n[person.recovery]', 'groups = ["dev", "ops"]\n\n[person.recovery]')
    assert "1 more must sign" in site.cit("anna", "policy", "publish", "--why", "ops")
    assert site.shown("ben")["policy"] == 3
    assert "waits: policy 4 by person:anna, for 1 more: cit policy sign" in site.cit("ben", "policy", "show")
    assert "signed this already" in site.cit("anna", "policy", "sign", ok=3)
    told = site.cit("ben", "policy", "sign")
    assert "~ person anna: groups dev -> dev, ops" in told
    assert "policy 4 is in force" in told
    for who in ("anna", "ben"):
        shown = site.shown(who)
        assert (shown["policy"], shown["by"], shown["cosigners"]) == (4, "person:ben", ["anna"])
    assert site.git("host", "for-each-ref", "refs/heads/cit-policy/") == ""
    assert "no proposal waits" in site.cit("ben", "policy", "sign", ok=2)


def test_a_policy_with_too_few_signatures_stops_nobody(site: Site) -> None:
    """Pushed past the flow, it is refused and named; whoever knows the last good one goes on with it."""
    site.let_in("ben", "--role", "admin", "--role", "request")
    site.team("anna", "[pool.default]", "[limits]\nadmins = 2\n\n[pool.default]")
    site.cit("anna", "policy", "publish")
    site.cit("ben", "status")
    site.team("anna", "admins = 2", "admins = 1")
    site.cit("anna", "policy", "publish")
    branch = site.git("host", "for-each-ref", "--format=%(objectname)", "refs/heads/cit-policy/").strip()
    good = site.git("host", "rev-parse", "refs/cit/policy").strip()
    site.git("host", "update-ref", "refs/cit/policy", branch)
    assert "needs 2 admins" in site.cit("ben", "policy", "show", ok=3)
    assert "needs 2 admins" in site.cit("ben", "doctor", ok=1)
    site.git("host", "update-ref", "refs/cit/policy", good)
    assert "policy 4 is in force" in site.cit("ben", "policy", "sign")


def test_an_older_policy_never_comes_back(site: Site) -> None:
    """A host that shows yesterday's valid policy is refused by whoever saw today's."""
    old = site.git("host", "rev-parse", "refs/cit/policy").strip()
    site.let_in("ben")
    site.git("host", "update-ref", "refs/cit/policy", old)
    told = site.cit("anna", "policy", "show", ok=3)
    assert "does not follow" in told
    assert "ask an admin" in told
    assert "rewound" in site.cit("anna", "doctor", ok=1)
    site.git("host", "update-ref", "-d", "refs/cit/policy")
    assert "is gone" in site.cit("anna", "policy", "show", ok=3)


def test_the_root_is_pinned_on_first_use(site: Site) -> None:
    """A plain clone pins what it sees first and prints it; another root is refused with the next move."""
    root = site.shown("anna")["root"]
    subprocess.run(["git", "clone", "-q", str(site.host), str(site.home / "eve")], check=True)
    assert f"pinned the root policy {root}" in site.cit("eve", "policy", "show")
    assert "pinned" not in site.cit("eve", "policy", "show")
    site.git("host", "update-ref", "-d", "refs/cit/policy")
    site.git("anna", "config", "--unset", "citgit.root")
    site.git("anna", "update-ref", "-d", "refs/cit-seen/tip/policy")
    site.cit("anna", "init")
    other = site.shown("anna")["root"]
    told = site.cit("eve", "policy", "show", ok=3)
    assert other in told
    assert root in told
    assert f"git config citgit.root {other}" in told


def test_a_revoked_key_counts_no_more(site: Site) -> None:
    """Named in any way; team.toml may still list it, which is told; nothing signed with it counts."""
    site.let_in("ben")
    public = site.home / "ben-keys" / "keys" / "ben.pub"
    key = " ".join(public.read_text().split()[:2])
    shown = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    chain = fetch_policies(open_clone(site.home / "anna").state)
    for text in ("ben", shown.split()[1], str(public), public.read_text()):
        assert named_keys(chain, text) == [key]
    told = site.cit("anna", "policy", "revoke", "ben", "--why", "laptop stolen")
    assert "still lists ben's revoked key" in told
    assert "laptop stolen" in site.cit("anna", "policy", "show", "--diff")
    assert "says the same already" in site.cit("anna", "policy", "publish")
    assert site.shown("anna")["revoked"] == {key: "laptop stolen"}
    assert "cannot ask" in site.cit("ben", "run", "check", "--pool", "default", ok=3)
    for text in ("ben", shown.split()[1], str(public)):
        assert "no key" in site.cit("anna", "policy", "revoke", text, "--why", "again", ok=2)


def test_the_last_admin_is_not_locked_out(site: Site) -> None:
    """Revoking or removing every admin is refused before it is pushed; taking oneself out must be insisted on."""
    site.cit("anna", "policy", "revoke", "recovery", "--why", "not needed")
    assert "nobody could ever mend it" in site.cit("anna", "policy", "revoke", "anna", "--why", "oops", ok=3)
    (site.home / "other").write_text("")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(site.home / "second")], check=True)
    mine = (site.home / "anna-keys" / "keys" / "anna.pub").read_text().split()[1]
    site.team("anna", mine, (site.home / "second.pub").read_text().split()[1])
    assert "take your own key out" in site.cit("anna", "policy", "publish", ok=2)
    assert site.shown("anna")["policy"] == 2


def test_the_recovery_key_replaces_a_lost_sole_admin(site: Site) -> None:
    """From a fresh clone, with nothing but the recovery key: a new key, the old one revoked, team.toml mended."""
    recovery = site.home / "usb"
    (site.home / "anna-keys" / "keys" / "anna-recovery").rename(recovery)
    (site.home / "anna-keys" / "keys" / "anna-recovery.pub").rename(site.home / "usb.pub")
    lost = (site.home / "anna-keys" / "keys" / "anna.pub").read_text().split()[1]
    (site.home / "anna-keys").rename(site.home / "gone")
    subprocess.run(["git", "clone", "-q", str(site.host), str(site.home / "again")], check=True)
    told = site.cit("anna", "policy", "recover", "--key", str(recovery), at="again")
    assert "policy 2 is in force" in told
    assert "committed team.toml" in told
    assert lost not in (site.home / "again" / "team.toml").read_text()
    shown = json.loads(site.cit("anna", "policy", "show", "--json", at="again"))
    assert shown["by"] == "person:recovery"
    assert [key.split()[1] for key in shown["revoked"]] == [lost]
    assert "says the same already" in site.cit("anna", "policy", "publish", at="again")
    site.git("again", "push", "-q", "origin", "main")
    line = site.cit("anna", "policy", "invite", "ben", at="again")
    assert "cit policy join" in line


def test_a_branch_that_lags_behind_is_not_published(site: Site) -> None:
    """An old team.toml would silently undo what colleagues pushed."""
    site.let_in("ben")
    site.git("anna", "reset", "-q", "--hard", "HEAD~1")
    assert "lacks 1 commits of its upstream" in site.cit("anna", "policy", "publish", ok=2)
