"""What `doctor` finds: each part by itself, with what to do, and nothing made by looking."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from atom_backfill.app.checks import Check, examine
from atom_backfill.app.core import MASTER_KEY_FILE
from atom_backfill.app.outside import Outside
from atom_backfill.jobs.job import AccountId
from atom_backfill.settings import load_settings
from atom_backfill.sources.accounts import OUTLOOK, Connection
from atom_backfill.sources.ports import MailboxIdentity
from databases import FreshDatabase, TestServer
from fakes.embedder import HashEmbedder
from fakes.skipping_clock import SkippingClock
from integration.app.conftest import Opened

Look = Callable[..., Coroutine[Any, Any, dict[str, Check]]]
SECRET = Connection(OUTLOOK, MailboxIdentity("id-1", "ines@lumen.example"), {}, {"client_secret": "hunter2"})


@pytest.fixture
def look(fresh_database: FreshDatabase, tmp_path: Path) -> Look:
    async def looked(outside: Outside | None = None, **environment: str) -> dict[str, Check]:
        nobody = {"ATOM_GRAPH_BASE_URL": "http://127.0.0.1:9", "ATOM_LOGIN_BASE_URL": "http://127.0.0.1:9"}
        home = {"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": fresh_database.owner_url}
        settings, _ = load_settings(home | nobody | environment, tmp_path)
        found = await examine(settings, outside or Outside(embedder=HashEmbedder()))
        return {check.name: check for check in found}

    return looked


async def test_all_is_well_and_unreachable_endpoints_are_a_warning(opened: Opened, look: Look) -> None:
    async with opened() as app:
        await app.tenant()
        _ = app.vault
    found = await look()
    assert {name for name, check in found.items() if check.status == "ok"} == {
        "home",
        "disk",
        "embedder",
        "database",
        "schema",
        "roles",
        "clock",
        "vault",
        "memory",
    }
    assert {name: check.status for name, check in found.items() if check.status != "ok"} == {
        "graph": "warn",
        "sign-in": "warn",
    }


async def test_looking_makes_nothing(look: Look, tmp_path: Path) -> None:
    found = await look()
    assert found["home"].status == found["vault"].status == "fail"
    assert "init" in found["home"].fix
    assert _names(tmp_path) == []


async def test_a_database_that_is_away_is_said_once_and_the_rest_is_still_looked_at(look: Look) -> None:
    found = await look(DATABASE_URL="postgresql://me:hunter2@127.0.0.1:9/atom")
    assert (found["database"].status, found["database"].detail) == (
        "fail",
        "The database at 127.0.0.1:9 cannot be reached: start it there, or correct host and port in DATABASE_URL.",
    )
    assert "DATABASE_URL" in found["database"].fix
    assert found["embedder"].status == "ok"
    assert not {"schema", "roles", "memory"} & set(found)
    assert "hunter2" not in str(found)
    assert "me:" not in str(found)


async def test_a_schema_that_is_behind_says_what_to_run_and_is_not_touched(look: Look, postgres: TestServer) -> None:
    empty = postgres.clone("template0")
    found = await look(DATABASE_URL=empty.owner_url)
    assert found["schema"].status == "fail"
    assert "init" in found["schema"].fix
    with psycopg.connect(empty.owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'accounts'").fetchone() == (0,)
    postgres.drop(empty)


async def test_a_key_that_does_not_open_what_is_stored_is_found_at_the_account(
    opened: Opened, look: Look, tmp_path: Path
) -> None:
    async with opened() as app:
        tenancy = await app.tenant()
        await tenancy.accounts.save(AccountId(app.outside.new_id()), SECRET)
    (tmp_path / "home" / MASTER_KEY_FILE).unlink()
    assert (await look())["vault"].status == "fail"
    async with opened() as app:
        _ = app.vault  # as `init` makes a new one
    found = await look()
    assert found["vault"].status == "ok"
    assert found["account ines@lumen.example"].status == "fail"
    assert "another master key" in found["account ines@lumen.example"].detail


async def test_a_memory_that_cannot_be_written_is_said(look: Look, tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    found = await look(ATOM_MEMORY_URI=str(tmp_path / "file" / "memory"))
    assert found["memory"].status == "fail"
    assert "ATOM_MEMORY_URI" in found["memory"].fix


async def test_a_memory_that_is_a_file_is_not_one_that_has_lost_its_mail(
    opened: Opened, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def a_thousand(_: object, __: object) -> SimpleNamespace:
        return SimpleNamespace(messages=1000)

    async with opened() as app:
        await app.tenant()
    monkeypatch.setattr("atom_backfill.app.checks.PostgresReach.coverage", a_thousand)
    (tmp_path / "file").touch(0o700)
    found = (await look(ATOM_MEMORY_URI=str(tmp_path / "file")))["memory"]
    assert (found.status, found.detail) == ("fail", f"The memory folder {tmp_path / 'file'} cannot be written.")


async def test_what_may_be_written_is_told_by_trying(look: Look, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(0o500)
    mode_lies = os.geteuid() == 0
    assert ((await look())["home"].status == "ok") is mode_lies
    assert list(home.iterdir()) == []


async def test_a_disk_that_takes_empty_files_alone_is_no_place_for_a_memory(
    opened: Opened, look: Look, tmp_path: Path
) -> None:
    async with opened() as app:
        await app.tenant()
    (tmp_path / "home").mkdir(exist_ok=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        found = await look()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found["memory"].status == found["home"].status == "fail"
    assert "cannot be written" in found["memory"].detail


async def test_only_the_tenant_it_is_about_is_spoken_of(opened: Opened, look: Look) -> None:
    async with opened() as app:
        await app.tenants.create("acme")
        for name in ("local", "acme"):
            tenancy = await app.tenant(name)
            identity = MailboxIdentity(f"id-{name}", f"ines@{name}.example")
            await tenancy.accounts.save(AccountId(app.outside.new_id()), Connection(OUTLOOK, identity, {}, {}))
    for name, environment in (("local", {}), ("acme", {"ATOM_TENANT": "acme"})):
        found = await look(**environment)
        assert [each for each in found if each.startswith("account ")] == [f"account ines@{name}.example"]
    assert (await look(ATOM_TENANT="nobody"))["tenants"].status == "fail"


async def test_a_clock_that_is_wrong_is_found(look: Look) -> None:
    found = await look(Outside(clock=SkippingClock(), embedder=HashEmbedder()))
    assert found["clock"].status == "fail"
    assert "NTP" in found["clock"].fix


async def test_what_an_earlier_home_left_behind_is_shown(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "left"
    monkeypatch.setattr("atom_backfill.db.embedded.left_behind", lambda home, parents: (left,))
    found = await look(DATABASE_URL="")
    assert found["disk"].status == "warn"
    assert str(left) in found["disk"].detail


async def test_what_the_look_at_accounts_raises_is_a_finding(
    opened: Opened, look: Look, fresh_database: FreshDatabase
) -> None:
    async with opened() as app:
        await app.tenant()
    with psycopg.connect(fresh_database.superuser_url, autocommit=True) as admin:
        admin.execute("REVOKE SELECT ON accounts FROM atom_work")
        found = await look()
    assert found["tenants"].status == "fail"


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]
