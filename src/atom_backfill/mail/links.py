"""Links: where they really lead, without the wrappings and the marks by which readers are followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from atom_backfill.mail.vocabulary import words

LONGEST = 2_000
"""Longer addresses are left out: nobody wrote them by hand, and they carry more than a place."""


def urls_in(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find web addresses written out in text[start:end], as spans, without the punctuation after them."""
    for match in _URL.finditer(text, start, end):
        stop = match.end()
        while stop > match.start() and (text[stop - 1] in ".,;:!?'\"*_>" or _unbalanced(text, match.start(), stop)):
            stop -= 1
        yield match.start(), stop


def normalise_url(url: str) -> str:
    """Normalise a web address: unwrapped, lower-case host, no credentials, no tracking; "" for anything else."""
    url = url.strip()
    if url[:4].lower() == "www.":
        url = f"http://{url}"
    # Gateways wrap what others have wrapped; deeper than this only somebody hostile does.
    for _ in range(3):
        if len(url) > LONGEST or url[:4].lower() != "http":
            return ""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
            port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
        except ValueError:
            return ""
        inner = _unwrap(host, parts.path, parts.query)
        if not inner:
            break
        url = inner
    if not _HOST.fullmatch(host):
        return ""
    if ":" in host:
        host = f"[{host}]"
    query = parts.query
    if query:
        pairs = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if not _tracks(k)]
        query = urlencode(pairs, quote_via=quote, safe="/:,@")
    return urlunsplit((parts.scheme.lower(), host + port, parts.path.rstrip("/"), query, parts.fragment))


def _unwrap(host: str, path: str, query: str) -> str:
    """Read the address inside the wrappings that mail gateways put around links; "" where there is none."""
    if host.endswith(".safelinks.protection.outlook.com"):
        return _parameter(query, "url")
    if host in ("www.google.com", "google.com") and path == "/url":
        return _parameter(query, "q") or _parameter(query, "url")
    if host in ("urldefense.com", "urldefense.us") and path.startswith("/v3/__"):
        return unquote(path[6:].partition("__;")[0].rstrip("_"))
    if host == "urldefense.proofpoint.com" and path.startswith("/v2/"):
        return unquote(_parameter(query, "u").replace("-", "%").replace("_", "/"))
    return ""


def _parameter(query: str, name: str) -> str:
    return next((value for key, value in parse_qsl(query) if key == name), "")


def _tracks(name: str) -> bool:
    name = name.lower()
    return name in _TRACKING or name.startswith(("utm_", "mtm_", "pk_", "hsa_", "vero_", "oly_"))


def _unbalanced(text: str, start: int, stop: int) -> bool:
    closing = text[stop - 1]
    opening = _PAIRS.get(closing)
    return opening is not None and text.count(closing, start, stop) > text.count(opening, start, stop)


_PAIRS = {")": "(", "]": "[", "}": "{"}
_URL = re.compile(rf"\b(?:https?://|www\.)[^\s<>\"\u3000-\u303f\uff01-\uff5e|\\^`]{{3,{LONGEST}}}", re.IGNORECASE)
_HOST = re.compile(r"(?:[^\s/@:.]{1,63}\.){1,12}[^\W\d_][\w-]{1,30}|\d{1,3}(?:\.\d{1,3}){3}|localhost|[0-9a-f:]{2,39}")
_TRACKING = words(
    """
    fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid igshid mc_cid mc_eid mkt_tok _hsenc _hsmi hsctatracking
    ml_subscriber ml_subscriber_hash s_cid cmpid trk trkcampaign elqtrackid elqtrack elqaid sc_campaign sc_channel
    ref_src ref_url spm scm _openstat twclid ttclid li_fat_id irclickid rb_clickid wickedid vgo_ee
    """
)
