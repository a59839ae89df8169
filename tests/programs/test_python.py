"""`import citgit`: what the verbs do, as functions with typed values."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
from programs.site import Site, make_site

import citgit

CIT = '[job.check]\ncommand = ["true"]\nparameters.level = { type = "integer", default = 6 }\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with one job."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def test_ask_read_verify(site: Site) -> None:
    """A build that a program asked for is the one that people see; its values are typed."""
    ci = citgit.open(site.top)
    (asked,) = ci.enqueue("check", message="from a program", parameters={"level": 9})
    assert (asked.pool, asked.kept) == ("default", False)
    build = ci.show(asked.build[-12:])
    assert build.request is not None
    assert (build.state, build.owner, build.request.parameters) == ("waiting", "person:anna", {"level": 9})
    assert [one.id for one in ci.builds()] == [asked.build]
    assert ci.verify(archives=True) == []
    site.cit("cancel", asked.build)
    assert citgit.open(site.top).show("check").outcome is citgit.Outcome.CANCELLED
    assert [one.id for one in ci.builds(archived=True)] == [asked.build]


def test_without_the_host(site: Site) -> None:
    """What is asked for is kept, and goes out with the next call that reaches the host."""
    ci = citgit.open(site.top)
    list(ci.builds())
    with site.away():
        (asked,) = ci.enqueue("check")
        assert asked.kept
        assert ci.show(asked.build).state == "waiting"
    assert [one.id for one in ci.builds()] == [asked.build]
    assert site.cit("status", "--json").documents[0]["build"] == asked.build


def test_errors_and_forgeries(site: Site, tmp_path: Path) -> None:
    """Errors are those of the verbs; what somebody put in place of a record is found."""
    with pytest.raises(citgit.CitError, match='unknown job "nope"'):
        citgit.open(site.top).enqueue("nope")
    with pytest.raises(citgit.CitError, match="not a git repository"):
        citgit.open(tmp_path.parent)
    (asked,) = citgit.open(site.top).enqueue("check")
    forged = site.git("commit-tree", "-p", "HEAD", "-m", "claim", "HEAD^{tree}").strip()
    site.git("push", "-q", "--no-verify", "origin", f"+{forged}:refs/cit/builds/default/{asked.build}")
    assert any(asked.build in fault.ref or asked.build in fault.words for fault in citgit.open(site.top).verify())
    with pytest.raises(AttributeError):
        citgit.nothing  # noqa: B018


def test_all_of_it_hides_no_builtin() -> None:
    """After `from citgit import *` files are opened as before; `citgit.open` is asked for by its whole name."""
    found: dict[str, object] = {}
    exec("from citgit import *", found)
    assert not [name for name in found if hasattr(builtins, name) and not name.startswith("__")]
    assert {"Asked", "Ci", "CitError"} <= found.keys()
    assert citgit.open is not open
