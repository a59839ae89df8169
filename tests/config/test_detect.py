"""What is proposed for which checkout, and that it becomes a config without faults."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from citgit.config.detect import Proposal, detect, other_ci, render_cit_toml
from citgit.config.read import read_cit

PIP = ".venv/bin/python -m pip install -q"
VENV = "python3 -m venv .venv"
PYTEST = ".venv/bin/python -m pytest"


def proposed(files: dict[str, str]) -> list[Proposal]:
    """What is proposed for a checkout of these files."""
    return detect(files, lambda path: files[path].encode() if path in files else None)


def steps(*words: str) -> tuple[str, ...]:
    """A command of several steps."""
    return ("sh", "-c", " && ".join(words))


WORKFLOW = json.dumps({"version": 6, "workflowPresets": [{"name": "ci", "steps": []}]})
CMAKE = steps("cmake -S . -B build", "cmake --build build", "ctest --test-dir build --output-on-failure")

CASES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"Makefile": "all: x\ncheck:\n\tx\n"}, ("make", "check")),
    ({"Makefile": "all lib: x\ntest: ; x\n"}, ("make", "test")),
    ({"Makefile": "check test: x\n"}, ("make", "check")),
    ({"Makefile": "tests::\n"}, ("make", "tests")),
    ({"Makefile": "check := 1\n\ttest: x\nall:\n"}, ("make",)),
    ({"Makefile": "check:\n", "GNUmakefile": "test:\n"}, ("make", "test")),
    ({"CMakeLists.txt": ""}, CMAKE),
    ({"CMakeLists.txt": "", "Makefile": "test: x\n"}, CMAKE),
    ({"CMakeLists.txt": "", "Makefile": "test:\n\tcmake -B b\n"}, ("make", "test")),
    ({"CMakeLists.txt": "", "CMakePresets.json": WORKFLOW}, ("cmake", "--workflow", "--preset", "ci")),
    ({"CMakeLists.txt": "", "CMakePresets.json": '{"workflowPresets": 3}'}, CMAKE),
    ({"CMakeLists.txt": "", "CMakePresets.json": "{"}, CMAKE),
    ({"CMakeLists.txt": "", "CMakePresets.json": "[]"}, CMAKE),
    ({"CMakeLists.txt": "", "configure.ac": ""}, CMAKE),
    ({"meson.build": ""}, steps("meson setup build", "meson test -C build --print-errorlogs")),
    ({"configure": "", "Makefile.in": "test:\n", "CMakeLists.txt": ""}, steps("./configure", "make test")),
    ({"configure": "", "Makefile.in": "all:\n"}, steps("./configure", "make")),
    (
        {"configure": "", "configure.ac": "", "Makefile.am": ""},
        steps("find . -exec touch -r configure {} +", "./configure", "make check"),
    ),
    ({"configure.ac": "", "Makefile.am": ""}, steps("autoreconf -fi", "./configure", "make check")),
    (
        {"configure.ac": "", "autogen.sh": "", "Makefile.am": ""},
        steps("NOCONFIGURE=1 ./autogen.sh", "./configure", "make check"),
    ),
    (
        {"pyproject.toml": "[project]", "tests/test_a.py": ""},
        steps(VENV, f"{PIP} -e . pytest", PYTEST),
    ),
    (
        {"pyproject.toml": "[project]\n[project.optional-dependencies]\ntest = []", "tests/test_a.py": ""},
        steps(VENV, f"{PIP} -e '.[test]' pytest", PYTEST),
    ),
    (
        {"pyproject.toml": "[project]\n[dependency-groups]\ntests = []", "tests/test_a.py": ""},
        steps(VENV, f"{PIP} 'pip>=25.1'", f"{PIP} -e . pytest --group tests", PYTEST),
    ),
    (
        {"setup.py": "", "src/a_test.py": "", "requirements-test.txt": ""},
        steps(VENV, f"{PIP} -e . pytest -r requirements-test.txt", PYTEST),
    ),
    (
        {"main.py": "", "test_main.py": "", "requirements.txt": ""},
        steps(VENV, f"{PIP} pytest -r requirements.txt", PYTEST),
    ),
    ({"setup.py": "", "a.py": ""}, ("python3", "-m", "compileall", "-q", ".")),
    ({"pyproject.toml": "= broken", "test_a.py": ""}, steps(VENV, f"{PIP} pytest", PYTEST)),
    ({"package.json": '{"scripts": {"test": "node --test"}}'}, ("npm", "test")),
    (
        {"package.json": '{"scripts": {"test": "x"}, "devDependencies": {"x": "1"}}'},
        ("npm", "install-test"),
    ),
    ({"package.json": '{"scripts": {"test": "x"}}', "package-lock.json": ""}, ("npm", "install-ci-test")),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""},
        steps("yarn install --frozen-lockfile", "yarn test"),
    ),
    (
        {"package.json": '{"scripts": {"test": "x"}}', "pnpm-lock.yaml": ""},
        steps("pnpm install --frozen-lockfile", "pnpm test"),
    ),
    ({"Cargo.toml": "[package]"}, ("cargo", "test")),
    ({"Cargo.toml": "[workspace]", "Cargo.lock": ""}, ("cargo", "test", "--workspace", "--locked")),
    ({"go.mod": "module x"}, ("go", "test", "./...")),
]


@pytest.mark.parametrize(
    ("files", "split"),
    [
        ({"Makefile": "check:\n"}, ()),
        ({"Makefile": "check:\n", "lib/Makefile": "check:\n"}, ("make",)),
        ({"configure.ac": "", "Makefile.am": "", "src/Makefile.am": ""}, ("autotools",)),
        ({"CMakeLists.txt": ""}, ("cmake",)),
        ({"package.json": '{"scripts": {"test": "x"}}'}, ("npm",)),
        ({"Cargo.toml": ""}, ()),
    ],
)
def test_what_has_parts_gets_its_log_split(files: dict[str, str], split: tuple[str, ...]) -> None:
    """A build system whose parts can be told apart is proposed with a split log, and the key is understood."""
    (proposal, *_) = proposed(files)
    assert proposal.split == split
    (job,) = list(read_cit({"cit.toml": render_cit_toml([proposal]).encode()}).job.values())
    assert tuple(one.value for one in job.log.split) == split


@pytest.mark.parametrize(("files", "command"), CASES)
def test_commands(files: dict[str, str], command: tuple[str, ...]) -> None:
    """One build system, one proposal; its TOML reads back as the same command without a fault."""
    (proposal,) = proposed(files)
    assert proposal.command == command
    job = read_cit({"cit.toml": render_cit_toml([proposal], "trunk").encode()}).job[proposal.name]
    assert job.command == command
    assert job.requires.tools == proposal.requires_tools
    assert job.trigger.push == ("trunk",)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": ""},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "{"},
        {"pyproject.toml": "[tool.ruff]"},
        {".hidden/Makefile": "check:\n"},
        {"a/b/Makefile": "check:\n"},
    ],
)
def test_nothing_to_propose(files: dict[str, str]) -> None:
    """Then the file shows, as a comment, what a job looks like."""
    assert proposed(files) == []
    text = render_cit_toml([])
    assert "# [job.check]" in text
    assert read_cit({"cit.toml": text.encode()}).job == {}


def test_several_languages() -> None:
    """Each has its own job."""
    names = [job.name for job in proposed({"go.mod": "", "Makefile": "check:\n", "Cargo.toml": ""})]
    assert names == ["rust", "go", "check"]


def test_folders_below_an_empty_root() -> None:
    """Jobs are named after the folders, whatever those are called."""
    files = {"hello/Makefile": "check:\n", "My App/package.json": '{"scripts": {"test": "x"}}', "é/go.mod": ""}
    jobs = proposed(files)
    assert [(job.name, job.directory) for job in jobs] == [("my-app", "My App"), ("hello", "hello"), ("job-go", "é")]
    read = read_cit({"cit.toml": render_cit_toml(jobs).encode()}).job
    assert [job.directory for job in read.values()] == ["My App", "hello", "é"]


def test_a_version_from_tags_is_set() -> None:
    """A checkout without tags can be installed all the same."""
    (job,) = proposed({"pyproject.toml": '[build-system]\nrequires = ["hatch-vcs"]', "test_a.py": ""})
    assert job.env == {"SETUPTOOLS_SCM_PRETEND_VERSION": "0"}
    released = {"setup.py": "use_scm_version: setuptools_scm", "test_a.py": "", "PKG-INFO": "Name: x\nVersion: 1.5.0\n"}
    assert proposed(released)[0].env == {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.5.0"}
    read = read_cit({"cit.toml": render_cit_toml([job]).encode()})
    assert read.job["python"].env.set == job.env


def test_other_ci_is_mentioned() -> None:
    """Files of other CI systems are named in a comment, and nothing else is done with them."""
    files = [".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile", "src/Jenkinsfile", "x.yml"]
    assert other_ci(files) == [".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile"]
    text = render_cit_toml([], mentions=[".github/workflows/a\n[job.x].yml"])
    assert read_cit({"cit.toml": text.encode()}).job == {}


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(TEXT, TEXT, TEXT)
@example("a", " ", "x")
def test_any_text_is_rendered_whole(word: str, step: str, why: str) -> None:
    """Quotes, backslashes, control characters and line ends in commands and reasons."""
    for command in [("x", word), steps(word, step)]:
        proposal = Proposal(name="a", command=command, why=why, env={"A": word})
        job = read_cit({"cit.toml": render_cit_toml([proposal]).encode()}).job["a"]
        assert job.command == command
        assert job.env.set == {"A": word}
