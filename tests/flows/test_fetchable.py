"""Before a build runs: what it checks out, and where, is what the job at its config's commit names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from citgit.errors import Refused
from citgit.flows.claims import fetchable
from citgit.interfaces import Revision
from citgit.model.request import Cause, Config, PinnedSource, Request
from citgit.wiring.configs import resolve
from citgit.wiring.toml import TomlConfigs

HERE = "ssh://host/project"
DATA = "ssh://host/data"
TOML = f"""
[source.data]
url = "{DATA}"
[job.check]
command = ["true"]
source.also = [{{ repo = "data", ref = "main", at = "data" }}]
""".encode()


class OneFile:
    """Sources whose every commit holds that config; notes what was fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def fetch(self, url: str, commit: str, ref: str = "") -> Revision:
        self.fetched.append(url)
        return Revision(commit=commit, time=0)

    def files(self, url: str, commit: str, paths: Any) -> dict[str, bytes]:
        return {"cit.toml": TOML}


def asked(**changes: Any) -> Request:
    """The request that citgit itself makes, with its second source changed."""
    configs = TomlConfigs()
    (one,) = resolve(configs.read({"cit.toml": TOML}), "check", parameters={})
    second = PinnedSource(repo="data", url=DATA, ref="refs/heads/main", commit="b" * 40, at="data")
    return Request(
        job="check", branch="main", config=Config(branch="main", commit="a" * 40), definition=one.job, cause=Cause(),
        sources=(PinnedSource(ref="refs/heads/main", commit="a" * 40), msgspec.structs.replace(second, **changes)),
    )  # fmt: skip


def test_what_the_job_names_is_fetched() -> None:
    """First the config, then what it names."""
    sources: Any = OneFile()
    fetchable(sources, TomlConfigs(), HERE, asked())
    assert sources.fetched == [HERE, HERE, DATA]


@pytest.mark.parametrize(
    "changes",
    [
        {"repo": "other"}, {"url": "ssh://elsewhere/data"}, {"url": ""}, {"ref": "refs/heads/secret"},
        {"ref": "main"}, {"at": "src"}, {"at": "data/more"},
    ],
)  # fmt: skip
def test_what_it_does_not_name_is_not(changes: dict[str, str]) -> None:
    """Another repository, address, branch or folder: refused before anybody is asked for it."""
    sources: Any = OneFile()
    with pytest.raises(Refused, match="something else than job 'check' names"):
        fetchable(sources, TomlConfigs(), HERE, asked(**changes))
    assert sources.fetched == [HERE]


def test_as_many_as_it_names() -> None:
    """None left out, none added."""
    whole = asked()
    for sources in (whole.sources[:1], (*whole.sources, whole.sources[1])):
        with pytest.raises(Refused, match="sources, job 'check' 2"):
            fetchable(OneFile(), TomlConfigs(), HERE, msgspec.structs.replace(whole, sources=sources))  # type: ignore[arg-type]
