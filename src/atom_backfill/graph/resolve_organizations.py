"""Which domains and names are the same organisation. Pure, with the same pins and promises as for persons.

A key is a registrable domain or whatever a name was filed under. Legal forms are no part of a name, but two different
ones are two companies; a domain belongs to the only organisation whose name it spells.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Final

from rapidfuzz import fuzz

from atom_backfill.graph.resolve import NO_PINS, Pair, Pins, Resolution, settle
from atom_backfill.graph.resolve_addresses import brand
from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_names import LONGEST_NAME, fold
from atom_backfill.graph.resolve_rules import MOST_ALIKE, Alike, Rule
from atom_backfill.graph.resolve_suggestions import LEAST_RATIO, NEIGHBOURS
from atom_backfill.mail.people import organization_of
from atom_backfill.mail.vocabulary import words

SHORTEST_BRAND = 4
"""Letters from which a domain's label alone names one organisation."""


@dataclass(frozen=True, slots=True)
class _Organization:
    """`names`: words without legal forms, joined; `forms`: the legal forms seen; `domain`: the key where it is one."""

    key: str
    names: tuple[str, ...]
    forms: frozenset[str]
    domain: str


def resolve_organizations(
    identities: Iterable[Identity], pins: Pins = NO_PINS, verdicts: Mapping[Pair, bool] = MappingProxyType({})
) -> Resolution:
    """Find the keys that are the same organisation; `verdicts` as for persons."""
    known = {one.key: one for one in map(_read, sorted(identities, key=lambda one: one.key))}
    organizations = list(known.values())
    found = [
        *_same_names(organizations),
        *_brands(organizations),
        *_acronyms(organizations),
        *_spellings(organizations),
    ]
    return settle(found, known.keys(), pins, (), verdicts)


def organization_words(name: str) -> tuple[str, frozenset[str]]:
    """Fold an organisation's name to its words, and the legal forms that it had."""
    parts = [part for part in _BETWEEN.split(fold(name[:LONGEST_NAME])) if part and part not in ("the", "and")]
    forms = frozenset(_FORMS.get(part, part) for part in parts[1:] if part in _LEGAL)
    return " ".join([*parts[:1], *(part for part in parts[1:] if part not in _LEGAL)]), forms


def _read(identity: Identity) -> _Organization:
    domain = identity.key if organization_of(identity.key) == identity.key else ""
    read = [organization_words(name) for name in sorted(identity.names) if name and name != identity.key]
    if not domain and not read:
        read = [organization_words(identity.key)]
    names = tuple(dict.fromkeys(name for name, _ in read if name))
    return _Organization(identity.key, names, frozenset().union(*(forms for _, forms in read)), domain)


def _same_names(organizations: Sequence[_Organization]) -> Iterator[Alike]:
    for name, block in _blocks(organizations, lambda one: one.names):
        clear = len({form for one in block for form in one.forms}) < 2
        for one, other in combinations(block[:MOST_ALIKE], 2):
            score = 0.95 if clear else 0.7
            yield _alike(one, other, Rule.ORGANIZATION_NAME, score, f"both are called {name}", sure=clear)


def _brands(organizations: Sequence[_Organization]) -> Iterator[Alike]:
    """Join a name with the only domain that spells it; domains of one brand may be of two owners."""
    for label, block in _blocks(organizations, lambda one: {_spelt(one.domain), *map(_squeezed, one.names)} - {""}):
        domains = [one for one in block if one.domain and _spelt(one.domain) == label]
        others = [one for one in block if not one.domain]
        sure = len(domains) == 1 and len(label) >= SHORTEST_BRAND and len({f for one in others for f in one.forms}) < 2
        for one in domains[:MOST_ALIKE]:
            for other in others[:MOST_ALIKE]:
                yield _alike(one, other, Rule.BRAND, 0.9 if sure else 0.6, f"{one.domain} spells {label}", sure=sure)
        for one, other in combinations(domains[:MOST_ALIKE], 2):
            yield _alike(one, other, Rule.BRAND, 0.65, f"both domains are of {label}", sure=False)


def _acronyms(organizations: Sequence[_Organization]) -> Iterator[Alike]:
    for letters, block in _blocks(organizations, lambda one: {*map(_initials, one.names), *one.names} - {""}):
        short = [one for one in block if letters in one.names]
        for one in short[:MOST_ALIKE]:
            for other in block[:MOST_ALIKE]:
                if other not in short:
                    evidence = f"{letters} may stand for {other.names[0]}"
                    yield _alike(one, other, Rule.ACRONYM, 0.5, evidence, sure=False)


def _spellings(organizations: Sequence[_Organization]) -> Iterator[Alike]:
    first: dict[str, _Organization] = {}
    for one in organizations:
        for name in one.names:
            first.setdefault(name, one)
    ordered = sorted(first)
    for place, name in enumerate(ordered):
        for other in ordered[place + 1 : place + 1 + NEIGHBOURS]:
            ratio = fuzz.ratio(name, other, score_cutoff=LEAST_RATIO)
            if ratio and first[name] is not first[other]:
                evidence = f"called {name} and {other}"
                yield _alike(
                    first[name], first[other], Rule.SPELLING, round(0.6 * ratio / 100, 3), evidence, sure=False
                )


def _blocks(
    organizations: Iterable[_Organization], keys: Callable[[_Organization], Iterable[str]]
) -> Iterator[tuple[str, list[_Organization]]]:
    blocks: defaultdict[str, list[_Organization]] = defaultdict(list)
    for one in organizations:
        for key in keys(one):
            blocks[key].append(one)
    return ((key, block) for key, block in blocks.items() if len(block) > 1)


def _alike(one: _Organization, other: _Organization, rule: Rule, score: float, evidence: str, *, sure: bool) -> Alike:
    a, b = sorted((one.key, other.key))
    return Alike(a, b, rule, score, evidence, sure)


def _spelt(domain: str) -> str:
    return brand(domain).replace("-", "")


def _squeezed(name: str) -> str:
    return name.replace(" ", "").replace("-", "")


def _initials(name: str) -> str:
    parts = name.split()
    return "".join(part[0] for part in parts) if len(parts) > 2 else ""


_BETWEEN: Final = re.compile(r"[\s,;:/&+()\"“”]+")
_LEGAL: Final = words(
    """
    ag bv co company corp corporation gmbh inc incorporated kg limited llc llp lp ltd nv oy plc pty sa sarl spa srl ug
    """
)
_FORMS: Final = {"company": "co", "corporation": "corp", "incorporated": "inc", "limited": "ltd"}
