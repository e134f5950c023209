"""Reads the units of a request, as docs/reference/extraction.md defines them."""

import re
from dataclasses import dataclass

_UNITS = re.compile(r"^<units>\n(.*?)\n?^</units>", re.DOTALL | re.MULTILINE)
_UNIT = re.compile(r'^<unit n="(\d+)">\n(.*?)^</unit>$', re.DOTALL | re.MULTILINE)
_MAIL = re.compile(
    r'^<mail date="([0-9-]*)" from="([p0-9]*)" to="([p0-9 ]*)">\n(.*?)\n?^</mail>$', re.DOTALL | re.MULTILINE
)
_PERSON = re.compile(r"^p(\d+) (.*?) ?(\S+)$", re.MULTILINE)
OPENING = "‹"
"""What stands in a text for `<`."""


@dataclass(frozen=True, slots=True)
class UnitMail:
    """One mail of a unit; `sender` and `to` are numbers of participants."""

    date: str
    sender: int | None
    to: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A conversation. `people` maps addresses to numbers, `names` numbers to display names."""

    n: int
    people: dict[str, int]
    names: dict[int, str]
    mails: tuple[UnitMail, ...]
    inside: str


def read_units(text: str) -> list[Unit] | None:
    """The units of a message; None where it is of another kind."""
    found = _UNITS.search(text)
    if found is None:
        return None
    return [_unit(int(number), inside) for number, inside in _UNIT.findall(found[1] + "\n")]


def _unit(number: int, inside: str) -> Unit:
    head = inside.partition("\n<mail ")[0] if not inside.startswith("<mail ") else ""
    people = _PERSON.findall(head)
    return Unit(
        number,
        {address.lower(): int(place) for place, _, address in people},
        {int(place): name for place, name, _ in people},
        tuple(_mail(*parts) for parts in _MAIL.findall(inside)),
        inside,
    )


def _mail(date: str, sender: str, to: str, text: str) -> UnitMail:
    number = int(sender[1:]) if sender else None
    return UnitMail(date, number, tuple(int(each[1:]) for each in to.split()), text)
