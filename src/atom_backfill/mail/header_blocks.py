"""The header blocks and rules under which mail programs put the mail that is answered or forwarded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atom_backfill.mail.lines import Line, next_filled
from atom_backfill.mail.vocabulary import phrases


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """Lines [first, last] that stand over another mail. `forward`: they say that it is passed on, not answered."""

    first: int
    last: int
    forward: bool


class HeaderBlocks:
    """Recognises header blocks in a mail's lines, asked about them from the first to the last."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._barren = -1
        """The last line of fields that are known to be no block, whichever of them it began with."""

    def at(self, at: int) -> HeaderBlock | None:
        """Recognise a block that begins on line `at`; looks at no more than `_MOST_LINES` lines."""
        lines = self._lines
        bare = lines[at].bare
        # Programs write shorter lines here; longer ones are not worth a pattern's time.
        if not bare or len(bare) > 400:
            return None
        if (forward := _rule(bare)) is not None:
            return self._below_words(at, forward=forward)
        if bare[0] == "_" and _LONG_RULE.fullmatch(bare):
            last = self._fields_from(next_filled(lines, at + 1))
            return HeaderBlock(at, last, False) if last is not None else None
        if bare[-1] in _MOMENT_ENDS and ":" in bare[-18:] and _NOTES.search(bare):
            return self._below_moment(at)
        if label_role(bare) in ("from", "date", "subject", "to"):
            last = self._fields_from(at)
            return HeaderBlock(_above(lines, at), last, False) if last is not None else None
        return None

    def _fields_from(self, at: int) -> int | None:
        """Read fields that make a block by themselves: the last line, None where they do not."""
        # Asked anew for each line of a long run of fields, the run would cost the square of its length.
        if at <= self._barren:
            return None
        fields = _fields(self._lines, at)
        # Forms and logs have lines that begin with Date: or To: as well.
        if fields and len(fields[0] & _MEANINGFUL) >= 3 and "from" in fields[0]:
            return fields[1]
        if fields:
            self._barren = max(self._barren, fields[1])
        return None

    def _below_words(self, at: int, *, forward: bool) -> HeaderBlock:
        """Take the fields, if there are any, below a rule that says in words what follows."""
        lines = self._lines
        last = at
        if forward and lines[at].bare[-1] != "-" and at + 1 < len(lines) and lines[at + 1].bare.endswith("---"):
            last = at + 1
        fields = _fields(lines, next_filled(lines, last + 1))
        return HeaderBlock(at, fields[1] if fields else last, forward)

    def _below_moment(self, at: int) -> HeaderBlock | None:
        """Recognise Lotus Notes' way: a name and a moment, then To, cc and Subject after at most a few lines."""
        lines = self._lines
        after = at + 1
        for _ in range(4):
            after = next_filled(lines, after)
            if after >= len(lines) or after - at > 10:
                return None
            role = label_role(lines[after].bare)
            if role in ("to", "cc", "subject"):
                fields = _fields(lines, after)
                if fields and len(fields[0] & {"to", "cc", "subject"}) >= 2:
                    return HeaderBlock(at - _name_above(lines, at), fields[1], False)
                return None
            if not role and len(lines[after].bare) > 90:
                return None
            after += 1
        return None


def _above(lines: list[Line], at: int) -> int:
    """Climb over the raw header lines that some programs leave above those for people, and over a rule."""
    first = at
    while first and at - first < 60 and _RAW_HEADER.match(lines[first - 1].bare):
        first -= 1
    above = first - 1 if first and lines[first - 1].bare else first - 2
    return above if above >= 0 and _SHORT_RULE.fullmatch(lines[above].bare) else first


def label_role(bare: str) -> str:
    """Tell which header a line begins with (from, to, cc, date, subject, other), "" for none."""
    cut = bare.find(":", 0, 40)
    if cut < 0:
        cut = bare.find("：", 0, 20)
    if cut < 1:
        return ""
    return _LABELS.get(bare[:cut].strip(" *_\t|\u00a0\u202f").lower(), "")


def _rule(bare: str) -> bool | None:
    """Recognise a rule with words in it: True for a forward, False for an original message, None for neither."""
    if bare[0] not in "-_=*>#" and not _BEGIN_FORWARD.match(bare):
        return None
    if _FORWARD.search(bare) and len(bare) < 160:
        return True
    return False if _ORIGINAL.search(bare) and len(bare) < 120 else None


def _fields(lines: list[Line], at: int) -> tuple[set[str], int] | None:
    """Read header fields from line `at` on: the roles met and the last line of the block."""
    if at >= len(lines) or not label_role(lines[at].bare):
        return None
    depth = lines[at].depth
    roles: set[str] = set()
    last, gap, plain = at, 0, 0
    for index in range(at, min(len(lines), at + _MOST_LINES)):
        bare = lines[index].bare
        if lines[index].depth != depth:
            break
        role = label_role(bare)
        # A second From or Subject is the next mail's; recipients may go on under a label of their own.
        if role and (role not in roles or role in ("other", "cc", "to")):
            roles.add(role)
            last, gap, plain = index, 0, 0
        elif not bare:
            gap += 1
            # Some programs leave one line empty between fields; below a whole block it begins the text.
            if gap > 1 or (len(roles) >= 3 and "subject" in roles):
                break
        elif gap == 0 and _CONTINUES.search(lines[index - 1].bare + bare) and "subject" not in roles:
            plain += 1
            last = index
        # A long subject that was broken once.
        elif gap == 0 and plain == 0 and len(bare) < 90 and lines[index - 1].end - lines[index - 1].start > 60:
            plain += 1
        else:
            break
    return roles, last


def _name_above(lines: list[Line], at: int) -> int:
    """Count the line above a bare moment that holds the name."""
    if at and _MOMENT_ONLY.fullmatch(lines[at].bare) and lines[at - 1].bare and len(lines[at - 1].bare) < 80:
        return 1
    return 0


_ROLES = {
    "from": """
        from von de da van från fra lähettäjä od feladó kimden от від από från expéditeur remitente mittente
        发件人 寄件者 寄件人 差出人 送信者 보낸사람 จาก מאת من pošiljatelj odesílatel odosielateľ dari từ
        expeditor
        """,
    "date": """
        date sent datum gesendet envoyé enviado inviato data verzonden skickat sendt dato lähetetty
        päivämäärä wysłano odesláno odoslané elküldve dátum gönderildi tarih отправлено дата надіслано
        ημερομηνία στάλθηκε 发送时间 日期 寄件日期 傳送時間 送信日時 日時 보낸날짜 날짜 ส่ง วันที่ נשלח
        תאריך أرسلت التاريخ poslano dikirim fecha envoyée trimis timestamp
        """,
    "to": """
        to an à para a aan till til vastaanottaja do komu címzett kime кому до προς pour 收件人 收件者 宛先
        받는사람 ถึง אל إلى kepada đến către per destinatario
        """,
    "cc": """
        cc bcc kopie copie copia kopia kopi kopio másolat bilgi копия копія κοιν 抄送 副本 참조 สำเนา עותק
        kópia dw kopija tembusan ccn cci
        """,
    "subject": """
        subject betreff objet asunto oggetto assunto onderwerp ämne emne aihe temat předmět predmet tárgy
        konu тема θέμα 主题 主旨 件名 제목 เรื่อง נושא الموضوع subiect subjek perihal ang sujet re
        """,
    "other": """
        reply-to attachments importance priority message-id organization organisation sent_by anhänge
        wichtigkeit attachment antwort_an mailed-by signed-by reply_to répondre_à in-reply-to content-type
        mime-version received return-path x-mailer delivered-to content-transfer-encoding resent-from
        resent-date user-agent newsgroups on_behalf_of phone
        """,
}
_LABELS = {label.replace("_", " "): role for role, labels in _ROLES.items() for label in labels.split()} | {
    "보낸 사람": "from",
    "보낸 날짜": "date",
    "받는 사람": "to",
    "sent by": "other",
    "date sent": "date",
    "sent on": "date",
    "from name": "from",
}
_CONTINUES = re.compile(r"[;,@]")
_MEANINGFUL = frozenset(["from", "to", "date", "subject", "cc"])
_MOST_LINES = 200
_RAW_HEADER = re.compile(r"(?:[A-Z][A-Za-z]*(?:-[A-Za-z]+)+|Received|Date|Organization):\s")
_SHORT_RULE = re.compile(r"[-_=*]{5,}")
_LONG_RULE = re.compile(r"_{10,}")
_BEGIN_FORWARD = phrases(
    r"""
    (?:begin forwarded message|start of forwarded message|anfang der weitergeleiteten|début du message (?:réexpédié
    transféré)|inicio del mensaje reenviado|início da mensagem (?:encaminhada|reencaminhada)
    inizio messaggio inoltrato|begin doorgestuurd bericht|vidarebefordrat brev|videresendt (?:besked|melding)
    välitetty viesti alkaa|начало (?:переадресованного|пересылаемого)|forwarded by )
    """
)
_FORWARD = phrases(
    rf"""
    {_BEGIN_FORWARD.pattern}|forwarded (?:message|by|mail)|forward(?:ed)?[ -]+message
    weitergeleitete (?:nachricht|e-?mail)|message (?:transféré|réexpédié|original transféré)|mensaje reenviado
    messaggio inoltrato|mensagem (?:encaminhada|reencaminhada)|doorgestuurd bericht|(?:vidarebefordrat|videresendt)
    välitetty viesti|пересылаемое|переадресованное|пересланное|przekazana wiadomość|wiadomość przekazana
    přeposlaná zpráva|továbbított üzenet|iletilen (?:mesaj|ileti)|mesaj redirecționat|転送(?:された)?メッセージ
    转发(?:的)?邮件|轉寄郵件|전달된 메시지
    """
)
_ORIGINAL = phrases(
    r"""
    original\s*(?:message|appointment|mail)|ursprüngliche (?:nachricht|e-?mail)|original-?nachricht
    message (?:d'origine|original|initial)|mensaje original|messaggio originale|mensagem original
    oorspronkelijk bericht|originalmeddelande|ursprungligt meddelande|oprindelig (?:meddelelse|besked)
    opprinnelig melding|alkuperäinen viesti|(?:исходное|оригинальное|вихідне) (?:сообщение|повідомлення)
    (?:oryginalna|original) wiadomość|wiadomość oryginalna|původní zpráva|pôvodná správa|eredeti üzenet
    orijinal (?:mesaj|ileti)|mesaj original|αρχικό μήνυμα|original[- ]nachricht|元のメッセージ|原始邮件
    原始郵件|原邮件|원본 메시지
    הודעה מקורית|الرسالة الأصلية|reply message|reply separator
    """
)
_MOMENT_ENDS = frozenset("0123456789mMTZ")
_NOTES = re.compile(
    r"\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4},?\s+\d{1,2}:\d\d(?::\d\d)?\s*(?:[AP]M)?\s*(?:\w{3,4})?$", re.IGNORECASE
)
_MOMENT_ONLY = re.compile(
    r"\W{0,3}\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4},?\s+\d{1,2}:\d\d(?::\d\d)?\s*(?:[AP]M)?\s*(?:\w{3,4})?", re.IGNORECASE
)
