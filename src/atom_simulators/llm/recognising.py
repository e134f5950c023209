"""Finds the mails that a text is the new text of, among mails whose facts are known."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ..facts import Stated

_RUN = 5
_SHARE = 0.5


class Known:
    """Mails by runs of five words."""

    def __init__(self, stated: Sequence[Stated]) -> None:
        self._stated = tuple(stated)
        self._size: list[int] = []
        self._where: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, mail in enumerate(self._stated):
            runs = _runs(mail.text)
            self._size.append(len(runs))
            for run in runs:
                self._where[run].append(place)

    def find(self, text: str) -> list[Stated]:
        """Mails that share half of their runs, or of the text's: a part is known, and each of several in one text.

        So is a mail under whose words a greeting was left, and one that passes another on.
        """
        runs = _runs(text)
        shared = Counter(place for run in runs for place in self._where.get(run, ()))
        fewest = {place: min(len(runs), self._size[place]) for place in shared}
        return [self._stated[place] for place in sorted(shared) if shared[place] >= _SHARE * fewest[place]]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))} if words else set()
