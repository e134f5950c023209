"""HTML to readable plain text: what a person sees, line by line; what is hidden, active or remote is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html import unescape

from selectolax.lexbor import LexborHTMLParser, LexborNode

from atom_backfill.mail.door import Limits, repair
from atom_backfill.mail.styles import PLAIN, Attributes, Style, Styles
from atom_backfill.mail.vocabulary import any_of, phrases, words
from atom_backfill.mail.writer import Link, Mark, MarkKind, Rendering, Writer

RENDERER = 2
"""Raised whenever the same HTML or text would render differently; stored with every rendering."""

Undo = list[Callable[[], None]]


def looks_like_html(text: str) -> bool:
    """Tell whether a body declared as text is an HTML document all the same."""
    return "</" in text and bool(_DOCUMENT.match(text))


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
    html, flattened = _flatten(html, limits.html_depth)
    tree = LexborHTMLParser(_BRACKETED_ADDRESS.sub("&lt;", html.replace("\x00", "")))
    root = tree.body or tree.root
    if root is None:
        return Rendering("")
    rendering = _Walk(limits, coloured=bool(_COLOURED.search(html))).render(root)
    return replace(rendering, truncated=True) if flattened else rendering


def _flatten(html: str, depth_limit: int) -> tuple[str, bool]:
    """Leave out tags nested deeper than the limit, with which the parser's time would grow as their square."""
    if html.count("<") <= depth_limit:
        return html, False
    depth = deepest = 0

    def keep(tag: re.Match[str]) -> str:
        nonlocal depth, deepest
        if tag[1]:
            depth -= 1 if depth else 0
            return tag[0] if depth < depth_limit else ""
        depth += 1
        deepest = max(deepest, depth)
        return tag[0] if depth <= depth_limit else ""

    flat = _NESTING_TAG.sub(keep, html)
    return (flat, True) if deepest > depth_limit else (html, False)


class _Walk:
    """One pass over the tree, without recursion. `coloured`: some ground may not be white without our seeing it."""

    def __init__(self, limits: Limits, *, coloured: bool) -> None:
        self._limits = limits
        self._writer = Writer(limits.body_characters)
        self._styles = Styles()
        self._tiny = self._white = False
        self._ground = not coloured
        self._links: list[Link] = []
        self._marks: list[Mark] = []
        self._kinds: dict[str, MarkKind | None] = {}
        self._pre = self._marked = 0
        self._lists: list[int] = []

    def render(self, root: LexborNode) -> Rendering:
        """Walk the tree below `root`."""
        writer = self._writer
        opened: list[tuple[LexborNode, Undo]] = []
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
            # Nodes, since a byte or two of markup can make one.
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
        return self._rendering(truncated=writer.truncated or not budget)

    def _rendering(self, *, truncated: bool) -> Rendering:
        text = self._writer.text()
        length = len(text.rstrip())
        return Rendering(
            text[:length] + ("\n" if length else ""),
            tuple(_trimmed(link, text) for link in self._links if link.end <= length),
            tuple(mark for mark in self._marks if mark.start < length),
            truncated=truncated,
        )

    def _kind_of(self, attributes: Attributes) -> MarkKind | None:
        """Tell what a mail program marks by an element's class and id, each pair of names looked at once."""
        names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        if names not in self._kinds:
            self._kinds[names] = next((kind for kind, pattern in _MARK_NAMES if pattern.search(names)), None)
        return self._kinds[names]

    def _text(self, text: str) -> None:
        if self._tiny or (self._white and self._ground):
            return
        # Not before: the parser has only now made characters of the references to them.
        text = repair(text)
        if self._pre:
            self._writer.verbatim(text)
        else:
            self._writer.words(text)

    def _open(self, node: LexborNode, tag: str) -> Undo | None:
        """Begin an element: what must be done at its end, or None where nothing of its inside is wanted."""
        attributes = node.attributes
        style = self._styles.of(attributes) if attributes else PLAIN
        if style.hidden:
            return None
        if tag in _VOID:
            self._void(tag, attributes)
            return None
        undo: Undo = []
        if style is not PLAIN:
            undo.append(partial(self._end_style, self._tiny, self._white, self._ground))
            self._begin_style(style)
        if tag in _BLOCKS:
            tight = style.tight or tag not in _SPACED or "MsoNormal" in (attributes.get("class") or "")
            begin = self._writer.line if tight else self._writer.gap
            begin()
            undo.append(begin)
        self._begin(node, tag, attributes, style, undo)
        if attributes and self._marked < _NESTED_MARKS and (kind := self._kind_of(attributes)):
            self._marked += 1
            undo.append(partial(self._end_mark, self._writer.at, kind))
        return undo

    def _begin(self, node: LexborNode, tag: str, attributes: Attributes, style: Style, undo: Undo) -> None:
        writer = self._writer
        if tag == "blockquote" and not (style.aside and style.indent):
            writer.indent("> ")
            undo.append(writer.outdent)
        elif style.indent and tag in _INDENTABLE:
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
            undo.append(self._end_row)
        elif tag == "a" and (href := attributes.get("href")):
            undo.append(partial(self._end_link, writer.at, href))

    def _void(self, tag: str, attributes: Attributes) -> None:
        writer = self._writer
        if tag == "br":
            writer.newline()
        elif tag == "hr":
            writer.line()
            # As in Outlook's own text; the header block below it is recognised by it.
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

    def _begin_style(self, style: Style) -> None:
        self._tiny = self._tiny if style.tiny is None else style.tiny
        self._white = self._white if style.white is None else style.white
        self._ground = self._ground if style.ground is None else style.ground

    def _end_style(self, tiny: bool, white: bool, ground: bool) -> None:
        self._tiny, self._white, self._ground = tiny, white, ground

    def _end_pre(self) -> None:
        self._pre -= 1

    def _end_list(self) -> None:
        self._lists.pop()

    def _end_row(self) -> None:
        self._writer.flat -= 1
        self._writer.end_row()

    def _end_link(self, start: int, href: str) -> None:
        if self._writer.at > start:
            self._links.append(Link(start, self._writer.at, repair(href)))

    def _end_mark(self, start: int, kind: MarkKind) -> None:
        self._marked -= 1
        if self._writer.at > start:
            self._marks.append(Mark(kind, start, self._writer.at))


def _trimmed(link: Link, text: str) -> Link:
    """Begin a link at its first word rather than at the space or line end before it."""
    start = link.start
    while start < link.end - 1 and text[start] in _BEFORE_WORDS:
        start += 1
    return replace(link, start=start)


def _is_data_row(row: LexborNode) -> bool:
    """Tell a row of data, kept on one line, from one that lays out a page; nested tables are refused at first sight."""
    if row.css_first("table, ul, ol, p + p, div + div, hr, br + br") is not None:
        return False
    cell, cells = row.first_child, 0
    while cell is not None and cells < 2:
        cells += cell.tag in _CELLS
        cell = cell.next
    return cells > 1 and len(row.text()) < _LONGEST_ROW


_BEFORE_WORDS = frozenset(" \n\t>|")
_LONGEST_ROW = 400
_NESTED_MARKS = 8
"""Marks within marks that are heeded; each costs a look at the lines inside."""
_DROPPED = words(
    """
    script style head title meta link base iframe frame frameset object embed applet noscript template svg canvas audio
    video map select datalist input textarea xml
    """
)
_BLOCKS = words(
    """
    address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form h1
    h2 h3 h4 h5 h6 header hr legend li main menu nav ol p pre section summary table tbody tfoot thead tr td th ul
    caption
    """
)
_VOID = frozenset(["br", "hr", "img"])
_INDENTABLE = frozenset(["div", "blockquote"])
_LISTS = frozenset(["ul", "ol", "menu"])
_CELLS = frozenset(["td", "th"])
_SPACED = words("p h1 h2 h3 h4 h5 h6 pre ul ol dl")
_DOCUMENT = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+html|html|head|body|div|table|p|meta|span)\b[^>]{0,2000}>",
    re.IGNORECASE,
)
_KNOWN_TAG = re.compile(
    "</?!?"
    + any_of(
        """
        html|head|body|div|p|br|span|table|tr|td|a|b|i|u|em|strong|font|ul|ol|li|img|pre|h[1-6]|hr|style|center
        blockquote|meta|doctype|title|tt|code|sub|sup|small|big
        """
    )
    + r"\b[^<>]{0,4000}>",
    re.IGNORECASE,
)
# Paragraphs, items and cells end one another, so they nest only where these do.
_NESTING_TAG = re.compile(
    r"<(/?)(?!(?:p|li|td|tr|th|dd|dt|option|br|img|hr|input|meta|link|tbody)\b)[a-z][^<>]{0,4000}>", re.IGNORECASE
)
# Plain text that was put into HTML without escaping: <ann@example.org>, <https://example.org>.
_BRACKETED_ADDRESS = re.compile(r"<(?=(?:mailto:|https?://)?[^\s<>\"'=/]{1,200}[@/][^\s<>\"'=]{1,200}>)", re.IGNORECASE)
_COLOURED = re.compile(r"background|bgcolor|<style", re.IGNORECASE)
_MARK_NAMES = (
    (MarkKind.ATTRIBUTION, phrases(r"gmail_attr|moz-cite-prefix|divRplyFwdMsg|reply-intro")),
    (MarkKind.QUOTE, phrases(r"yahoo_quoted|sh-quoted-content")),
    (
        MarkKind.SIGNATURE,
        phrases(
            r"""
            gmail_signature|moz-signature|protonmail_signature|ms-outlook-mobile-signature|(?:^|\s)signature$
            (?:^|\s)yahoo_?signature|tutanota_signature|zimbra-signature
            """
        ),
    ),
)
