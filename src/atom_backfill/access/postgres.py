"""Tenants in PostgreSQL, as the engine: they belong to no tenant. And one tenant's keys, sealed, as the work role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from atom_backfill.access.keys import KeyStatus, ModelKey
from atom_backfill.access.tenants import Tenant
from atom_backfill.access.vault import Binding, Vault
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Engine, Transaction, Work
from atom_backfill.jobs.job import GRAPH_KEY
from atom_backfill.llm.form import Form

Changed = Callable[[Transaction, UUID], Awaitable[None]]

_QUERIES = load_queries("atom_backfill.access")


class PostgresTenants:
    """The TenantStore of the product."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant: Tenant) -> bool:
        """Store a tenant; False when its name is taken, whatever the case."""
        async with self._database.transaction(Engine()) as transaction:
            return await transaction.execute(_QUERIES["add_tenant"], {"id": tenant.id, "name": tenant.name}) == 1

    async def list(self) -> Sequence[Tenant]:
        """Return all tenants, the oldest first."""
        async with self._database.transaction(Engine()) as transaction:
            return await transaction.fetch_all(_QUERIES["list_tenants"], row=Tenant)

    async def find(self, tenant_id: UUID) -> Tenant | None:
        """Return the tenant of an id."""
        async with self._database.transaction(Engine()) as transaction:
            return await transaction.fetch_one(_QUERIES["find_tenant"], {"id": tenant_id}, row=Tenant)

    async def find_named(self, name: str) -> Tenant | None:
        """Return the tenant of a name, whatever the case."""
        async with self._database.transaction(Engine()) as transaction:
            return await transaction.fetch_one(_QUERIES["find_tenant_named"], {"name": name}, row=Tenant)


class PostgresKeys:
    """The KeyStore of one tenant. `vault`: looked at only where there is something to seal or to open.

    `changed` is told, inside the transaction, that the graph lane's key is another, or is known to be better or worse.
    """

    def __init__(self, database: Database, tenant: UUID, vault: Callable[[], Vault], changed: Changed) -> None:
        self._database = database
        self._tenant = tenant
        self._vault = vault
        self._changed = changed

    async def list(self) -> Sequence[ModelKey]:
        """Return all, by name."""
        async with self._database.transaction(Work(self._tenant)) as transaction:
            rows = await transaction.fetch_all(_QUERIES["list_keys"], {"tenant": self._tenant})
        return [_key(row) for row in rows]

    async def find(self, name: str) -> tuple[ModelKey, str] | None:
        """Return a key with its value. Raises what `Vault.open` raises."""
        async with self._database.transaction(Work(self._tenant)) as transaction:
            row = await transaction.fetch_one(_QUERIES["find_key"], {"tenant": self._tenant, "name": name})
        return None if row is None else (_key(row), self._vault().open(self._place(name), row["sealed"]).decode())

    async def save(self, name: str, value: str, base_url: str, model: str) -> ModelKey:
        """Store a value, replacing one of that name; the key is untested again."""
        keys = {"tenant": self._tenant, "name": name}
        sealed = self._vault().seal(self._place(name), value.encode())
        async with self._database.transaction(Work(self._tenant)) as transaction:
            row = await transaction.fetch_one(_QUERIES["save_key"], keys | {"base_url": base_url, "model": model})
            await transaction.execute(_QUERIES["save_key_value"], keys | {"sealed": sealed})
            await self._tell(transaction, name)
        assert row is not None
        return _key(row)

    async def note(self, key: ModelKey, status: KeyStatus, form: Form | None) -> None:
        """Store what is known now, unless the key has been set anew meanwhile."""
        known = {"name": key.name, "version": key.version, "status": status, "form": form}
        async with self._database.transaction(Work(self._tenant)) as transaction:
            await transaction.execute(_QUERIES["note_key"], {"tenant": self._tenant, **known})
            await self._tell(transaction, key.name)

    async def delete(self, name: str) -> bool:
        """Erase a key; False when there is none."""
        async with self._database.transaction(Work(self._tenant)) as transaction:
            deleted = await transaction.execute(_QUERIES["delete_key"], {"tenant": self._tenant, "name": name}) == 1
            await self._tell(transaction, name)
        return deleted

    async def _tell(self, transaction: Transaction, name: str) -> None:
        if name == GRAPH_KEY:
            await self._changed(transaction, self._tenant)

    def _place(self, name: str) -> Binding:
        return Binding(self._tenant, "secrets", f"{self._tenant}/{name}", "sealed")


def _key(row: Mapping[str, Any]) -> ModelKey:
    return ModelKey(
        name=row["name"],
        base_url=row["base_url"],
        model=row["model"],
        status=KeyStatus(row["status"]),
        form=row["form"] and Form(row["form"]),
        version=row["version"],
        tested_at=row["tested_at"],
        updated_at=row["updated_at"],
    )
