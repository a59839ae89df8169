"""docs/serve.md says what the code does: messages and their fields, limits, options, codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from citgit.programs.serve import IDLE
from citgit.ssh.frames import BODY_LIMIT, HEAD_LIMIT
from citgit.ssh.grammar import NODE_VERBS, Verb
from citgit.ssh.messages import GREETING, MOST_UPDATES, VERSIONS, FromClient, FromServer, Told
from citgit.ssh.session import _MOST_TO_FETCH

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "serve.md").read_text()


def test_every_message_with_its_fields() -> None:
    """Each type has a row that names each of its fields."""
    rows = {found[1]: found[2] for found in re.finditer(r"^\| `(\w+)` \| (.*?) \|", TEXT, re.MULTILINE)}
    for message in (*get_args(FromClient), *get_args(FromServer)):
        kind = message.__struct_config__.tag
        named = re.findall(r"`(\w+)`", rows[kind])
        assert set(named) - {"ref", "old", "new"} == set(message.__struct_fields__), kind
    for field in Told.__struct_fields__:
        assert f"`{field}`" in rows["answered"] + TEXT


def test_numbers() -> None:
    """Limits and versions."""
    for number in (HEAD_LIMIT, BODY_LIMIT, MOST_UPDATES, _MOST_TO_FETCH, int(IDLE)):
        assert re.search(rf"\b{number}\b", TEXT), number
    assert f"`{GREETING} {' '.join(map(str, VERSIONS))}`" in TEXT


def test_options_verbs_and_codes() -> None:
    """What the program takes and says is in the tables, and nothing else is."""
    source = (ROOT / "citgit" / "programs" / "serve.py").read_text()
    assert set(re.findall(r'add_argument\("(--\w+)"', source)) == set(re.findall(r"^\| `(--\w+)", TEXT, re.MULTILINE))
    assert {verb.value for verb in Verb} == set(re.findall(r"^([a-z -]+) 'PATH'", TEXT, re.MULTILINE))
    codes = set(re.findall(r'(?:code=|self\.end\(|session\.end\()"(\w+)"', "".join(
        (ROOT / "citgit" / "ssh" / name).read_text() for name in ("session.py", "pipe.py")
    )))  # fmt: skip
    table = TEXT[TEXT.index("| code |") :]
    assert codes == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_verbs_of_a_node() -> None:
    """Each has a line with as many words as it takes, and no line is about one that there is not."""
    lines = re.findall(r"^cit-serve ([a-z]+)((?: [A-Z]+)*)  +\S", TEXT, re.MULTILINE)
    assert {verb: len(words.split()) for verb, words in lines} == {
        verb: len(takes) for verb, takes in NODE_VERBS.items()
    }
