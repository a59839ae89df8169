"""What a worker is told, in a file: all that can be said comes back as it was."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from citgit.model.settings import Settings
from citgit.nodes.settings import read_settings, write_settings


@settings(max_examples=100, deadline=None)
@given(url=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_what_is_written_is_read(tmp_path_factory, url: str) -> None:  # type: ignore[no-untyped-def]
    """Whatever a path is made of."""
    path: Path = tmp_path_factory.getbasetemp() / "lab1.toml"
    write_settings(path, Settings(agent="lab1", url=url))
    assert read_settings(path).url == url
