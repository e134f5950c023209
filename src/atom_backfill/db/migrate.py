"""The schema's versions: `migrations/NNNN_{pre|post}_what.sql`, forward only.

`pre` may run while the old code is still at work, `post` only once it is gone. Each file is a transaction of its own,
under an advisory lock that ends with it: connection poolers in transaction mode work, and several processes may apply
at once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from atom_backfill.db.pool import Database
from atom_backfill.db.roles import make_roles, roles_ready
from atom_backfill.db.scope import Owner
from atom_backfill.db.transaction import Transaction
from atom_backfill.errors import BugError, NeedsOwnerError

_NAME = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
_LOCK_KEY = 0x61746F6D  # "atom"
_LIMIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its text."""

    number: int
    name: str
    text: str
    checksum: str


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Names of migrations, in order."""

    applied: list[str]
    pending: list[str]


class Migrator:
    """Brings one database's schema up to the code."""

    def __init__(self, database: Database, folder: Traversable | None = None) -> None:
        self._database = database
        self._migrations = load_migrations(folder or files("atom_backfill.db").joinpath("migrations"))

    async def status(self) -> SchemaStatus:
        """Say what is applied and what is not. Raises NeedsOwnerError as `apply` does."""
        async with self._database.transaction(Owner()) as transaction:
            return await self._status(transaction)

    async def ensure_current(self) -> list[str]:
        """Apply what is missing; two small queries when nothing is. Returns the names applied."""
        async with self._database.transaction(Owner()) as transaction:
            if not (await self._status(transaction)).pending and await roles_ready(transaction):
                return []
        return await self.apply()

    async def apply(self) -> list[str]:
        """Make the roles and apply what is missing; return the names applied by this process.

        Raises NeedsOwnerError `schema_newer`, `schema_changed`, `database_roles_missing`, `database_privilege`.
        """
        await make_roles(self._database)
        done: list[str] = []
        while name := await self._apply_next():
            done.append(name)
        return done

    async def _apply_next(self) -> str | None:
        async with self._database.transaction(Owner(), statement_timeout_s=_LIMIT_S) as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": _LOCK_KEY})
            await transaction.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            pending = (await self._status(transaction)).pending
            if not pending:
                return None
            migration = next(each for each in self._migrations if each.name == pending[0])
            await transaction.execute(migration.text)
            await transaction.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES (%(number)s, %(name)s, %(checksum)s)",
                {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
            )
            return migration.name

    async def _status(self, transaction: Transaction) -> SchemaStatus:
        applied = {}
        if await transaction.fetch_value("SELECT to_regclass('schema_migrations')"):
            rows = await transaction.fetch_all("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
            applied = {row["number"]: row for row in rows}
        known = {each.number: each for each in self._migrations}
        for number, row in applied.items():
            if number not in known:
                raise NeedsOwnerError(
                    "schema_newer",
                    "The database was made by a newer atom-backfill than this one: update atom-backfill.",
                    detail=row["name"],
                )
            if row["checksum"] != known[number].checksum:
                raise NeedsOwnerError(
                    "schema_changed",
                    f"The database was made by another edition of atom-backfill: its {row['name']} differs. "
                    "Install the edition that made it, or begin with another database.",
                )
        return SchemaStatus(
            applied=[known[number].name for number in applied],
            pending=[each.name for each in self._migrations if each.number not in applied],
        )


def load_migrations(folder: Traversable) -> list[Migration]:
    """Read a folder's migrations, in order. Raises BugError on a wrong name or a number used twice."""
    migrations: dict[int, Migration] = {}
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if not entry.name.endswith(".sql"):
            continue
        match = _NAME.match(entry.name)
        if not match or int(match[1]) in migrations:
            raise BugError("migration_misnamed", f"{entry.name} is no NNNN_pre_what.sql, or its number is used twice.")
        text = entry.read_text(encoding="utf-8").replace("\r\n", "\n")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        migrations[int(match[1])] = Migration(int(match[1]), entry.name.removesuffix(".sql"), text, checksum)
    return list(migrations.values())
