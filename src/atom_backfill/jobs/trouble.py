"""Trouble that goes on, said once: when it begins, when it becomes another, and when it is over."""

from __future__ import annotations

from typing import Any

import structlog

from atom_backfill.errors import AtomError, NeedsOwnerError


class Trouble:
    """What keeps something from working; `event` names it in the log. `failures` counts those in a row."""

    def __init__(self, event: str, **about: Any) -> None:
        self._event = event
        self._about = about
        self._code: str | None = None
        self._log = structlog.get_logger()
        self.failures = 0

    def met(self, error: AtomError) -> None:
        """Take note of a failure."""
        self.failures += 1
        if error.code != self._code:
            self._code = error.code
            # Somebody has to act; anything else may pass by itself.
            say = self._log.error if isinstance(error, NeedsOwnerError) else self._log.warning
            say(self._event, error_code=error.code, error=error.message, **self._about)

    def over(self) -> None:
        """Take note that it works."""
        if self._code is not None:
            self._log.info("works again", after=self._event, failures=self.failures, **self._about)
        self._code, self.failures = None, 0
