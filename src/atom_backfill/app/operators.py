"""The operator's login: a URL that reads all tenants but bodies and secrets, for tools and people."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from atom_backfill.app.core import App
from atom_backfill.db.connecting import connect
from atom_backfill.db.pool import Owner
from atom_backfill.db.roles import operator_login, set_operator_password
from atom_backfill.errors import AtomError, NeedsOwnerError

PASSWORD_FILE = "operator.password"  # noqa: S105 - the name of a file


async def operator_url(app: App) -> str:
    """Return the operator's URL, its login made or mended where needed; the password stays in the home.

    Raises NeedsOwnerError `operator_missing` where the database's account may not make logins.
    """
    path = app.settings.home / PASSWORD_FILE
    password = await asyncio.to_thread(_password, path)
    async with app.database.transaction(Owner()) as tx:
        login = operator_login(await tx.fetch_value("SELECT current_database()"))
    url = app.login_url(login, password)
    if not await _works(url):
        try:
            await set_operator_password(app.database, password)
        except NeedsOwnerError as error:
            raise NeedsOwnerError(
                "operator_missing",
                f"The database account may not make the operator's login {login}: let an administrator run the SQL of "
                f"`atom-backfill doctor`, with the password that stands in {path}.",
                detail=error.detail,
            ) from error
    return url


async def _works(url: str) -> bool:
    with suppress(AtomError):
        await (await connect(url)).close()
        return True
    return False


def _password(path: Path) -> str:
    """Read the operator's password; made at the first time, for this user alone."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise NeedsOwnerError(
            "operator_password_exposed", f"Other users may read the operator's password: run chmod 600 {path}."
        )
    return path.read_text("ascii").strip()
