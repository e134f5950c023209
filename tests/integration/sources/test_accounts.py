"""Accounts and their sealed sign-ins: resumed, replaced, forgotten; renewed by one worker at a time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from atom_backfill.errors import NotFoundError, RetryLaterError, UsageError
from atom_backfill.jobs.job import AccountId, TenantId
from atom_backfill.sources.accounts import OUTLOOK, Connection, find_account
from atom_backfill.sources.ports import MailboxIdentity
from atom_backfill.sources.postgres import TOKEN_CACHE, PostgresAccounts, PostgresTokenCache
from fakes.skipping_clock import SkippingClock
from lingering import Lingering
from sealing import VaultSealer
from worlds import World

SEALER = VaultSealer()


@pytest.fixture
async def tenant(world: World) -> TenantId:
    return await world.tenant()


@pytest.fixture
def accounts(world: World, tenant: TenantId) -> PostgresAccounts:
    return PostgresAccounts(world.database, tenant, SEALER)


def a_connection(address: str = "ines@lumen.example", *, identity: str = "id-1", **secrets: str) -> Connection:
    return Connection(OUTLOOK, MailboxIdentity(identity, address), {"client_id": "app-1"}, secrets)


async def connect(accounts: PostgresAccounts, connection: Connection) -> AccountId:
    return await accounts.save(AccountId(uuid4()), connection)


def a_cache(world: World, tenant: TenantId, account: AccountId) -> PostgresTokenCache:
    """The cache as another worker would have it."""
    return PostgresTokenCache(world.database, tenant, account, SEALER, SkippingClock(), uuid4)


def secrets(world: World, account: AccountId) -> list[str]:
    rows = world.rows("SELECT name FROM secrets WHERE owner_id = %(account)s ORDER BY name", account=account)
    return [row["name"] for row in rows]


async def test_the_same_mailbox_again_resumes_its_account(accounts: PostgresAccounts) -> None:
    first = await connect(accounts, a_connection(client_secret="old"))
    await accounts.forget_credentials(first)
    assert (await accounts.read(first)).status == "disconnected"
    again = await connect(accounts, a_connection("ines.h@lumen.example", client_secret="new"))
    other = await connect(accounts, a_connection(identity="id-2"))
    assert again == first
    assert [account.account_id for account in await accounts.list()] == [first, other]
    found = await accounts.read(first)
    assert (found.status, found.address) == ("connected", "ines.h@lumen.example")
    assert await accounts.secret(first, "client_secret") == "new"


async def test_every_change_of_a_connection_can_be_seen_and_nothing_else_looks_like_one(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection(client_secret="old"))
    first = await accounts.read(account)
    world.run("UPDATE accounts SET throttled_until = atom_now() WHERE id = %(account)s", account=account)
    assert await accounts.read(account) == first
    await connect(accounts, a_connection(client_secret="new"))
    assert (await accounts.read(account)).changed_at > first.changed_at


async def test_another_kind_of_sign_in_leaves_no_old_secret(world: World, accounts: PostgresAccounts) -> None:
    account = await connect(accounts, a_connection(client_secret="old", token_cache="old"))
    await connect(accounts, a_connection(token_cache="new"))
    assert await accounts.secret(account, "client_secret") is None
    assert secrets(world, account) == [TOKEN_CACHE]


async def test_secrets_are_sealed_at_rest_and_forgotten_when_disconnected(
    world: World, accounts: PostgresAccounts
) -> None:
    assert "hunter2" not in repr(a_connection(client_secret="hunter2"))
    account = await connect(accounts, a_connection(client_secret="hunter2"))
    sealed = bytes(world.value("SELECT sealed FROM secrets WHERE owner_id = %(account)s", account=account))
    assert b"hunter2" not in sealed
    await accounts.forget_credentials(account)
    assert secrets(world, account) == []


@pytest.mark.parametrize("named", ["INES@lumen.example", "whole id", "beginning of the id"])
async def test_an_account_is_found_by_address_or_id(accounts: PostgresAccounts, named: str) -> None:
    account = await connect(accounts, a_connection())
    named = {"whole id": str(account), "beginning of the id": str(account)[:9]}.get(named, named)
    assert (await find_account(accounts, f" {named} ")).account_id == account


async def test_a_name_of_no_account_or_of_several_is_refused(accounts: PostgresAccounts) -> None:
    for identity in ("id-1", "id-2"):
        await connect(accounts, a_connection(identity=identity))
    with pytest.raises(UsageError):
        await find_account(accounts, "ines@lumen.example")
    for unknown in ("", "nobody@lumen.example", "x" * 10_000, "nul\x00", "half\ud800"):
        with pytest.raises(NotFoundError):
            await find_account(accounts, unknown)
    with pytest.raises(NotFoundError):
        await accounts.read(AccountId(uuid4()))


async def test_another_tenants_account_is_not_there(world: World, accounts: PostgresAccounts) -> None:
    account = await connect(accounts, a_connection(client_secret="hunter2"))
    theirs = PostgresAccounts(world.database, world.neighbour, SEALER)
    with pytest.raises(NotFoundError):
        await theirs.read(account)
    assert await theirs.secret(account, "client_secret") is None
    await theirs.forget_credentials(account)
    assert (await accounts.read(account)).status == "connected"


async def test_one_worker_renews_and_the_next_sees_what_it_got(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection())
    one, other = (a_cache(world, tenant, account) for _ in range(2))
    order = []

    async def renew(cache: PostgresTokenCache, name: str) -> None:
        async with cache.refreshing() as cached:
            order.append((name, cached.text))
            assert await cache.store(f"{cached.text}{name}", version=cached.version)

    await asyncio.gather(renew(one, "a"), renew(other, "b"))
    assert order in ([("a", ""), ("b", "a")], [("b", ""), ("a", "b")])
    assert sorted((await one.load()).text) == ["a", "b"]


async def test_the_right_of_a_dead_worker_lapses_and_a_live_ones_is_waited_for(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection())
    dead, live = a_cache(world, tenant, account), a_cache(world, tenant, account)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(dead.refreshing())
        with pytest.raises(RetryLaterError) as busy:
            await stack.enter_async_context(live.refreshing())
        assert busy.value.code == "refresh_busy"
        world.run("UPDATE secrets SET held_until = atom_now() - interval '1 second' WHERE held_by IS NOT NULL")
        async with live.refreshing():
            await stack.aclose()
            assert world.value("SELECT count(*) FROM secrets WHERE held_until > atom_now()") == 1


async def test_whoever_is_cancelled_while_taking_the_right_leaves_it_free(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection(token_cache="x"))
    slow = Lingering(world.database, at=lambda: _held(world))
    cache = PostgresTokenCache(slow, tenant, account, SEALER, SkippingClock(), uuid4)  # type: ignore[arg-type]

    async def renew() -> None:
        async with cache.refreshing():
            raise AssertionError("it did not know yet")

    taking = asyncio.create_task(renew())
    await slow.lingers.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not _held(world)


async def test_an_older_cache_does_not_replace_a_newer_one(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection(token_cache="first"))
    cache = a_cache(world, tenant, account)
    old = await cache.load()
    await connect(accounts, a_connection(token_cache="connected again"))
    assert not await cache.store("late", version=old.version)
    assert (await cache.load()).text == "connected again"


async def test_a_renewal_under_way_brings_no_secret_back_to_a_disconnected_account(
    world: World, tenant: TenantId, accounts: PostgresAccounts
) -> None:
    account = await connect(accounts, a_connection(token_cache="x"))
    cache = a_cache(world, tenant, account)
    async with cache.refreshing() as cached:
        await accounts.forget_credentials(account)
        assert not await cache.store("late", version=cached.version)
    with pytest.raises(RetryLaterError) as gone:
        async with cache.refreshing():
            raise AssertionError("there is nothing to renew")
    assert gone.value.code == "disconnected"
    assert not await cache.store("late", version=0)
    assert secrets(world, account) == []


def _held(world: World) -> bool:
    return bool(world.value("SELECT count(*) FROM secrets WHERE held_until > atom_now()"))
