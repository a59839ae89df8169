"""Real projects, unmodified: what `cit init` proposes builds them, and a planted fault is shown first, by its place.

They come from the package registries that this machine's own apt and pip are set up for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages.browser import browser, window
from pages.parsed import Page, assert_harmless
from programs.site import Site, as_anna
from services import need

pytestmark = pytest.mark.heavy


@dataclass(frozen=True, slots=True)
class Fault:
    """A change that breaks the build: what is said of it first, and in which component.

    `shown` is the file as the tool names it; its line is that of `mark` in the changed file.
    """

    file: str
    old: str
    new: str
    component: str
    shown: str
    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Project:
    """A release: who gets it (a source package of Debian, or of the Python index), the digest of its archive.

    Python has no linker: there, a name that a module does not have.
    """

    name: str
    source: str
    sha256: str
    command: str
    components: tuple[str, ...]
    faults: dict[str, Fault]
    edits: tuple[tuple[str, str], ...] = ()


_MINIFY = "    cJSON_Minify(minified);\n    TEST_ASSERT_EQUAL_STRING(to_minify, minified);"
_LINKED = (
    "int not_there(void);\nint planted(void);\nint planted(void)\n{\n    return not_there();\n}\n\n"
    "static void cjson_minify_should_not_modify_strings(void)\n{\n"
)
_CJSON = ("debian:cjson", "5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2")


def _cjson(compiles: str, links: str) -> dict[str, Fault]:
    return {
        "compile": Fault(
            "cJSON.c", "current_item = head = new_item;", "current_item = heads = new_item;", compiles, "cJSON.c",
            "= heads =", "‘heads’ undeclared",
        ),
        "link": Fault(
            "tests/minify_tests.c", "static void cjson_minify_should_not_modify_strings(void)\n{\n", _LINKED, links,
            "minify_tests.c", "", "undefined reference to `not_there'",
        ),
        "test": Fault(
            "tests/minify_tests.c", _MINIFY, _MINIFY.replace("STRING(to_minify", 'STRING("other"'), "minify_tests",
            "tests/minify_tests.c", '"other"', "cjson_minify_should_not_modify_strings:FAIL: Expected 'other'",
        ),
    }  # fmt: skip


PROJECTS = [
    Project(
        "libmd", "debian:libmd", "f51c921042e34beddeded4b75557656559cf5b1f2448033b4c1eec11c07e530f",
        "./configure && make check", ("configure", "src", "test"), {
            "compile": Fault("src/md5.c", "MD5Init(MD5_CTX *ctx)\n{\n", "MD5Init(MD5_CTX *ctx)\n{\n\tnot_there = 1;\n",
                             "src", "md5.c", "not_there = 1", "‘not_there’ undeclared"),
            "link": Fault("test/md5.c", "main(int argc, char *argv[])\n{\n", "main(int argc, char *argv[])\n{\n"
                          "\textern int not_there(void);\n\targc = not_there();\n", "test", "test/md5.c",
                          "argc = not_there", "undefined reference to `not_there'"),
            "test": Fault("test/md5.c", "900150983cd24fb0", "900150983cd24fb1", "test", "md5.c", "",
                          "Assertion `strcmp(hash_str_ref, hash_str_got) == 0' failed"),
        },
    ),
    Project(
        "cjson", *_CJSON, "ctest --test-dir build", ("build/cjson", "build/minify_tests"),
        _cjson("build/cjson", "build/minify_tests"),
    ),
    Project(
        "cjson-ninja", *_CJSON, "ctest --test-dir build", (),
        _cjson("Building C object CMakeFiles:cjson.dir:cJSON.c.o", "Linking C executable tests:minify_tests"),
        edits=(('"make"]', '"ninja"]'), ("log.split", 'env.set = { CMAKE_GENERATOR = "Ninja" }\nlog.split')),
    ),
    Project(
        "pluggy", "pip:pluggy==1.5.0", "2cffa88e94fdc978c4c574f15f9e59b7f4201d439195c3715ca9e2486f1d0cf1",
        ".venv/bin/python -m pytest", ("testing:test_tracer.py",), {
            "compile": Fault("src/pluggy/_hooks.py", "class HookImpl:", "class HookImpl", "", "src/pluggy/_hooks.py",
                            "class HookImpl\n", "SyntaxError: expected ':'"),
            "link": Fault("src/pluggy/_manager.py", "from ._result import Result", "from ._result import Results", "",
                            "src/pluggy/_manager.py", "import Results", "ImportError: cannot import name 'Results'"),
            "test": Fault("testing/test_tracer.py", "assert len(out) ==", "assert 1 + len(out) ==",
                          "testing:test_tracer.py", "testing/test_tracer.py", "assert 1 + len(out)", "assert (1 + "),
        },
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """What fetches an archive, each once; without a network the tests are skipped, in CI they fail."""
    place = tmp_path_factory.mktemp("archives")
    known: dict[str, Path] = {}

    def fetch(source: str, sha256: str) -> Path:
        if source not in known:
            kind, _, name = source.partition(":")
            folder = place / name.partition("=")[0]
            folder.mkdir()
            _from_debian(name, folder) if kind == "debian" else _from_pip(name, folder)
            archives = [path for path in folder.glob("*.tar.*") if _digest(path) == sha256]
            if not archives:
                need(f"the archive of {name} with the digest {sha256[:12]}")
            known[source] = archives[0]
        return known[source]

    return fetch


def _from_debian(name: str, folder: Path) -> None:
    """By apt, from this machine's own sources, with lists of its own: nothing of the system is changed."""
    if not shutil.which("apt-get"):
        need("apt-get")
    here = folder.parent / "apt"
    options = [f"Dir::Etc::sourcelist={here}/none", f"Dir::Etc::sourceparts={here}/parts", f"Dir::State::lists={here}/"]
    options += [f"Dir::Cache={here}", "APT::Sandbox::User="]
    apt = ["apt-get", "-q", *(f"-o{one}" for one in options)]
    if not here.exists():
        (here / "parts").mkdir(parents=True)
        for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.*")):
            if path.is_file() and path.suffix in (".list", ".sources"):
                lines = path.read_text().replace("Types: deb\n", "Types: deb-src\n").splitlines()
                lines = [f"deb-src{line[3:]}" if line.startswith("deb ") else line for line in lines]
                (here / "parts" / path.name).write_text("\n".join(lines) + "\n")
        subprocess.run([*apt, "update"], check=False, capture_output=True, timeout=300)
    subprocess.run([*apt, "source", "--download-only", name], check=False, cwd=folder, timeout=300, capture_output=True)


def _from_pip(name: str, folder: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps", "-d", str(folder), name]
    subprocess.run(argv, check=False, timeout=300, capture_output=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Made:
    """A project in a repository, with what `cit init` proposed, and how its first build ended."""

    project: Project
    site: Site
    status: int


@pytest.fixture(scope="module", params=PROJECTS, ids=lambda one: str(one.name))
def made(
    request: pytest.FixtureRequest, fetched: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    """Each project, built once as it was released."""
    project: Project = request.param
    for program in ("cc", "make", "cmake", "ninja"):
        if not shutil.which(program):
            need(program)
    archive = fetched(project.source, project.sha256)
    home = tmp_path_factory.mktemp(project.name)
    with pytest.MonkeyPatch.context() as patch:
        as_anna(patch, home)
        site = Site(home / "project", home / "project.git")
        site.top.mkdir()
        subprocess.run(["tar", "xf", str(archive), "--strip-components=1", "-C", str(site.top)], check=True)
        subprocess.run(["git", "init", "-q", "-b", "main", str(site.top)], check=True)
        site.git("add", "--all", "--force")
        site.commit("as it was released")
        site.cit("init", "--name", "anna")
        config = site.top / "cit.toml"
        for old, new in project.edits:
            assert old in config.read_text()
            config.write_text(config.read_text().replace(old, new, 1))
        site.commit("what somebody would change")
        yield Made(project, site, site.cit("run", status=None).status)


def test_what_is_proposed_builds_it(made: Made) -> None:
    """Green, and in parts that are the project's own."""
    assert made.status == 0, made.site.cit("log", "--failed", status=None)
    assert all(step in (made.site.top / "cit.toml").read_text() for step in made.project.command.split(" && "))
    told = made.site.cit("log", "--json").documents
    assert {*made.project.components} <= {one.get("component") for one in told}


@pytest.mark.parametrize("kind", ["compile", "link", "test"])
def test_a_planted_fault_is_shown_first(made: Made, kind: str, tmp_path: Path) -> None:
    """The component, the file and the line: in the terminal, in the record, and at the top of the page."""
    fault = made.project.faults[kind]
    site = made.site
    site.git("checkout", "-q", "-B", kind, "main")
    file = site.top / fault.file
    text = file.read_text()
    assert fault.old in text
    text = text.replace(fault.old, fault.new, 1)
    file.write_text(text)
    site.commit(kind)
    assert site.cit("run", status=1).status == 1
    line = f":{text[: text.index(fault.mark)].count(chr(10)) + 1}" if fault.mark else ""
    place = ": ".join(part for part in (fault.component, fault.shown + line) if part)
    shown = site.cit("show", status=1).out
    first = next(one for one in shown.splitlines() if one.startswith("first error: "))
    assert first.startswith(f"first error: {place}")
    assert fault.words in first
    said = site.cit("log", "--failed")
    assert f"first error at {place}" in said.err
    assert fault.words in said.out
    if fault.component:
        tree = site.cit("log", "--json").documents
        assert any(one["component"] == fault.component and one["status"] for one in tree)
    page = _page(site, tmp_path / "out", shown.split()[0])
    _assert_first(page, fault, fault.shown + line)
    if (made.project.name, kind) == ("libmd", "compile"):
        _assert_seen(page, fault.shown + line)


def _page(site: Site, out: Path, build: str) -> Path:
    site.cit("report", "--out", str(out))
    assert_harmless(out)
    return out / "build" / f"{build}.html"


def _assert_first(path: Path, fault: Fault, place: str) -> None:
    """On the page, the error stands before everything else, and the way to its component is open."""
    page = Page(path.read_text())
    text = " ".join(page.text.split())
    component = f"in {fault.component} " if fault.component else ""
    begin = text.index(f"First error {component}{place}")
    assert begin < text.index(fault.words, begin) < text.index("Took")
    opened = [attrs["data-path"] for tag, attrs in page.tags if tag == "details" and "open" in attrs]
    assert fault.component in opened


def _assert_seen(path: Path, place: str) -> None:
    """In a browser, the error is on the first screen, on a phone too."""
    for size in ({"width": 1280, "height": 800}, {"width": 360, "height": 740}):
        with browser() as found, window(found, "file://", viewport=size) as watched:
            watched.page.goto(f"file://{path}")
            box = watched.page.locator(".failure .message").bounding_box()
            assert box
            assert box["y"] + box["height"] < size["height"]
            assert place in watched.page.locator("#error").inner_text()
            watched.expect_nothing()
            if folder := os.environ.get("CIT_PICTURES"):
                watched.page.screenshot(path=f"{folder}/real-{size['width']}.png", full_page=True)
