"""A tenant's own keys for models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, group
from atom_backfill.cli.render import answer, line, note, shown, table
from atom_backfill.cli.session import settings_of, with_tenancy
from atom_backfill.errors import UsageError

if TYPE_CHECKING:
    from atom_backfill.access.keys import ModelKey
    from atom_backfill.app.core import Tenancy

_MEANINGS = {
    "untested": "not tested yet",
    "works": "works",
    "rejected": "refused by its endpoint",
    "quota_used_up": "no credit left",
}


@group("key", "key set OPENAI_API_KEY < key.txt", "key test OPENAI_API_KEY", "key list")
def key() -> None:
    """Keep the tenant's own keys for models (BYOK).

    They are sealed, never printed, and shared with no other tenant. Without one no model is called.
    """


@key.command(
    "set",
    examples=(
        "key set OPENAI_API_KEY < key.txt",
        "key set OPENAI_API_KEY --base-url http://127.0.0.1:11434/v1 --model qwen3:8b",
    ),
)
@click.argument("name")
@click.option("--base-url", metavar="URL", help="The server that the key is for (default: ATOM_OPENAI_BASE_URL).")
@click.option("--model", metavar="M", help="The model to ask there (default: ATOM_OPENAI_MODEL).")
@click.pass_obj
def set_(call: Invocation, name: str, base_url: str | None, model: str | None) -> None:
    """Store a key, read from stdin or asked for.

    NAME is OPENAI_API_KEY, for OpenAI and every server that speaks as it does. Setting it again replaces it.
    """
    from atom_backfill.access.keys import checked_name
    from atom_backfill.http import parse_base

    named = checked_name(name)
    settings, _ = settings_of(call)
    url = base_url or settings.openai_base_url
    parse_base(url)
    value = _read_value(named)

    async def run(tenancy: Tenancy) -> ModelKey:
        return await tenancy.keys.set(named, value, url, model or settings.openai_model)

    stored = with_tenancy(call, run)
    answer(call, _document(stored), lambda: line(f"{stored.name} is kept, for {stored.model} at {stored.base_url}."))
    if not call.json:
        note(f"Next: atom-backfill key test {stored.name}")


@key.command("list", examples=("key list", "key list --json"))
@click.pass_obj
def list_(call: Invocation) -> None:
    """List the keys, never their values."""

    async def run(tenancy: Tenancy) -> list[ModelKey]:
        return list(await tenancy.keys.list())

    keys = with_tenancy(call, run)

    def show() -> None:
        if not keys:
            note("No key is set, so no model is called: see `atom-backfill key set --help`.")
            return
        rows = [[each.name, _MEANINGS[each.status], shown(each.model), each.base_url] for each in keys]
        table(["KEY", "STATUS", "MODEL", "SERVER"], rows)

    answer(call, {"keys": [_document(each) for each in keys]}, show)


@key.command("test", examples=("key test OPENAI_API_KEY",))
@click.argument("name")
@click.pass_obj
def test(call: Invocation, name: str) -> None:
    """Ask the key's model up to four short questions.

    Tells whether the key is taken, and to which form of answers the server can be held.
    """

    async def run(tenancy: Tenancy) -> ModelKey:
        return await tenancy.keys.test(name)

    tested = with_tenancy(call, run)
    # Set anew meanwhile, it is untested: what was asked was the one before.
    told = f"works: {_form(tested)}" if tested.form else f"is {_MEANINGS[tested.status]}: it was set anew meanwhile"
    answer(call, _document(tested), lambda: line(f"{tested.name} {told}."))


@key.command("delete", examples=("key delete OPENAI_API_KEY",))
@click.argument("name")
@click.pass_obj
def delete(call: Invocation, name: str) -> None:
    """Erase a key. What was extracted with it stays."""

    async def run(tenancy: Tenancy) -> str:
        return await tenancy.keys.delete(name)

    deleted = with_tenancy(call, run)
    answer(call, {"name": deleted, "deleted": True}, lambda: line(f"{deleted} is erased; no model is called with it."))


def _read_value(name: str) -> str:
    if sys.stdin is None:
        raise UsageError("bad_key", f"Give the key on stdin: atom-backfill key set {name} < FILE")
    if sys.stdin.isatty():
        return str(click.prompt(f"Value of {name}", hide_input=True, err=True, default="", show_default=False))
    try:
        # One character more than is read of any key: the rest of what is no key is of no interest.
        return sys.stdin.read(10_000)
    except (OSError, UnicodeDecodeError):
        raise UsageError("bad_key", "What came on stdin is no key.") from None


def _form(tested: ModelKey) -> str:
    forms = {
        "schema": "its answers are held to a schema",
        "plain_schema": "its answers are held to a schema without patterns",
        "json": "its answers are JSON of any shape",
        "text": "its answers are text that JSON is looked for in",
    }
    return forms[tested.form or "text"]


def _document(stored: ModelKey) -> dict[str, Any]:
    return {
        "name": stored.name,
        "status": stored.status,
        "base_url": stored.base_url,
        "model": stored.model,
        "form": stored.form,
        "updated_at": stored.updated_at,
        "tested_at": stored.tested_at,
    }


COMMANDS = (key,)
