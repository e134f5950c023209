"""Row-level security really binds the stores' login."""

from __future__ import annotations

import pytest

from atom_backfill.db.pool import Database
from databases import FreshDatabase, refuse_without_row_security


async def test_a_store_test_connected_as_superuser_fails(fresh_database: FreshDatabase) -> None:
    async with await Database.open(fresh_database.superuser_url) as database:
        with pytest.raises(AssertionError, match="row-level security binds"):
            await refuse_without_row_security(database)


async def test_the_store_login_is_bound_by_row_security(database: Database) -> None:
    await refuse_without_row_security(database)
