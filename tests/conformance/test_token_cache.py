"""What every TokenCache promises: the sealed one, and that of a process which has no account yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from atom_backfill.clock import SystemClock
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.accounts import OUTLOOK, Connection
from atom_backfill.sources.outlook.auth import MemoryTokenCache
from atom_backfill.sources.ports import MailboxIdentity, TokenCache
from atom_backfill.sources.postgres import TOKEN_CACHE, PostgresAccounts, PostgresTokenCache
from sealing import VaultSealer
from worlds import World

Maker = Callable[[], TokenCache]
FIRST = "of the sign-in"


@pytest.fixture(params=["memory", "postgres"])
async def make(request: pytest.FixtureRequest, world: World) -> Maker:
    """Makes the cache of one account, which holds what its sign-in brought; each time as another worker has it."""
    if request.param == "memory":
        cache = MemoryTokenCache(FIRST)
        return lambda: cache
    tenant, sealer = await world.tenant(), VaultSealer()
    identity = MailboxIdentity("id-1", "ines@lumen.example")
    connection = Connection(OUTLOOK, identity, {"client_id": "app-1"}, {TOKEN_CACHE: FIRST})
    account = await PostgresAccounts(world.database, tenant, sealer).save(AccountId(uuid4()), connection)
    return lambda: PostgresTokenCache(world.database, tenant, account, sealer, SystemClock(), uuid4)


async def test_what_is_stored_is_what_the_next_one_reads(make: Maker) -> None:
    before = await make().load()
    assert (before.text, before.version > 0) == (FIRST, True)
    async with make().refreshing() as cached:
        assert cached == before
        assert await make().store("newer", version=cached.version)
    after = await make().load()
    assert after.text == "newer"
    assert after.version > before.version


async def test_an_older_version_replaces_nothing(make: Maker) -> None:
    old = await make().load()
    assert await make().store("newer", version=old.version)
    assert not await make().store("late", version=old.version)
    assert (await make().load()).text == "newer"


async def test_one_renews_at_a_time_and_the_next_begins_with_what_the_one_before_stored(make: Maker) -> None:
    seen: list[str] = []

    async def renew(name: str) -> None:
        cache = make()
        async with cache.refreshing() as cached:
            seen.append(cached.text)
            await asyncio.sleep(0)
            assert await cache.store(f"{cached.text}, {name}", version=cached.version)

    async with asyncio.timeout(20):
        await asyncio.gather(*(renew(f"{number}") for number in range(4)))
    assert sorted(map(len, seen)) == [len(FIRST) + 3 * done for done in range(4)]
    assert len((await make().load()).text.split(", ")) == 5


async def test_a_renewal_that_fails_gives_the_right_back(make: Maker) -> None:
    with pytest.raises(ZeroDivisionError):
        async with make().refreshing():
            raise ZeroDivisionError
    async with asyncio.timeout(20), make().refreshing() as cached:
        assert cached.text == FIRST


async def test_no_secret_is_shown_where_a_cache_is_printed(make: Maker) -> None:
    assert FIRST not in repr(await make().load())
