"""Lines that say who wrote what follows: `On 3 March, Ines Halloran wrote:`, in many languages, over several lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atom_backfill.mail.lines import Line, next_filled
from atom_backfill.mail.vocabulary import any_of, phrases


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
    if not bare or len(bare) > 1_000:
        return None
    if bare[-1] not in _ENDS:
        return Attribution(at, at, True) if _glued(bare) else None
    first = at
    sentence = bare
    best: Attribution | None = None
    while True:
        strength = _strength(sentence, followed=_quote_follows(lines, at))
        if strength and (best is None or _OPENING.match(lines[first].bare)):
            best = Attribution(first, at, strength > 1)
        if best and _OPENING.match(lines[first].bare):
            return best
        first -= 1
        if first < 0 or at - first > 3 or not lines[first].bare or lines[first].depth != line.depth:
            return best
        sentence = f"{lines[first].bare} {sentence}"
        if len(sentence) > 600 or lines[first].bare[-1] in ".!?":
            return best


def _strength(sentence: str, *, followed: bool) -> int:
    """Judge a sentence that ends in a colon: 2 says so by itself, 1 does before a quotation, 0 does not."""
    verb = _VERB.search(sentence)
    dated = bool(_DATE.search(sentence))
    addressed = bool(_ADDRESS.search(sentence))
    if verb and dated and (addressed or len(sentence) < 200):
        return 2
    if verb and addressed and len(sentence) < 250:
        return 2
    if not followed or len(sentence) > 250:
        return 0
    return int(
        bool(verb) or (dated and addressed) or bool(_QUOTING.match(sentence)) or (addressed and len(sentence) < 90)
    )


def _quote_follows(lines: list[Line], at: int) -> bool:
    after = next_filled(lines, at + 1)
    return after < len(lines) and lines[after].depth > lines[at].depth


def _glued(bare: str) -> bool:
    """Recognise an attribution on whose line the quoted text goes on, as telephones write it."""
    return len(bare) > 40 and bare[:3] in ("On ", "Am ", "Le ", "El ") and bool(_GLUED.match(bare))


_ENDS = ":：>*"
_OPENING = phrases(
    r"""
    (?:[*_\[(>\"-]{0,3}\s?)(?:On|Am|Le|El|Il|Em|No dia|Op|Den|Dne|Dňa|W dniu|Dnia|Pe|În|La data|Στις|Το|V|Dana|Em
    Vào|Pada|Tarih|ב|في|בתאריך)\b|\s*(?:At|In|Quoting|Citando|Zitat von|\*|>>+|\d{1,4}[-./年]\d{1,2}
    \d{1,2}\. ?\w{3,10}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,?\s\d)
    """
)
_VERB = phrases(
    r"""
    \b(?:wrote|writes|write|said|says|schrieb|schreibt|geschrieben|a écrit|écrivait|écrit|escribió|escribio
    ha escrito|ha scritto|scrisse|escreveu|schreef|skrev|skrifaði|kirjoitti|napisał(?:\(a\)|a)?|napsal(?:\(a\)|a)?
    napísal(?:\(a\)|a)?|pisze|píše|írta|ezt írta|yazdı|şunları yazdı|написал(?:\(а\)|а)?|пишет|писал(?:\(а\)|а)?
    написав|написала|пише|έγραψε|a scris|je napisao|je napisal(?:a)?|đã viết|menulis|va escriure|idatzi du|rašė
    rakstīja|kirjutas|шкрев|написа)\b|写道|寫道|書きました|さんは|のメール|님이 작성|작성:|เขียนว่า|כתב|كتب|:\s*quoted
    """
)
_MONTHS = any_of(
    r"""
    jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|fév|mars|avr|juin|juil|août|déc|ene
    abr|ago|dic|gen|mag|giu|lug|set|ott|fev|out|maj|mrt|mei|янв|фев|мар|апр|май|мая|июн|июл|авг|сен|окт|ноя|дек|sty
    lut|kwi|cze|lip|sie|wrz|paź|lis|gru
    """
)
_DATE = phrases(
    rf"""
    \b\d{{1,2}}:\d\d|\b\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}\b|\d{{4}}年|\d{{4}}\. ?\d{{1,2}}\.
    \b\d{{1,2}}\.?\s(?:de\s)?{_MONTHS}|\b{_MONTHS}\w{{0,8}}\.?\s\d{{1,2}}\b
    """
)
_ADDRESS = re.compile(
    r"[\w.+-]{1,64}(?:@|\sat\s|\(at\)|_at_)[\w-]{1,63}\.[\w.-]{1,100}|<[^<>\s]{1,100}@[^<>\s]{1,100}>|\[mailto:"
)
_QUOTING = re.compile(
    r"(?:quoting|citando|zitat von|in (?:article|message)|thus sp[ao]ke|once upon a time|\* |.{1,60}\bsaid\b)",
    re.IGNORECASE,
)
_GLUED = re.compile(
    r"(?:On|Am|Le|El)\s[^\n:]{4,60}\d[^\n]{0,160}?(?:wrote|schrieb[^:\n]{0,80}|a écrit|escribió)\s?:\s+\S"
)
