"""The schemas of a log's files are those of the types that write them."""

from pathlib import Path

import pytest

from citgit.logs.schema import FILES, text

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("name", FILES)
def test_schemas_are_up_to_date(name: str) -> None:
    """The files in schemas/ are what the types give."""
    assert (SCHEMAS / f"{name}.schema.json").read_text() == text(name), "python -m citgit.logs.schema schemas"
