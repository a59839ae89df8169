"""JSON Schemas of the files of a log, made from the types: `python -m citgit.logs.schema DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from citgit.logs.capture import About
from citgit.logs.local import Sections
from citgit.model.log import LogIndex

FILES: dict[str, tuple[type[msgspec.Struct], str]] = {
    "log-component": (About, "component.json: what a component of a log is and how it ended"),
    "log-sections": (Sections, "sections.json: parts that the output of a log's components marks off"),
    "log-index": (LogIndex, "index.json: where what is in a packed component"),
}


def schema(name: str) -> dict[str, Any]:
    """The schema of one of FILES."""
    kind, title = FILES[name]
    made = msgspec.json.schema(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **made}


def text(name: str) -> str:
    """The schema as it stands in schemas/."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in FILES:
        Path(sys.argv[1], f"{each}.schema.json").write_text(text(each))
