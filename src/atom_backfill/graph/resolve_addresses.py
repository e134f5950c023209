"""Addresses: the forms that programs give to one and the same, and the name that a local part spells. Pure.

Foreign facts: plus tags are RFC 5233; SRS rewriting and BATV (`prvs=`) are the forwarders' drafts of those names;
`=40` is how the IETF's lists hide a sender under DMARC; IMCEAEX is how Exchange writes an X.500 name as an address.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from atom_backfill.graph.resolve_names import Name, read_name
from atom_backfill.mail.people import address_key, is_role


def plain_address(key: str) -> str:
    """Reduce an address key to the mailbox that it reaches: no tags, no rewriting by lists, forwarders and Exchange.

    A tag on a role's address can be a mailbox of its own (`list+owner@…`), and stays. Never returns "".
    """
    if match := _EXCHANGE.fullmatch(key):
        key = unquote(match[1].replace("+", "%")).replace("_", "/")
    if key.startswith("/"):
        return key
    for pattern in (_BATV, _SRS, _DMARC):
        if match := pattern.fullmatch(key):
            key = address_key(f"{match['local']}@{match['domain']}") or key
    local, _, domain = key.rpartition("@")
    plain, plus, _ = local.partition("+")
    if plus and len(plain) > 1 and not is_role(f"{plain}@{domain}"):
        local = plain
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def exchange_alias(key: str) -> str:
    """Return the alias at the end of an X.500 name, which is mostly the local part of the same mailbox; or ""."""
    if not key.startswith("/"):
        return ""
    alias = key.rpartition("/cn=")[2]
    return _EXCHANGE_PREFIX.sub("", alias)


def local_part(key: str) -> str:
    """Return the part before the `@`; "" for an X.500 name."""
    return key.rpartition("@")[0]


def spelt_name(key: str) -> Name | None:
    """Read the name that a local part spells in full, `mary.k.lay@…`; None where it is short or may be anything."""
    local = local_part(key)
    if not _SPELT.fullmatch(local):
        return None
    return read_name(_SEPARATORS.sub(" ", local))


def letters_of(local: str) -> str:
    """Return a local part without digits and separators."""
    return _NOT_LETTERS.sub("", local)


def spellings(name: Name) -> frozenset[str]:
    """Return the local parts, as letters, that are made of a name: `mlay`, `maryl`, `laym`, `mklay`, `lay`."""
    given, surname = letters_of(name.given), letters_of(name.surname)
    first, last = given[:1], surname[:1]
    made = {given + surname, surname + given, first + surname, surname + first, given + last, last + given, surname}
    if name.middle:
        middle = "".join(part[0] for part in name.middle)
        made |= {first + middle + surname, given + middle + surname, first + middle + last, surname + first + middle}
    # Old systems cut the surname, for a local part of at most eight letters or so.
    made |= {(first + surname)[:length] for length in (6, 7, 8) if len(surname) >= length}
    return frozenset(made)


def bare_letters(key: str) -> str:
    """Return an address without digits and separators before the `@`: numbered namesakes have it in common."""
    local, _, domain = key.rpartition("@")
    return f"{letters_of(local)}@{domain}"


def brand(organization: str) -> str:
    """Return the label of a registrable domain that names its owner: `lumen` of lumen.co.uk and lumen.com."""
    return organization.partition(".")[0]


def number(key: str) -> str:
    """Return the digits of a local part."""
    return "".join(filter(str.isdigit, local_part(key)))


_EXCHANGE: Final = re.compile(r"imceaex-([^@]{1,1000})@[^@]+")
_EXCHANGE_PREFIX: Final = re.compile(r"^[0-9a-f]{32}-")
_BATV: Final = re.compile(r"prvs=[0-9a-z]{8,12}=(?P<local>[^@=]+)@(?P<domain>[^@]+)")
_SRS: Final = re.compile(r"srs0[=+-][^=]{2,12}=[^=]{2}=(?P<domain>[^=@]+)=(?P<local>[^@=]+)@[^@]+")
_DMARC: Final = re.compile(r"(?P<local>[^@=]+)=40(?P<domain>[^@=]+)@dmarc\.[^@]+")
_SPELT: Final = re.compile(r"[^\W\d_]{2,24}(?:[._][^\W\d_]{1,24})?[._][^\W\d_][^\W\d_'-]{1,24}")
_SEPARATORS: Final = re.compile(r"[._]+")
_NOT_LETTERS: Final = re.compile(r"[\W\d_]+")
