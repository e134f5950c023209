"""Lines that say who wrote what follows: `On 3 March, Ines Halloran wrote:`, in many languages, over several lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atom_backfill.mail.lines import Line, next_filled
from atom_backfill.mail.vocabulary import any_of, phrases, words


@dataclass(frozen=True, slots=True)
class Attribution:
    """Lines [first, last] that introduce a quotation. `strong`: they say so even where no quote mark follows."""

    first: int
    last: int
    strong: bool


def attribution_at(lines: list[Line], at: int) -> Attribution | None:
    """Recognise an attribution that ends on line `at`; linear in the length of at most four lines."""
    line = lines[at]
    bare = line.bare
    # Nearly every line ends here, before a pattern is tried: thousands of lines, few attributions.
    if len(bare) > _LONGEST or bare[-1:] not in _ENDS:
        return Attribution(at, at, True) if _goes_on(bare) else None
    if bare.rstrip("*_ ")[-1:] not in _COLONS:
        return None
    followed = _quote_follows(lines, at)
    above = lines[at - 1].bare if at else ""
    if not followed and not _has_verb(f"{above} {bare}"[-_LONGEST:]):
        return None
    return _longest(lines, at, followed=followed)


def _longest(lines: list[Line], at: int, *, followed: bool) -> Attribution | None:
    """Take lines above in as long as they may belong to the sentence; one that opens an attribution ends the search."""
    first, sentence = at, lines[at].bare
    best: Attribution | None = None
    # Mail programs break the sentence, so that its date may stand two lines above its verb.
    while True:
        strength = _strength(sentence, followed=followed)
        opens = bool(_OPENING.match(lines[first].bare))
        if strength and (best is None or opens):
            best = Attribution(first, at, strength > 1)
        first -= 1
        if (best and opens) or first < 0 or at - first > 3 or lines[first].depth != lines[at].depth:
            return best
        above = lines[first].bare
        if not above or above[-1] in ".!?" or len(above) + len(sentence) > _LONGEST:
            return best
        sentence = f"{above} {sentence}"


def _strength(sentence: str, *, followed: bool) -> int:
    """Judge a sentence that ends in a colon: 2 says so by itself, 1 does before a quotation, 0 does not."""
    verb = _has_verb(sentence)
    if not verb and not followed:
        return 0
    addressed = bool(_ADDRESS.search(sentence))
    dated = bool(_DATE.search(sentence))
    if verb and addressed and len(sentence) < 250:
        return 2
    if verb and dated and len(sentence) < 200 and not _SAYS_WHAT.search(sentence):
        return 2
    # From here on only the quotation below is proof: "Fred, 3 March:" may as well begin a list.
    if not followed or len(sentence) > 250:
        return 0
    return int(verb or (addressed and (dated or len(sentence) < 90)) or bool(_QUOTING.match(sentence)))


def _has_verb(sentence: str) -> bool:
    lowered = sentence.lower()
    if not _VERBS.isdisjoint(lowered.translate(_TO_SPACES).split()):
        return True
    # Where no spaces stand between words, none can be looked up.
    return not lowered.isascii() and bool(_VERB_ENDINGS.search(lowered))


def _quote_follows(lines: list[Line], at: int) -> bool:
    after = next_filled(lines, at + 1)
    return after < len(lines) and lines[after].depth > lines[at].depth


def _goes_on(bare: str) -> bool:
    """Recognise an attribution on whose line the quoted text goes on, as telephones write it."""
    return len(bare) > 40 and bare[:3] in _GOES_ON_OPENINGS and bool(_GOES_ON.match(bare))


_LONGEST = 600
_ENDS = frozenset(":：*_")
_COLONS = frozenset(":：")
_TO_SPACES = str.maketrans(dict.fromkeys(':：()<>*_,."', " "))
_VERBS = words(
    """
    wrote writes write said says schrieb schreibt geschrieben écrit écrivait escribió escribio escrito scritto scrisse
    escreveu schreef skrev skrifaði kirjoitti napisał napisała napsal napsala napísal napísala pisze píše írta yazdı
    написал написала пишет писал писала написав пише έγραψε scris napisao napisala napisal viết menulis escriure idatzi
    rašė rakstīja kirjutas написа כתב כתבה كتب
    """
)
_VERB_ENDINGS = re.compile(r"写道|寫道|書きました|さんは|のメール|님이 작성|작성|เขียนว่า")
_OPENING = re.compile(
    r"(?:[*_\[(>\"-]{0,3}\s?)"
    + any_of(
        r"""
        (?:On|Am|Le|El|Il|Em|No dia|Op|Den|Dne|Dňa|W dniu|Dnia|Pe|În|La data|Στις|Το|V|Dana|Vào|Pada|Tarih|ב|في
        בתאריך)\b|At\b|In\b|Quoting|Citando|Zitat von|\*|>>+|\d{1,4}[-./年]\d{1,2}|\d{1,2}\. ?\w{3,10}
        (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,?\s\d
        """
    ),
    re.IGNORECASE,
)
_MONTHS = any_of(
    """
    jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|févr|fév|avr|juin|juil|août|déc|ene|abr|ago|dic
    gen|mag|giu|lug|set|ott|fev|out|maj|mrt|mei|янв|фев|мар|апр|май|мая|июн|июл|авг|сен|окт|ноя|дек|sty|lut|kwi|cze
    lip|sie|wrz|paź|lis|gru
    """
)
_DATE = phrases(
    rf"""
    \d:\d\d|\b\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}\b|\d{{4}}年|\d{{4}}\. ?\d{{1,2}}\.
    \d\.?\s(?:de\s)?{_MONTHS}|\b{_MONTHS}\w{{0,8}}\.?\s\d{{1,2}}\b
    """
)
_ADDRESS = re.compile(r"\S@[\w-]{1,63}\.\w|\w\s?(?:\(at\)|_at_|\sat\s)\s?[\w-]{1,63}\.\w|\[mailto:")
# "Bob said we need:" announces the author's own list; who introduces a quotation ends with the verb.
_SAYS_WHAT = re.compile(r"\b(?:wrote|writes?|said|says)\b\W*(?!\d)\w{2}", re.IGNORECASE)
_QUOTING = phrases(
    r"""
    quoting|citando|zitat von|in (?:article|message)|thus sp[ao]ke|once upon a time|\*\s
    """
)
_GOES_ON_OPENINGS = frozenset(["On ", "Am ", "Le ", "El "])
_GOES_ON = re.compile(
    r"(?:On|Am|Le|El)\s[^\n:]{4,60}\d[^\n]{0,160}?(?:wrote|schrieb[^:\n]{0,80}|a écrit|escribió)\s?:\s+\S"
)
