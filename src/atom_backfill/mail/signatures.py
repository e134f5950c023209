"""Signatures: what stands under a mail's own text to say who wrote it and how to reach them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.lines import Line, Run
from atom_backfill.mail.message import Address
from atom_backfill.mail.vocabulary import any_of, phrases


def author_names(author: Address | None) -> frozenset[str]:
    """List the words by which the author may sign: of the display name and of the address."""
    if author is None:
        return frozenset()
    local = author.address.partition("@")[0]
    words = _NAME_WORD.findall(f"{author.name} {_SEPARATORS.sub(' ', local)}".casefold())
    return frozenset(word for word in words if len(word) > 1)


def mark_signature(lines: list[Line], run: Run, names: frozenset[str], *, last: bool) -> Run:
    """Mark the signature that ends a run of new lines; return what is left of the run.

    `last`: the author's own words end with this run. Elsewhere only a delimiter line proves a signature.
    """
    delimiter = start = _delimited(lines, run)
    if last or delimiter is not None:
        above = _undelimited(lines, Run(run.first, run.last if delimiter is None else delimiter - 1), names)
        start = delimiter if above is None else above
    if start is None:
        return run
    for line in lines[start : run.last + 1]:
        line.kind = SegmentKind.SIGNATURE
    return Run(run.first, start - 1)


def _delimited(lines: list[Line], run: Run) -> int | None:
    """Find the line that parts a signature off, or one that a telephone adds."""
    filled = 0
    found = None
    below = ""
    for at in range(run.last, max(run.first, run.last - 40) - 1, -1):
        bare = lines[at].bare
        if not bare:
            continue
        if _PATCH.match(bare) or filled > 20:
            break
        if bare in _DELIMITERS:
            # A program's output has many lines that begin so.
            found = at if not below.startswith("--") else found
        elif (filled <= 6 and len(bare) < 120 and _DEVICE.match(bare)) or (
            0 < filled <= 8 and _RULE.fullmatch(bare) and _is_card(lines, at + 1, run.last)
        ):
            found = at
        filled += 1
        below = bare
    return found


def _is_card(lines: list[Line], first: int, last: int) -> bool:
    """Tell whether lines hold a way to reach someone and no sentences."""
    roles = {_role(line.bare, frozenset()) for line in lines[first : last + 1] if line.bare}
    return "contact" in roles and "text" not in roles


@dataclass(slots=True)
class _Climb:
    """What the lines from the bottom up have shown.

    `titles` counts positions, firms and labelled ways to reach someone: where the author is known and not named, a bare
    address or number may be a hotel's or a conference call's.
    """

    start: int | None = None
    contacts: int = 0
    names: int = 0
    filled: int = 0
    phones: int = 0
    titles: int = 0


def _undelimited(lines: list[Line], run: Run, names: frozenset[str]) -> int | None:
    """Climb from the last line while lines look like a signature's; a closing, the author's name or a card prove it."""
    climb = _Climb()
    gaps = 0
    for at in range(run.last, max(run.first, run.last - 30) - 1, -1):
        bare = lines[at].bare
        if not bare:
            gaps += 1
            continue
        if climb.filled and gaps > 3:
            break
        role = _role(bare, names)
        if role == "closing":
            # Thanks may also end a request that a list follows.
            signed = climb.names or climb.contacts or climb.filled in (1, 2) or (climb.filled and not names)
            return at if signed or _SURE_CLOSING.match(bare) else None
        if role == "closing_name":
            return at
        if role == "text" or climb.filled >= 14:
            break
        above = lines[at - 1].bare if at > run.first else ""
        if role == "author" and (not above or climb.filled):
            climb.start = at
            climb.names += 1
        elif role == "contact":
            climb.contacts += 1
            climb.titles += bool(_TITLE.search(bare) or _REACHED.search(bare))
            climb.phones += bool(_PHONE.search(bare))
            if climb.phones > _MOST_PHONES:
                # A list of numbers for others to call, not a card.
                return None
        elif role == "name" and not above and climb.contacts + (climb.filled >= 2) >= 1:
            climb.start = at
        climb.filled += 1
        gaps = 0
    if climb.names or (climb.start is not None and (climb.titles or (climb.contacts and not names))):
        return climb.start
    return None


def _role(bare: str, names: frozenset[str]) -> str:
    """Tell what a line could be in a signature: closing, closing_name, author, name, contact, short or text."""
    if len(bare) > 160:
        return "text"
    plain = bare.strip(" ,.!-–—*_/~<>:;")
    words = _NAME_WORD.findall(plain.casefold())
    if _CLOSING.fullmatch(plain):
        return "closing"
    if len(bare) < 60 and (match := _CLOSING_THEN.match(plain)):
        rest = _NAME_WORD.findall(plain[match.end() :].casefold())
        if rest and len(rest) <= 4 and (set(rest) & names or _IS_NAME.fullmatch(plain[match.end() :].strip(" ,.-"))):
            return "closing_name"
    if words and len(words) <= 5 and len(plain) < 48 and bare[-1] not in "?!:" and set(words) & names:
        return "author"
    if 0 < len(plain) <= 4 and plain.isupper() and plain.isalpha() and _initials(plain.casefold(), names):
        return "author"
    if _CONTACT.search(bare) and len(bare) < 130 and bare[-1] not in "?!":
        sentence = len(words) > 12 or (bare[-1] == "." and len(words) > 7)
        return "text" if sentence else "contact"
    if len(bare) > 75 or bare[-1] in "?!:;" or (bare[-1] in ".," and len(words) > 4) or len(words) > 9:
        return "text"
    if _IS_NAME.fullmatch(plain):
        return "name"
    return "contact" if _TITLE.search(bare) else "short" if bare[0].isupper() or bare[0].isdigit() else "text"


def _initials(letters: str, names: frozenset[str]) -> bool:
    return len(letters) > 1 and all(any(name.startswith(letter) for name in names) for letter in letters[:1])


_MOST_PHONES = 6
_REACHED = re.compile(
    r"\S@\S|https?://|www\.|\b(?:tel|phone|fax|mob|mobile|cell|office|direct|telefon|handy)\b", re.IGNORECASE
)
_PHONE = re.compile(r"\d[-./ \d()]{6,}\d")
_NAME_WORD = re.compile(r"[^\W\d_][\w'’]*")
_SEPARATORS = re.compile(r"[._\d+-]+")
_DELIMITERS = frozenset(["--", "—", "–", "__"])
_PATCH = re.compile(r"diff --git |@@ -\d|\+\+\+ |--- \S|\d+ files? changed")
_RULE = re.compile(r"[-_=*~.]{3,60}|[-_=*~ ]{5,60}")
_DEVICE = phrases(
    r"""
    (?:sent (?:from|via|with|using) (?:my |the |a )?(?:mobile|i(?:phone|pad|pod)|android|samsung|galaxy|blackberry
    windows|nokia|huawei|outlook|mail|yahoo|proton|gmail|phone|\w{1,20} (?:phone|mobile|wireless|mail|handheld
    tablet|4g|app))|get outlook for|download outlook|von meinem (?:\w{1,12} )?(?:iphone|ipad|handy|samsung|mobil
    smartphone|gerät|blackberry)|gesendet (?:von|mit|über)|diese nachricht wurde von meinem|envoyé (?:de|depuis
    à partir)|envoyé à partir|enviado (?:desde|de|do|a partir)|inviato (?:da|dal)|verzonden (?:vanaf|met|via|vanuit)
    verstuurd vanaf|skickat från|sendt fra|lähetetty|wysłane z|odesláno z|отправлено (?:с|из)|iphone'?umdan
    iphone から|iphoneから|发自我的|傳送自我的|從我的|나의 iphone|내 iphone)
    """
)
_CLOSINGS = any_of(
    r"""
    (?:(?:many|kind|kindest|warm|warmest|best|with (?:best|kind|warm)|very best|with)\s+)?(?:regards?|wishes|greetings)
    (?:(?:many|kind|warm|best|with)\s+)?(?:thanks?|thank you|thx|tks|ty)(?:\s+(?:a lot|again|very much
    so much|in advance|much|and (?:(?:best|kind) )?regards|&\s*(?:(?:best|kind) )?regards|for your (?:help|time
    attention|support|understanding|cooperation|prompt attention)(?: in advance)?))?
    cheers|cheerio|best|rgds|regds|kr|br|bw|all the best|love|xx+|later|ciao|peace|take care|yours|warmly|gratefully
    (?:yours\s+|very\s+|most\s+)?(?:truly|sincerely|faithfully|respectfully|cordially)(?:\s+yours)?
    looking forward(?: to (?:hearing from you|your reply|it))?|have a (?:great|good|nice) (?:day|week|weekend|one)
    mit (?:freundlichen|freundlichem|besten|herzlichen|vielen
    lieben) (?:gr(?:ü|ue)(?:ß|ss)en?|gru(?:ß|ss)|dank)(?: aus \w+)?
    (?:freundliche|viele|beste|liebe|herzliche|schöne) gr(?:ü|ue)(?:ß|ss)e
    (?:beste|liebe|lieben|vielen) (?:gruß|gruss|dank)
    mfg|lg|vg|gruß|grüße|danke|hochachtungsvoll|cordialement|bien (?:cordialement|à vous|amicalement)
    (?:sincères|meilleures) salutations|salutations(?: distinguées)?|amicalement|merci(?: d'avance| beaucoup)?|cdlt
    à bientôt|bonne (?:journée|soirée)|saludos(?: cordiales)?|un (?:cordial )?saludo|atentamente|cordialmente
    gracias(?: de antemano)?|muchas gracias|un abrazo|abrazos|atte|cordiali saluti|distinti saluti|(?:tanti )?saluti
    grazie(?: mille)?|a presto|atenciosamente|cumprimentos|(?:com os )?melhores cumprimentos|obrigad[oa]|abraços?|att
    met vriendelijke groet(?:en)?|vriendelijke groet(?:en)?|groet(?:en|jes)?|mvg|hartelijke groet(?:en)?|bedankt
    med vänlig(?:a)? hälsning(?:ar)?|vänliga hälsningar|hälsningar|mvh|tack|(?:med )?venlig hilsen|hilsen
    (?:med )?vennlig hilsen|ystävällisin terveisin|terveisin|kiitos|pozdrawiam|z poważaniem|pozdrowienia|dziękuję
    s pozdravem|s přátelským pozdravem|pozdrav|děkuji|üdvözlettel|köszönöm|saygılarımla|teşekkürler|с уважением
    спасибо|всего (?:хорошего|доброго)|з повагою|με εκτίμηση|cu stima|multumesc|此致|谢谢|祝好
    よろしくお願いします|よろしくお願いいたします|감사합니다|드림|תודה|בברכה|شكرا|مع التحية
    """
)
_CLOSING = re.compile(rf"(?:{_CLOSINGS})", re.IGNORECASE)
_CLOSING_THEN = re.compile(rf"(?:{_CLOSINGS})\b\s*[,.!;:–—-]*\s*", re.IGNORECASE)
_SURE_CLOSING = re.compile(
    r".*(?:regards|sincerely|grüße|gruß|grüßen|cordialement|saludos|saluti|groet|hilsen|hälsning|уважением)",
    re.IGNORECASE,
)
_IS_NAME = re.compile(
    any_of(
        r"""
    (?:[^\W\d_a-z][\w'’-]{0,20}\.?)(?:\s+(?:[^\W\d_a-z][\w'’-]{0,20}\.?|de|van|von|der|den|la|da|al|bin|and|und|et|y
    &)){0,4}
        """
    )
)
_CONTACT = phrases(
    r"""
    \+?\(?\d{1,4}\)?[-./ \d()]{5,}\d|\bx[- ]?\d{3,6}\b|\b(?:ext|tel|phone|fax|mob|mobile|cell|office|direct|dir
    telefon|téléphone|tél|móvil|teléfono|cel|handy|gsm|e-?mail|mail|web|skype|icq|aim|url|pgp|gpg|key|www)\b\s?[:.#]
    \b[\w.+-]+@[\w-]+\.[\w.-]+|https?://|www\.|^\d-\d{4}$|\bp\.?\s?o\.?\s?box\b
    \b[A-Z]{2}\.? {1,3}\d{5}(?:-\d{4})?\b|\b\d{5} [A-ZÄÖÜ]\w+|\b\d{1,5}\s+(?:[A-Z][\w.]*\s+){1,3}(?:st|street|ave
    avenue|rd|road|blvd|drive|dr|lane|suite|floor|way)\b|\b(?:str|straße|strasse|platz|allee|rue|avenue|via|calle
    plaza|weg|laan|straat)\b\.?\s?\d
    """
)
_TITLE = phrases(
    r"""
    \b(?:manager|director|engineer|president|vice[- ]president|vp|ceo|cto|cfo|coo|chief|officer|assistant|secretary
    analyst|consultant|developer|architect|professor|prof|ph\.?d|m\.?d|attorney|lawyer|partner|counsel|specialist
    coordinator|administrator|researcher|scientist|lecturer|editor|sales|marketing|department|dept|division|group
    team|university|institute|college|laborator\w+|inc|llc|llp|ltd|limited|gmbh|ag|corp|corporation|company|co|s\.?a
    s\.?r\.?l|b\.?v|oy|ab|plc|kg|technologies|services|solutions|systems|geschäftsführer\w*|leiter\w*|abteilung
    directeur|directrice|responsable|ingénieur|gerente|jefe|direttore)\b\.?
    """
)
