"""The invented people and organisations of the sample; every domain is reserved (RFC 2606, RFC 6761)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who somebody writes for; an empty name is a private address."""

    key: str
    name: str
    domain: str
    disclaimer: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes: `client` names the mail program, `lang` and `tz` shape its attribution lines.

    `since` and `until` are the ISO dates of the first and last day in the organisation.
    """

    key: str
    name: str
    address: str
    org: Organisation
    title: str = ""
    city: str = ""
    phone: str = ""
    mobile: str = ""
    lang: str = "en"
    tz: str = "Europe/London"
    client: str = "plain"
    closing: str = ""
    since: str = ""
    until: str = "9999"

    @property
    def first_name(self) -> str:
        """The first word of the display name."""
        return self.name.split()[0]

    @property
    def named_address(self) -> str:
        """`Name <address>`, or the address alone."""
        return f"{self.name} <{self.address}>".lstrip()

    @property
    def signature(self) -> str:
        """The block under a first mail: name, title, organisation, numbers, one a line."""
        numbers = [f"{mark} {number}" for mark, number in (("T", self.phone), ("M", self.mobile)) if number]
        work = f"{self.title} | {self.org.name}" if self.title else self.org.name
        place = f"{self.city} · www.{self.org.domain}" if self.org.name else ""
        return "\n".join(line for line in (self.name, work, *numbers, place) if line)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody by key."""

    people: Mapping[str, Person]
    organisations: Mapping[str, Organisation]

    def __getitem__(self, key: str) -> Person:
        return self.people[key]

    @property
    def owner(self) -> Person:
        """Whose mailbox the sample is."""
        return self.people["maren"]

    def colleagues(self, day: date) -> tuple[Person, ...]:
        """The people of the owner's company on that day, the owner left out, in file order."""
        mine, iso = self.owner, f"{day:%Y-%m-%d}"
        everybody = (p for p in self.people.values() if p.org == mine.org and p is not mine)
        return tuple(p for p in everybody if p.since <= iso <= p.until)


def load_cast() -> Cast:
    """Read cast.json of this package."""
    raw = json.loads((files("atom_simulators.sample") / "cast.json").read_text(encoding="utf-8"))
    organisations = {o["key"]: Organisation(**o) for o in raw["organisations"]}
    people = {p["key"]: Person(**{**p, "org": organisations[p["org"]]}) for p in raw["people"]}
    return Cast(people, organisations)
