"""Completion in real shells: verbs, options, jobs, builds, agents, without asking any host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site
from services import need

CIT = '[job.check]\ncommand = ["true"]\n\n[job.cover]\ncommand = ["true"]\n'

BASH = """
eval "$(cit completion bash)"
COMP_WORDS=(cit {words}); COMP_CWORD={last}
_cit_completion cit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -U compinit && compinit -u -D
eval "$(cit completion zsh)"
_describe() {{ print -rl -- ${{(P)3}} }}
compadd() {{ print -rl -- ${{(P)@[-1]}} }}
words=(cit {words}); CURRENT={next}
_cit_completion
"""
FISH = """
cit completion fish | source
complete --do-complete "cit {line}"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with two jobs and one build that waits; its host is away for ever."""
    made = make_site(tmp_path, monkeypatch, capsys, CIT)
    made.cit("run", "check", "--pool", "default")
    made.cit("status")
    shutil.rmtree(made.bare)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return made


def offered(site: Site, shell: str, words: list[str]) -> set[str]:
    """What the shell offers for the last of the words."""
    if not shutil.which(shell):
        need(shell)
    quoted = " ".join(word or "''" for word in words)
    text = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
        words=quoted, last=len(words), next=len(words) + 1, line=" ".join(words)
    )
    start = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell]
    done = subprocess.run([*start, "-c", text], cwd=site.top, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {line.split("\t")[0].split(":")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_completes(site: Site, shell: str) -> None:
    """A verb by its beginning, an option, a job, a build by its job, all builds, a pool."""
    assert offered(site, shell, ["sho"]) == {"show"}
    assert "--config-ref" in offered(site, shell, ["run", "--c"])
    assert offered(site, shell, ["run", "c"]) == {"check", "cover"}
    everything = offered(site, shell, ["cancel", ""])
    assert {"HEAD", "check", "check@main"} <= everything
    assert any(len(one) == 12 for one in everything)
    assert offered(site, shell, ["run", "--pool", "d"]) == {"default"}


def test_no_name_becomes_a_command(site: Site) -> None:
    """Branches are named by whoever pushes; bash puts what is offered into the line as it is."""
    for name in ("z;id>x", "z$(id)", "z`id`", "z&id", "z|id", "z'x", 'z"x', "z~", "z!x", "z(x", "z\\x", "z#x"):
        subprocess.run(["git", "update-ref", f"refs/heads/{name}", "HEAD"], cwd=site.top, capture_output=True)
    site.git("branch", "z-fine")
    assert offered(site, "bash", ["run", "--ref", "z"]) == {"z-fine"}


def test_nothing_is_offered_outside_of_a_repository(site: Site, tmp_path: Path) -> None:
    """And nothing is said either."""
    elsewhere = Site(tmp_path, site.bare, site.capsys)
    assert offered(elsewhere, "bash", ["show", ""]) <= {""}
