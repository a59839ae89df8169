"""BUILD means the same in every verb: a part of an id, JOB, JOB@BRANCH, a commit, HEAD, nothing for my latest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = """\
[job.make]
command = ["sh", "-c", "echo $CIT_BRANCH; cp cit.toml kept"]
keep.artifacts = ["kept"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Branches whose names are twins but for case, each built once, `topic` before `Topic`; HEAD is `Topic`."""
    with pytest.MonkeyPatch.context() as patch:
        made = make_site(tmp_path_factory.mktemp("shorthands"), patch, None, CIT)
        for branch in ("topic", "Topic"):
            made.git("checkout", "-q", "-b", branch)
            made.commit(f"on {branch}")
            made.cit("run", "make", "--here")
        yield made


def ids(site: Site) -> dict[str, str]:
    """The newest build of each branch."""
    listed = site.cit("status", "--json").documents
    return {one["branch"]: one["build"] for one in reversed(listed)}


def words(site: Site) -> dict[str, list[str]]:
    """What may be typed for the build of each branch; "" is no word at all."""
    known = ids(site)
    commits = {branch: site.git("rev-parse", branch).strip() for branch in known}
    found = {
        branch: [
            known[branch],
            known[branch][-12:],
            known[branch][-20:-4],
            f"make@{branch}",
            commit,
            commit[:9],
            branch,
        ]
        for branch, commit in commits.items()
    }
    found["topic"].append("HEAD~1")
    found["Topic"] += ["HEAD", "make", ""]
    return found


def test_every_reading_verb_takes_every_form(site: Site, tmp_path: Path) -> None:
    """`show`, `log`, `why` and `get` all mean the same build."""
    for branch, forms in words(site).items():
        build = ids(site)[branch]
        for form in forms:
            said = (form,) if form else ()
            assert site.cit("show", *said, "--json").documents[0]["build"] == build, form
            assert site.cit("log", *said).out == f"{branch}\n", form
            assert site.cit("why", *said, "--json").documents[0]["build"] == build, form
            assert site.cit("get", *said, "--list", "--json").documents[0]["build"] == build, form


def test_what_is_ambiguous_or_not_there(site: Site) -> None:
    """A part of two ids gets candidates, in every verb; a branch without a build is none."""
    both = [*ids(site).values()]
    shared = both[0][:4]
    assert both[1].startswith(shared)
    for verb in ("show", "log", "why", "get", "cancel"):
        said = site.cit(verb, shared, status=2).err
        assert all(build in said for build in both), verb
        assert "no build 'make@TOPIC'" in site.cit(verb, "make@TOPIC", status=2).err


def test_cancel_takes_every_form(site: Site) -> None:
    """One waiting build after the other, each named in another way."""
    for at in range(len(words(site)["Topic"])):
        build = site.cit("run", "make", "--pool", "default", "--json").documents[0]["build"]
        form = words(site)["Topic"][at]
        site.cit("cancel", *((form,) if form else ()))
        assert site.cit("show", build, "--json", status=5).documents[0]["outcome"] == "cancelled", form
