"""`$search` over messages: the words of a query in subject, sender and body, newest sent first."""

import re
from collections.abc import Iterable

from . import dates
from .mailbox import Entry

_WORD = re.compile(r'(?:(\w+):)?("[^"]*"|[^\s"]+)')


def find(entries: Iterable[Entry], quoted: str) -> list[Entry]:
    """The messages that have every word of the query. `from:`, `subject:` and `body:` narrow a word."""
    words = [
        (field.lower(), word.strip('"').lower())
        for field, word in _WORD.findall(quoted[1:-1].replace('\\"', '"'))
        if word.upper() != "AND"
    ]
    found = []
    # Every body is read anew: searches are rare, and an index of the words would have to be kept in memory.
    for entry in entries:
        message = entry.parsed()
        if all(word in _text(message, field) for field, word in words):
            found.append((dates.seconds(message.get("sentDateTime")) or 0, entry))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _text(message: dict[str, object], field: str) -> str:
    sources = [field] if field in ("from", "subject", "body") else ["from", "subject", "body"]
    return " ".join(str(message.get(source) or "") for source in sources).lower()
