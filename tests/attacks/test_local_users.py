"""Threat: another user of the same machine. They read, write, plant and race; the kernel's permissions stop them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import need

from citgit.git.objects import init_bare
from citgit.git.program import must
from citgit.model.names import Refs
from citgit.programs.cit import main
from citgit.wiring.clone import own_store

pytestmark = pytest.mark.privileged

NOBODY = 65534
TRY = """
import os, sys
done = []
for path in sys.stdin.read().split("\\0"):
    for what, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY), ("make", os.O_WRONLY | os.O_CREAT)):
        try:
            os.close(os.open(path + ("/planted" if what == "make" else ""), flags))
            done.append(what + " " + path)
        except OSError:
            pass
    for what, act in (("link", lambda: os.symlink("/etc/passwd", path + "/linked")), ("list", lambda: os.listdir(path)),
                      ("remove", lambda: os.unlink(path)), ("mode", lambda: os.chmod(path, 0o777))):
        try:
            act()
            done.append(what + " " + path)
        except OSError:
            pass
print("\\0".join(done))
"""


def another_user(script: str, given: str = "", cwd: Path | None = None) -> list[str]:
    """What nobody achieves with the script, which prints it between zero bytes."""
    if os.geteuid() != 0 or not Path("/usr/bin/python3").exists():
        need("root and /usr/bin/python3 (another uid)")
    argv = ["/usr/bin/python3", "-c", script]
    ran = subprocess.run(
        argv, input=given, user=NOBODY, group=NOBODY, extra_groups=(), text=True, capture_output=True, check=True,
        cwd=cwd or "/",
    )  # fmt: skip
    return [one for one in ran.stdout.strip("\n").split("\0") if one]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place that everybody can enter, as homes are on many machines; git knows only its own settings."""
    with tempfile.TemporaryDirectory(prefix="citgit-users-") as name:
        Path(name).chmod(0o755)
        for key, value in {"HOME": name, "CITGIT_HOME": f"{name}/citgit", "GIT_CONFIG_NOSYSTEM": "1"}.items():
            monkeypatch.setenv(key, value)
        yield Path(name)


def test_nothing_of_a_worker_is_another_user_s(folder: Path) -> None:
    """Keys, journals, mirrors, workspaces, logs, sockets: after a build, another uid can read and change none."""
    top = folder / "project"
    must(["init", "-q", "-b", "main", "--", str(top)], doing="make a checkout")
    (top / "cit.toml").write_text('[job.check]\ncommand = ["sh", "-c", "echo secret > out; echo secret"]\n')
    must(["add", "."], cwd=top, doing="add")
    must(["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "-m", "x"], cwd=top, doing="commit")
    assert main(["init", "-C", str(top), "--name", "anna"]) == 0
    assert main(["run", "check", "-C", str(top), "--here"]) == 0
    homes = [path for path in (folder / "citgit").rglob("*") if not path.is_symlink()]
    assert any(path.name == "out" and path.read_text() == "secret\n" for path in homes), (
        "the workspace is looked at too"
    )
    public = {path for path in homes if path.suffix == ".pub"}
    achieved = another_user(TRY, "\0".join(map(str, homes)))
    assert [one for one in achieved if not (one.startswith("read ") and Path(one[5:]) in public)] == []
    private = [path for path in homes if path.parent.name == "keys" and path not in public]
    assert private
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in private)


def test_a_planted_home_is_refused(folder: Path) -> None:
    """A folder that another user made, or may write to, is no worker's home: git's configuration names programs."""
    shared = folder / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    planted = shared / "worker"
    another_user(f"import os; os.umask(0); os.makedirs({str(planted / 'state.git')!r}, mode=0o777)")
    (canary := folder / "canary").unlink(missing_ok=True)
    config = f"[core]\n\tbare = true\n\tsshCommand = touch {canary}\n\tfsmonitor = touch {canary}\n"
    another_user(f"open({str(planted / 'state.git/config')!r}, 'w').write({config!r})")
    host = folder / "host.git"
    init_bare(host)
    argv = [
        sys.executable,
        "-m",
        "citgit.programs.claim",
        "--url",
        str(host),
        "--agent",
        "lab1",
        "--home",
        str(planted),
    ]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ran.returncode, "others may write" in ran.stderr) == (3, True), ran.stderr
    assert not canary.exists()
    mine = folder / "mine"
    mine.mkdir()
    mine.chmod(0o777)
    with pytest.raises(Exception, match="others may write"):
        own_store(mine)
    mine.chmod(0o755)
    assert own_store(mine).is_dir()


def test_a_planted_repository_above_is_not_entered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A .git that another user put into a folder above: git's rule about owners holds, and no setting of it runs."""
    shared = folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    canary = folder / "canary"
    config = f"[core]\n\tsshCommand = touch {canary}\n\tfsmonitor = touch {canary}\n\thooksPath = {shared}\n" \
        f"[citgit]\n\tstate = ext::touch {canary}\n\tkey = /root/x\n"  # fmt: skip
    another_user(
        "import os, subprocess\n"
        "quiet = {'HOME': '/nonexistent', 'PATH': '/usr/bin:/bin'}\n"
        f"subprocess.run(['git', 'init', '-q', {str(shared)!r}], check=True, env=quiet)\n"
        f"open({str(shared / '.git/config')!r}, 'a').write({config!r})\n"
    )
    below = shared / "mine"
    below.mkdir()
    for verb in (["status"], ["run", "--here"], ["verify", "--all"], ["doctor"], ["init"]):
        status = main([*verb, "-C", str(below)])
        assert status not in (0, 70), verb
        assert "belongs to another user" in capsys.readouterr().err, verb
    assert not canary.exists()


def test_a_planted_address_runs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even in a repository of one's own, a setting that names a program as the state's address is refused."""
    top, canary = folder / "mine", folder / "canary"
    must(["init", "-q", "--", str(top)], doing="make a checkout")
    for address in (
        f"ext::touch {canary}",
        f"--upload-pack=touch {canary}",
        f"ssh://-oProxyCommand=touch%20{canary}/x",
    ):
        must(["config", "citgit.state", address], git_dir=top / ".git", doing="set up")
        assert main(["status", "-C", str(top)]) not in (0, 70)
        capsys.readouterr()
    assert not canary.exists()


def test_links_in_the_way_are_not_followed(folder: Path) -> None:
    """A judge's socket is put in place by renaming: a link planted there is replaced, not followed."""
    host, victim = folder / "host.git", folder / "victim"
    init_bare(host)
    victim.write_text("precious")
    (host / f"cit-judge-{os.geteuid()}").symlink_to(victim)
    zero = "0" * 40
    argv = [sys.executable, "-m", "citgit.programs.verify_push", "update", Refs().policy, zero, "1" * 40]
    ran = subprocess.run(argv, cwd=host, capture_output=True, text=True, check=False)
    assert (ran.returncode, "refused refs/cit/policy" in ran.stderr) == (1, True), ran.stderr
    assert victim.read_text() == "precious"
    for path in host.glob("cit-judge-*"):
        path.unlink()
