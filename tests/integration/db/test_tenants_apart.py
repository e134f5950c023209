"""Tenants are kept apart by the database itself, in every table, for every role."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from atom_backfill.db.pool import Engine, Operator, Owner, Scope, Transaction, Work
from atom_backfill.errors import AtomError, NeedsOwnerError
from worlds import World

OF_NO_TENANT = {"tenants", "duties", "request_permits", "schema_migrations"}
ENGINES = {
    "tenants",
    "accounts",
    "historical_sync_jobs",
    "job_turns",
    "sync_chunks",
    "duties",
    "request_permits",
    "graph_lanes",
}
HIDDEN_FROM_OPERATORS = {"message_bodies", "secrets", "graph_answers"}


def all_tables(world: World) -> list[str]:
    rows = world.rows("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [row["name"] for row in rows]


def stored_columns(world: World, table: str) -> list[str]:
    """Return a table's columns but those that the database makes of others."""
    rows = world.rows(
        "SELECT attname::text AS name FROM pg_attribute WHERE attrelid = %(t)s::regclass AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = ''",
        t=table,
    )
    return [row["name"] for row in rows]


async def outcome(world: World, scope: Scope, statement: str, **values: Any) -> list[dict[str, Any]] | str:
    """Run a statement in a transaction that is undone; return its rows, or the code of its refusal."""

    class UndoneError(Exception):
        pass

    found: list[dict[str, Any]] = []

    async def attempt(tx: Transaction) -> None:
        found.extend(await tx.fetch_all(statement, values))  # type: ignore[arg-type]
        raise UndoneError

    try:
        with suppress(UndoneError):
            async with world.database.transaction(scope) as tx:
                await attempt(tx)
    except AtomError as error:
        return error.code
    return found


def test_every_table_of_a_tenant_is_forced_and_keyed_by_it(world: World) -> None:
    tables = world.tenant_tables()
    assert len(tables) >= 14
    assert set(all_tables(world)) == {*tables, *OF_NO_TENANT}, "a table without tenant_id holds nobody's rows"
    for table in tables:
        row = world.one(
            "SELECT relrowsecurity AND relforcerowsecurity AS forced, relispartition AS part FROM pg_class"
            " WHERE oid = %(t)s::regclass",
            t=table,
        )
        assert row == {"forced": True, "part": False}, table
        key = world.rows(
            "SELECT attname::text AS name FROM pg_index, pg_attribute WHERE indrelid = %(t)s::regclass AND indisprimary"
            " AND attrelid = indrelid AND attnum = ANY(indkey) ORDER BY array_position(indkey::int2[], attnum)",
            t=table,
        )
        assert key[0]["name"] == "tenant_id", table


async def test_a_tenant_can_neither_see_nor_change_another_ones_rows(world: World) -> None:
    mine = Work(await world.tenant())
    for table in world.tenant_tables():
        for statement in (
            f"SELECT 1 FROM {table}",
            f"UPDATE {table} SET tenant_id = tenant_id RETURNING 1",
            f"DELETE FROM {table} RETURNING 1",
        ):
            assert await outcome(world, mine, statement) == [], statement


async def test_a_tenant_can_neither_plant_rows_with_another_nor_give_its_own_away(world: World) -> None:
    """A whole row of the neighbour's, brought back under the neighbour's name, then under its own and given away."""
    tenant = await world.tenant()
    for table in world.tenant_tables():
        row = world.rows(
            f"SELECT to_jsonb(t) AS row FROM {table} t WHERE tenant_id = %(n)s",  # type: ignore[arg-type]
            n=world.neighbour,
        )[0]["row"]
        columns = ", ".join(stored_columns(world, table))
        record = f"jsonb_populate_record(NULL::{table}, %(row)s)"
        plant = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {record} RETURNING 1"
        planted = await outcome(world, Work(tenant), plant, row=row)
        assert planted == "database_privilege", table


async def test_a_transaction_without_a_tenant_sees_nothing(world: World) -> None:
    for table in world.tenant_tables():
        assert await outcome(world, Work(uuid4()), f"SELECT 1 FROM {table}") == []
        assert await outcome(world, Owner(), f"SELECT 1 FROM {table}") == "database_privilege"


async def test_the_engine_sees_work_and_nothing_of_anybodys_mail(world: World) -> None:
    for table in all_tables(world):
        seen = await outcome(world, Engine(), f"SELECT 1 FROM {table}")
        if table in ENGINES:
            assert isinstance(seen, list), table
        else:
            assert seen == "database_privilege", table
    for table in set(all_tables(world)) - {"duties", "request_permits", "job_turns"}:
        assert await outcome(world, Engine(), f"DELETE FROM {table} RETURNING 1") == "database_privilege", table


async def test_the_operator_reads_everybodys_rows_but_bodies_and_secrets(world: World) -> None:
    for table in all_tables(world):
        columns = "tenant_id, id, address, status" if table == "accounts" else "*"
        seen = await outcome(world, Operator(), f"SELECT {columns} FROM {table}")
        if table in HIDDEN_FROM_OPERATORS or table == "schema_migrations":
            assert seen == "database_privilege", table
        elif table not in ("duties", "request_permits"):
            assert seen, table
    assert await outcome(world, Operator(), "SELECT config FROM accounts") == "database_privilege"


async def test_the_operator_writes_nothing(world: World) -> None:
    for table in all_tables(world):
        for statement in (
            f"INSERT INTO {table} DEFAULT VALUES RETURNING 1",
            f"DELETE FROM {table} RETURNING 1",
        ):
            assert await outcome(world, Operator(), statement) == "database_privilege", statement
    with pytest.raises(NeedsOwnerError):
        async with world.database.transaction(Operator()) as tx:
            await tx.execute("UPDATE historical_sync_jobs SET status = 'completed'")


async def test_operators_statements_work_as_they_stand(world: World) -> None:
    lease = await world.lease()
    async with world.database.transaction(Operator()) as tx:
        jobs = await tx.fetch_all(
            "SELECT id, status, records_processed, entities_extracted, relationships_extracted, created_at,"
            " completed_at FROM historical_sync_jobs WHERE created_at > NOW() - INTERVAL '1 hour'"
            " ORDER BY created_at DESC LIMIT 5"
        )
        assert jobs[0]["id"] == lease.job_id
        nodes = await tx.fetch_value(
            "SELECT COUNT(*) FROM graph_nodes WHERE tenant_id = '31c06fc4-db22-4740-83ea-48ac14f25810'"
            " AND created_at > NOW() - INTERVAL '1 hour'"
        )
        assert nodes == 0
