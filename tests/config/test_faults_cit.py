"""Every fault of cit.toml: where it is, what was found, what is allowed, what was meant."""

from __future__ import annotations

import pytest

from citgit.config.read import read_cit
from citgit.errors import BadConfig, NotFound


def faults(text: str) -> list[str]:
    """The faults of `text` as cit.toml, without the file's name."""
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": text.encode()})
    return [fault.removeprefix("cit.toml:") for fault in caught.value.faults]


def job(text: str) -> list[str]:
    """The faults of a job `a` that has a command and the lines `text`, which begin at line 3."""
    return faults(f'[job.a]\ncommand = ["true"]\n{text}\n')


LIMIT_KEYS = "attempts, output, queue, time"
JOB_KEYS = (
    "after, command, description, directory, env, extends, keep, limits, log, matrix, parameters, place, requires, "
    "source, trigger"
)

SHAPE = [
    ("limits.tim = '3 min'", f"3: job.a.limits.tim: unknown key; did you mean 'time'? allowed: {LIMIT_KEYS}"),
    ("limits.xyz = 1", f"3: job.a.limits.xyz: unknown key; allowed: {LIMIT_KEYS}"),
    ("tools = []", f"3: job.a.tools: unknown key; did you mean 'requires.tools'? allowed: {JOB_KEYS}"),
    ("limits.time = 30", '3: job.a.limits.time: found 30; allowed: a duration such as "30 min"'),
    ("keep.days = '30'", '3: job.a.keep.days: found "30"; allowed: an integer'),
    ("keep.days = true", "3: job.a.keep.days: found true; allowed: an integer"),
    ("keep.days = 1979-05-27", "3: job.a.keep.days: found 1979-05-27; allowed: an integer"),
    ("keep.days = nan", "3: job.a.keep.days: found nan; allowed: an integer"),
    (
        "keep.days = 9007199254740993",
        "3: job.a.keep.days: found 9007199254740993; allowed: an integer within 2^53",
    ),
    ("env.set.A = 1", "3: job.a.env.set.A: found 1; allowed: a string"),
    (
        "env.set.A = 'a\\u0000'".replace("'", '"'),
        r'3: job.a.env.set.A: found "a\x00"; allowed: a string without NUL',
    ),
    ("place = 'x'", '3: job.a.place: found "x"; allowed: a table'),
    (
        "keep.artifacts = '*.a'",
        '3: job.a.keep.artifacts: found "*.a"; allowed: an array of strings; write ["*.a"]',
    ),
    ("keep.artifacts = ['a',\n2]", "4: job.a.keep.artifacts[1]: found 2; allowed: a string"),
    (
        "trigger.on_newer = 'superseed'",
        "3: job.a.trigger.on_newer: found \"superseed\"; did you mean 'supersede'? allowed: supersede, keep",
    ),
    ("source.also = [{repo = 'self'}]", "3: job.a.source.also[0].at: missing; allowed: a string"),
    (
        '"\\u001b[31m" = 1',
        rf'3: job.a."\x1b[31m": unknown key; allowed: {JOB_KEYS}',
    ),
]


@pytest.mark.parametrize(("text", "fault"), SHAPE)
def test_shape(text: str, fault: str) -> None:
    """A value of the wrong type, an unknown key, a missing one."""
    assert job(text) == [fault]


def test_a_duration_names_its_units() -> None:
    """A mistyped unit is told which units there are."""
    (fault,) = job("limits.time = '3 mins'")
    assert fault.startswith("3: job.a.limits.time: not a duration: '3 mins'")
    assert "min, minute" in fault


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("make check", '["make", "check"]'),
        ("make && x", '["sh", "-c", "make && x"]'),
        ("it's", '["sh", "-c", "it\'s"]'),
    ],
)
def test_a_command_as_a_string_is_rewritten(written: str, meant: str) -> None:
    """The commonest mistake is answered with the line to write."""
    (fault,) = faults(f'[job.a]\ncommand = "{written}"')
    assert fault == f'2: job.a.command: found "{written}"; allowed: an array of strings; write {meant}'


MEANING = [
    ("extends = 'b'", '3: job.a.extends: unknown job "b"; known: none'),
    ("extends = 'a'", "3: job.a.extends: a cycle: a -> a"),
    ("after.b = {}", '3: job.a.after.b: unknown job "b"; known: none'),
    ("after.a = {}", "3: job.a.after.a: a cycle: a -> a"),
    ("directory = '/tmp'", '3: job.a.directory: found "/tmp"; allowed: a relative path with forward slashes'),
    ("directory = 'a/../..'", "3: job.a.directory: found \"a/../..\"; allowed: a path without '..'"),
    ("directory = ''", '3: job.a.directory: found ""; allowed: a relative path with forward slashes'),
    ("directory = '.git/hooks'", "3: job.a.directory: found \".git/hooks\"; allowed: a path outside '.git'"),
    ("keep.artifacts = ['../x']", "3: job.a.keep.artifacts[0]: found \"../x\"; allowed: a path without '..'"),
    ("matrix.cc = []", "3: job.a.matrix.cc: found an empty array; allowed: at least one value"),
    ("matrix.cc = ['a', 'a']", '3: job.a.matrix.cc[1]: "a" twice; allowed: each value once'),
    (
        "matrix = { a-b = ['x'], a_b = ['y'] }",
        "3: job.a.matrix.a_b: 'a_b' and 'a-b' would be the same variable CIT_MATRIX_A_B",
    ),
    ("source.repo = 'zlib'", '3: job.a.source.repo: unknown source "zlib"; known: self'),
    (
        "source.ref = '--upload-pack=x'",
        '3: job.a.source.ref: found "--upload-pack=x"; allowed: a branch, a tag or a commit',
    ),
    (
        "source.also = [{repo='self', at='.'}]",
        '3: job.a.source.also[0].at: found "."; allowed: a folder of its own',
    ),
    (
        "source.also = [{repo='self', at='a'}, {repo='self', at='a/b'}]",
        '3: job.a.source.also[1].at: "a/b" and "a" are in each other\'s way',
    ),
    (
        "requires.tools = ['cc => 12']",
        '3: job.a.requires.tools[0]: found "cc => 12"; allowed: "name" or "name OP version", '
        "OP one of >=, >, ==, <, <=",
    ),
    ("requires.cpu = 0", "3: job.a.requires.cpu: found 0; allowed: at least 1"),
    ("limits.time = '0 s'", "3: job.a.limits.time: found 0; allowed: at least 1"),
    ("limits.attempts = 0", "3: job.a.limits.attempts: found 0; allowed: at least 1"),
    ("keep.days = -1", "3: job.a.keep.days: found -1; allowed: at least 0"),
    (
        "env.set = { 1A = 'x' }",
        "3: job.a.env.set.1A: not a variable name: \"1A\"; allowed: letters, digits and '_', no digit first",
    ),
    ("env.pass = ['CIT_X']", "3: job.a.env.pass[0]: reserved: variables beginning with CIT_ are set by citgit"),
    (
        "place.as = 'agnet'",
        "3: job.a.place.as: found \"agnet\"; did you mean 'agent'? allowed: agent, requester, alias:NAME",
    ),
    (
        "trigger.zone = 'europe/berlin'",
        "3: job.a.trigger.zone: unknown time zone \"europe/berlin\"; did you mean 'Europe/Berlin'? "
        'allowed: names such as "Europe/Berlin"',
    ),
    (
        "parameters.n = { type = 'integer', default = 'six' }",
        '3: job.a.parameters.n.default: found "six"; allowed: type integer',
    ),
    (
        "parameters.n = { type = 'integer', default = true }",
        "3: job.a.parameters.n.default: found true; allowed: type integer",
    ),
    (
        "parameters.n = { choices = ['fast', 'slow'], default = 'fats' }",
        '3: job.a.parameters.n.default: found "fats"; did you mean \'fast\'? allowed: "fast", "slow"',
    ),
    (
        "parameters.n = { type = 'integer' }\ntrigger.push = ['main']",
        "3: job.a.parameters.n: no default, so a trigger could not start the job; allowed: add one",
    ),
    (
        "env.set = { A = '{matrix.cc}' }\nmatrix = { c = ['x'] }",
        "3: job.a.env.set.A: unknown field \"matrix.cc\"; did you mean 'matrix.c'? known: matrix.c",
    ),
]


@pytest.mark.parametrize(("text", "fault"), MEANING)
def test_meaning(text: str, fault: str) -> None:
    """A value of the right type that cannot be meant."""
    assert job(text) == [fault]


def test_cron() -> None:
    """A cron expression that is wrong is not called unsupported: first it must be one."""
    (fault,) = job("trigger.cron = '61 3 * * *'")
    assert fault.startswith('3: job.a.trigger.cron: found "61 3 * * *": bad minute')


def test_too_many_cells() -> None:
    """17 × 16 cells are more than 256."""
    values = [str(number) for number in range(17)]
    assert job(f"matrix = {{ a = {values}, b = {values[:16]} }}") == [
        "3: job.a.matrix: found 272 cells; allowed: at most 256"
    ]


NOT_YET = "not supported yet by this version"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("requires.image = 'debian:12'", f"3: job.a.requires.image: {NOT_YET}; leave it out"),
        ("trigger.cron = '0 3 * * *'", f"3: job.a.trigger.cron: {NOT_YET}; leave it out"),
        ("keep.escrow = true", f"3: job.a.keep.escrow: {NOT_YET}; leave it out"),
    ],
)
def test_not_supported_yet(text: str, fault: str) -> None:
    """A key whose effect is missing is refused, not ignored."""
    assert job(text) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("env.secrets = ['sign-key']", '3: job.a.env.secrets[0]: not a variable name: "sign-key"'),
        ("env.secrets = ['CIT_KEY']", "3: job.a.env.secrets[0]: reserved"),
        ("env = { secrets = ['A', 'A'] }", '3: job.a.env.secrets[1]: "A" twice'),
        ("env = { secrets = ['A'], set = { A = 'x' } }", '3: job.a.env.secrets[0]: "A" twice'),
        ("env.secrets = ['A']\nlog.split = ['make']", "4: job.a.log.split: found beside env.secrets"),
    ],
)
def test_secrets_are_variables_of_their_own(text: str, fault: str) -> None:
    """Named once, of no other table's, and not where parts write logs that nobody masks."""
    (told,) = job(text)
    assert told.startswith(fault)


@pytest.mark.parametrize(
    "text",
    ["requires.image = ''", "place.as = 'agent'", "keep.escrow = false"],
)
def test_supported_values_of_such_keys(text: str) -> None:
    """Their defaults may be written."""
    read_cit({"cit.toml": f'job.a.command = ["true"]\njob.a.{text}'.encode()})


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("--upload-pack=x", "does not begin with '-'"),
        ("ext::sh -c id", "without a transport helper"),
        ("fd::3", "without a transport helper"),
        ("https://anna:secret@example.org/x", "holds a password"),
        ("a\\nb", "does not begin with '-'"),
        ("", "does not begin with '-'"),
    ],
)
def test_urls_that_git_must_not_see(url: str, cause: str) -> None:
    """Options, programs and passwords in a source's URL; a password is not repeated."""
    (fault,) = faults(f'[source]\nx.url = "{url}"')
    assert fault.startswith("2: source.x.url: ")
    assert cause in fault
    assert "secret" not in fault


@pytest.mark.parametrize(
    "url", ["https://example.org/x.git", "ssh://git@host:22/x", "git@host:x.git", "../x", "/srv/x.git", "host:x"]
)
def test_urls_that_git_takes(url: str) -> None:
    """URLs, scp's form and paths."""
    assert read_cit({"cit.toml": f'source.x.url = "{url}"'.encode()}).source["x"].url == url


@pytest.mark.parametrize("name", ["A", "../x", "-x", "a.lock", "a b", "x" * 64, "a\\nb"])
def test_names(name: str) -> None:
    """A job's name is one component of a ref."""
    (fault,) = faults(f'[job."{name}"]\ncommand = ["true"]')
    assert "not a name: " in fault
    assert "\n" not in fault


def test_all_at_once_in_order() -> None:
    """Faults of shape and of meaning come together, ordered by line, and none twice."""
    found = faults(
        "[job.base]\nplace.as = 'nobody'\n[job.a]\nextends = 'base'\ncommand = 3\n[job.b]\nextends = 'base'\n"
        "command = ['x']\nafter.c = {}\n[jobs.x]\n"
    )
    assert [fault.split(": ")[:2] for fault in found] == [
        ["2", "job.base.place.as"],
        ["5", "job.a.command"],
        ["9", "job.b.after.c"],
        ["10", "jobs"],
    ]
    assert "did you mean 'job'?" in found[3]


def test_an_inherited_fault_stands_where_it_was_written() -> None:
    """A field that no heir defines is told once, at the base's line."""
    assert faults(
        "[job.base]\nenv.set.CC = '{matrix.cc}'\n[job.a]\nextends = 'base'\ncommand = ['x']\n[job.b]\n"
        "extends = 'base'\ncommand = ['x']\n"
    ) == ['2: job.base.env.set.CC: unknown field "matrix.cc"; known: none']


def test_a_job_without_a_command() -> None:
    """Only a job that is extended may have none."""
    assert faults("[job.a]\n") == ['1: job.a.command: missing or empty; allowed: one command such as ["make", "check"]']
    read_cit({"cit.toml": b'[job.a]\n[job.b]\nextends = "a"\ncommand = ["true"]'})


def test_nothing_comes_after_an_abstract_job() -> None:
    """A job that cannot be built cannot be upstream."""
    text = '[job.a]\n[job.b]\nextends = "a"\ncommand = ["true"]\nafter.a = {}'
    assert faults(text) == ["5: job.b.after.a: job 'a' has no command, it can only be extended"]


def test_cycles() -> None:
    """Each job on a cycle is named with the whole of it; one that only leads there is not."""
    after = "".join(f"[job.{a}]\ncommand = ['x']\nafter.{b} = {{}}\n" for a, b in ["ab", "bc", "cb"])
    assert faults(after) == [
        "6: job.b.after.c: a cycle: b -> c -> b",
        "9: job.c.after.b: a cycle: c -> b -> c",
    ]
    extends = "".join(f"[job.{a}]\ncommand = ['x']\nextends = '{b}'\n" for a, b in ["ab", "bc", "cb"])
    assert faults(extends) == [
        "6: job.b.extends: a cycle: b -> c -> b",
        "9: job.c.extends: a cycle: c -> b -> c",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a = [\n 1 2", "cit.toml:2: column 4: not valid TOML: unclosed array"),
        (b"a = 1\na = 2", "cit.toml:2: column 6: not valid TOML: cannot overwrite a value"),
        (b"a = 1\n\xff", "cit.toml:2: not UTF-8: byte 0xff"),
        (b"a = " + b"[" * 5000, "cit.toml:1: "),
        (b"a = " + b"[" * 50 + b"]" * 50, "cit.toml:1: not readable: line 1: nested deeper than 32 levels"),
        (b"a = " + b"9" * 5000, "cit.toml:1: not readable: "),
        (b"#" * (2**20 + 1), "cit.toml:1: too long: 1048577 bytes, allowed: 1048576"),
    ],
)
def test_files_that_cannot_be_read(content: bytes, fault: str) -> None:
    """Broken TOML is told with line, column and cause; what no person writes is refused."""
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": content})
    assert caught.value.faults[0].startswith(fault)
    assert caught.value.message == "1 fault in cit.toml"


def test_no_config() -> None:
    """No file at all is another error than a wrong one."""
    with pytest.raises(NotFound, match=r"no cit\.toml"):
        read_cit({"team.toml": b"", "src/cit.toml": b""})
