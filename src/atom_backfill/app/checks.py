"""What `doctor` looks at: each part by itself, so that one that is down does not hide the others."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from atom_backfill.access.tenants import LOCAL
from atom_backfill.access.vault import Binding
from atom_backfill.app.core import MASTER_KEY_FILE, App, Tenancy, embedded_server
from atom_backfill.app.mailboxes import CLIENT_SECRET
from atom_backfill.app.memories import Memories
from atom_backfill.app.outside import Outside
from atom_backfill.db.migrate import Migrator
from atom_backfill.db.pool import Database, Owner
from atom_backfill.db.roles import operator_login, roles_ready, roles_sql
from atom_backfill.errors import AtomError
from atom_backfill.http import HttpClient
from atom_backfill.jobs.job import AccountId
from atom_backfill.memory.upkeep import loss
from atom_backfill.search.postgres import PostgresReach
from atom_backfill.settings import Settings
from atom_backfill.sources.postgres import TOKEN_CACHE

Status = Literal["ok", "warn", "fail"]
OLDEST_POSTGRES = 140_000
SKEW_WARNS_S, SKEW_FAILS_S = 2.0, 300.0
SPACE_WARNS, SPACE_FAILS = 2 * 2**30, 200 * 2**20
REACH_S = 5.0
PROBE_BYTES = 100_000
MEMORY_FIX = "what to do stands in docs/recovery.md, under `The memory folder`"
"""Where the error's sentence is all there is."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` says what to do, "" where nothing is to be done."""

    name: str
    status: Status
    detail: str
    fix: str = ""


async def examine(settings: Settings, outside: Outside) -> list[Check]:
    """Look at everything. Makes no home, no schema and no role; what a part raises becomes its finding."""
    async with asyncio.TaskGroup() as group:
        reaching = group.create_task(_endpoints(settings))  # takes up to 5 s where there is no network
        checks = [await _guarded("home", partial(_home, settings)), await _guarded("disk", partial(_disk, settings))]
        checks.append(await _guarded("embedder", partial(_embedder, settings, outside)))
        checks += await _database(settings, outside)
    return checks + reaching.result()


async def _database(settings: Settings, outside: Outside) -> list[Check]:
    async with AsyncExitStack() as stack:
        try:
            database = await _open_database(settings, stack)
        except AtomError as error:
            where = "DATABASE_URL names it" if settings.database_url else "database/postgres.log in the home tells why"
            return [Check("database", "fail", error.message, f"mend this first, much else depends on it: {where}")]
        if database is None:
            return [Check("database", "fail", "there is none in the home yet", "run atom-backfill init")]
        # Not `open_app`: it would apply migrations, and what is looked at is what is there.
        app = App(settings, outside, database, None)
        stack.push_async_callback(app.memories.close)
        return await _of_database(app)


async def _of_database(app: App) -> list[Check]:
    parts = {"database": _server, "schema": _schema, "roles": _roles, "clock": _clock, "vault": _vault}
    checks = [await _guarded(name, partial(part, app)) for name, part in parts.items()]
    if any(check.status != "ok" for check in checks if check.name in ("schema", "roles")):
        return checks
    try:
        tenants = await _tenants(app)
        checks.append(await _guarded("memory", partial(_memory, app, tenants), MEMORY_FIX))
        return checks + [check for tenancy in tenants for check in await _accounts(tenancy)]
    except AtomError as error:
        return [*checks, Check("tenants", "fail", error.message, error.detail)]


async def _tenants(app: App) -> list[Tenancy]:
    """Return the tenant that the command is about; none where `local` has not been made yet."""
    if app.settings.tenant != LOCAL:
        return [await app.tenant()]
    return [await app.tenant(str(tenant.id)) for tenant in await app.tenants.list() if tenant.name == LOCAL]


async def _guarded(name: str, look: Callable[[], Awaitable[Check]], fix: str = "") -> Check:
    try:
        return await look()
    except AtomError as error:
        return Check(name, "fail", error.message, error.detail or fix)
    except OSError as error:
        return Check(name, "fail", f"{error.strerror}: {error.filename}")


async def _home(settings: Settings) -> Check:
    def look() -> Check:
        if not settings.home.is_dir():
            return Check("home", "fail", f"{settings.home} is not there", "run atom-backfill init, or set ATOM_HOME")
        if not _is_writable(settings.home):
            return Check("home", "fail", f"{settings.home} cannot be written", "give it to this user, or set ATOM_HOME")
        return Check("home", "ok", str(settings.home))

    return await asyncio.to_thread(look)


async def _disk(settings: Settings) -> Check:
    places = [settings.home, *([] if "://" in settings.memory_uri else [Path(settings.memory_uri)])]
    free = await asyncio.to_thread(lambda: min(shutil.disk_usage(_existing(place)).free for place in places))
    status: Status = "ok" if free >= SPACE_WARNS else "warn" if free >= SPACE_FAILS else "fail"
    lost = () if settings.database_url else (await asyncio.to_thread(embedded_server(settings).status)).left_behind
    if lost and status == "ok":
        there = ", ".join(map(str, lost))
        return Check(
            "disk", "warn", f"{there} holds the database of an earlier home", "delete it, unless that comes back"
        )
    return Check("disk", status, f"{free / 2**30:.1f} GB free", "" if status == "ok" else "free some space")


async def _embedder(settings: Settings, outside: Outside) -> Check:
    memories = Memories(settings, outside)
    try:
        embedder = await memories.embedder()
        await embedder.embed(["ready"])
    finally:
        await memories.close()
    return Check("embedder", "ok", embedder.identity)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database | None:
    if settings.database_url:
        return await stack.enter_async_context(await Database.open(settings.database_url))
    if not await asyncio.to_thread(settings.home.is_dir):
        return None
    server = embedded_server(settings)
    if (await asyncio.to_thread(server.status)).data_folder is None:
        return None
    url = await asyncio.to_thread(server.start)
    stack.push_async_callback(asyncio.to_thread, server.close)
    return await stack.enter_async_context(await Database.open(url))


async def _server(app: App) -> Check:
    async with app.database.transaction(Owner()) as tx:
        number = int(await tx.fetch_value("SELECT current_setting('server_version_num')::int"))
        version = await tx.fetch_value("SELECT current_setting('server_version')")
    kind = "configured" if app.settings.database_url else "embedded"
    if number < OLDEST_POSTGRES:
        return Check("database", "fail", f"PostgreSQL {version}, {kind}", "use PostgreSQL 14 or newer")
    return Check("database", "ok", f"PostgreSQL {version}, {kind}")


async def _schema(app: App) -> Check:
    status = await Migrator(app.database).status()
    if status.pending:
        return Check("schema", "fail", f"behind by {', '.join(status.pending)}", "run atom-backfill init")
    return Check("schema", "ok", status.applied[-1])


async def _roles(app: App) -> Check:
    async with app.database.transaction(Owner()) as tx:
        ready = await roles_ready(tx)
        login = operator_login(await tx.fetch_value("SELECT current_database()"))
        there = await tx.fetch_value("SELECT count(*) FROM pg_roles WHERE rolname = %(login)s", {"login": login})
        may = await tx.fetch_value("SELECT rolcreaterole OR rolsuper AS may FROM pg_roles WHERE rolname = current_user")
        statements = await roles_sql(tx)
    if not ready:
        return Check("roles", "fail", "this account may not take the roles", f"let an administrator run:\n{statements}")
    if not there and not may:
        fix = f"for `db url`, let an administrator run what is missing of:\n{statements}"
        return Check("roles", "warn", "there is no operator's login, and this account may not make one", fix)
    return Check("roles", "ok", "engine, work, operator")


async def _clock(app: App) -> Check:
    async with app.database.transaction(Owner()) as tx:
        there = await tx.fetch_value("SELECT clock_timestamp()")
    skew = abs((app.outside.clock.now() - there).total_seconds())
    status: Status = "ok" if skew < SKEW_WARNS_S else "warn" if skew < SKEW_FAILS_S else "fail"
    fix = "" if status == "ok" else "set this machine's clock, and the database's, by NTP"
    return Check("clock", status, f"{skew:.1f} s apart from the database's", fix)


async def _vault(app: App) -> Check:
    key_file = app.settings.home / MASTER_KEY_FILE
    if not app.settings.master_key and not await asyncio.to_thread(key_file.exists):
        fix = "restore it, or run atom-backfill init for a new one and connect the mailboxes again"
        return Check("vault", "fail", f"its key file {key_file} is not there", fix)
    # A key that is there may still be malformed or exposed; sealing and opening is what shows it.
    binding = Binding(app.outside.new_id(), "doctor", "", "")
    vault = app.vault
    vault.open(binding, vault.seal(binding, b"ready"))
    return Check("vault", "ok", "ATOM_MASTER_KEY" if app.settings.master_key else "key file in the home")


async def _memory(app: App, tenants: list[Tenancy]) -> Check:
    """Open the tenant's memory if it is there, compare it with the record, and see that a new one could be made."""
    uri, opened = app.settings.memory_uri, False
    # First: of a memory that nobody can open, everything would seem to be missing.
    if "://" not in uri and not await asyncio.to_thread(_is_writable, _existing(Path(uri))):
        fix = "give it to this user, or set ATOM_MEMORY_URI to a folder that this user may write"
        return Check("memory", "fail", f"The memory folder {uri} cannot be written.", fix)
    for tenancy in tenants:
        recorded, remembered = (await PostgresReach(app.database, tenancy.id).coverage(None)).messages, 0
        if await app.memories.is_made(tenancy.id):
            remembered = await (await app.memories.index(tenancy.id)).messages(None)
            opened = True
        if lost := loss(recorded - remembered):
            return Check("memory", "fail", f"{uri}, of tenant {tenancy.name}", lost)
    return Check("memory", "ok", f"{uri}, {'opened' if opened else 'not made yet'}")


async def _accounts(tenancy: Tenancy) -> list[Check]:
    """Find accounts that wait for a sign-in, and secrets that this vault cannot open."""
    checks = []
    for account in await tenancy.accounts.list():
        name = f"account {account.address}"
        if account.status == "sign_in_needed":
            checks.append(Check(name, "warn", account.status_detail or "not signed in", "connect it again"))
        elif account.status == "connected":
            checks.append(await _guarded(name, partial(_secrets, tenancy, account.account_id, name)))
    return checks


async def _secrets(tenancy: Tenancy, account: AccountId, name: str) -> Check:
    for secret in (TOKEN_CACHE, CLIENT_SECRET):
        await tenancy.accounts.secret(account, secret)
    return Check(name, "ok", "connected")


async def _endpoints(settings: Settings) -> list[Check]:
    bases = {"graph": settings.graph_base_url, "sign-in": settings.login_base_url}
    if settings.embedder == "openai":
        bases["openai"] = settings.openai_base_url
    return list(await asyncio.gather(*(_reach(name, base) for name, base in bases.items())))


async def _reach(name: str, base: str) -> Check:
    """Any answer will do; mail that is stored can be searched without."""
    try:
        async with HttpClient(base, total_seconds=REACH_S) as client:
            await client.send("GET", "")
    except AtomError as error:
        return Check(name, "warn", error.message, "check the network and HTTPS_PROXY; local mail needs neither")
    return Check(name, "ok", base)


def _is_writable(folder: Path) -> bool:
    """Tell by trying: mode bits do not show access lists, mounts and what root may do. What is made is gone at once."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))  # an empty one finds room on a full disk
    except OSError:
        return False
    return True


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())
