"""What one piece of everyday mail is drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from .banks import fill, pieces, sections
from .cast import Cast, Person


@dataclass(frozen=True, slots=True)
class Lot:
    """`ordinal` counts the pieces of one kind, so that a bank is gone through before it repeats."""

    rng: Random
    key: str
    when: datetime
    cast: Cast
    ordinal: int

    def colleagues(self) -> Sequence[Person]:
        """Who works with the owner on that day."""
        return self.cast.colleagues(self.when.date())

    def piece(self, bank: str) -> str:
        """The bank's piece for this ordinal; neighbours in time get pieces far apart."""
        return self.deal(pieces(bank))

    def aside(self, choices: Sequence[str], text: str) -> str:
        """The text, from the second time through `choices` on with news added, so that it is no near-duplicate."""
        if self.ordinal < len(choices):
            return text
        happened = sections("weekly")["happened"]
        count = 1 + len(text) // 160
        return "\n\n".join((text, *(fill(line, self.rng) for line in self.rng.sample(happened, count))))

    def deal(self, choices: Sequence[str]) -> str:
        """One of `choices`, each once in as many ordinals as there are choices."""
        stride = next(s for s in (37, 41, 43, 47) if len(choices) % s)
        return choices[self.ordinal * stride % len(choices)]
