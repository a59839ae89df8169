"""As whom builds run: under an alias for somebody without rights to the code, and in the requester's own account."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, lab
from programs.site import Site
from services import Sshd

from citgit.errors import Refused
from citgit.keys.generate import generate
from citgit.ssh.call import Call, node_line
from citgit.ssh.reading import Content, Done, Get

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]
NODE, OWN, VAULT = "citgit-node1", "citgit-own", "citgit-vault"
SECRET = "the-recipe-is-4f1d7c"

JOBS = """
[source.vault]
url = "{vault}"
[job.words]
command = ["sh", "-c", "wc -c < code.txt > public.txt; cp code.txt private.txt; echo counted for $CIT_PARAM_WHOM"]
source.repo = "vault"
parameters.whom = {{ default = "nobody" }}
place = {{ executor = "process", as = "alias:words" }}
keep.artifacts = ["*.txt"]
[job.mine]
command = ["sh", "-c", "id -un > who; cat who"]
place = {{ executor = "process", as = "requester" }}
keep.artifacts = ["who"]
"""
TEAM = """
[person.ben]
keys = ["{ben}"]
roles = ["request", "alias", "read"]
groups = ["dev"]

[alias.words]
config = ["main"]
nodes = ["lab1"]
request = ["ben"]
artifacts = ["public.txt"]
"""


def vault(sshd: Sshd, folder: Path, node: str) -> None:
    """A repository with the secret, of an account where only the node's account can log in."""
    work = folder / "vault"
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    (work / "code.txt").write_text(f"{SECRET}\n")
    for argv in (["add", "."], ["commit", "-q", "-m", "the recipe"]):
        subprocess.run(["git", "-C", str(work), *argv], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(folder / "vault.git")], check=True)
    sshd.give(folder / "vault.git", VAULT)
    (folder / "vault.git").chmod(0o700)
    (folder / "vault_key.pub").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "vault_key")], check=True)
    sshd.only(VAULT, (folder / "vault_key.pub").read_text())
    ssh = Path(f"/home/{node}/.ssh")
    (ssh / "vault").write_bytes((folder / "vault_key").read_bytes())
    (ssh / "vault").chmod(0o600)
    config = (ssh / "config").read_text()
    (ssh / "config").write_text(f"Match user {VAULT}\n  IdentityFile {ssh}/vault\n  IdentitiesOnly yes\n{config}")
    sshd.give(ssh, node)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lab, Site]]:
    """A node that has rights to the code, an account of anna's own, and ben's checkout, who has neither."""
    with lab(monkeypatch, NODE, OWN, people=(VAULT,)) as made:
        monkeypatch.setattr("citgit.programs.probing.SECONDS", 60.0)
        folder = made.site.top.parent
        vault(made.sshd, folder, NODE)
        url = f"ssh://{VAULT}@127.0.0.1:{made.sshd.port}{folder}/vault.git"
        key = folder / "ben" / "key"
        team = (made.site.top / "team.toml").read_text()
        made.join(NODE, "lab1")
        team = (made.site.top / "team.toml").read_text() + TEAM.format(ben=generate(key, "ben"))
        made.site.commit("an alias", team_toml=team, cit_toml=JOBS.format(vault=url))
        made.site.git("push", "-q", "--no-verify", "origin", "main")
        made.site.cit("policy", "publish")
        made.join(OWN, "anna-at-lab", "--for", "anna")
        ben = Site(folder / "ben" / "project", made.site.bare)
        subprocess.run(["git", "clone", "-q", made.url, str(ben.top)], check=True)
        for name, value in {
            "citgit.person": "ben", "citgit.key": str(key), "citgit.state": made.url,
            "citgit.root": made.site.git("config", "citgit.root").strip(), "user.name": "ben",
            "user.email": "ben@example.org",
        }.items():  # fmt: skip
            ben.git("config", name, value)
        yield made, ben


def test_alias_and_requester(two: tuple[Lab, Site]) -> None:
    """Ben has the protected code built and gets what the alias lets out; anna's build runs in her own account."""
    made, ben = two
    mine = made.ask("mine")
    theirs = str(ben.cit("run", "mine", "--json").documents[-1]["build"])
    build = str(ben.cit("run", "words", "--set", "whom=ben", "--json").documents[-1]["build"])
    shown = made.final(build, 120)
    assert shown["outcome"] == "passed", shown
    assert shown["agent"] == "agent:lab1"
    secret_is_nowhere(made)
    artifacts_by_the_alias_alone(made, shown)
    no_other_config(ben)
    done = made.final(mine, 120)
    assert (done["outcome"], done["agent"]) == ("passed", "agent:anna-at-lab")
    assert f"{OWN}" in "".join(done["result"]["log"]["tail"])
    assert made.shown(theirs)["state"] == "waiting"
    assert "run as person:ben, and no agent is in their account" in made.site.cit("why", theirs).out
    assert [one["void"] for one in made.shown(theirs)["records"]] == [""], "nobody tried to take it"


def secret_is_nowhere(made: Lab) -> None:
    """Not in any object of the state, of whatever ref or none."""
    listed = subprocess.run(
        ["git", "-C", str(made.site.bare), "-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert b"counted for ben" in listed
    assert SECRET.encode() not in listed


def artifacts_by_the_alias_alone(made: Lab, shown: dict[str, object]) -> None:
    """By a key of ben's that may run cit-serve alone: the allowed file comes, another one does not, digest or not."""
    key = made.sshd.bind(f"{made.home(NODE)}/.local/share/citgit/current/bin/cit-serve --as person:ben", NODE)
    result = shown["result"]
    assert isinstance(result, dict)
    digests = {one["path"]: one["sha256"] for one in result["artifacts"]}
    # not the one on PATH, which logs in with the key of everybody
    argv = [
        str(shutil.which("ssh", path="/usr/bin:/bin")),
        *key.split()[1:],
        "-p",
        str(made.sshd.port),
        f"{NODE}@127.0.0.1",
    ]
    with Call([*argv, node_line("artifact", str(result["claim"]))], node="lab1", patience=60) as call:
        call.hear(Done)
        call.say(Get(sha256=digests["public.txt"]))
        assert call.hear(Content).size == 3
        assert call.raw(3) == f"{len(SECRET) + 1}\n".encode()
    with Call([*argv, node_line("artifact", str(result["claim"]))], node="lab1", patience=60) as call:
        call.hear(Done)
        call.say(Get(sha256=digests["private.txt"]))
        with pytest.raises(Refused):
            call.hear(Content)


def no_other_config(ben: Site) -> None:
    """A config of ben's own, on a branch that he may write, is not what the alias runs."""
    ben.git("checkout", "-q", "-b", "leak")
    text = (ben.top / "cit.toml").read_text().replace("wc -c < code.txt", "cat code.txt")
    ben.commit("let it out", cit_toml=text)
    said = ben.cit("run", "words", "--no-probe", status=3)
    assert "cannot ask for 'words'" in said.err
