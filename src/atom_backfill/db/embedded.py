"""The PostgreSQL that comes with the package: one per home, started on demand, stopped by its last user.

Lifetime is kept by kernel file locks, which the kernel itself drops when a process dies, so a kill -9 leaks nothing:

- `start.lock`  exclusive, held only while starting and stopping: concurrent callers queue up;
- `users.lock`  shared, held as long as a process uses the server; "am I the last?" is "can I have it alone?".

All of this blocks: call it through `asyncio.to_thread`. POSIX only; on Windows set DATABASE_URL.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from atom_backfill.db.cluster import DATABASE, OWNER, SUPERUSER, Cluster, ServerState
from atom_backfill.db.placement import (
    ELSEWHERE,
    Account,
    Place,
    find,
    home_keeper,
    known_accounts,
    left_behind,
    make_base,
    open_append,
    settle,
)
from atom_backfill.db.programs import open_programs
from atom_backfill.errors import NeedsOwnerError, RetryLaterError


class StopOutcome(Enum):
    """What a request to stop led to."""

    STOPPED = "stopped"
    IN_USE = "in_use"  # the last user will stop it
    NOT_RUNNING = "not_running"


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What is there now. Folders are None before the first start.

    `left_behind`: data of an earlier home at this path, which was deleted while its data lay elsewhere. It is never
    deleted by itself, since the home may only have been moved away for a while.
    """

    state: ServerState
    in_use: bool
    keep_up: bool
    data_folder: Path | None
    log: Path | None
    left_behind: tuple[Path, ...] = ()


class EmbeddedPostgres:
    """The embedded server of one home. `with EmbeddedPostgres(home) as url:` makes this process one of its users.

    `bin_dir`: another PostgreSQL's programs (14 and newer) instead of the wheel's. `accounts` and `elsewhere`: who may
    run it for root, and where its files go when that account cannot reach the home. `patience`: seconds to wait for
    others, for recovery and for orphans. `durable=False`: for what is thrown away.
    """

    def __init__(
        self,
        home: Path,
        *,
        bin_dir: Path | None = None,
        accounts: Callable[[], Iterable[Account]] = known_accounts,
        elsewhere: Sequence[Path] = ELSEWHERE,
        patience: float = 60,
        durable: bool = True,
    ) -> None:
        self._home = home.absolute().resolve()
        self._bin_dir = bin_dir
        self._accounts = accounts
        self._elsewhere = elsewhere
        self._patience = patience
        self._durable = durable
        self._users: BinaryIO | None = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, patience: float | None = None) -> str:
        """Become a user, start the server if it is down, and return the URL of the product's own role.

        Safe to repeat: it also brings back a server that was killed. `patience`: for this call, where it is another.
        Raises NeedsOwnerError, RetryLaterError.
        """
        patience = self._patience if patience is None else patience
        with self._changing(patience) as place:
            joined = self._users or open_append(place.users_lock, place.keeper)
            try:
                fcntl.flock(joined, fcntl.LOCK_SH)
                self._bring_up(place, patience)
                url = self._url(place, OWNER, DATABASE)
            except BaseException:
                if joined is not self._users:
                    joined.close()
                raise
            self._users = joined
            return url

    def close(self) -> None:
        """Stop being a user; the last one stops the server unless it is to be kept up."""
        if self._users is None:
            return
        with self._changing() as place:
            if not place.keep_up.exists() and _alone(self._users):
                self._shut_down(place)
            self._users.close()
            self._users = None

    def owner_url(self, database: str = DATABASE) -> str:
        """Return the URL of the product's own role on the running server."""
        with _owner_errors(self._home):
            return self._url(self._found(), OWNER, database)

    def superuser_url(self, database: str = DATABASE) -> str:
        """Return the URL of the cluster's superuser, for administration and tests; the product itself never uses it."""
        with _owner_errors(self._home):
            return self._url(self._found(), SUPERUSER, database)

    def role_url(self, role: str, password: str, database: str = DATABASE) -> str:
        """Return the URL of another login on the running server."""
        with _owner_errors(self._home):
            return Cluster(self._found()).url(role, password, database)

    def keep_up(self) -> None:
        """Keep the server up without users, from now until `stop`."""
        with self._changing() as place:
            place.write(place.keep_up, "")

    def stop(self, *, even_if_used: bool = False) -> StopOutcome:
        """End `keep_up` and stop the server; while in use, it is left to its last user unless `even_if_used`."""
        if not self._home.is_dir():
            return StopOutcome.NOT_RUNNING
        with self._changing() as place:
            place.keep_up.unlink(missing_ok=True)
            if not Cluster(place).may_run():
                return StopOutcome.NOT_RUNNING
            with open_append(place.users_lock, place.keeper) as users:
                if not even_if_used and not _alone(users):
                    return StopOutcome.IN_USE
            self._shut_down(place)
            return StopOutcome.STOPPED

    def status(self) -> EmbeddedStatus:
        """Say what is there; makes nothing."""
        with _owner_errors(self._home):
            place = find(self._home) if self._home.is_dir() else None
            lost = left_behind(self._home, self._elsewhere)
            if place is None:
                return EmbeddedStatus(ServerState.DOWN, False, False, data_folder=None, log=None, left_behind=lost)
            in_use = False
            if place.users_lock.exists():
                with self._exclusive(), open_append(place.users_lock, place.keeper) as users:
                    in_use = not _alone(users)
            state = Cluster(place).state()
            return EmbeddedStatus(state, in_use, place.keep_up.exists(), place.data, place.log, lost)

    def destroy(self, *, even_if_used: bool = False) -> bool:
        """Stop being a user and delete the server with all it holds, unless others use it. For demos and tests.

        `even_if_used`: also then.
        """
        with self._changing() as place:
            if self._users is not None:
                self._users.close()
                self._users = None
            with open_append(place.users_lock, place.keeper) as users:
                if not even_if_used and not _alone(users):
                    return False
            self._shut_down(place)
            for folder in {place.root, place.base}:
                shutil.rmtree(folder)
            return True

    def _bring_up(self, place: Place, patience: float) -> None:
        cluster = Cluster(place, durable=self._durable)
        deadline = time.monotonic() + patience
        while (state := cluster.state()) is ServerState.STARTING and time.monotonic() < deadline:
            time.sleep(0.02)
        if state is ServerState.READY:
            return
        if state is ServerState.STARTING:
            raise RetryLaterError("database_starting", "The embedded database is still recovering; try again later.")
        programs = open_programs(place, self._bin_dir)
        if not cluster.exists():
            if not place.password.exists():
                place.write(place.password, secrets.token_urlsafe(32))
            cluster.create(programs, place.password.read_text())
        cluster.launch(programs, patience)

    def _shut_down(self, place: Place) -> None:
        cluster = Cluster(place)
        if cluster.may_run():
            cluster.shut_down(open_programs(place, self._bin_dir))

    def _url(self, place: Place, role: str, database: str) -> str:
        try:
            password = place.password.read_text()
        except FileNotFoundError:
            raise NeedsOwnerError(
                "database_password_missing",
                f"The file {place.password} with the database's password is gone. Restore it; or, to begin with an "
                f"empty database, stop the server and delete {place.data}.",
            ) from None
        return Cluster(place).url(role, password, database)

    def _found(self) -> Place:
        place = find(self._home)
        if place is None:
            raise RetryLaterError("database_unavailable", "The embedded database was never started.")
        return place

    @contextmanager
    def _changing(self, patience: float | None = None) -> Iterator[Place]:
        """Hold the start lock, and know the place."""
        with _owner_errors(self._home), self._exclusive(patience):
            yield settle(self._home, self._accounts, self._elsewhere)

    @contextmanager
    def _exclusive(self, patience: float | None = None) -> Iterator[None]:
        deadline = time.monotonic() + (self._patience if patience is None else patience)
        while True:
            path = make_base(self._home) / "start.lock"
            with open_append(path, home_keeper(self._home)) as lock:
                # A lock on a file that `destroy` has removed meanwhile would exclude nobody.
                if _alone(lock) and _same_file(path, lock):
                    yield
                    return
            if time.monotonic() > deadline:
                raise RetryLaterError("database_busy", "Another process has been starting the database for long.")
            time.sleep(0.02)


def _alone(file: BinaryIO) -> bool:
    """Take the lock for this process alone, if no other holds it in any way."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(path: Path, file: BinaryIO) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


@contextmanager
def _owner_errors(home: Path) -> Iterator[None]:
    """Say once, and clearly, what the file system refused."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            code, message = "disk_full", f"The disk that holds {home} is full: free some space, then try again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            code = "home_not_writable"
            message = f"The home folder {home} cannot be written to: give it to this user, or set ATOM_HOME to another."
        else:
            code, message = "home_unusable", f"The home folder {home} cannot be used; set ATOM_HOME to another folder."
        raise NeedsOwnerError(code, message, detail=f"{error.strerror}: {error.filename}") from error
