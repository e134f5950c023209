"""Notifications of other processes, to wake up early. They may be lost at any time, so every listener also polls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from atom_backfill.clock import Clock
from atom_backfill.db.connecting import BoundedAsyncConnection, connect
from atom_backfill.db.faults import translate
from atom_backfill.errors import AtomError

# A peer that vanished without a goodbye is noticed by asking now and then.
_PROBE_S = 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Listening:
    """From now on notifications come; what was sent before is lost, so look for yourself once."""


@dataclass(frozen=True, slots=True)
class Notified:
    """One notification."""

    channel: str
    payload: str


@dataclass(frozen=True, slots=True)
class Lost:
    """No notifications for now, for the reason of `error`; it is tried again by itself."""

    error: AtomError


Heard = Listening | Notified | Lost


async def listen(url: str, channels: Sequence[str], clock: Clock) -> AsyncIterator[Heard]:
    """Yield what happens on `channels`, for ever, on a connection of its own, until closed or cancelled.

    `url` must not lead through a pooler in transaction mode: nothing would ever arrive there.
    """
    wait = _FIRST_WAIT_S
    while True:
        try:
            connection = await connect(url)
        except AtomError as error:
            yield Lost(error)
        else:
            try:
                async for heard in _listen_on(connection, channels):
                    wait = _FIRST_WAIT_S
                    yield heard
            except psycopg.Error as error:
                yield Lost(translate(error))
            finally:
                with suppress(psycopg.Error):
                    await connection.close()
        await clock.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_S)


async def _listen_on(connection: BoundedAsyncConnection, channels: Sequence[str]) -> AsyncIterator[Heard]:
    for channel in channels:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    yield Listening()
    while True:
        async for notice in connection.notifies(timeout=_PROBE_S):
            yield Notified(notice.channel, notice.payload)
        await connection.execute("SELECT 1")
