"""What the rules look at: an address with the names that it is written with, read and weighed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from atom_backfill.graph.resolve_addresses import plain_address, spelt_name
from atom_backfill.graph.resolve_names import Likeness, Name, fold, likeness, read_name
from atom_backfill.mail.message import Address
from atom_backfill.mail.people import display_name, is_role, organization_of

MOST_NAMES = 64
"""Names of one address that are looked at, the most used first."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An address key, the names that mail gives it with how often each, and whether it is known to be no one person's.

    `shared` adds to what the address itself says: a distribution group or a list, by its headers.
    """

    key: str
    names: Mapping[str, int] = field(default_factory=dict)
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Bearer:
    """An identity, read.

    `plain`: the mailbox that the key reaches. `sender`: what it mostly calls itself, folded. `names`: those of one
    person, the most used first; none for shared and contested addresses. `spelt`: the name is only the local part's.
    `own`: the domain bears the person's surname.
    """

    key: str
    plain: str
    organization: str
    sender: str
    names: tuple[Name, ...] = ()
    shared: bool = False
    spelt: bool = False
    own: bool = False


def read_bearers(identities: Iterable[Identity]) -> list[Bearer]:
    """Read identities, sorted by key; of two with one key, the names are added up."""
    names: dict[str, Counter[str]] = {}
    shared: set[str] = set()
    for identity in identities:
        names.setdefault(identity.key, Counter()).update(identity.names)
        if identity.shared:
            shared.add(identity.key)
    return [_read(key, names[key], key in shared) for key in sorted(names)]


def _read(key: str, written: Counter[str], shared: bool) -> Bearer:
    plain = plain_address(key)
    domain = plain.rpartition("@")[2]
    shown: Counter[str] = Counter()
    for name, uses in sorted(written.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMES]:
        if words := display_name(Address(name, key)):
            shown[words] += max(1, uses)
    names = _one_persons(shown)
    sender = _called(shown)
    organization, own = organization_of(domain), _owns(names, domain)
    if shared or (is_role(plain) and not own):
        return Bearer(key, plain, organization, sender, shared=True)
    spelt = spelt_name(plain)
    if spelt is not None and not shown:
        return Bearer(key, plain, organization, sender, (spelt,), spelt=True)
    if spelt is not None and names and spelt not in names and likeness(spelt, names[0]) is not Likeness.NONE:
        names = (*names, spelt)
    return Bearer(key, plain, organization, sender, names, own=own)


def _called(shown: Counter[str]) -> str:
    if len(shown) < 2:
        return fold(next(iter(shown), ""))
    uses: Counter[str] = Counter()
    for words, count in shown.items():
        uses[fold(words)] += count
    most = min(uses, key=lambda name: (-uses[name], name), default="")
    return most if uses[most] >= _CLEARLY * uses.total() else ""


def _one_persons(shown: Counter[str]) -> tuple[Name, ...]:
    """Return the names of the person whom an address is mostly written with; none where it is not clear who."""
    uses: Counter[Name] = Counter()
    for words, count in shown.items():
        name = read_name(words)
        if name is not None and name.is_full:
            uses[name] += count
    if len(uses) < 2:
        return tuple(uses)
    ordered = sorted(uses, key=lambda name: (-uses[name], name))
    ours = [name for name in ordered if likeness(ordered[0], name) is not Likeness.NONE]
    if sum(uses[name] for name in ours) < _CLEARLY * uses.total():
        return ()
    return tuple(ours)


def _owns(names: tuple[Name, ...], domain: str) -> bool:
    """Tell whether the domain bears the person's surname: `mail@` there is as good as a name."""
    letters = domain.replace("-", "")
    return any(len(name.surname) > 3 and name.surname.replace("-", "") in letters for name in names)


_CLEARLY: Final = 0.7
