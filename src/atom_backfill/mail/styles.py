"""What inline styles say of an element: whether a person sees its text, and how it is set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from atom_backfill.mail.vocabulary import phrases

Attributes = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Style:
    """The part of an element's style that matters; None where it says nothing and the parent's holds.

    `hidden`: nothing inside is seen. `tiny`, `white`: its letters are too small to read, or white. `ground`: its
    background is white (False: of another colour). `indent`: set in from the left. `tight`: no space above.
    """

    hidden: bool = False
    tiny: bool | None = None
    white: bool | None = None
    ground: bool | None = None
    indent: bool = False
    aside: bool = False
    tight: bool = False


PLAIN = Style()


class Styles:
    """Reads styles, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Style] = {}

    def of(self, attributes: Attributes) -> Style:
        """Read an element's style."""
        if "hidden" in attributes:
            return _HIDDEN_STYLE
        text = attributes.get("style") or ""
        for name in ("color", "bgcolor", "background"):
            if value := attributes.get(name):
                text += f";{_PROPERTIES[name]}:{value}"
        if not text:
            return PLAIN
        style = self._known.get(text)
        if style is None:
            style = self._known[text] = _read(text[:_LONGEST])
        return style


def _read(text: str) -> Style:
    size = _FONT_SIZE.search(text)
    color = _COLOR.search(text)
    ground = _GROUND.search(text)
    return Style(
        hidden=bool(_HIDDEN.search(text)),
        tiny=bool(_TINY.match(size[1])) if size else None,
        white=bool(_WHITE.match(color[1])) if color else None,
        ground=bool(_WHITE.match(ground[1])) if ground else None,
        indent=bool(_INDENT.search(text)),
        aside=bool(_ASIDE.search(text)),
        tight=bool(_NO_MARGIN.search(text)),
    )


_HIDDEN_STYLE = Style(hidden=True)
_LONGEST = 4_000
_PROPERTIES = {"color": "color", "bgcolor": "background-color", "background": "background"}
_HIDDEN = phrases(
    r"""
    display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all
    (?:^|[;\s])(?:max-height|opacity)\s*:\s*0(?:\.0+)?(?:px|%)?\s*(?:;|!|$)
    """
)
_FONT_SIZE = re.compile(r"(?:^|[;\s])font-size\s*:\s*([^;]{1,20})", re.IGNORECASE)
_TINY = re.compile(r"[0-2](?:(?:\.\d+)?(?:px|pt))?\s*(?:!|$)|0(?:\.[01]\d*)?(?:em|rem|%)\s*(?:!|$)", re.IGNORECASE)
_COLOR = re.compile(r"(?:^|[;\s])color\s*:\s*([^;]{1,40})", re.IGNORECASE)
_GROUND = re.compile(r"(?:^|[;\s])background(?:-color)?\s*:\s*([^;]{1,40})", re.IGNORECASE)
_WHITE = re.compile(r"#f{3}(?:f{3})?(?![0-9a-f])|white\b|rgba?\(\s*255\s*,\s*255\s*,\s*255\b", re.IGNORECASE)
_INDENT = re.compile(
    r"margin-left\s*:\s*(?:[3-9]\d|1\d\d)px|margin\s*:\s*0\w*\s+0\w*\s+0\w*\s+(?:[3-9]\d|1\d\d)px", re.IGNORECASE
)
# What Gmail's and Apple's "indent" makes of a paragraph: a blockquote that quotes nobody.
_ASIDE = re.compile(r"border\s*:\s*(?:none|0)[^;]{0,20}(?:;|$)", re.IGNORECASE)
_NO_MARGIN = re.compile(r"margin(?:-top)?\s*:\s*0", re.IGNORECASE)
