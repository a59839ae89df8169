"""The sample repository: loads without a fault, shows every key, and its commands do what it says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from services import need

from citgit.config.explain import KEYS
from citgit.config.read import config_paths, read_cit, read_team
from citgit.config.resolve import resolve, selected_by_push
from citgit.model.job import CitToml, Job

SAMPLE = Path(__file__).parents[2] / "sample-config-repo"
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def config() -> CitToml:
    """The sample's jobs."""
    names = config_paths(path.name for path in SAMPLE.iterdir())
    return read_cit({name: (SAMPLE / name).read_bytes() for name in names})


def test_every_key_is_shown() -> None:
    """Each key stands in one of the two files, or in the list of those that have to wait."""
    text = (SAMPLE / "cit.toml").read_text() + (SAMPLE / "team.toml").read_text()
    words = set(text.replace("[", " ").replace("]", " ").replace(".", " ").replace("{", " ").split())
    missing = {name for name in KEYS if name.split(".")[1] not in words}
    assert missing == set()


def test_the_team_loads() -> None:
    """People, agents, pools, a trigger, an alias, limits."""
    team = read_team({"team.toml": (SAMPLE / "team.toml").read_bytes()})
    assert set(team.person) == {"anna", "ben"}
    assert team.agent["server-hook"].pools == ()


def test_what_a_push_starts() -> None:
    """A change in hello builds hello, on a branch for trying too."""
    assert selected_by_push(config(), "try/red", ["hello/config.mk"]) == ["hello"]
    assert selected_by_push(config(), "main", ["README.md"]) == []
    assert selected_by_push(config(), "release/1", None) == ["hello", "lib"]


def build(checkout: Path, job: Job) -> subprocess.CompletedProcess[str]:
    """Runs the job's command as a worker would, without its walls."""
    return subprocess.run(
        job.command,
        cwd=checkout / job.directory,
        env=ENV | {"HOME": str(checkout)} | job.env.set,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sample, so that nothing is built in the source tree."""
    return shutil.copytree(SAMPLE, tmp_path / "sample")


@pytest.mark.parametrize("name", ["hello", "lib", "app", "compilers", "greet", "py"])
def test_jobs_pass(checkout: Path, name: str) -> None:
    """Every cell of the job passes."""
    for resolved in resolve(config(), name, parameters={}):
        ended = build(checkout, resolved.job)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_node_job_passes(checkout: Path) -> None:
    """It needs no dependencies, and leaves a report where the job says."""
    need("" if shutil.which("npm", path=ENV["PATH"]) else "node and npm")
    (resolved,) = resolve(config(), "web", parameters={})
    ended = build(checkout, resolved.job)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [str(path.relative_to(checkout)) for path in checkout.glob(resolved.job.keep.junit[0])] == [
        "web/test-results/web.xml"
    ]


def test_one_line_makes_it_red(checkout: Path) -> None:
    """FAULT = 1 in config.mk fails a test of lib, and says which."""
    rules = checkout / "hello" / "config.mk"
    rules.write_text(rules.read_text().replace("FAULT = 0", "FAULT = 1"))
    (resolved,) = resolve(config(), "hello", parameters={})
    ended = build(checkout, resolved.job)
    assert ended.returncode != 0
    assert "not ok - greets by name" in ended.stdout


def test_the_pipeline_hands_its_library_over(checkout: Path) -> None:
    """app takes lib's artifact instead of building it again."""
    jobs = config().job
    assert build(checkout, jobs["lib"]).returncode == 0
    (artifact,) = jobs["app"].after["lib"].artifacts
    ended = build(checkout, jobs["app"])
    assert ended.returncode == 0
    assert "libgreet.a greet.o" not in ended.stdout
    assert (checkout / artifact).exists()


def test_parameters_reach_the_program(checkout: Path) -> None:
    """A name with everything that a shell would take apart arrives whole."""
    (resolved,) = resolve(config(), "greet", parameters={"name": 'a\'b $(id) "c"', "times": "2"})
    ended = build(checkout, resolved.job)
    assert ended.stdout.count('hello, a\'b $(id) "c"\n') == 2
