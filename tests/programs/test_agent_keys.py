"""`cit agent keys` and `cit policy gitolite --keys`: people's keys, as the programs that let them in want them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.keys.generate import generate
from citgit.programs.agent_keys import BEGIN, END
from citgit.wiring.keys import fingerprint


def _three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Site, str, str]:
    """anna's checkout; the keys of ben, who may read, and of eve, who has no role."""
    site = make_site(tmp_path, monkeypatch, capsys, '[job.make]\ncommand = ["true"]\n')
    ben, eve = (generate(tmp_path / name, name) for name in ("ben", "eve"))
    team = (site.top / "team.toml").read_text()
    team += f'\n[person.ben]\nkeys = ["{ben}"]\nroles = ["read"]\n[person.eve]\nkeys = ["{eve}"]\n'
    site.commit("people", team_toml=team)
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.cit("policy", "publish")
    return site, ben, eve


def test_lines_from_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each key of who has a role; between marks they are replaced, and other lines stay."""
    site, ben, eve = _three(tmp_path, monkeypatch, capsys)
    lines = site.cit("agent", "keys", "--serve", "/opt/cit-serve", "--home", "/srv/lab1").out.splitlines()
    ours = f'restrict,command="/opt/cit-serve --as person:ben --key {fingerprint(ben)} --home /srv/lab1" {ben} ben'
    assert ours in lines
    assert not [line for line in lines if eve in line]

    path = tmp_path / "authorized_keys"
    path.write_text(f"ssh-ed25519 AAAA mine\n{ben} ben-with-a-shell\n")
    path.chmod(0o600)
    for _ in range(2):
        said = site.cit("agent", "keys", "--serve", "/opt/cit-serve", "--home", "/srv/lab1", "--into", str(path))
        text = path.read_text().splitlines()
        assert text == ["ssh-ed25519 AAAA mine", f"{ben} ben-with-a-shell", BEGIN, *lines, END]
        assert "lets that key do more" in said.err
    assert path.stat().st_mode & 0o777 == 0o600
    site.cit("policy", "revoke", "ben", "--why", "left")
    assert not [line for line in site.cit("agent", "keys", "--serve", "/x").out.splitlines() if ben in line]
    for bad in ('/x" ssh', "/x y", "/x\ny", "$(id)"):
        site.cit("agent", "keys", "--serve", bad, status=2)


def test_a_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason and the file are named, nothing is left beside it."""
    site, *_ = _three(tmp_path, monkeypatch, capsys)
    folder = tmp_path / "keys"
    (folder / "authorized_keys").mkdir(parents=True)
    for target, why in ((folder / "authorized_keys", "Is a directory"), (folder / "none" / "x", "No such file")):
        said = site.cit("agent", "keys", "--serve", "/x", "--into", str(target), status=2).err
        assert said.startswith("cit agent keys: error: cannot write")
        assert str(target) in said
        assert why in said

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "no space" in site.cit("agent", "keys", "--serve", "/x", "--into", str(folder / "new"), status=2).err
    assert [path.name for path in folder.iterdir()] == ["authorized_keys"]


def test_keys_of_gitolite_go_with_their_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was written for somebody who left is removed; files of others stay, and a key of others is not replaced."""
    site, ben, eve = _three(tmp_path, monkeypatch, capsys)
    folder = tmp_path / "keydir"
    others = {
        "0/cara.pub": f"{ben} cara\n",
        "0/dora.pub": f"{ben} citgit:other\n",
        "git.pub": f"{eve} citgit:project\n",
    }
    (folder / "0").mkdir(parents=True)
    for name, line in others.items():
        (folder / name).write_text(line)

    def found() -> dict[str, str]:
        return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.pub")}

    site.cit("policy", "gitolite", "project", "--keys", str(folder))
    made = [f"0/{name}.pub" for name in ("anna", "ben", "eve", "recovery")]
    assert found().keys() == {*others, *made}
    assert found()["0/ben.pub"] == f"{ben} citgit:project\n"
    site.cit("policy", "revoke", "ben", "--why", "left")
    said = site.cit("policy", "gitolite", "project", "--keys", str(folder))
    assert "0/ben.pub: the policy has no such key any more" in said.err
    assert "0/ben.pub" not in found()
    assert others.items() <= found().items()
    (folder / "0" / "eve.pub").write_text(f"{ben} by hand\n")
    said = site.cit("policy", "gitolite", "project", "--keys", str(folder), status=2)
    assert "eve.pub' has another key" in said.err
    assert found()["0/eve.pub"] == f"{ben} by hand\n"
