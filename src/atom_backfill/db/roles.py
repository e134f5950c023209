"""The database's roles: three groups that transactions take, and one login for the operator.

The groups belong to the cluster, so several databases of atom-backfill in one cluster share them. The operator's login
is named after its database, so that none changes another's password.
"""

from __future__ import annotations

import hashlib

from psycopg import sql

from atom_backfill.db.pool import Database
from atom_backfill.db.scope import ENGINE_ROLE, OPERATOR_ROLE, WORK_ROLE, Owner
from atom_backfill.db.transaction import Transaction
from atom_backfill.errors import NeedsOwnerError

GROUPS = (ENGINE_ROLE, WORK_ROLE, OPERATOR_ROLE)

# A superuser may take any role, and is a member of all for pg_has_role.
_MISSING = """
SELECT name, EXISTS (SELECT FROM pg_roles WHERE rolname = name) AS made
FROM unnest(%(groups)s::text[]) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name AND pg_has_role(current_user, oid, %(may)s))
"""


def operator_login(database_name: str) -> str:
    """Return the name of the operator's login of a database."""
    return f"{OPERATOR_ROLE}_{hashlib.sha256(database_name.encode()).hexdigest()[:8]}"


async def roles_ready(transaction: Transaction) -> bool:
    """Tell whether the account of the URL may take all three group roles."""
    return not await _missing(transaction)


async def make_roles(database: Database) -> None:
    """Make the group roles that are missing and join them; safe to repeat and at once from several databases.

    Raises NeedsOwnerError `database_roles_missing`, whose detail is the SQL for an administrator to run.
    """
    async with database.transaction(Owner()) as transaction:
        missing = await _missing(transaction)
        if not missing:
            return
        instructions = await roles_sql(transaction)
    try:
        async with database.transaction(Owner()) as transaction:
            for name, made in missing.items():
                if not made:
                    await transaction.execute(_create(name))
                await transaction.execute(await _grant(transaction, name))
    except NeedsOwnerError as error:
        raise NeedsOwnerError(
            "database_roles_missing",
            "The database account may not create the roles that atom-backfill needs: let an administrator run the SQL "
            "that atom-backfill doctor prints.",
            detail=instructions,
        ) from error


async def roles_sql(transaction: Transaction) -> str:
    """Return the SQL with which an administrator makes all roles for the account of the URL."""
    who = await transaction.fetch_one("SELECT current_user AS account, current_database() AS name")
    assert who is not None
    lines = [f"CREATE ROLE {name} NOLOGIN;" for name in GROUPS]
    grants = [(await _grant(transaction, name)).as_string() for name in GROUPS]
    lines += [grant.replace("CURRENT_USER", _quoted(who["account"])) + ";" for grant in grants]
    login = operator_login(who["name"])
    lines.append(f"CREATE ROLE {login} LOGIN PASSWORD '<choose one>' IN ROLE {OPERATOR_ROLE};")
    lines.append(f"GRANT CONNECT ON DATABASE {_quoted(who['name'])} TO {login};")
    return "\n".join(lines)


async def set_operator_password(database: Database, password: str) -> str:
    """Give this database's operator its login, or a new password; return the login. The caller keeps the password."""
    async with database.transaction(Owner()) as transaction:
        name = await transaction.fetch_value("SELECT current_database()")
        login = operator_login(name)
        names = {
            "login": sql.Identifier(login),
            "group": sql.Identifier(OPERATOR_ROLE),
            "database": sql.Identifier(name),
        }
        if not await transaction.fetch_value("SELECT 1 FROM pg_roles WHERE rolname = %(login)s", {"login": login}):
            await transaction.execute(sql.SQL("CREATE ROLE {login} LOGIN IN ROLE {group}").format(**names))
        await transaction.execute(
            sql.SQL("ALTER ROLE {login} PASSWORD {hash}").format(
                **names, hash=sql.Literal(transaction.hashed_password(login, password))
            )
        )
        await transaction.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {login}").format(**names))
        return login


async def _missing(transaction: Transaction) -> dict[str, bool]:
    """Return the groups that the account may not take yet, and whether each exists."""
    # PostgreSQL 16 made the right to SET ROLE a thing of its own.
    may = "SET" if await _version(transaction) >= 160_000 else "MEMBER"
    rows = await transaction.fetch_all(_MISSING, {"groups": list(GROUPS), "may": may})
    return {row["name"]: row["made"] for row in rows}


def _create(name: str) -> sql.Composed:
    # Advisory locks are a database's own, so another database may be making the same role now.
    return sql.SQL(
        "DO $$ BEGIN CREATE ROLE {} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    ).format(sql.Identifier(name))


async def _grant(transaction: Transaction, name: str) -> sql.Composed:
    options = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if await _version(transaction) >= 160_000 else "")
    return sql.SQL("GRANT {} TO CURRENT_USER{}").format(sql.Identifier(name), options)


async def _version(transaction: Transaction) -> int:
    return int(await transaction.fetch_value("SELECT current_setting('server_version_num')::int"))


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
