"""Long work that is asked now and then whether it may go on."""

from __future__ import annotations

import asyncio

import pytest

from atom_backfill.memory import still
from atom_backfill.memory.still import while_allowed


class RefusedHereError(Exception):
    pass


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "STILL_EVERY_S", 0.001)


class Work:
    """Goes on until it is let end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.left = False

    async def __call__(self) -> str:
        try:
            await self.end.wait()
        finally:
            self.left = True
        return "done"


async def test_it_is_asked_until_the_work_is_done() -> None:
    work, asked = Work(), 0

    async def allowed() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            work.end.set()

    assert await while_allowed(work(), allowed) == "done"
    assert asked >= 3


async def test_work_that_may_not_go_on_is_ended_and_not_left_behind() -> None:
    work = Work()

    async def refused() -> None:
        raise RefusedHereError

    with pytest.raises(RefusedHereError):
        await while_allowed(work(), refused)
    assert work.left


async def test_work_ends_with_whoever_waits_for_it() -> None:
    work, asked = Work(), asyncio.Event()

    async def allowed() -> None:
        asked.set()

    waiting = asyncio.create_task(while_allowed(work(), allowed))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.left
