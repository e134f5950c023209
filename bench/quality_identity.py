"""How well the rules tell who is who: addresses of one person, and whom a name in a mail means.

Addresses: the clusters of the corpus's people_aliases, as pairs of addresses, among all addresses of its mailboxes.
A joined pair counts as wrong when the labels name both addresses and say otherwise; pairs with an address that no label
names are reported beside. Half by the mailbox in which a cluster mostly stands.

Names: the seed threads of CEREC (Dakle, Desai and Moldovan 2020), from the folder `ATOM_CEREC`. A mention is a name of
a person, as marked; the gold is a person of some header of the thread. `text`: names in the mails' own words;
`headers`: names in quoted header blocks, whose person an earlier header has shown. Half by the thread.

Rules and tables are tuned on `tune`, and only there.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations, product
from pathlib import Path
from typing import Any

from atom_backfill.graph.headers import MOST_RECIPIENTS
from atom_backfill.graph.resolve import Sightings, group_heads, resolve, worth_a_look
from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.mail.people import address_key
from bench.cerec import read_threads, score_thread

WITH_EVERYBODY = 200
"""Correspondents of one who writes with everybody: to share them says nothing."""

PARTIES = ("from", "sender", "toRecipients", "ccRecipients", "bccRecipients", "replyTo")


@dataclass
class Score:
    """Counts, and what follows from them."""

    true: int = 0
    false: int = 0
    missed: int = 0
    unlabelled: int = 0

    def figures(self) -> dict[str, float | int]:
        """Return precision, recall and the counts they are of."""
        return {
            "precision": round(self.true / max(1, self.true + self.false), 4),
            "recall": round(self.true / max(1, self.true + self.missed), 4),
            "gold": self.true + self.missed,
            "false": self.false,
            "unlabelled": self.unlabelled,
        }


@dataclass
class Seen:
    """What the headers of all mailboxes show: names by address, the mailboxes of each, and who stands side by side."""

    names: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    mailboxes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    recipients: list[frozenset[str]] = field(default_factory=list)
    correspondents: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def identities(self) -> list[Identity]:
        """Return the input of the rules."""
        return [Identity(key, names) for key, names in self.names.items()]


def main(corpus: Path, cerec: Path | None) -> dict[str, Any]:
    """Score both tasks."""
    document: dict[str, Any] = {"addresses": score_addresses(corpus)}
    if cerec is None:
        return document | {"names": "skipped: ATOM_CEREC, the folder of CEREC's seed threads, is not set"}
    return document | {"names": score_names(cerec)}


def half_of(identity: str) -> str:
    """Tell which half a mailbox or thread belongs to; fixed for ever."""
    return "tune" if int(sha256(identity.encode()).hexdigest(), 16) % 2 == 0 else "test"


def score_addresses(corpus: Path) -> dict[str, Any]:
    """Join the addresses of all mailboxes, and compare with the labelled clusters, pair by pair."""
    seen = read_headers(corpus)
    identities = seen.identities()
    found = resolve(identities, sightings=sightings(seen, worth_a_look(identities)))
    heads = group_heads(seen.names, ((merge.a, merge.b) for merge in found.merges))
    clusters = [sorted({*map(address_key, row["addresses"])} - {""}) for row in labelled(corpus)]
    scores = {"tune": Score(), "test": Score()}
    owner = {key: number for number, keys in enumerate(clusters) for key in keys}
    halves = [_half(keys, seen) for keys in clusters]
    for number, keys in enumerate(clusters):
        for a, b in combinations(keys, 2):
            same = heads.get(a) == heads.get(b) is not None
            scores[halves[number]].true += same
            scores[halves[number]].missed += not same
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key in owner.keys() & heads.keys():
        groups[heads[key]].append(key)
    sizes = Counter(heads.values())
    for head, keys in groups.items():
        for a, b in combinations(sorted(keys), 2):
            scores[halves[owner[a]]].false += owner[a] != owner[b]
        for key in keys:
            scores[halves[owner[key]]].unlabelled += sizes[head] - len(keys)
    return {half: score.figures() for half, score in scores.items()} | {
        "addresses": len(identities),
        "merges": dict(sorted(Counter(str(merge.rule) for merge in found.merges).items())),
        "suggestions": dict(sorted(Counter(str(pair.rule) for pair in found.suggestions).items())),
    }


def read_headers(corpus: Path) -> Seen:
    """Read who writes and is written to in all mailboxes."""
    seen = Seen()
    for file in sorted((corpus / "mailboxes").glob("*.jsonl.gz")):
        with gzip.open(file, "rb") as lines:
            for mail in map(json.loads, lines):
                recipients, authors = set(), set()
                for role, address, name in _parties(mail):
                    seen.names[address][name] += 1
                    seen.mailboxes[address][file.name] += 1
                    if role in ("toRecipients", "ccRecipients"):
                        recipients.add(address)
                    elif role == "from":
                        authors.add(address)
                for author, other in product(authors, recipients if len(recipients) <= MOST_RECIPIENTS else ()):
                    seen.correspondents[author].add(other)
                    seen.correspondents[other].add(author)
                seen.recipients.append(frozenset(recipients))
    return seen


def sightings(seen: Seen, asked: Sightings) -> Sightings:
    """Look up what mail shows of the pairs that are asked about."""
    met = {pair for mail in seen.recipients for pair in combinations(sorted(mail), 2) if pair in asked.side_by_side}
    with_whom = seen.correspondents
    acquainted = {
        (a, b)
        for a, b in asked.acquainted
        if sum(len(with_whom[other]) <= WITH_EVERYBODY for other in with_whom[a] & with_whom[b]) > 1
    }
    return Sightings(frozenset(met), frozenset(acquainted))


def labelled(corpus: Path) -> Iterator[dict[str, Any]]:
    """Read the labelled clusters."""
    with (corpus / "labels" / "people_aliases.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def score_names(cerec: Path) -> dict[str, Any]:
    """Resolve the name mentions of each thread."""
    scores = {kind: {"tune": Score(), "test": Score()} for kind in ("text", "headers", "all")}
    for name, thread in read_threads(cerec):
        for kind, gold, found in score_thread(thread):
            for part in (kind, "all"):
                score = scores[part][half_of(name)]
                score.true += bool(found) and found == gold
                score.false += bool(found) and found != gold
                score.missed += bool(gold) and found != gold
    return {kind: {half: score.figures() for half, score in parts.items()} for kind, parts in scores.items()}


def _half(keys: list[str], seen: Seen) -> str:
    mailboxes: Counter[str] = Counter()
    for key in keys:
        mailboxes.update(seen.mailboxes[key])
    mostly = min(mailboxes, key=lambda name: (-mailboxes[name], name), default="")
    return half_of(mostly.removesuffix(".jsonl.gz"))


def _parties(mail: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for role in PARTIES:
        written = mail.get(role) or []
        for party in written if isinstance(written, list) else [written]:
            address = party["emailAddress"]
            key = address_key(address.get("address") or "")
            if key:
                yield role, key, address.get("name") or ""


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["ATOM_CORPUS"])
    threads = os.environ.get("ATOM_CEREC")
    print(json.dumps(main(folder, Path(threads) if threads else None), indent=2))
