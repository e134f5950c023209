"""Processes that use the embedded server, to be started together, killed, or run as another account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

# Everything is imported before the process gives up root, since the interpreter may lie where others cannot read.
_SCRIPT = """
import json, os, sys, time
from pathlib import Path
import psycopg
from atom_backfill.db.embedded import EmbeddedPostgres
from atom_backfill.errors import AtomError

home, uid = Path(sys.argv[1]), int(sys.argv[2])
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
begun = time.monotonic()
server = EmbeddedPostgres(home, durable=False, patience=20)
try:
    url = server.start()
except AtomError as error:
    print(json.dumps({"code": error.code, "message": error.message, "detail": error.detail}), flush=True)
    sys.exit(1)
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("SELECT pg_advisory_lock(1)")
    connection.execute("CREATE TABLE IF NOT EXISTS visits (name text)")
    connection.execute("INSERT INTO visits VALUES (%s)", [str(os.getpid())])
    backend = connection.info.backend_pid
print(json.dumps({"url": url, "seconds": time.monotonic() - begun, "backend": backend}), flush=True)
sys.stdin.read()
server.close()
"""


@dataclass
class ServerUser:
    """A process that has become a user of a home's server, and leaves when told."""

    process: subprocess.Popen[str]

    @classmethod
    def begin(cls, home: Path, *, uid: int = 0) -> Self:
        """Start it; does not wait for the server."""
        command = [sys.executable, "-c", _SCRIPT, str(home), str(uid)]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def report(self) -> dict[str, Any]:
        """Return what it says once it is a user, or why it could not become one."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the user process died without a word"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def leave(self) -> None:
        """Let it go, and wait for its end."""
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        """Kill it on the spot."""
        self.process.kill()
        self.process.communicate(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()


def server_processes(data: Path) -> set[int]:
    """Return the processes that work in a cluster's data folder: server and backends. Linux only."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == data:
                found.add(int(entry.name))
    return found


def kill_server(data: Path, *, with_backends: bool) -> None:
    """Kill the server as a power cut would, with or without its backends."""
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    for pid in server_processes(data) if with_backends else {postmaster}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
