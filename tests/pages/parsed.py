"""Pages as a browser would see them, for tests: elements, attributes, text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

_NEVER = ("script", "img", "iframe", "object", "embed", "form", "b", "base", "style", "video", "audio", "link")
_HIDDEN = "\u202e\u200b\u2066\u2028\ufeff"


class Page(HTMLParser):
    """What a browser would see: elements, attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append((tag, dict(attrs)))
        self.text += " " if tag in ("dd", "td", "th", "li") else ""

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


def pages(out: Path) -> dict[Path, Page]:
    """All pages of a report."""
    return {path: Page(path.read_text()) for path in out.rglob("*.html")}


def assert_harmless(out: Path, *, live: bool = False) -> None:
    """No script, handler, style or load that came from a build; links lead to pages here, or to a known forge."""
    for path, page in pages(out).items():
        ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        assert len(ids) == sum("id" in attrs for _, attrs in page.tags), f"{path}: an id stands twice"
        assert any("default-src 'none'" in (attrs.get("content") or "") for tag, attrs in page.tags if tag == "meta")
        for tag, attrs in page.tags:
            own = (tag == "link" and str(attrs["href"]).endswith("style.css")) or (live and tag == "script")
            assert own or tag not in _NEVER, (path, tag)
            assert not [name for name in attrs if name.startswith("on") or name == "style"], path
            for name in ("href", "src"):
                target = attrs.get(name)
                if not target:
                    continue
                if target.startswith("#"):
                    assert target[1:] in ids, f"{path}: {target}"
                elif target.startswith("https://"):
                    assert (tag, attrs.get("rel")) == ("a", "noopener noreferrer"), (path, target)
                else:
                    assert (path.parent / target).exists(), f"{path}: {target}"
            words = "".join(str(value) for value in attrs.values())
            assert not any(ord(one) < 32 or one in _HIDDEN for one in words), (path, tag, words)
        assert not any((ord(one) < 32 and one not in "\n\t") or one in _HIDDEN for one in page.text), path
