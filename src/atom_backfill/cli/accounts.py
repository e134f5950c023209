"""Mailboxes: connect, list, disconnect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command, group
from atom_backfill.cli.render import answer, line, note, shown, table
from atom_backfill.cli.session import tenancies, with_app, with_tenancy

if TYPE_CHECKING:
    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.sources.accounts import Account


@group("connect", "connect outlook --user ines@lumen.example --client-id 11f1…", "connect mbox ~/export/mail.mbox")
def connect() -> None:
    """Connect a mailbox: it is read once to see that it can be, and nothing else is done yet."""


@connect.command(
    "mbox",
    examples=("connect mbox ~/export/mail.mbox", "connect mbox ~/Maildir --address ines@lumen.example"),
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--address", default="", metavar="ADDR", help="Whose mail it is, for people (default: the file's name).")
@click.pass_obj
def connect_mbox(call: Invocation, path: Path, address: str) -> None:
    """Connect local mail: an mbox file, a Maildir, or a folder of .eml files."""

    async def run(tenancy: Tenancy) -> Account:
        from atom_backfill.app.connecting import connect_mbox

        return await connect_mbox(tenancy, path, address.strip())

    _connected(call, with_tenancy(call, run))


@command("accounts", "accounts", "accounts --json --all-tenants")
@click.option("--all-tenants", is_flag=True, help="Those of every tenant.")
@click.pass_obj
def accounts(call: Invocation, all_tenants: bool) -> None:
    """List the connected mailboxes with how much of each is stored."""

    async def run(app: App) -> list[dict[str, Any]]:
        return [
            _account(account) | (_of(tenancy) if all_tenants else {})
            async for tenancy in tenancies(app, every=all_tenants)
            for account in await tenancy.accounts.list()
        ]

    found = with_app(call, run)
    answer(call, {"accounts": found}, lambda: _show_accounts(found, all_tenants))


@command("disconnect", "disconnect ines@lumen.example")
@click.argument("account")
@click.pass_obj
def disconnect(call: Invocation, account: str) -> None:
    """Forget an account's credentials; what is stored stays, and can be searched."""

    async def run(tenancy: Tenancy) -> dict[str, Any]:
        from atom_backfill.sources.accounts import find_account

        found = await find_account(tenancy.accounts, account)
        await tenancy.accounts.forget_credentials(found.account_id)
        return _account(found) | {"status": "disconnected"}

    gone = with_tenancy(call, run)
    answer(call, gone, lambda: line(f"{shown(gone['address'])} is disconnected; its memory stays."))


def _connected(call: Invocation, account: Account) -> None:
    document = {"account_id": account.account_id, "address": account.address, "kind": account.kind}
    answer(call, document, lambda: line(f"Connected {shown(account.address)} as account {account.account_id}."))
    if not call.json:
        note(f"Next: atom-backfill estimate {account.address}, or start {account.address} --watch")


def _account(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "kind": account.kind,
        "address": account.address,
        "status": account.status,
        "status_detail": account.status_detail,
        "messages": account.messages,
    }


def _of(tenancy: Tenancy) -> dict[str, Any]:
    return {"tenant_id": tenancy.id, "tenant": tenancy.name}


def _show_accounts(found: list[dict[str, Any]], all_tenants: bool) -> None:
    if not found:
        note("No mailbox is connected yet: atom-backfill connect --help")
        return
    names = ["account_id", "kind", "address", "status", "messages", *(["tenant"] if all_tenants else [])]
    headings = ["ACCOUNT", "KIND", "ADDRESS", "STATUS", "MESSAGES", "TENANT"][: len(names)]
    table(headings, [[account[name] for name in names] for account in found], right=[4])


COMMANDS = (connect, accounts, disconnect)
