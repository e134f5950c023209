"""Tenants: whose mail it is. Names are unique without regard to case."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from atom_backfill.errors import NotFoundError, RefusedError, UsageError

LOCAL = "local"
_NAME_LIMIT = 64
# Control, format (invisible, or reversing what follows), surrogate, private and unassigned characters, line separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Tenant:
    """One owner of mailboxes and of everything made from them."""

    id: UUID
    name: str


class TenantStore(Protocol):
    """The record of tenants."""

    async def add(self, tenant: Tenant) -> bool:
        """Store a tenant; False when its name is taken, whatever the case."""
        ...

    async def list(self) -> Sequence[Tenant]:
        """Return all tenants, the oldest first."""
        ...

    async def find(self, tenant_id: UUID) -> Tenant | None:
        """Return the tenant of an id."""
        ...

    async def find_named(self, name: str) -> Tenant | None:
        """Return the tenant of a name, whatever the case."""
        ...


class Tenants:
    """What can be done with tenants. `new_id` makes their ids."""

    def __init__(self, store: TenantStore, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._new_id = new_id

    async def create(self, name: str) -> Tenant:
        """Make a tenant. Raises UsageError for an unfit name, RefusedError `tenant_exists`."""
        tenant = Tenant(self._new_id(), checked_name(name))
        if not await self._store.add(tenant):
            raise RefusedError("tenant_exists", f"There is a tenant named {tenant.name} already.")
        return tenant

    async def ensure(self, name: str = LOCAL) -> Tenant:
        """Return the tenant of that name, made if it is not there; safe to repeat and at once."""
        tenant = Tenant(self._new_id(), checked_name(name))
        if await self._store.add(tenant):
            return tenant
        return await self.resolve(name)

    async def list(self) -> Sequence[Tenant]:
        """Return all tenants, the oldest first."""
        return await self._store.list()

    async def resolve(self, name_or_id: str) -> Tenant:
        """Return the tenant that a person names. Raises NotFoundError `tenant_unknown`."""
        tenant_id = _as_uuid(name_or_id)
        found = await (self._store.find(tenant_id) if tenant_id else self._find_named(name_or_id))
        if found is None:
            raise NotFoundError(
                "tenant_unknown", "There is no such tenant: atom-backfill tenant list shows those there are."
            )
        return found

    async def _find_named(self, name: str) -> Tenant | None:
        try:
            return await self._store.find_named(checked_name(name))
        except UsageError:  # what cannot be a name is nobody's
            return None


def checked_name(name: str) -> str:
    """Return a name as it is stored, trimmed and in normal form C. Raises UsageError `tenant_name`."""
    normal = _normal(name)
    if not 1 <= len(normal) <= _NAME_LIMIT:
        raise UsageError("tenant_name", f"A tenant's name has 1 to {_NAME_LIMIT} characters.")
    if any(unicodedata.category(character) in _UNSEEN for character in normal):
        raise UsageError("tenant_name", "A tenant's name has no control or invisible characters.")
    if _as_uuid(normal):
        raise UsageError("tenant_name", "A tenant's name must not look like an id.")
    return normal


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
