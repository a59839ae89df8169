"""`cit agent keys`: who may read on a node, as authorized_keys has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs.site import make_site

from citgit.keys.generate import generate
from citgit.programs.agent_keys import BEGIN, END
from citgit.wiring.keys import fingerprint


def test_lines_from_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each key of who has a role; between marks they are replaced, and other lines stay."""
    site = make_site(tmp_path, monkeypatch, capsys, '[job.make]\ncommand = ["true"]\n')
    ben, eve = (generate(tmp_path / name, name) for name in ("ben", "eve"))
    team = (site.top / "team.toml").read_text()
    team += f'\n[person.ben]\nkeys = ["{ben}"]\nroles = ["read"]\n[person.eve]\nkeys = ["{eve}"]\n'
    site.commit("people", team_toml=team)
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.cit("policy", "publish")
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
