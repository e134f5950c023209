"""Finds the mail that a text is the new text of, among mails whose facts are known."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ..facts import Stated

_RUN = 5
_SHARE = 0.5


class Known:
    """Mails by runs of five words. A text is a mail's when half of its runs are."""

    def __init__(self, stated: Sequence[Stated]) -> None:
        self._stated = tuple(stated)
        self._where: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, mail in enumerate(self._stated):
            for run in _runs(mail.text):
                self._where[run].append(place)

    def find(self, text: str, sender: str) -> Stated | None:
        """The mail with the most runs of a text; of several the sender's."""
        runs = _runs(text)
        shared = Counter(place for run in runs for place in self._where.get(run, ()))
        if not shared:
            return None
        most = max(shared.values())
        if most < _SHARE * len(runs):
            return None
        best = [place for place, count in shared.items() if count == most]
        own = [place for place in best if self._stated[place].people[:1] == (sender,)]
        return self._stated[min(own or best)]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))} if words else set()
