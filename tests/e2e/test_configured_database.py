"""A PostgreSQL of one's own instead of the embedded one: what the commands do with it, and without rights on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from command_line import call
from databases import FreshDatabase, TestServer

ENDPOINTS = {"ATOM_GRAPH_BASE_URL": "http://127.0.0.1:9", "ATOM_LOGIN_BASE_URL": "http://127.0.0.1:9"}


@pytest.fixture
def empty_database(postgres: TestServer) -> Iterator[FreshDatabase]:
    """A database with nothing in it."""
    database = postgres.clone("template0")
    yield database
    postgres.drop(database)


def without_rights(database: FreshDatabase) -> str:
    """The URL of an account that owns the database's schema and may make no roles."""
    with psycopg.connect(database.superuser_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        admin.execute(f'GRANT ALL ON DATABASE "{database.name}" TO plain')  # type: ignore[arg-type]
        admin.execute("GRANT ALL ON SCHEMA public TO plain")
    parts = urlsplit(database.owner_url)
    return urlunsplit(parts._replace(netloc=f"plain:plain@{parts.netloc.rpartition('@')[2]}"))


def test_commands_use_the_database_that_is_configured(empty_database: FreshDatabase, tmp_path: Path) -> None:
    settings = {"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": empty_database.owner_url, **ENDPOINTS}
    made = call("init", "--json", settings=settings).json
    assert made["database"] == "DATABASE_URL"
    assert not (tmp_path / "home" / "database").exists()
    assert call("accounts", "--json", settings=settings).json == {"accounts": []}
    assert call("db", "start", "--json", settings=settings).json == {"database": "configured", "running": True}
    stopped = call("db", "stop", settings=settings)
    assert (stopped.status, len(stopped.lines)) == (5, 1)
    checks = {check["name"]: check for check in call("doctor", "--json", settings=settings).json["checks"]}
    assert {checks[name]["status"] for name in ("database", "schema", "roles", "vault", "memory")} == {"ok"}
    assert "configured" in checks["database"]["detail"]


def test_the_operator_s_url_leads_to_the_configured_database(empty_database: FreshDatabase, tmp_path: Path) -> None:
    settings = {"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": empty_database.owner_url}
    url = call("db", "url", settings=settings).out.strip()
    assert call("db", "url", settings=settings).out.strip() == url
    with psycopg.connect(url) as operator:
        assert operator.execute("SELECT count(*) FROM historical_sync_jobs").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.execute("SELECT * FROM secrets")


def test_an_account_that_may_make_no_roles_is_given_the_sql_to_run(
    empty_database: FreshDatabase, tmp_path: Path
) -> None:
    settings = {"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": without_rights(empty_database), **ENDPOINTS}
    init = call("init", settings=settings)
    assert (init.status, len(init.lines)) == (1, 1)
    assert "atom-backfill doctor prints" in init.err
    doctor = call("doctor", "--json", settings=settings)
    assert doctor.status == 1
    (roles,) = [check for check in doctor.json["checks"] if check["name"] == "roles"]
    assert roles["status"] == "fail"
    statements = roles["fix"].partition(":\n")[2]
    there = tuple(f"CREATE ROLE {name} " for name in ("atom_engine", "atom_work", "atom_operator"))  # of the cluster
    with psycopg.connect(empty_database.superuser_url, autocommit=True) as admin:
        for statement in statements.replace("<choose one>", "chosen").splitlines():
            if not statement.startswith(there):
                admin.execute(statement)  # type: ignore[arg-type]
        assert call("init", settings=settings).status == 0
        password = tmp_path / "home" / "operator.password"
        password.write_text("chosen")
        password.chmod(0o600)
        with psycopg.connect(call("db", "url", settings=settings).out.strip()) as operator:
            assert operator.execute("SELECT count(*) FROM messages").fetchone() == (0,)
            login = operator.info.user
        admin.execute(f"DROP OWNED BY {login}")  # type: ignore[arg-type]
        admin.execute(f"DROP ROLE {login}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://nobody:x@127.0.0.1:9/none", "cannot be reached"),
        ("mysql://somewhere/else", "must begin with postgresql://"),
    ],
)
def test_a_database_that_is_not_there_is_said_in_a_sentence(tmp_path: Path, url: str, says: str) -> None:
    done = call("jobs", settings={"ATOM_HOME": str(tmp_path / "home"), "DATABASE_URL": url})
    assert done.status in (1, 2)
    assert done.out == ""
    assert says in done.err
