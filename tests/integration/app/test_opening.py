"""Opening the product: a fresh home, a lost key, the operator's login, a pooler in between."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from atom_backfill.access.vault import read_master_key
from atom_backfill.app.core import MASTER_KEY_FILE, embedded_server, open_app, with_login
from atom_backfill.app.operators import PASSWORD_FILE, operator_url, read_password
from atom_backfill.db.embedded import ServerState
from atom_backfill.db.pool import Owner
from atom_backfill.errors import NeedsOwnerError
from atom_backfill.jobs.job import AccountId
from atom_backfill.settings import load_settings
from atom_backfill.sources.accounts import OUTLOOK, Connection
from atom_backfill.sources.ports import MailboxIdentity
from databases import FreshDatabase
from integration.app.conftest import Opened

SECRET = Connection(OUTLOOK, MailboxIdentity("id-1", "ines@lumen.example"), {}, {"client_secret": "hunter2"})


async def test_a_fresh_machine_with_a_database_of_its_own_gets_a_private_home_when_it_is_needed(
    opened: Opened, tmp_path: Path
) -> None:
    home = tmp_path / "new" / "home"
    async with opened(ATOM_HOME=str(home)) as app:
        await app.tenant()
        assert not home.exists(), "a worker with its key in the environment needs none"
        assert app.vault is app.vault
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / MASTER_KEY_FILE).stat().st_mode & 0o777 == 0o600


async def test_a_home_that_cannot_be_made_is_said_with_what_to_do(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with opened(ATOM_HOME=str(tmp_path / "file" / "home")) as app:
        with pytest.raises(NeedsOwnerError, match="ATOM_HOME") as refused:
            _ = app.vault
    assert refused.value.code == "home_not_writable"


async def test_a_lost_key_is_said_and_no_other_made_in_its_place(opened: Opened, tmp_path: Path) -> None:
    key = tmp_path / "home" / MASTER_KEY_FILE
    async with opened() as app:
        tenancy = await app.tenant()
        account = await tenancy.accounts.save(AccountId(app.outside.new_id()), SECRET)
    kept = key.read_bytes()
    key.unlink()
    async with opened() as app:
        with pytest.raises(NeedsOwnerError, match="Restore it") as lost:
            await (await app.tenant()).accounts.secret(account, "client_secret")
        assert lost.value.code == "vault_key_missing"
        assert not key.exists()
        key.touch(0o600)
        key.write_bytes(kept)
        assert await (await app.tenant()).accounts.secret(account, "client_secret") == "hunter2"


async def test_the_operators_url_reads_and_is_the_same_each_time(
    opened: Opened, tmp_path: Path, fresh_database: FreshDatabase
) -> None:
    async with opened() as app:
        first, again = [await operator_url(app) for _ in range(2)]
    assert first == again
    assert (tmp_path / "home" / PASSWORD_FILE).stat().st_mode & 0o777 == 0o600
    with psycopg.connect(first) as connection:
        assert connection.execute("SELECT current_user").fetchone() != ("atom",)
        assert connection.execute("SELECT count(*) FROM historical_sync_jobs").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT sealed FROM secrets")


async def test_a_login_in_the_urls_query_is_not_handed_to_the_operator(
    opened: Opened, fresh_database: FreshDatabase
) -> None:
    owner = psycopg.conninfo.conninfo_to_dict(fresh_database.owner_url)
    about = "&".join(f"{name}={quote(str(owner[name]), safe='')}" for name in ("host", "port", "user", "password"))
    async with opened(DATABASE_URL=f"postgresql:///{owner['dbname']}?{about}") as app:
        url = await operator_url(app)
    assert str(owner["password"]) not in url
    with psycopg.connect(url) as connection:
        [user] = connection.execute("SELECT current_user").fetchone() or [""]
    assert user.startswith("atom_operator_")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:x@db.test:5433/atom?sslmode=require",
            "postgresql://op:p%2Fw@db.test:5433/atom?sslmode=require",
        ),
        ("postgresql://a.test:1,b.test:2/atom", "postgresql://op:p%2Fw@a.test:1,b.test:2/atom"),
        ("postgresql:///atom?host=%2Frun%2Fpg&user=me&password=x", "postgresql://op:p%2Fw@/atom?host=%2Frun%2Fpg"),
        (
            "postgresql://db.test/atom?passfile=/x&options=-c%20a%3Db",
            "postgresql://op:p%2Fw@db.test/atom?options=-c%20a%3Db",
        ),
    ],
)
def test_another_login_replaces_the_urls_own_wherever_it_stands(url: str, expected: str) -> None:
    assert with_login(url, "op", "p/w") == expected


def test_many_at_once_get_the_same_operators_password(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        passwords = set(pool.map(lambda _: read_password(tmp_path / PASSWORD_FILE), range(64)))
    assert len(passwords) == 1
    assert len(passwords.pop()) > 30


async def test_a_direct_url_says_that_there_is_a_pooler_which_loses_prepared_statements(
    opened: Opened, fresh_database: FreshDatabase
) -> None:
    for about, prepared in (({}, True), ({"ATOM_DIRECT_URL": fresh_database.owner_url}, False)):
        async with opened(**about) as app:
            for _ in range(16):
                async with app.database.transaction(Owner()) as transaction:
                    await transaction.fetch_value("SELECT %(number)s::int", {"number": 1})
            async with app.database.transaction(Owner()) as transaction:
                count = await transaction.fetch_value("SELECT count(*) FROM pg_prepared_statements")
        assert bool(count) == prepared


async def test_the_vaults_key_is_one_for_all_who_make_it_at_once(opened: Opened, tmp_path: Path) -> None:
    async with opened() as one, opened() as other:
        await asyncio.gather(asyncio.to_thread(lambda: one.vault), asyncio.to_thread(lambda: other.vault))
    assert len(read_master_key(tmp_path / "home" / MASTER_KEY_FILE)) == 32


async def test_whoever_is_cancelled_while_the_server_starts_leaves_none_running(tmp_path: Path) -> None:
    settings, _ = load_settings({"ATOM_HOME": str(tmp_path / "home")}, tmp_path)
    server = embedded_server(settings)

    async def opening() -> None:
        async with open_app(settings):
            pass

    task = asyncio.create_task(opening())
    try:
        while not (tmp_path / "home" / "database" / "start.lock").exists():
            await asyncio.sleep(0)
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await asyncio.to_thread(server.status)).state is ServerState.DOWN
    finally:
        await asyncio.to_thread(server.destroy)
