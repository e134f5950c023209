"""A mailbox that was read once, and for each test a copy of it to rebuild."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atom_backfill.custody import rebuild as rebuilding
from copies import Copy, Original, an_original
from databases import TestServer
from fakes.embedder import HashEmbedder
from mainjob import Office, write_mails
from rebuilds import READ, Keeping
from worlds import World


@pytest.fixture(scope="module")
def original(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    place = tmp_path_factory.mktemp("read")
    write_mails(place / "mail", READ)
    with an_original(postgres, place) as original:
        yield original


@pytest.fixture
def world(copy: Copy) -> World:
    """The database of `office`."""
    return copy.world


@pytest.fixture
def office(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A mailbox that was read; a rebuild of it takes several batches."""
    monkeypatch.setattr(rebuilding, "AT_ONCE", 6)
    monkeypatch.setattr(rebuilding, "OWED_A_PAGE", 7)
    return copy.office


@pytest.fixture
def keeping(office: Office) -> Keeping:
    return Keeping(office, HashEmbedder())
