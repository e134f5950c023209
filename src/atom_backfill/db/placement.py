"""Where the embedded server's files lie, and which account runs it.

PostgreSQL refuses to run as uid 0, so for root an unprivileged account runs it, and the files lie where that account
can reach them:

- not root: everything in `HOME/database`, run by the caller;
- root in a user's home: the same, run by that user, who also gets every file made;
- root in root's home: in `HOME/database` where the account can reach it, else (a home below a 0700 folder) in a
  folder of its own below one of ELSEWHERE, made by root so that nobody else can have put it there. Which, and for
  which account, is recorded in the home.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import secrets
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypedDict

from atom_backfill.errors import NeedsOwnerError

FOLDER = "database"
# /var/lib first: temporary folders are emptied by some systems.
ELSEWHERE = (Path("/var/lib"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - proven to be ours before use


@dataclass(frozen=True, slots=True)
class Account:
    """A numeric user and group of this machine."""

    uid: int
    gid: int


class Demotion(TypedDict, total=False):
    """The arguments of subprocess that run a program as another account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one embedded server.

    `base` lies in the home and holds what decides (start lock, password, record of the place); `root` holds data,
    sockets and log, and is `base` itself unless the server's account cannot reach it. `account` is None when the
    caller runs the server. `keeper` gets the files that root makes in another user's home.
    """

    base: Path
    root: Path
    account: Account | None = None
    keeper: Account | None = None

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.root / "postgres.log"

    @property
    def password(self) -> Path:
        """The file with the password of the cluster's two first roles."""
        return self.base / "password"

    @property
    def users_lock(self) -> Path:
        """Held shared by every user; beside the data, so that two copies of one home still count together."""
        return self.root / "users.lock"

    @property
    def keep_up(self) -> Path:
        """Present while the server is to stay up without users."""
        return self.root / "keep-up"

    @property
    def server_uid(self) -> int:
        """The user that the data folder belongs to."""
        return self.account.uid if self.account else os.geteuid()

    def write(self, path: Path, text: str) -> None:
        """Write a file that only the home's owner reads, whole or not at all."""
        _write(path, text, self.keeper)

    def give_to_server(self, path: Path) -> None:
        """Make `path` the server account's."""
        if self.account:
            _give(path, self.account)


def known_accounts() -> Iterator[Account]:
    """Yield unprivileged accounts of this machine, the fittest first.

    Only accounts with a name: initdb looks its own up and refuses without one.
    """
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            yield Account(entry.pw_uid, entry.pw_gid)
    yield from (Account(entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall() if entry.pw_uid != 0)


def demotion(account: Account | None) -> Demotion:
    """Return the arguments of subprocess that run a program as `account`, and no other group of the caller's."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def make_base(home: Path) -> Path:
    """Make HOME/database and return it. As root a new home may be traversed by the server's account, but not listed."""
    base = home / FOLDER
    fresh_mode = 0o711 if os.geteuid() == 0 else 0o700
    home.mkdir(mode=fresh_mode, parents=True, exist_ok=True)
    keeper = home_keeper(home)
    with suppress(FileExistsError):
        base.mkdir(mode=fresh_mode)
        if keeper:
            _give(base, keeper)
    prove(base, keeper.uid if keeper else os.geteuid())
    return base


def settle(home: Path, accounts: Callable[[], Iterable[Account]], elsewhere: Sequence[Path]) -> Place:
    """Return the place of the home's server, deciding it the first time. The caller holds the start lock."""
    base = home / FOLDER
    if os.geteuid() != 0:
        return Place(base, base)
    if keeper := home_keeper(home):
        return Place(base, base, keeper, keeper)
    return find(home) or _decide(base, home, accounts, elsewhere)


def find(home: Path) -> Place | None:
    """Return the place decided earlier, or None. Refuses a recorded folder that is gone or no longer ours."""
    base = home / FOLDER
    if not base.is_dir():
        return None
    if os.geteuid() != 0:
        return Place(base, base)
    if keeper := home_keeper(home):
        return Place(base, base, keeper, keeper)
    record = base / "place.json"
    if not record.exists():
        return None
    prove(record, 0, stat.S_ISREG)
    entry = json.loads(record.read_text())
    root = Path(entry["folder"]) if entry["folder"] else base
    if not root.is_dir():
        raise NeedsOwnerError(
            "database_folder_gone",
            f"The database's folder {root} is gone. Restore it, or delete {record} to begin with an empty database.",
        )
    prove(root, 0)
    return Place(base, root, Account(entry["uid"], entry["gid"]))


def home_keeper(home: Path) -> Account | None:
    """Return whose the home is, when root works in another user's."""
    owner = home.stat()
    return Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 and owner.st_uid != 0 else None


def left_behind(home: Path, parents: Sequence[Path]) -> tuple[Path, ...]:
    """Return root's folders elsewhere that were this home's once, and are not now."""
    place = find(home) if home.is_dir() else None
    found = [folder for parent in parents for folder in parent.glob(f"{_name_elsewhere(home)}-*")]
    return tuple(folder for folder in found if folder.lstat().st_uid == 0 and not (place and place.root == folder))


def prove(path: Path, uid: int, kind: Callable[[int], bool] = stat.S_ISDIR) -> None:
    """Refuse `path` unless it is really a folder (or `kind`), of `uid`, that nobody else may write to."""
    found = path.lstat()
    if not kind(found.st_mode):
        problem = "is a symbolic link" if stat.S_ISLNK(found.st_mode) else "is not of the expected kind"
    elif found.st_uid != uid:
        problem = f"belongs to user id {found.st_uid} instead of {uid}"
    elif found.st_mode & 0o022:
        problem = "may be written to by other users (chmod go-w would close it)"
    else:
        return
    raise NeedsOwnerError(
        "database_folder_refused", f"{path} {problem}, so it is not used. Move it away, or set DATABASE_URL."
    )


def open_append(path: Path, keeper: Account | None) -> BinaryIO:
    """Open a file that only the home's owner reads for adding at its end; a symbolic link in its place is refused."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        descriptor = os.open(path, flags | os.O_CREAT, 0o600)
    else:
        # Only what was made just now: in another user's folder, a name there before may be a link to anything.
        if keeper:
            os.fchown(descriptor, keeper.uid, keeper.gid)
    return os.fdopen(descriptor, "a+b")


def run_as(account: Account | None, *command: str | Path) -> bool:
    """Tell whether `command` succeeds as `account`, output thrown away."""
    try:
        return (
            subprocess.run(  # noqa: S603
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                **demotion(account),
            ).returncode
            == 0
        )
    except OSError:
        return False


def _decide(base: Path, home: Path, accounts: Callable[[], Iterable[Account]], elsewhere: Sequence[Path]) -> Place:
    account = next((each for each in accounts() if run_as(each, "/bin/sh", "-c", ":")), None)
    if account is None:
        raise NeedsOwnerError(
            "database_account_missing",
            "PostgreSQL does not run as root and there is no other account on this machine that root may switch to. "
            "Run atom-backfill as another user, or set DATABASE_URL.",
        )
    # The shell's own cd sees what a look at mode bits does not: access lists, user namespaces, mounts.
    reachable = run_as(account, "/bin/sh", "-c", 'cd -- "$1"', "sh", base)
    root = base if reachable else _make_elsewhere(home, account, elsewhere)
    record = {"folder": None if reachable else str(root), "uid": account.uid, "gid": account.gid}
    _write(base / "place.json", json.dumps(record), None)
    return Place(base, root, account)


def _make_elsewhere(home: Path, account: Account, parents: Sequence[Path]) -> Path:
    for parent in parents:
        # A random end: an older folder of this name belongs to a home that was deleted; it is left alone.
        folder = parent / f"{_name_elsewhere(home)}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o711)
        except OSError:
            continue
        folder.chmod(0o711)
        if run_as(account, "/bin/sh", "-c", 'cd -- "$1"', "sh", folder):
            return folder
        folder.rmdir()
    raise NeedsOwnerError(
        "database_place_missing",
        f"The server's account (user id {account.uid}) cannot reach {home}, and no folder could be made for it below "
        f"{', '.join(map(str, parents))}. Set ATOM_HOME to a folder below world-traversable ones, or set DATABASE_URL.",
    )


def _name_elsewhere(home: Path) -> str:
    return "atom-backfill-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


def _give(path: Path, account: Account) -> None:
    """Change the owner of a folder or file made just now, and of nothing that was put in its place meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise NeedsOwnerError("database_folder_refused", f"{path} was replaced by a link, so it is not used.")
        os.fchown(descriptor, account.uid, account.gid)
    finally:
        os.close(descriptor)


def _write(path: Path, text: str, keeper: Account | None) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if keeper:
                os.fchown(file.fileno(), keeper.uid, keeper.gid)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
