"""What machines and lawyers add to mails: list footers, advertisements, virus notices, disclaimers, warnings on top."""

from __future__ import annotations

import re

from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.lines import Line, Run
from atom_backfill.mail.vocabulary import phrases, stems


def mark_boilerplate(lines: list[Line], run: Run) -> Run:
    """Mark the boilerplate paragraphs that end a run of new lines; return what is left of the run."""
    while True:
        paragraph = last_paragraph(lines, run)
        if paragraph is None:
            return run
        kind = judge(_words(lines, paragraph))
        if kind is None:
            return run
        # Upwards from the end: footers pile up under one another, and a person's words end the pile.
        first = _begin(lines, paragraph, kind)
        for line in lines[first : run.last + 1]:
            line.kind = kind
        run = Run(run.first, first - 1)


def mark_warning(lines: list[Line], run: Run) -> None:
    """Mark a first paragraph that only warns of mail from outside."""
    first = next((at for at in range(run.first, min(run.last + 1, run.first + 4)) if lines[at].bare), None)
    if first is None:
        return
    last = first
    while last < run.last and last - first < 5 and lines[last + 1].bare:
        last += 1
    # A mail that is nothing but a warning is a mail about one.
    if last < run.last and _WARNING.search(_words(lines, Run(first, last))):
        for line in lines[first : last + 1]:
            line.kind = SegmentKind.DISCLAIMER


def last_paragraph(lines: list[Line], run: Run) -> Run | None:
    """Find the last lines with text on them and no empty one between; None in a run that is empty."""
    last = run.last
    while last >= run.first and not lines[last].bare:
        last -= 1
    if last < run.first:
        return None
    first = last
    while first > run.first and lines[first - 1].bare and last - first < _MOST_LINES:
        first -= 1
    for at in range(last - 1, first, -1):
        if _RULE.match(lines[at].bare):
            # A rule parts paragraphs as an empty line does.
            return Run(at, last)
    return Run(first, last)


def judge(words: str) -> SegmentKind | None:
    """Tell what a paragraph is by its words; None for a person's own."""
    # No footer seen was longer, and the patterns below walk all of it.
    if not 8 <= len(words) <= 4_000:
        return None
    ruled = _RULE.match(words)
    body = words[ruled.end() :] if ruled else words
    lowered = body.lower()
    if _FOOTER_START.match(body):
        return SegmentKind.FOOTER
    if _has_any(lowered, _LIST_STEMS) and (ruled or (len(body) < 300 and _LIST_SURE.search(body))):
        return SegmentKind.FOOTER
    if ruled and len(body) < 400 and _LINK.search(body) and _has_any(lowered, _ADVERTISING_STEMS):
        return SegmentKind.FOOTER
    if (len(body) > 60 and _LEGAL_START.match(body)) or _LEGAL_HEADING.fullmatch(body):
        return SegmentKind.DISCLAIMER
    # One such word stands in many a lawyer's mail; three in one closing paragraph are a disclaimer.
    if len(body) > 120 and sum(stem in lowered for stem in _LEGAL_STEMS) >= 3:
        return SegmentKind.DISCLAIMER
    return None


def _has_any(lowered: str, stems: tuple[str, ...]) -> bool:
    return any(stem in lowered for stem in stems)


def _begin(lines: list[Line], paragraph: Run, kind: SegmentKind) -> int:
    """Find where in a paragraph the boilerplate begins: a person's words may stand right above it."""
    pattern = _LEGAL_LINE if kind is SegmentKind.DISCLAIMER else _FOOTER_LINE
    stems = _LEGAL_STEMS if kind is SegmentKind.DISCLAIMER else _LIST_STEMS
    for at in range(paragraph.first, paragraph.last + 1):
        if pattern.match(lines[at].bare) or _has_any(lines[at].bare.lower(), stems):
            return at
    return paragraph.first


def _words(lines: list[Line], run: Run) -> str:
    return " ".join(line.bare for line in lines[run.first : run.last + 1])[:4_001]


_MOST_LINES = 40
_RULE = re.compile(r"(?:[-_=*~#+][-_=*~#+ ]{9,}[>]?|--(?: |$)|\*{3,}|={3,}|_{3,})\s*")
_LINK = re.compile(r"https?://|www\.|\S@\S")
_FOOTER_START = phrases(
    r"""
    you (?:received|are receiving|have received|got) this (?:message|e-?mail|mail|newsletter|bug) (?:because|as|since)
    to (?:unsubscribe|post to this (?:group|list)|view this discussion|change your|manage your (?:subscription
    preferences)|opt[- ]out|stop receiving)|for more options,? visit|visit this group|unsubscribe(?: from|:|,| here| \|)
    if you (?:no longer (?:wish|want)|would like to unsubscribe|wish to unsubscribe|do not wish)
    your use of yahoo|yahoo! groups|this (?:sf\.net )?e?-?mail (?:is sponsored|was sent to|was sent by)
    click here to unsubscribe|(?:mailing list|list) (?:archive|info)|diese (?:e-?mail|nachricht) wurde (?:an|ihnen)
    wenn sie (?:diesen newsletter|keine)|abmelden|vous (?:recevez|avez reçu) (?:ce message|cet? e-?mail) (?:car|parce)
    pour (?:vous désabonner|se désabonner)|se désabonner|si no desea
    para (?:darse de baja|cancelar su suscripción)|per (?:cancellarti|disiscriverti)|se não deseja
    this (?:e-?mail|message) (?:has been|was) (?:checked|scanned)|(?:virus-free|virenfrei|sans virus|libre de virus)\b
    checked by avg|(?:outgoing|incoming|este|diese) (?:mail|mensaje|e-?mail) (?:is certified|is virus|ha sido|wurde auf)
    no virus found|get your (?:private, )?free |do you yahoo|join \d+ million|sent via (?:the )?(?:samsung|deja)
    ___+\s*$|(?:©|copyright \(c\)|copyright ©) ?\d{4}
    """
)
_LIST_STEMS = stems(
    """
    mailing list|mailing-list|mailinglist|listinfo|unsubscri|subscribe|subscription|list archive|@list|@googlegroups
    yahoo! groups|listserv|mailman|désabonn|abbestell|abmeld|cancelar su suscri|cancelar la suscri|disiscri|отписа
    """
)
_LIST_SURE = phrases(
    r"""
    listinfo|(?:to|how to) unsubscri|unsubscribe (?:send|from|at|here|\||-|,)|mailing list\s*(?:-- )?\S{1,60}@
    \S{1,60}-(?:leave|unsubscribe|request)@|unsubscribe\S{0,40}@
    (?:unsubscribe|abmelden|abbestellen|désabonner|disiscriverti|baja)\s?:?\s?[<(]?(?:https?://|www\.)
    """
)
_ADVERTISING_STEMS = stems(
    """
    free|sponsor|download|msn|hotmail|yahoo|sign up|visit|check out|scholarship|protect|upgrade
    """
)
_LEGAL_START = phrases(
    r"""
    \W{0,5}(?:(?:this|the) (?:e-?mail|message|communication|electronic (?:mail|message)|transmission
    information (?:contained )?in this)[^.]{0,120}(?:confidential|privileged|intended|propriet|property of|attachment)
    (?:(?:legal|confidentiality|privacy|important|e-?mail) )?(?:disclaimer|notice)\b[^.]{0,30}[:.-]
    confidential(?:ity)?(?: notice| note)?\s*[:.-]|privileged (?:and|/|&) confidential
    (?:diese (?:e-?mail|nachricht)|der inhalt dieser|die information(?:en)? in dieser)[^.]{0,120}(?:vertraulich|bestimmt
    geschützt|adressat)
    (?:ce (?:message|courriel|mail)|cet? e-?mail|les informations contenues)[^.]{0,120}(?:confidenti|destin|exclusi)
    (?:este (?:mensaje|correo|e-?mail)|la información (?:contenida|incluida)|aviso legal|esta mensagem
    as informações)[^.]{0,140}(?:confidenc|destinat|exclusiv|privileg|legal)
    (?:il presente messaggio|questo messaggio|questa e-?mail|le informazioni contenute
    ai sensi del)[^.]{0,140}(?:riservat|confidenz|destinat|privacy|d\.lgs)
    (?:dit bericht|deze e-?mail|de informatie)[^.]{0,120}(?:vertrouwelijk|bestemd|geadresseerde)
    (?:detta (?:meddelande|e-post)|denne (?:e-?mail|e-post|meddelelse)|tämä (?:viesti
    sähköposti))[^.]{0,120}(?:konfidenti|fortroli|luottamukselli|avsed)
    (?:ta wiadomość|niniejsza wiadomość|treść tej wiadomości)[^.]{0,140}(?:poufn|przeznaczon)
    (?:это (?:сообщение|письмо)|данное сообщение|настоящее (?:сообщение|электронное))[^.]{0,140}(?:конфиденц|предназнач)
    please (?:consider the environment|think before (?:you )?print|don't print)|think green
    bitte (?:prüfen sie|denken sie)[^.]{0,60}(?:drucken|ausdruck|umwelt)|avant d'imprimer|antes de imprimir
    prima di stampare)
    """
)
_LEGAL_HEADING = phrases(r"\W*(?:(?:legal|confidentiality|privacy) )?(?:disclaimer|notice)\W*")
_LEGAL_STEMS = stems(
    """
    confidential|privileged|intended recipient|intended only|intended solely|intended for|unauthorized|unauthorised
    disclos|dissemination|distribution|strictly prohibited|in error|delete this|delete it|delete the|delete all
    notify the|notify us|liabilit|virus|legally|addressee|proprietary|vertraulich|unbefugt|irrtümlich|empfänger
    vernichten|confidentiel|destinataire|erreur|diffusion|interdit|confidencial|destinatario|prohibid|riservat|errore
    vietat|confidenziali|vertrouwelijk|geadresseerde|конфиденциальн|получател|poufn|adresat
    """
)
_LEGAL_LINE = phrases(
    rf"""
    (?:this|the) (?:e-?mail|message|communication|information|transmission)\b
    {_RULE.pattern}|{_LEGAL_START.pattern}
    """
)
_FOOTER_LINE = phrases(rf"{_RULE.pattern}|{_FOOTER_START.pattern}")
_WARNING = phrases(
    r"""
    \A\W{0,6}(?:caution|warning|attention|external|\[?ext(?:ernal)?\]?|achtung|vorsicht|be careful|this (?:message
    e-?mail) (?:came|originated|was sent|is from) (?:from )?outside|you don'?t often get e?-?mail from
    sie erhalten nicht (?:oft|häufig)|ce message provient|no suele recibir)\b.{0,80}(?:outside|external|extern
    links?|attachments?|anhänge|learn why|important|wichtig|organi[sz]ation|aka\.ms)
    """
)
