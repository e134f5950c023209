"""Tenants in PostgreSQL, as the engine: they belong to no tenant."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from atom_backfill.access.tenants import Tenant
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Engine

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
