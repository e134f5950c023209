"""Mailboxes: connect, list, disconnect."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.arguments import MOMENT
from atom_backfill.cli.command import Invocation, command, group
from atom_backfill.cli.render import answer, duration, handle, line, note, pairs, shown, table
from atom_backfill.cli.session import patient_source, tenancies, with_app, with_tenancy
from atom_backfill.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.sources.accounts import Account


@group("connect", "connect outlook --user ines@lumen.example --client-id 11f1…", "connect mbox ~/export/mail.mbox")
def connect() -> None:
    """Connect a mailbox, seeing that it can be read.

    Connecting the same mailbox again resumes its account.
    """


@connect.command(
    "mbox",
    examples=("connect mbox ~/export/mail.mbox", "connect mbox ~/Maildir --address ines@lumen.example"),
)
@click.argument("path")
@click.option("--address", default="", metavar="ADDR", help="Whose mail it is, for people (default: the file's name).")
@click.pass_obj
def connect_mbox(call: Invocation, path: str, address: str) -> None:
    """Connect an mbox file, a Maildir, or a folder of .eml files.

    An address that local mail is connected under already stands for the same account: it reads PATH from now on.
    """
    # Path("") is the working folder: `connect mbox "$UNSET"` would read whatever mail lies there.
    if not path.strip():
        raise UsageError("bad_arguments", "Name the file or folder to connect; the working folder is `.`.")

    async def run(tenancy: Tenancy) -> tuple[Account, bool]:
        from atom_backfill.app.connecting import connect_mbox

        return await connect_mbox(tenancy, Path(path), address)

    account, moved = with_tenancy(call, run)
    _connected(call, account, f"; it now reads {shown(account.config['path'])}" if moved else "")


@connect.command(
    "outlook",
    examples=(
        "connect outlook --client-id 11f1…",
        "connect outlook --user ines@lumen.example --app-tenant lumen.example --client-id 11f1… "
        "--client-secret-file secret.txt",
    ),
)
@click.option("--user", default="", metavar="ADDR", help="The mailbox; by device code: that of whoever signs in.")
@click.option("--app-tenant", metavar="T", help="Directory (tenant) id or domain; by device code: common.")
@click.option("--client-id", required=True, metavar="C", help="Application (client) id of the app registration.")
@click.option(
    "--client-secret-file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="File that holds the client secret's value; `-` is stdin. Without it: sign in by device code.",
)
@click.pass_obj
def connect_outlook(
    call: Invocation, user: str, app_tenant: str | None, client_id: str, client_secret_file: Path | None
) -> None:
    """Connect an Outlook mailbox through Microsoft Graph.

    With a client secret as an app of its own, without one by signing in with a code in a browser.
    docs/howto/connect-outlook.md tells how to register the app.
    """
    secret = _read_secret(client_secret_file) if client_secret_file else None
    if secret is not None and not app_tenant:
        raise UsageError("bad_arguments", "With a client secret, name the directory: --app-tenant.")
    if secret is not None and not user:
        raise UsageError("bad_arguments", "With a client secret, name the mailbox: --user.")

    async def run(tenancy: Tenancy) -> Account:
        from atom_backfill.app.connecting import Registration, connect_outlook

        app = Registration(app_tenant or "common", client_id.strip(), secret)
        return await connect_outlook(tenancy, app, user, note)

    _connected(call, with_tenancy(call, run))


@command(
    "estimate",
    "estimate ines@lumen.example",
    "estimate ines@lumen.example --since 2023-01-01 --folder Inbox --folder Projects/Atlas",
)
@click.argument("account")
@click.option("--since", type=MOMENT, help="Mail received at or after this moment (default: from the beginning).")
@click.option("--until", type=MOMENT, help="Mail received before this moment; a bare date is its midnight.")
@click.option("--folder", "folders", multiple=True, metavar="NAME", help="In this folder (`all`: every); repeatable.")
@click.pass_obj
def estimate(
    call: Invocation, account: str, since: datetime | None, until: datetime | None, folders: tuple[str, ...]
) -> None:
    """Count what would be read; quote its time and cost.

    Nothing is stored or spent. Counts come from the mailbox; the quote leaves out what earlier jobs have read, as start
    does. The times assume between two free cores with a quick mailbox, and a busy core with a slow one. Model tokens
    and dollars concern the graph lane alone, at list prices; null where there is none.
    """
    if since and until and since >= until:
        raise UsageError("empty_range", "The range is empty: --since must be earlier than --until.")

    async def run(tenancy: Tenancy) -> dict[str, Any]:
        from atom_backfill.backfill.estimate import quote, take_census
        from atom_backfill.sources.accounts import MBOX, find_account
        from atom_backfill.sources.ports import Window

        found = await find_account(tenancy.accounts, account)
        source = await patient_source(tenancy, found)
        covered = await tenancy.jobs.covered(found.account_id)
        census = await take_census(source, Window(since, until), folders, tenancy.app.outside.clock.now(), covered)
        settings = tenancy.app.settings
        model, prices, local = await tenancy.model(), settings.model_prices, found.kind == MBOX
        return quote(census, page_size=settings.page_size, model=model, local=local, prices=prices)

    quoted = with_tenancy(call, run)
    answer(call, quoted, lambda: _show_quote(quoted))


@command("accounts", "accounts", "accounts --json --all-tenants")
@click.option("--all-tenants", is_flag=True, help="Those of every tenant.")
@click.pass_obj
def accounts(call: Invocation, all_tenants: bool) -> None:
    """List mailboxes, with how much of each is stored."""

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
    """Forget a mailbox's credentials; its memory stays."""

    async def run(tenancy: Tenancy) -> dict[str, Any]:
        from atom_backfill.sources.accounts import find_account

        found = await find_account(tenancy.accounts, account)
        await tenancy.accounts.forget_credentials(found.account_id)
        return _account(found) | {"status": "disconnected"}

    gone = with_tenancy(call, run)
    answer(call, gone, lambda: line(f"{shown(gone['address'])} is disconnected; its memory stays."))


def _read_secret(path: Path) -> str:
    """Read a secret that stands alone in a file, or comes from stdin."""
    try:
        # A secret has some forty characters; of a wrong file no more than this is read.
        text = sys.stdin.read(10_000) if str(path) == "-" else path.read_text("utf-8")[:10_000]
    except FileNotFoundError:
        raise NotFoundError("no_such_file", f"There is no file {path} with a secret.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("bad_secret_file", f"The secret's file {path} cannot be read: {_why(error)}.") from None
    if not text.strip():
        raise UsageError("bad_secret_file", f"The secret's file {path} is empty.")
    return text.strip()


def _why(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is not text"


def _connected(call: Invocation, account: Account, moved: str = "") -> None:
    document = {"account_id": account.account_id, "address": account.address, "kind": account.kind}
    answer(call, document, lambda: line(f"Connected {shown(account.address)} as account {account.account_id}{moved}."))
    if not call.json:
        named = shlex.quote(shown(account.address))
        note(f"Next: atom-backfill estimate {named}, or start {named} --watch")


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


def _show_quote(quoted: dict[str, Any]) -> None:
    table(["FOLDER", "MESSAGES"], [[row["folder"], row["messages"]] for row in quoted["by_folder"]], right=[1])
    line()
    years = [[str(row["year"] or "no date"), row["messages"]] for row in quoted["by_year"]]
    table(["YEAR", "MESSAGES"], years, right=[1])
    line()
    seconds, model = quoted["seconds"], quoted["llm"]
    usd = "no price known" if model["usd"] is None else _about(model["usd"])
    tokens = f"{model['calls']:,} calls, {model['input_tokens']:,} tokens in, {model['output_tokens']:,} out"
    pairs(
        [
            ("messages", quoted["messages"]),
            ("to read", quoted["to_read"]),
            ("requests", quoted["requests"]),
            ("time", f"{duration(seconds['low'])} to {duration(seconds['high'])}"),
            ("graph lane", f"{tokens}; {usd} with {model['model']}"),
        ]
    )


def _about(usd: float) -> str:
    return f"about ${usd:.2f}" if usd >= 0.01 else "less than a cent" if usd else "nothing to pay"


def _show_accounts(found: list[dict[str, Any]], all_tenants: bool) -> None:
    if not found:
        note("No mailbox is connected yet: atom-backfill connect --help")
        return
    names = ["kind", "address", "status", "messages", *(["tenant"] if all_tenants else [])]
    headings = ["ACCOUNT", *map(str.upper, names)]
    rows = [[handle(account["account_id"]), *(account[name] for name in names)] for account in found]
    table(headings, rows, right=[4])


COMMANDS = (connect, accounts, disconnect, estimate)
