"""secrets.toml of a node is its owner's alone, and no error tells what is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from citgit.errors import BadConfig
from citgit.nodes.secrets import read_secrets

ENTRY = '[[secret]]\nname = "KEY"\nvalue = "hush-hush-1"\nrepository = "r"\njobs = ["x"]\n'


def put(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    """The file."""
    path = tmp_path / "secrets.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_of_its_own(tmp_path: Path) -> None:
    """No file is no secret; a value does not show where an entry is shown."""
    assert read_secrets(tmp_path / "none").secret == ()
    (one,) = read_secrets(put(tmp_path, ENTRY)).secret
    assert one.value == "hush-hush-1"
    assert "hush" not in repr(one)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """To read or to write; the hint mends it."""
    with pytest.raises(BadConfig, match="others may read") as caught:
        read_secrets(put(tmp_path, ENTRY, mode))
    assert caught.value.hint.startswith("chmod 600")


def test_links_pipes_and_other_people_s_files(tmp_path: Path) -> None:
    """Nothing is followed, nothing waited for."""
    real = put(tmp_path, ENTRY)
    (tmp_path / "link").symlink_to(real)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe", "."):
        with pytest.raises(BadConfig):
            read_secrets(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.replace("hush-hush-1", "hush"), ENTRY.replace('"KEY"', '"CIT_KEY"'), ENTRY.replace('"KEY"', '"a b"'),
        ENTRY + "more = 1\n", ENTRY.replace("value", "valeu"), ENTRY[:-3], ENTRY.replace("value =", "value = hush-"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_without_the_value(tmp_path: Path, text: str) -> None:
    """Neither a short value nor a slip of the pen shows in the message."""
    with pytest.raises(BadConfig) as caught:
        read_secrets(put(tmp_path, text))
    assert "hush" not in caught.value.message
