"""Bad input gets a typed error that names the thing, the cause and the next move, and nothing is lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = """\
[job.check]
command = ["true"]

[job.gone]
command = ["no-such-program-here", "x"]

[job.away]
command = ["true"]
directory = "no/such/folder"

[job.long]
command = ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\\\000' x; echo; echo after"]
"""

NAMES = ["--upload-pack=x", "../x", "a\nb", "x" * 4096, "$(id)"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with jobs of all kinds."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def builds(site: Site) -> int:
    """How many builds there are."""
    return len(site.cit("status", "--all", "--json").documents)


def test_names_that_lead_elsewhere(site: Site) -> None:
    """Wherever a name can be given: usage, status 2, what was given is quoted and cut; nothing is made."""
    before = sorted(site.top.parent.iterdir())
    for name in NAMES:
        for argv in (
            ("show", "--", name), ("log", "--", name), ("cancel", "--", name), ("retry", "--", name),
            ("run", "--", name), ("run", f"--ref={name}"), ("run", f"--pool={name}"), ("run", f"--on={name}"),
            ("job", "show", "--", name), ("job", "new", "--", name, "true"), ("job", "clone", "check", "--", name),
            ("agent", "drain", "--", name), ("worker", "--once", f"--agent={name}"),
        ):  # fmt: skip
            said = site.cit(*argv, status=2).err
            assert len(said) < 2000, argv
            assert "Traceback" not in said
            assert "bug" not in said
    assert builds(site) == 0
    assert sorted(site.top.parent.iterdir()) == before
    assert site.git("status", "--short") == ""


FAULTY = {
    "[job.check": "cit.toml:1",
    '[job.check]\ncommand = "make"\n': "cit.toml:2",
    '[job.check]\ncomand = ["make"]\n': "did you mean",
    '[job.check]\ncommand = ["make"]\n[job.Check]\ncommand = ["make"]\n': "Check",
    '[job.check]\ncommand = ["make"]\ncommand = ["x"]\n': "cit.toml",
    '[job."../x"]\ncommand = ["make"]\n': "../x",
    '[job.check]\ncommand = ["make"]\ndirectory = "../.."\n': "directory",
    '[job.check]\ncommand = ["make"]\nlimits.time = nan\n': "limits",
    "\x00": "cit.toml",
}


def test_a_config_with_faults_is_never_run(site: Site) -> None:
    """Status 2; the fault is shown with file and line, and nothing is asked for."""
    for text, words in FAULTY.items():
        site.commit("worse", cit_toml=text)
        said = site.cit("run", "--here", status=2).err
        assert words in said
        assert "cit.toml:" in said
    assert builds(site) == 0


def test_what_cannot_be_started_is_an_error_of_the_build(site: Site) -> None:
    """A missing command and a missing folder end the build at once, with the reason in its result."""
    site.cit("run", "gone", "--here", status=None)
    found = site.cit("status", "gone", "--json", status=None).documents[0]
    assert found["outcome"] in ("failed", "errored")
    assert "no-such-program-here" in found["reason"] + site.cit("log", "gone", status=None).out
    site.cit("run", "away", "--here", status=None)
    found = site.cit("status", "away", "--json", status=None).documents[0]
    assert found["outcome"] in ("failed", "errored")
    assert "no/such/folder" in found["reason"] + site.cit("log", "away", status=None).out


def test_a_line_of_a_hundred_megabytes(site: Site) -> None:
    """It is kept, shown cut, and does not hide what follows; neither memory nor time explode."""
    began = time.monotonic()
    site.cit("run", "long", "--here", "--json")
    said = site.cit("log", "long").out
    assert "bytes cut off]" in said
    assert said.splitlines()[-1] == "after"
    assert len(said) < 2_000_000
    assert time.monotonic() - began < 120


def test_a_revision_that_is_not_there_yet(site: Site) -> None:
    """The build waits and `why` names the revision and the next move."""
    site.commit("never pushed")
    site.cit("run", "check", "--pool", "default")
    said = site.cit("why", "check").out
    assert "is not pushed" in said or "cannot be fetched" in said


def test_a_repository_that_is_gone(site: Site) -> None:
    """The address is named by every verb; what is asked is kept."""
    site.git("config", "citgit.state", str(site.bare.with_name("never-there.git")))
    for argv, status in ((("status",), 0), (("run", "check"), 75), (("why",), 0), (("doctor",), 1)):
        said = site.cit(*argv, status=status)
        assert "never-there.git" in said.err + said.out, argv


def test_a_stale_lock_is_named_and_removed(site: Site) -> None:
    """A killed git leaves one; `doctor` says where, and removes it when it is old and asked to."""
    build = site.cit("run", "check", "--pool", "default", "--json").documents[0]["build"]
    lock = site.bare / "refs" / "cit" / "builds" / "default" / f"{build}.lock"
    lock.touch()
    old = time.time() - 3600
    os.utime(lock, (old, old))
    assert f"stale lock {lock}" in site.cit("doctor", status=1).out
    site.cit("doctor", "--mend", status=None)
    assert not lock.exists()
    site.cit("cancel", build)


@pytest.mark.parametrize("key", ["person", "key", "root", "state"])
def test_settings_that_are_no_text(site: Site, key: str) -> None:
    """Bytes in the repository's git config that are no UTF-8, as damage leaves them: an answer, never a bug."""
    path = site.top / ".git" / "config"
    path.write_bytes(path.read_bytes() + b'[citgit]\n\t%s = "a\xe2(b"\n' % key.encode())
    for argv in (("status",), ("doctor",), ("run", "check", "--pool", "default")):
        assert site.cit(*argv, status=None).status != 70, argv
