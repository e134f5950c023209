"""The embedded server's life: started by the first user, shared, stopped by the last, whoever dies meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from atom_backfill.db.cluster import LOG_LIMIT, ServerState
from atom_backfill.db.embedded import EmbeddedPostgres, StopOutcome
from atom_backfill.errors import NeedsOwnerError, RetryLaterError
from server_users import ServerUser, kill_server, server_processes

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """A home never used, that every account can reach, so that root's server keeps its data there."""
    with _home() as folder:
        yield folder


@pytest.fixture(scope="module")
def used_home() -> Iterator[Path]:
    with _home() as folder:
        with EmbeddedPostgres(folder, durable=False):
            pass
        yield folder


@pytest.fixture
def home(used_home: Path) -> Iterator[Path]:
    """A home that has its database, at rest."""
    yield used_home
    EmbeddedPostgres(used_home).stop(even_if_used=True)


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, durable=False, patience=20)
    yield server
    server.close()


@contextmanager
def _home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="atom-home-"))
    folder.chmod(0o755)
    yield folder
    EmbeddedPostgres(folder).stop(even_if_used=True)
    shutil.rmtree(folder)


def test_the_url_leads_to_an_own_utf8_database_through_a_role_without_privileges(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        row = connection.execute(
            "SELECT current_database(), current_user, current_setting('server_encoding'), rolsuper, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == ("atom", "atom", "UTF8", False, False)


def test_settings_are_safe_and_fit_a_small_machine(home: Path) -> None:
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:

        def setting(name: str) -> object:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row
            return row[0]

        assert {name: setting(name) for name in ("fsync", "full_page_writes", "synchronous_commit")} == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
        }
        assert setting("data_checksums") == "on"
        assert setting("listen_addresses") == ""
        assert setting("max_connections") == "200"
        assert setting("shared_buffers") == "64MB"


def test_text_is_compared_by_unicode_rules(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        row = connection.execute("SELECT lower('ÄÖÜŁ'), 'Å' ~ '[[:alpha:]]'").fetchone()
    assert row == ("äöüł", True)


def test_the_password_is_demanded_also_on_the_socket(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.start(), password="wrong")


def test_three_processes_at_once_on_a_fresh_home_share_one_server(fresh_home: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(ServerUser.begin(fresh_home)) for _ in range(3)]
        reports = [user.report() for user in users]
        assert max(report["seconds"] for report in reports) < 15  # 0.9 s on two idle cores
        assert len({report["url"] for report in reports}) == 1
        with psycopg.connect(reports[0]["url"]) as connection:
            assert connection.execute("SELECT count(*) FROM visits").fetchone() == (3,)
        for user in users:
            user.leave()
    assert EmbeddedPostgres(fresh_home).status().state is ServerState.DOWN


def test_the_last_user_stops_the_server_and_no_earlier_one(home: Path, server: EmbeddedPostgres) -> None:
    with ServerUser.begin(home) as other:
        other.report()
        server.start()
        server.close()
        assert server.status().state is ServerState.READY
        other.leave()
    assert server.status().state is ServerState.DOWN


def test_two_users_in_one_process_count_as_two(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        with EmbeddedPostgres(home, durable=False):
            pass
        assert EmbeddedPostgres(home).status().state is ServerState.READY
    assert EmbeddedPostgres(home).status().state is ServerState.DOWN


def test_data_outlives_the_server(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.close()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_killed_user_is_not_counted_any_more(home: Path, server: EmbeddedPostgres) -> None:
    with ServerUser.begin(home) as victim:
        victim.report()
        victim.kill()
    assert server.status().state is ServerState.READY
    assert not server.status().in_use
    server.start()
    server.close()
    assert server.status().state is ServerState.DOWN


@linux_only
@pytest.mark.parametrize("with_backends", [True, False], ids=["with its backends", "alone"])
def test_a_killed_server_comes_back_with_its_data(server: EmbeddedPostgres, with_backends: bool) -> None:
    url = server.start()
    data = server.status().data_folder
    assert data
    busy = psycopg.connect(url, autocommit=True)
    busy.execute("DROP TABLE IF EXISTS kept")
    busy.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    busy.execute("BEGIN")
    busy.execute("INSERT INTO kept VALUES (0)")
    kill_server(data, with_backends=with_backends)
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
    busy.close()


@linux_only
def test_everything_killed_at_once_leaves_nothing_in_the_way(home: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(ServerUser.begin(home)) for _ in range(2)]
        pids = {str(user.process.pid) for user in users if user.report()}
        data = EmbeddedPostgres(home).status().data_folder
        assert data
        kill_server(data, with_backends=True)
        for user in users:
            user.kill()
        with ServerUser.begin(home) as later:
            with psycopg.connect(later.report()["url"]) as connection:
                visits = connection.execute("SELECT name FROM visits").fetchall()
            later.leave()
        assert pids < {name for (name,) in visits}
        assert server_processes(data) == set()


@linux_only
def test_a_process_id_that_now_is_a_strangers_is_neither_trusted_nor_killed(server: EmbeddedPostgres) -> None:
    server.start()
    data = server.status().data_folder
    assert data
    pid_file = data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    owner = pid_file.stat()
    kill_server(data, with_backends=True)
    demoted = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **demoted) as stranger:  # type: ignore[call-overload]
        try:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            assert server.status().state is ServerState.DOWN
            assert server.stop() is StopOutcome.NOT_RUNNING
            with psycopg.connect(server.start()) as connection:
                connection.execute("SELECT 1")
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_server_kept_up_stays_without_users_until_it_is_stopped(server: EmbeddedPostgres) -> None:
    server.start()
    server.keep_up()
    server.close()
    assert server.status().state is ServerState.READY
    assert server.status().keep_up
    assert server.stop() is StopOutcome.STOPPED
    assert server.status().state is ServerState.DOWN
    server.start()
    server.close()
    assert server.status().state is ServerState.DOWN


def test_stopping_leaves_a_server_in_use_to_its_last_user(home: Path, server: EmbeddedPostgres) -> None:
    with ServerUser.begin(home) as other:
        other.report()
        server.start()
        server.keep_up()
        server.close()
        assert server.stop() is StopOutcome.IN_USE
        assert server.status().state is ServerState.READY
        other.leave()
    assert server.status().state is ServerState.DOWN


def test_stopping_can_be_insisted_on(home: Path, server: EmbeddedPostgres) -> None:
    with ServerUser.begin(home) as other:
        other.report()
        assert server.stop(even_if_used=True) is StopOutcome.STOPPED
        other.leave()


def test_stopping_what_does_not_run_says_so(server: EmbeddedPostgres) -> None:
    assert server.stop() is StopOutcome.NOT_RUNNING


def test_status_makes_nothing(tmp_path: Path) -> None:
    status = EmbeddedPostgres(tmp_path / "never").status()
    assert (status.state, status.in_use, status.data_folder) == (ServerState.DOWN, False, None)
    assert list(tmp_path.iterdir()) == []


def test_urls_of_a_server_that_was_never_started_ask_for_a_later_try(tmp_path: Path) -> None:
    with pytest.raises(RetryLaterError):
        EmbeddedPostgres(tmp_path).superuser_url()


def test_destroying_spares_a_server_that_others_use(fresh_home: Path) -> None:
    server = EmbeddedPostgres(fresh_home, durable=False)
    with ServerUser.begin(fresh_home) as other:
        other.report()
        server.start()
        assert not server.destroy()
        other.leave()
    assert server.destroy()
    assert list(fresh_home.iterdir()) == []


@pytest.mark.long
def test_a_start_that_died_half_way_is_begun_again(fresh_home: Path) -> None:
    server = EmbeddedPostgres(fresh_home, durable=False)
    server.start()
    server.close()
    data = server.status().data_folder
    assert data
    shutil.rmtree(data)
    half = data.with_name("init.half")
    (half / "data").mkdir(parents=True)
    (half / "data" / "PG_VERSION").write_text("18\n")
    with psycopg.connect(server.start()) as connection:
        connection.execute("SELECT 1")
    assert not half.exists()


def test_a_cluster_of_another_major_version_is_refused_with_the_way_out(server: EmbeddedPostgres) -> None:
    server.start()
    server.close()
    data = server.status().data_folder
    assert data
    true_version = (data / "PG_VERSION").read_text()
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(NeedsOwnerError, match="another major version") as refused:
        server.start()
    (data / "PG_VERSION").write_text(true_version)
    assert refused.value.code == "database_version"


def test_a_damaged_cluster_is_not_replaced_by_an_empty_one(server: EmbeddedPostgres) -> None:
    server.start()
    server.close()
    data = server.status().data_folder
    assert data
    version = data / "PG_VERSION"
    version.rename(data / "gone")
    with pytest.raises(NeedsOwnerError, match="backup") as refused:
        server.start()
    (data / "gone").rename(version)
    assert refused.value.code == "database_corrupted"


def test_a_lost_password_file_is_said_plainly(home: Path, server: EmbeddedPostgres) -> None:
    server.start()
    password = home / "database" / "password"
    password.rename(password.with_suffix(".away"))
    with pytest.raises(NeedsOwnerError) as refused:
        server.start()
    password.with_suffix(".away").rename(password)
    assert refused.value.code == "database_password_missing"


def test_the_log_is_cut_when_it_has_grown(home: Path, server: EmbeddedPostgres) -> None:
    server.start()
    server.close()
    log = server.status().log
    assert log
    with log.open("a") as file:
        file.write("x" * LOG_LIMIT)
    server.start()
    assert log.stat().st_size < 10_000
    assert log.with_suffix(".log.1").stat().st_size > LOG_LIMIT


def test_the_log_holds_no_values_of_a_failed_statement(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (subject text UNIQUE CHECK (subject <> 'secret plan'))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO notes VALUES ('secret plan')")
    log = server.status().log
    assert log
    assert "secret plan" not in log.read_text()
