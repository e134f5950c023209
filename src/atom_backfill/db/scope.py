"""Who acts in a transaction, and for which tenant: the statement that opens one, in one round trip.

All of it holds for the transaction alone, so nothing leaks to the next user of a connection, not even through a pooler.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Engine:
    """Claims and settles work of all tenants; sees nothing of their mail."""


@dataclass(frozen=True, slots=True)
class Work:
    """Everything of one tenant, nothing of another."""

    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class Operator:
    """Reads all tenants but bodies and secrets; writes nothing."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The login of the URL itself: migrations and administration."""


Scope = Engine | Work | Operator | Owner

ENGINE_ROLE, WORK_ROLE, OPERATOR_ROLE = "atom_engine", "atom_work", "atom_operator"
_ROLES = {Engine: ENGINE_ROLE, Work: WORK_ROLE, Operator: OPERATOR_ROLE, Owner: "none"}
# An idle transaction holds locks. Shorter than a lease, so that a process which was stopped inside one holds up nobody
# once its chunks can be claimed by others.
IDLE_LIMIT_S = 15.0

_OPENING = sql.SQL(
    "BEGIN; SELECT set_config('role', {role}, true), set_config('atom.tenant', {tenant}, true),"
    " set_config('TimeZone', 'UTC', true), set_config('statement_timeout', {statement_ms}, true),"
    " set_config('idle_in_transaction_session_timeout', {idle_ms}, true)"
)


def opening(scope: Scope, statement_timeout_s: float, idle_s: float = IDLE_LIMIT_S) -> sql.Composed:
    """Return the statement that begins a transaction of `scope`."""
    return _OPENING.format(
        role=sql.Literal(_ROLES[type(scope)]),
        tenant=sql.Literal(str(scope.tenant_id) if isinstance(scope, Work) else ""),
        statement_ms=sql.Literal(str(int(statement_timeout_s * 1000))),
        idle_ms=sql.Literal(str(int(idle_s * 1000))),
    )
