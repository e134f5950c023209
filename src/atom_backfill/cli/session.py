"""Opens the product for one command, and closes it whatever happens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atom_backfill.cli.command import Invocation
from atom_backfill.cli.render import duration, note

# Here and in every command, what costs time is imported inside functions: `--help` must not wait for it (ADR 9).
if TYPE_CHECKING:
    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.settings import Settings, Source
    from atom_backfill.sources.accounts import Account
    from atom_backfill.sources.ports import MailSource

T = TypeVar("T")


def settings_of(call: Invocation) -> tuple[Settings, tuple[Source, ...]]:
    """Read the settings, the command line's word on the tenant first. Raises UsageError naming every mistake."""
    from atom_backfill.settings import load_settings

    settings, sources = load_settings(os.environ, Path())
    return (replace(settings, tenant=call.tenant) if call.tenant else settings), sources


def run_async(action: Coroutine[Any, Any, T]) -> T:
    """Run one action to its end; Ctrl-C cancels it and becomes KeyboardInterrupt once it has cleaned up."""
    import asyncio  # 60 ms, which `--help` need not wait for

    return asyncio.run(action)


def with_app(call: Invocation, action: Callable[[App], Awaitable[T]], *, logs: Callable[[], None] | None = None) -> T:
    """Do something with the opened product. `logs` sets logging up, if not for people."""
    settings, _ = settings_of(call)
    (logs or partial(quiet_logs, call))()

    async def run() -> T:
        from atom_backfill.app.core import open_app

        async with open_app(settings) as app:
            return await action(app)

    return run_async(run())


def with_tenancy(call: Invocation, action: Callable[[Tenancy], Awaitable[T]]) -> T:
    """Do something for the tenant that the command is about."""

    async def run(app: App) -> T:
        return await action(await app.tenant())

    return with_app(call, run)


async def tenancies(app: App, *, every: bool) -> AsyncIterator[Tenancy]:
    """Yield the command's tenant, or every one, the oldest first."""
    if not every:
        yield await app.tenant()
        return
    for tenant in await app.tenants.list():
        yield await app.tenant(str(tenant.id))


NO_ACCOUNTS = "No mailbox is connected: see `atom-backfill connect --help`."


async def connected(tenancy: Tenancy) -> list[Account]:
    """Return the accounts that were not disconnected."""
    return [account for account in await tenancy.accounts.list() if account.status != "disconnected"]


async def patient_source(tenancy: Tenancy, account: Account) -> MailSource:
    """Open an account's mailbox for somebody who waits: what a worker would try again later is tried again now."""
    from atom_backfill.sources.patience import PatientSource

    def waiting(seconds: float, reason: str) -> None:
        note(f"{reason} Trying again in {duration(seconds)}.")

    source = await tenancy.app.mailboxes.open(tenancy.id, account)
    return PatientSource(source, tenancy.app.outside.clock, waiting)


def quiet_logs(call: Invocation) -> None:
    """Keep stderr for people: without --debug nothing is logged, what went wrong is told in a sentence."""
    from atom_backfill.telemetry import configure

    # People are told how it goes by a display, and what went wrong by a sentence; logs between them would be noise.
    configure("text", "debug" if call.debug else "critical")
