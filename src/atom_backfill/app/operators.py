"""The operator's login: a URL that reads all tenants but bodies and secrets, for tools and people."""

from __future__ import annotations

import asyncio
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from atom_backfill.access.vault import write_once
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
    path = app.home_file(PASSWORD_FILE)
    password = await asyncio.to_thread(read_password, path)
    async with app.database.transaction(Owner()) as tx:
        login = operator_login(await tx.fetch_value("SELECT current_database()"))
    url = app.login_url(login, password)
    # Tried first: where an administrator has made the login, this account may not set its password.
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


def read_password(path: Path) -> str:
    """Read the operator's password, made at the first time, for this user alone. Raises NeedsOwnerError."""
    try:
        if not path.exists():
            write_once(path, secrets.token_urlsafe(32).encode())
        if not stat.S_IMODE(path.stat().st_mode) & 0o077:
            return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NeedsOwnerError(
            "operator_password_unusable",
            f"The operator's password {path} cannot be read or made: delete it, or set ATOM_HOME.",
        ) from error
    raise NeedsOwnerError(
        "operator_password_exposed", f"Other users may read the operator's password: run chmod 600 {path}."
    )


async def _works(url: str) -> bool:
    with suppress(AtomError):
        await (await connect(url)).close()
        return True
    return False
