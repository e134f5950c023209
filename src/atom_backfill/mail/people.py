"""Addresses and display names to person keys: who is a person, who is a role, which organization a domain names."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from atom_backfill.mail.message import Address
from atom_backfill.mail.vocabulary import words


@dataclass(frozen=True, slots=True)
class Person:
    """Who an address is: `key` is the address key, `name` "" where the header gives none.

    `shared`: a function, a machine or a list rather than one person. `organization`: the registrable domain, or "".
    """

    key: str
    name: str
    shared: bool
    organization: str


def person_of(written: Address) -> Person | None:
    """Read who is written in a header; None where the address names no one."""
    key = address_key(written.address)
    if not key:
        return None
    domain = key.partition("@")[2] and key.rpartition("@")[2]  # an X.500 name has none
    return Person(key, display_name(written), is_role(key), organization_of(domain))


def address_key(address: str) -> str:
    """Normalise an address to the identity that it names: "" where it names none.

    Lower case in NFC, an internationalised domain in Unicode, no trailing dot; plus tags and quoted local parts stay.
    An X.500 name is an identity of its own, in lower case. Look-alike letters are other letters.
    """
    text = unicodedata.normalize("NFC", address.strip())
    if not text:
        return ""
    if text.startswith("/"):
        return text.lower() if text[:3].lower() in ("/o=", "/cn", "/ou") else ""
    if match := _IN_ANGLES.search(text):
        text = match[1]
    local, at, domain = text.rpartition("@")
    domain = domain_key(domain)
    if not at or not local or not domain or (_BAD_LOCAL.search(local) and not _QUOTED.fullmatch(local)):
        return ""
    return f"{local.lower()}@{domain}"


def domain_key(domain: str) -> str:
    """Normalise a host name: lower case, Unicode, no trailing dot; "" where it is none."""
    domain = domain.strip().rstrip(".").lower()
    # One identity, whichever way a program writes an internationalised domain.
    if "xn--" in domain:
        domain = ".".join(_from_punycode(label) for label in domain.split("."))
    if not domain or len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        return ""
    return domain


def is_role(address: str) -> bool:
    """Tell whether an address key stands for a function, a machine or a list rather than one person."""
    local = address.rpartition("@")[0]
    plain = local.partition("+")[0]
    return (
        plain in _ROLES
        or bool(_ROLE_WORDS.search(local))
        or len(local) > 40
        or bool(_MACHINE_LOCAL.fullmatch(local))
        or bool(_LIST_HOST.match(address.rpartition("@")[2]))
    )


def display_name(written: Address) -> str:
    """Read the person's name from a header: `Reyl, Tomasz` turned round; "" where it says no more than the address."""
    name = _QUOTES.sub("", _ADDRESS_IN_NAME.sub("", written.name))
    name = _VIA.sub("", name)
    name = _BRACKETED.sub("", name).strip(" ,;-\t")
    if "@" in name or not any(character.isalpha() for character in name):
        return ""
    surname, comma, given = name.partition(",")
    if comma and _GIVEN.fullmatch(given.strip()) and len(surname.split()) <= 3:
        name = f"{given.strip()} {surname.strip()}"
    name = " ".join(name.split())
    # Many programs repeat the address where they know no name.
    if name.casefold() == written.address.partition("@")[0].casefold():
        return ""
    return name


def name_key(name: str) -> str:
    """Fold a name for comparing: NFC, case, punctuation and spacing do not matter."""
    return " ".join(re.sub(r"[^\w\s'-]", " ", unicodedata.normalize("NFC", name).casefold()).split())


def organization_of(domain: str) -> str:
    """Find the registrable domain that names an organization; "" for mail providers, lists' hosts and bad names."""
    labels = domain.split(".")
    if len(labels) < 2 or not labels[-1].isalpha() or domain.replace(".", "").isdigit():
        return ""
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    if keep == 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL and len(labels) == 2:
        return ""
    registrable = ".".join(labels[-keep:])
    brand = labels[-keep]
    return "" if registrable in _FREEMAIL or brand in _FREEMAIL_BRANDS else registrable


def _from_punycode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except UnicodeError:
        return label


_IN_ANGLES = re.compile(r"<([^<>]{1,320})>\s*$")
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_BAD_LOCAL = re.compile(r'[\s<>()\[\],;:\\"@]')
_QUOTED = re.compile(r'"[^"\r\n]{1,62}"')
_QUOTES = re.compile(r"""^[\s'"‘’“”`]+|[\s'"‘’“”`]+$""")
_ADDRESS_IN_NAME = re.compile(r"[<\[(]\s*(?:mailto:)?[^\s<>()\[\]]{1,100}@[^\s<>()\[\]]{1,100}\s*[>\])]")
_VIA = re.compile(
    r"\s+(?:via|über|par|por|per|através d[eo])\s+[^,]{1,80}$|\s*\((?:via [^)]{0,80}|external|extern|externe)\)\s*$",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\s*[\[(][^\])]{0,80}[\])]\s*$")
_GIVEN = re.compile(r"[^\W\d_][\w.'’-]*(?:\s+[^\W\d_][\w.'’-]*){0,2}")
_ROLES: Final = words(
    """
    abuse accounting accounts admin administrator alerts announce announcements anfrage asistencia billing
    booking bookings bounce bounces buchhaltung bugs bugzilla careers comercial commits communications compta
    contact contacto contatto customerservice daemon devel direccion do-not-reply donotreply facturacion
    facturation feedback finance ftp hello help helpdesk hola hostmaster hr info information invoice invoices it
    jobs kontakt list list-owner listmaster lists listserv mail mailer-daemon mailerdaemon mailman majordomo
    marketing media news newsletter newsletters no-reply nobody noc noreply notification notifications notify
    office orders owner postmaster presse press privacy rechnung receipts reception recruiting reply root sales
    security sekretariat service services shop soporte spam staff subscribe subscriptions support team tickets
    unsubscribe updates vertrieb ventas web webmaster welcome www
    """
)
_ROLE_WORDS: Final = re.compile(
    r"(?:^|[._+-])(?:no-?reply|do-?not-?reply|mailer-?daemon|notifications?|newsletters?|bounces?|unsubscribe|owner"
    r"|subscribe|request|confirm|announce)(?:$|[._+=-])|^microsoftexchange[0-9a-f]{20,}$"
)
_MACHINE_LOCAL: Final = re.compile(r"[0-9a-f]{16,}|\d{6,}|[^@]*=[^@]*")
_LIST_HOST: Final = re.compile(
    r"(?:lists?|groups|listserv|mailman|bounces?)\.|(?:googlegroups|yahoogroups)\.com$|groups\.io$"
)
_SECOND_LEVEL: Final = words(
    """
    ac co com edu gob gov gouv govt ltd me mil net ne nom or org plc sch
    """
)
_FREEMAIL: Final = words(
    """
    126.com 139.com 163.com 21cn.com aim.com aol.com att.net bellsouth.net bigpond.com bluewin.ch bol.com.br
    btinternet.com charter.net comcast.net cox.net duck.com earthlink.net fastmail.com fastmail.fm foxmail.com
    free.fr freemail.hu freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlegroups.com
    googlemail.com groups.io hey.com home.nl hotmail.com hushmail.com icloud.com inbox.com inbox.lv interia.pl
    iname.com juno.com laposte.net libero.it list.ru live.com mac.com mail.com mail.ru mailbox.org me.com
    mindspring.com msn.com naver.com netscape.net ntlworld.com o2.pl onet.pl optonline.net orange.fr outlook.com
    pacbell.net pm.me posteo.de prodigy.net proton.me protonmail.ch protonmail.com qq.com rambler.ru
    rediffmail.com riseup.net rocketmail.com rogers.com sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com
    sky.com sohu.com swbell.net sympatico.ca t-online.de telenet.be telus.net tiscali.it tuta.io tutanota.com
    ukr.net uol.com.br verizon.net videotron.ca virgilio.it virginmedia.com wanadoo.fr web.de wp.pl xs4all.nl
    ya.ru yahoogroups.com yandex.com yandex.ru ymail.com zoho.com
    """
)
_FREEMAIL_BRANDS: Final = words(
    """
    yahoo hotmail outlook live gmx yandex googlemail msn
    """
)
