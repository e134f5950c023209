"""HTML to readable plain text: what a person sees, line by line; what is hidden, active or remote is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import unescape

from selectolax.lexbor import LexborHTMLParser, LexborNode

from atom_backfill.mail.door import Limits, repair
from atom_backfill.mail.vocabulary import phrases, words
from atom_backfill.mail.writer import Link, Mark, MarkKind, Rendering, Writer

RENDERER = 1
"""Raised whenever the same HTML or text would render differently; stored with every rendering."""


def looks_like_html(text: str) -> bool:
    """Tell whether a body holds markup, whatever its declared type says."""
    return bool(_DOCUMENT.match(text))


def has_markup(text: str) -> bool:
    """Tell whether a body declared as HTML has any tag of HTML in it."""
    return bool(_KNOWN_TAG.search(text))


def render_plain(text: str, limits: Limits) -> Rendering:
    """Render a text body: it is its own rendering, apart from what the door repairs."""
    text = repair(text)
    return Rendering(text[: limits.body_characters], truncated=len(text) > limits.body_characters)


def render_html(html: str, limits: Limits) -> Rendering:
    """Render an HTML body. Bounded by `html_nodes` and `body_characters`; never raises on tag soup."""
    if not has_markup(html):
        return render_plain(unescape(html), limits)
    tree = LexborHTMLParser(_BRACKETED_ADDRESS.sub("&lt;", html.replace("\x00", "")))
    root = tree.body or tree.root
    return _Walk(limits).render(root) if root else Rendering("")


class _Walk:
    """One pass over the tree, without recursion."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._writer = Writer(limits.body_characters)
        self._links: list[Link] = []
        self._marks: list[Mark] = []
        self._pre = 0
        self._lists: list[int] = []

    def render(self, root: LexborNode) -> Rendering:
        """Walk the tree below `root`."""
        writer = self._writer
        opened: list[tuple[LexborNode, list[Callable[[], None]]]] = []
        node = root.first_child
        budget = self._limits.html_nodes
        while budget and not writer.truncated:
            if node is None:
                if not opened:
                    break
                parent, undo = opened.pop()
                for close in reversed(undo):
                    close()
                node = parent.next
                continue
            budget -= 1
            tag = node.tag or "-"
            if tag == "-text":
                self._text(node.text_content or "")
                node = node.next
            elif tag in _DROPPED or tag[0] in "-!" or (closers := self._open(node, tag)) is None:
                node = node.next
            else:
                opened.append((node, closers))
                node = node.first_child
        text = writer.text()
        length = len(text.rstrip())
        return Rendering(
            text[:length] + ("\n" if length else ""),
            tuple(link for link in self._links if link.end <= length),
            tuple(mark for mark in self._marks if mark.start < length),
            truncated=writer.truncated or not budget,
        )

    def _text(self, text: str) -> None:
        text = repair(text)
        if self._pre:
            self._writer.verbatim(text)
        else:
            self._writer.words(text)

    def _open(self, node: LexborNode, tag: str) -> list[Callable[[], None]] | None:
        """Begin an element: what must be done at its end, or None where nothing of its inside is wanted."""
        attributes = node.attributes
        if attributes and self._hidden(attributes):
            return None
        writer = self._writer
        if tag in _VOID:
            self._void(tag, attributes)
            return None
        undo: list[Callable[[], None]] = []
        if tag in _BLOCKS:
            brk = writer.gap if tag in _SPACED and not _tight(attributes) else writer.line
            brk()
            undo.append(brk)
        if tag == "blockquote" and not _INDENT.search(attributes.get("style") or ""):
            writer.indent("> ")
            undo.append(writer.outdent)
        elif tag in _INDENTABLE and _INDENTED.search(attributes.get("style") or ""):
            writer.indent("    ")
            undo.append(writer.outdent)
        elif tag == "pre":
            self._pre += 1
            undo.append(self._end_pre)
        elif tag in _LISTS:
            self._lists.append(1 if tag == "ol" else 0)
            undo.append(self._end_list)
        elif tag == "li":
            self._item()
        elif tag in _CELLS and writer.flat:
            writer.cell()
        elif tag == "tr" and _is_data_row(node):
            writer.flat += 1
            undo.append(self._end_flat)
        elif tag == "a" and (href := attributes.get("href")):
            undo.append(partial(self._end_link, writer.at, href))
        if attributes and (kind := _mark_of(attributes)):
            undo.append(partial(self._end_mark, writer.at, kind))
        return undo

    def _void(self, tag: str, attributes: dict[str, str | None]) -> None:
        writer = self._writer
        if tag == "br":
            writer.newline()
        elif tag == "hr":
            writer.line()
            writer.words("_" * 32)
            writer.line()
        else:
            alt = attributes.get("alt") or ""
            # Mail programs put emoji as pictures whose replacement text is the emoji.
            if 0 < len(alt) <= 8 and not any(c.isalnum() or c.isspace() for c in alt):
                writer.words(repair(alt))

    def _item(self) -> None:
        number = self._lists[-1] if self._lists else 0
        self._writer.bullet(f"{number}. " if number else "- ")
        if number:
            self._lists[-1] += 1

    def _end_pre(self) -> None:
        self._pre -= 1

    def _end_list(self) -> None:
        self._lists.pop()

    def _end_flat(self) -> None:
        self._writer.flat -= 1

    def _end_link(self, start: int, href: str) -> None:
        if self._writer.at > start:
            self._links.append(Link(start, self._writer.at, repair(href)))

    def _end_mark(self, start: int, kind: MarkKind) -> None:
        if self._writer.at > start:
            self._marks.append(Mark(kind, start, self._writer.at))

    def _hidden(self, attributes: dict[str, str | None]) -> bool:
        if "hidden" in attributes:
            return True
        style = attributes.get("style")
        return bool(style and (_HIDDEN.search(style) or (_WHITE_TEXT.search(style) and _WHITE_GROUND.search(style))))


def _tight(attributes: dict[str, str | None]) -> bool:
    return "msonormal" in (attributes.get("class") or "").lower() or bool(
        _NO_MARGIN.search(attributes.get("style") or "")
    )


def _is_data_row(row: LexborNode) -> bool:
    """Tell a row of a table of data from one that only lays out a page, by its cells; bounded work per row."""
    return len(row.css("td, th")) > 1 and not row.css("table, ul, ol, p + p, div + div") and len(row.text()) < 400


def _mark_of(attributes: dict[str, str | None]) -> MarkKind | None:
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    if len(names) == 1:
        return None
    if _ATTRIBUTION_NAMES.search(names):
        return MarkKind.ATTRIBUTION
    if _QUOTE_NAMES.search(names):
        return MarkKind.QUOTE
    return MarkKind.SIGNATURE if _SIGNATURE_NAMES.search(names) else None


_DROPPED = words(
    """
    script style head title meta link base iframe frame frameset object embed applet noscript template svg
    canvas audio video map select datalist input textarea xml
    """
)
_BLOCKS = words(
    """
    address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer
    form h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol p pre section summary table tbody tfoot thead tr
    td th ul caption
    """
)
_VOID = frozenset(["br", "hr", "img"])
_INDENTABLE = frozenset(["div", "blockquote"])
_INDENTED = re.compile(
    r"margin-left\s*:\s*(?:[3-9]\d|1\d\d)px|margin\s*:\s*0\w*\s+0\w*\s+0\w*\s+(?:[3-9]\d|1\d\d)px", re.IGNORECASE
)
_LISTS = frozenset(["ul", "ol", "menu"])
_CELLS = frozenset(["td", "th"])
_SPACED = words(
    """
    p h1 h2 h3 h4 h5 h6 pre ul ol dl
    """
)
_DOCUMENT = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+html|html|head|body|div|table|p|meta|span)\b[^>]{0,2000}>",
    re.IGNORECASE,
)
_KNOWN_TAG = phrases(
    r"""
    <(?:/|!)?(?:html|head|body|div|p|br|span|table|tr|td|a|b|i|u|em|strong|font|ul|ol|li|img|pre|h[1-6]|hr|style
    center|blockquote|meta|doctype|title|tt|code|sub|sup|small|big)\b[^<>]{0,4000}>
    """
)
# Plain text that was put into HTML without escaping: <ann@example.org>, <https://example.org>.
_BRACKETED_ADDRESS = re.compile(r"<(?=(?:mailto:|https?://)?[^\s<>\"'=/]{1,200}[@/][^\s<>\"'=]{1,200}>)", re.IGNORECASE)
_INDENT = re.compile(
    r"border:\s*none.{0,80}margin:?[^;]{0,20}40px|margin:\s*0[^;]{0,20}40px.{0,40}border:\s*(?:none|0)", re.IGNORECASE
)
_HIDDEN = phrases(
    r"""
    display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*[0-2](?:\.\d+)?(?:px|pt|em
    %)?\s*(?:;|!|$)|(?:^|[;\s])(?:max-height|opacity)\s*:\s*0(?:\.0+)?(?:px|%)?\s*(?:;|!|$)
    """
)
_WHITE = r"\s*(?:#fff(?:fff)?\b|white\b|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))"
_WHITE_TEXT = re.compile(rf"(?:^|[;\s])color\s*:{_WHITE}", re.IGNORECASE)
_WHITE_GROUND = re.compile(rf"background(?:-color)?\s*:{_WHITE}", re.IGNORECASE)
_NO_MARGIN = re.compile(r"margin(?:-top)?\s*:\s*0", re.IGNORECASE)
_ATTRIBUTION_NAMES = re.compile(r"gmail_attr|moz-cite-prefix|divRplyFwdMsg|reply-intro")
_QUOTE_NAMES = re.compile(r"yahoo_quoted|sh-quoted-content")
_SIGNATURE_NAMES = re.compile(
    r"gmail_signature|moz-signature|(?:^|\s)Signature$|protonmail_signature|ms-outlook-mobile-signature"
)
