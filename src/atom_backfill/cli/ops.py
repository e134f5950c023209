"""The installation itself: init, settings, tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command, group
from atom_backfill.cli.render import answer, harmless, headline, line, note, pairs, shown, table
from atom_backfill.cli.session import quiet_logs, run_async, settings_of, with_app

if TYPE_CHECKING:
    from atom_backfill.access.tenants import Tenant
    from atom_backfill.app.checks import Check
    from atom_backfill.app.core import App


@command("init", "init", "init --json")
@click.pass_obj
def init(call: Invocation) -> None:
    """Make home, database, tenant and key; may be repeated.

    The home folder is ATOM_HOME; the tenant is called `local`.
    """

    async def run(app: App) -> dict[str, Any]:
        from atom_backfill.access.tenants import LOCAL

        tenant = await app.tenants.ensure(LOCAL)
        _ = app.vault  # looking at it makes its key
        return {
            "home": app.settings.home,
            "database": "embedded" if app.settings.database_url is None else "DATABASE_URL",
            "memory": app.settings.memory_uri,
            "tenant_id": tenant.id,
            "tenant": tenant.name,
        }

    made = with_app(call, run)
    answer(call, made, lambda: pairs((name.replace("_", " "), value) for name, value in made.items()))
    if not call.json:
        note("Ready. Next: atom-backfill connect --help")


@command("doctor", "doctor", "doctor --json")
@click.pass_obj
def doctor(call: Invocation) -> int:
    """Check all that is needed, and say how to mend what is not.

    Of memory and mailboxes, those of the tenant alone. Exit status 1 when something fails; a warning does not count.
    """
    # Without `with_app`: a database that cannot be opened is a finding here, not the end.
    settings, _ = settings_of(call)
    quiet_logs(call)

    async def run() -> list[Check]:
        from atom_backfill.app.checks import examine
        from atom_backfill.app.outside import Outside

        return await examine(settings, Outside())

    checks = run_async(run())
    names = ("name", "status", "detail", "fix")
    listed = [{name: getattr(check, name) for name in names} for check in checks]
    answer(call, {"checks": listed}, lambda: _show_checks(listed))
    return int(any(check.status == "fail" for check in checks))


@command("settings", "settings", "settings --json")
@click.pass_obj
def settings(call: Invocation) -> None:
    """List every setting, its value, and where that came from.

    Secrets are masked.
    """
    _, sources = settings_of(call)
    listed = [
        {
            "name": source.setting.variable,
            "value": source.value,
            "from": source.origin,
            "default": source.setting.default,
            "meaning": source.setting.meaning,
        }
        for source in sources
    ]
    answer(call, {"settings": listed}, lambda: _show_settings(listed))


@group("tenant", "tenant create acme", "tenant list")
def tenant() -> None:
    """Make and list tenants, who see nothing of each other.

    Each has its own mailboxes, memory and keys.
    """


@tenant.command("create", examples=("tenant create acme",))
@click.argument("name")
@click.pass_obj
def create(call: Invocation, name: str) -> None:
    """Make a tenant."""

    async def run(app: App) -> Tenant:
        return await app.tenants.create(name)

    made = with_app(call, run)
    answer(call, _tenant(made), lambda: line(f"Tenant {shown(made.name)} has the id {made.id}."))


@tenant.command("list", examples=("tenant list", "tenant list --json"))
@click.pass_obj
def list_(call: Invocation) -> None:
    """List the tenants, the oldest first."""

    async def run(app: App) -> list[Tenant]:
        return list(await app.tenants.list())

    found = with_app(call, run)
    answer(
        call,
        {"tenants": [_tenant(each) for each in found]},
        lambda: table(["TENANT", "NAME"], [[each.id, each.name] for each in found]),
    )


def _show_settings(listed: list[dict[str, Any]]) -> None:
    for row in listed:
        headline(f"{row['name']} = {shown(row['value'])}" if row["value"] else f"{row['name']} is not set")
        origin = "the default" if row["from"] == "default" else f"{row['from']}; default: {row['default'] or 'not set'}"
        line(f"    {row['meaning']} ({origin})")


def _show_checks(checks: list[dict[str, Any]]) -> None:
    signs = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}
    for check in checks:
        line(f"{signs[check['status']]}  {shown(check['name'])}: {shown(check['detail'])}")
        if check["fix"]:
            line("\n".join(f"      {each}" for each in harmless(check["fix"]).splitlines()))


def _tenant(tenant: Tenant) -> dict[str, Any]:
    return {"tenant_id": tenant.id, "name": tenant.name}


COMMANDS = (init, doctor, settings, tenant)
