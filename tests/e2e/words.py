"""Whether a stored text has the words that a reader of the mail would see."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from html.parser import HTMLParser

from e2e.truth import Row


def lost_words(message: Row, stored: str) -> list[str]:
    """Return words of the body that the stored text lacks, where they are more than a hundredth (HTML: a tenth)."""
    body = message.get("body") or {}
    content = body.get("content")
    if not isinstance(content, str):
        return []
    html = str(body.get("contentType")).lower() == "html"
    wanted = Counter(words_of(_visible(content) if html else content))
    missing = wanted - Counter(words_of(stored))
    allowed = (0.1 if html else 0.01) * wanted.total()
    return [] if missing.total() <= allowed else list(missing)


def words_of(text: object) -> list[str]:
    """Return the words of a text, whatever their case and form; none of what is no text."""
    if not isinstance(text, str):
        return []
    plain = unicodedata.normalize("NFKC", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return re.findall(r"[^\W_]{2,}", plain.casefold())


def _visible(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(reader.text)


class _Reader(HTMLParser):
    """Collects what a reader would see, roughly."""

    SILENT = frozenset({"script", "style", "head", "title", "noscript", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        hidden = any(
            name == "style" and re.search(r"display\s*:\s*none|font-size\s*:\s*0", value or "") for name, value in attrs
        )
        if (
            tag in self.SILENT
            or (self._silent and tag == self._silent[-1])
            or (hidden and tag in ("div", "span", "p", "td"))
        ):
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)
