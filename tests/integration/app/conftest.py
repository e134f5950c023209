"""The product put together as the commands do it, on a test's own database and in front of the Graph simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from atom_backfill.app.core import App, open_app
from atom_backfill.app.outside import Outside
from atom_backfill.settings import load_settings
from databases import FreshDatabase
from fakes.embedder import HashEmbedder

Opened = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture
def opened(fresh_database: FreshDatabase, tmp_path: Path) -> Opened:
    """Open the product as one more process would: `async with opened(ATOM_LOG="text") as app`."""

    @asynccontextmanager
    async def another(**environment: str) -> AsyncIterator[App]:
        about = {"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": fresh_database.owner_url} | environment
        settings, _ = load_settings(about, tmp_path)
        async with open_app(settings, Outside(embedder=HashEmbedder())) as app:
            yield app

    return another
