"""How mail programs introduce what they quote, in six languages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

from .cast import Person
from .mail import Mail


@dataclass(frozen=True, slots=True)
class Tongue:
    """A language as mail programs speak it. `months` and `days` are full names; `short_*` what web mail uses."""

    months: Sequence[str]
    short_months: Sequence[str]
    days: Sequence[str]
    short_days: Sequence[str]
    long_date: str
    labels: Sequence[str]
    wrote: str
    wrote_short: str
    forwarded: str
    prefix: Sequence[str]


def _load_tongues() -> Mapping[str, Tongue]:
    raw = json.loads((files("atom_simulators.sample") / "tongues.json").read_text(encoding="utf-8"))
    return {language: Tongue(**fields) for language, fields in raw.items()}


TONGUES: Mapping[str, Tongue] = _load_tongues()
"""By language code."""


def long_date(moment: datetime, reader: Person) -> str:
    """The date in a header block, in the quoting person's language and zone."""
    return _fill(TONGUES[reader.lang].long_date, moment, reader)


def attribution(parent: Mail, reader: Person, *, short: bool = False) -> str:
    """The line above a quote, as the reader's program writes it; `short` leaves the address out."""
    tongue = TONGUES[reader.lang]
    pattern = tongue.wrote_short if short else tongue.wrote
    return _fill(pattern, parent.sent, reader, name=parent.sender.name, address=parent.sender.address)


def header_block(parent: Mail, reader: Person) -> list[tuple[str, str]]:
    """(label, value) pairs of the block above a quote; Cc only where there is one."""
    author, sent, to, cc, subject = TONGUES[reader.lang].labels
    block = [
        (author, parent.sender.named_address),
        (sent, long_date(parent.sent, reader)),
        (to, "; ".join(person.named_address for person in parent.to)),
    ]
    if parent.cc:
        block.append((cc, "; ".join(p.name for p in parent.cc)))
    return [*block, (subject, parent.subject)]


def answer_subject(parent: Mail, writer: Person, *, forward: bool = False) -> str:
    """The parent's subject with the writer's prefix, older prefixes taken off."""
    known = {p.lower() for tongue in TONGUES.values() for p in tongue.prefix} | {"fwd"}
    subject = parent.subject
    while (cut := subject.partition(":"))[1] and cut[0].strip().lower() in known:
        subject = cut[2].strip()
    return f"{TONGUES[writer.lang].prefix[forward]}: {subject}"


def _fill(pattern: str, moment: datetime, reader: Person, **names: str) -> str:
    tongue, local = TONGUES[reader.lang], moment.astimezone(ZoneInfo(reader.tz))
    numeric = {"en": "%d/%m/%Y", "fr": "%d/%m/%Y", "es": "%d/%m/%Y", "ja": "%Y/%m/%d"}
    return pattern.format(
        day=local.day,
        year=local.year,
        time=local.strftime("%H:%M"),
        month=tongue.months[local.month - 1],
        short_month=tongue.short_months[local.month - 1],
        weekday=tongue.days[local.weekday()],
        short_day=tongue.short_days[local.weekday()],
        numeric=local.strftime(numeric.get(reader.lang, "%d.%m.%Y")),
        **names,
    )
