"""Tenants in a real database, as the login that row-level security binds."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from atom_backfill.access.postgres import PostgresTenants
from atom_backfill.access.tenants import LOCAL, Tenants
from atom_backfill.db.pool import Database, Operator, Work
from atom_backfill.errors import NeedsOwnerError, NotFoundError, RefusedError


@pytest.fixture
def tenants(database: Database) -> Tenants:
    return Tenants(PostgresTenants(database), new_id=uuid4)


async def test_a_tenant_is_found_by_name_in_any_case_and_by_id(tenants: Tenants) -> None:
    made = await tenants.create("Müller & Söhne")
    assert made.name == "Müller & Söhne"
    assert await tenants.resolve("MÜLLER & SÖHNE") == made
    assert await tenants.resolve(" mu\u0308ller & söhne ") == made
    assert await tenants.resolve(str(made.id)) == made
    assert await tenants.resolve(str(made.id).upper()) == made


async def test_a_name_is_taken_whatever_the_case(tenants: Tenants) -> None:
    await tenants.create("Acme")
    with pytest.raises(RefusedError, match="ACME"):
        await tenants.create("ACME")
    assert [tenant.name for tenant in await tenants.list()] == ["Acme"]


async def test_tenants_are_listed_oldest_first(tenants: Tenants) -> None:
    for name in ("zebra", "ant", "moth"):
        await tenants.create(name)
    assert [tenant.name for tenant in await tenants.list()] == ["zebra", "ant", "moth"]


@pytest.mark.parametrize(
    "unknown", ["nobody", "", "%", "nul\x00", "half\ud800", str(UUID(int=9)), "x" * 10_000, "'; DROP TABLE tenants; --"]
)
async def test_an_unknown_tenant_is_not_found(tenants: Tenants, unknown: str) -> None:
    await tenants.create("known")
    with pytest.raises(NotFoundError):
        await tenants.resolve(unknown)


async def test_the_local_tenant_is_made_once_even_by_many_at_once(tenants: Tenants) -> None:
    made = await asyncio.gather(*(tenants.ensure() for _ in range(8)))
    assert len({tenant.id for tenant in made}) == 1
    assert [tenant.name for tenant in await tenants.list()] == [LOCAL]


async def test_a_tenant_sees_itself_alone_and_may_not_make_others(tenants: Tenants, database: Database) -> None:
    mine, _ = await tenants.create("mine"), await tenants.create("theirs")
    async with database.transaction(Work(mine.id)) as transaction:
        assert await transaction.fetch_all("SELECT name FROM tenants") == [{"name": "mine"}]
    with pytest.raises(NeedsOwnerError):
        async with database.transaction(Work(mine.id)) as transaction:
            await transaction.execute("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'more')")
    async with database.transaction(Operator()) as transaction:
        assert await transaction.fetch_value("SELECT count(*) FROM tenants") == 2
