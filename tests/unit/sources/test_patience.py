"""A person waits for what a worker would try again later, for a while and never for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from atom_backfill.errors import AtomError, NotFoundError, RetryLaterError, ThrottledError
from atom_backfill.sources.patience import ATTEMPTS, LONGEST_WAIT_S, PatientSource
from atom_backfill.sources.ports import MailboxIdentity
from fakes.skipping_clock import SkippingClock

ME = MailboxIdentity("id-1", "ines@lumen.example")


@dataclass
class _Moody:
    """Only `identify` is asked: it fails with these errors, then answers."""

    errors: list[AtomError] = field(default_factory=list)

    async def identify(self) -> MailboxIdentity:
        if self.errors:
            raise self.errors.pop(0)
        return ME


def patient(*errors: AtomError) -> tuple[PatientSource, SkippingClock, list[tuple[float, str]]]:
    clock, told = SkippingClock(), []
    source = PatientSource(_Moody(list(errors)), clock, lambda seconds, why: told.append((seconds, why)))  # type: ignore[arg-type]
    return source, clock, told


def later(after: float | None = None, *, progress: bool = False) -> RetryLaterError:
    return RetryLaterError("unavailable", "Not available just now.", after=after, progress=progress)


async def test_what_may_pass_is_tried_again_after_the_time_asked_for() -> None:
    source, clock, told = patient(later(), ThrottledError("throttled", "Asked to wait.", after=30.0))
    assert await source.identify() == ME
    assert clock.slept == [2.0, 30.0]
    assert told == [(2.0, "Not available just now."), (30.0, "Asked to wait.")]


async def test_patience_ends_after_some_failures() -> None:
    source, clock, _ = patient(*(later() for _ in range(ATTEMPTS)))
    with pytest.raises(RetryLaterError):
        await source.identify()
    assert len(clock.slept) == ATTEMPTS - 1


async def test_progress_is_no_failure_and_is_not_talked_about() -> None:
    source, _, told = patient(*(later(0.0, progress=True) for _ in range(ATTEMPTS * 10)))
    assert await source.identify() == ME
    assert told == []


async def test_nobody_waits_for_long() -> None:
    source, clock, _ = patient(ThrottledError("throttled", "Asked to wait.", after=LONGEST_WAIT_S + 1))
    with pytest.raises(ThrottledError):
        await source.identify()
    assert clock.slept == []


async def test_what_will_not_pass_is_raised_at_once() -> None:
    source, clock, _ = patient(NotFoundError("gone", "Gone."))
    with pytest.raises(NotFoundError):
        await source.identify()
    assert clock.slept == []
