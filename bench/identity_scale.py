"""How long it takes to tell who is who among many addresses, and what memory it needs.

An invented population: names of syllables, some shared by many, some with two or three addresses, half of the
organisations of a few people and some of thousands. CPU seconds, so that a busy machine does not count. `precision` is
of the merges: people of one name who are two are rare in this world, and must not be joined for it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import count, product
from random import Random
from typing import Any

from atom_backfill.graph.resolve import resolve
from atom_backfill.graph.resolve_bearers import Identity

SIZES = (10_000, 100_000)


def main() -> dict[str, Any]:
    """Resolve populations of growing size."""
    document: dict[str, Any] = {}
    for size in SIZES:
        identities, person = population(size)
        before = time.process_time()
        found = resolve(identities)
        seconds = time.process_time() - before
        document[f"{size}"] = {
            "cpu_s": round(seconds, 2),
            "us_an_address": round(seconds / size * 1e6),
            "merges": len(found.merges),
            "precision": round(sum(person[m.a] == person[m.b] for m in found.merges) / len(found.merges), 4),
            "suggestions": len(found.suggestions),
        }
    small, large = (document[f"{size}"]["us_an_address"] for size in SIZES)
    document["growth"] = round(large / small, 2)
    document["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return document


def population(size: int) -> tuple[list[Identity], dict[str, int]]:
    """Invent `size` addresses, the same for the same size, and number the person of each."""
    random = Random(size)
    given, surnames = _syllables(2), _syllables(3)
    random.shuffle(given)
    random.shuffle(surnames)
    found: dict[str, Identity] = {}
    person: dict[str, int] = {}
    for number in count():
        if len(found) >= size:
            break
        # Squares make few names and organisations common, and most rare.
        first = given[int(len(given) * random.random() ** 2)]
        last = surnames[int(len(surnames) * random.random() ** 2)]
        for address in _addresses(random, first, last, size):
            person.setdefault(address, number)
            names = {f"{first.title()} {last.title()}": 1 + int(5 * random.random())} if random.random() < 0.8 else {}
            found.setdefault(address, Identity(address, names))
    return list(found.values())[:size], person


def _addresses(random: Random, first: str, last: str, size: int) -> Iterator[str]:
    organization = f"org{int(size / 20 * random.random() ** 3)}-example.com"
    yield f"{first}.{last}@{organization}"
    if random.random() < 0.3:
        yield f"{first[0]}{last}@{organization}"
    if random.random() < 0.2:
        yield f"{first}{last}{int(99 * random.random())}@gmail.com"


def _syllables(length: int) -> list[str]:
    parts = [consonant + vowel for consonant, vowel in product("bdfgklmnprstv", "aeiou")]
    random = Random(length)
    return sorted({"".join(random.choice(parts) for _ in range(length)) for _ in range(3000 * length)})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(), indent=2) + "\n")
