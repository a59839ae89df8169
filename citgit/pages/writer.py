"""Writes pages: templates, what they may print, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from citgit.model.units import rounded_size
from citgit.pages import words

TEMPLATES = Path(__file__).parent / "templates"
_SHORT, _KEPT = 80, 20_000


@dataclass(slots=True)
class Writer:
    """Pages below `out`. `plain` makes text from records safe and visible: no controls, nothing hidden."""

    out: Path
    plain: Callable[[object], str]
    _pages: jinja2.Environment = field(init=False)
    _said: dict[str, Markup] = field(default_factory=dict)
    _templates: dict[str, jinja2.Template] = field(default_factory=dict)
    _fresh: bool = False

    def __post_init__(self) -> None:
        self._pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
            undefined=jinja2.StrictUndefined, finalize=self._shown, auto_reload=False,
        )  # fmt: skip
        self._pages.filters |= {
            "span": words.span, "size": rounded_size, "moment": words.moment, "iso": words.iso, "symbol": words.symbol,
            "words": words.spaced, "name": words.name_of, "say": words.say, "job_page": words.job_page,
            "badge_file": words.badge_file, "build_page": words.build_page, "key": words.fingerprint,
        }  # fmt: skip

    def prepare(self, *, fresh: bool = False) -> None:
        """Makes the folders, and the files that all pages share; in a `fresh` report nobody reads a page yet."""
        self._fresh = fresh
        for folder in ("build", "job", "badge"):
            (self.out / folder).mkdir(parents=True, exist_ok=True)
        for name in ("style.css", "live.js"):
            self.write(name, (TEMPLATES / name).read_text())

    def page(self, template: str, path: str, context: Mapping[str, object]) -> None:
        """One page. Raises OSError."""
        if template not in self._templates:
            self._templates[template] = self._pages.get_template(template)
        self.write(path, self._templates[template].render(context), scratch=not self._fresh)

    def write(self, path: str, text: str, *, scratch: bool = True) -> None:
        """One file, with `scratch` whole or not at all. Raises OSError."""
        folder, _, name = f"{self.out}/{path}".rpartition("/")
        target = f"{folder}/.{name}.new" if scratch else f"{folder}/{name}"
        with open(target, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        if scratch:
            os.replace(target, f"{folder}/{name}")

    def safe(self, text: object) -> str:
        """Text as a page may show it; nothing in printable ASCII hides or commands."""
        words = str(text)
        return words if words.isascii() and words.isprintable() else self.plain(words)

    def _shown(self, value: object) -> object:
        """What a template prints: text is made safe, markup made by pages themselves stays as it is."""
        if type(value) is not str:
            return self.safe(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        # the same names and words stand on every page
        if (found := self._said.get(value)) is None:
            found = escape(self.safe(value))
            if len(value) < _SHORT and len(self._said) < _KEPT:
                self._said[value] = found
        return found


def version() -> str:
    """What the pages look like: a report made by other templates is made anew."""
    whole = hashlib.sha256()
    for path in (*sorted(TEMPLATES.iterdir()), *sorted(Path(__file__).parent.glob("*.py"))):
        whole.update(path.read_bytes())
    return whole.hexdigest()
