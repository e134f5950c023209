"""Message bodies in the type that a client prefers."""

import html
import re
from html.parser import HTMLParser
from typing import Any

_BLOCKS = frozenset(
    ["p", "div", "br", "tr", "li", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "pre"]
)
_UNSEEN = frozenset({"script", "style", "head", "title"})


def in_type(body: object, wanted: str) -> object:
    """The itemBody as `text` or `html`; what is no itemBody stays as it is."""
    if not isinstance(body, dict) or not isinstance(body.get("content"), str):
        return body
    found = body.get("contentType")
    if found == "html" and wanted == "text":
        return _changed(body, "text", _text_of(body["content"]))
    if found == "text" and wanted == "html":
        return _changed(body, "html", _html_of(body["content"]))
    return body


def _changed(body: dict[str, Any], kind: str, content: str) -> dict[str, Any]:
    return {**body, "contentType": kind, "content": content}


def _html_of(text: str) -> str:
    lines = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return (
        '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>'
        f'<body><div class="PlainText">{lines}</div></body></html>'
    )


def _text_of(markup: str) -> str:
    reader = _TextReader()
    reader.feed(markup)
    reader.close()
    text = re.sub(r"[ \t]+", " ", "".join(reader.parts))
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip().replace("\n", "\r\n")


class _TextReader(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data.replace("\r", " ").replace("\n", " "))
