"""The product as its user has it: a home, the command line, workers as processes, and a simulated Outlook."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from atom_backfill.cli.main import main
from atom_backfill.db.embedded import EmbeddedPostgres
from e2e.checker import differences
from e2e.stored import Store, read_store
from e2e.truth import Truth, Wanted, read_truth
from fakes.embedding_server import KEY, MODEL
from forked import Forked

Json = Any
PROGRAM = [sys.executable, "-m", "atom_backfill"]
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        return json.loads(self.out)


@dataclass
class WorkerProcess:
    """A worker in a process of its own; `log` is its stderr."""

    process: Forked | subprocess.Popen[bytes]
    path: Path

    @property
    def log(self) -> list[Json]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def events(self) -> list[str]:
        return [str(line["event"]) for line in self.log]

    def kill(self) -> None:
        """End it on the spot, as kill -9 does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def wait(self, seconds: float = PATIENCE_S) -> int:
        return self.process.wait(seconds)


@dataclass
class Simulator:
    """A running Graph simulator; `control` is its own surface, below /_sim."""

    url: str

    def control(self, method: str, path: str, content: Json = None) -> Json:
        answer = httpx.request(method, f"{self.url}/_sim{path}", json=content, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def script(self, *faults: Mapping[str, Json]) -> None:
        """Have these faults from now on."""
        self.control("PUT", "/faults", list(faults))

    def requests(self, since: int = 0, operation: str = "") -> list[Json]:
        found: list[Json] = self.control("GET", f"/log?since={since}")["requests"]
        return [line for line in found if not operation or line["operation"] == operation]

    @property
    def count(self) -> int:
        """How many requests there were so far."""
        return int(self.control("GET", "/log")["count"])


class Product:
    """One home. Commands run in this process, through the entry point that the installed program has."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = {"ATOM_HOME": str(home), **environment}
        self._workers = 0

    def run(self, *arguments: str, status: int = 0, stdin: str = "") -> Done:
        """Run a command that must end with this status."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self._environment(), clear=True),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            done = Done(main(arguments), out.getvalue(), err.getvalue())
        assert "Traceback" not in done.err, done.err
        assert done.status == status, f"{' '.join(arguments)}: {done}"
        return done

    def json(self, *arguments: str, status: int = 0) -> Json:
        return self.run(*arguments, "--json", status=status).json

    @contextmanager
    def worker(self, *arguments: str, fresh: bool = False) -> Iterator[WorkerProcess]:
        """Run a worker while the block lasts. `fresh`: by an interpreter of its own, as the user does."""
        self._workers += 1
        path = self.home.with_name(f"{self.home.name}-worker-{self._workers}.log")
        process: Forked | subprocess.Popen[bytes]
        with path.open("wb") as log:
            if fresh:
                process = subprocess.Popen([*PROGRAM, "worker", *arguments], stderr=log, env=self._environment())
            else:
                process = Forked(["worker", *arguments], self._environment(), stderr=log)
        try:
            yield WorkerProcess(process, path)
        finally:
            process.kill()
            process.wait(10)

    def drain(self, *arguments: str) -> WorkerProcess:
        """Let a worker do all there is to do."""
        with self.worker("--drain", *arguments) as worker:
            assert worker.wait() == 0, worker.path.read_text()
        return worker

    def connect(self, user: str, *, secret: str = "right") -> str:
        """Connect an Outlook mailbox by an app's own sign-in; returns the account's id."""
        path = self.home.with_name("secret.txt")
        path.write_text(secret + "\n")
        registration = ["--app-tenant", "example.com", "--client-id", "app-1", "--client-secret-file", str(path)]
        return str(self.json("connect", "outlook", "--user", user, *registration)["account_id"])

    def start(self, *arguments: str) -> str:
        """Start a job; returns its id."""
        return str(self.json("start", *arguments)["job_id"])

    def job(self, job: str) -> Json:
        return self.json("show", job)

    def backfill(self, *arguments: str) -> Json:
        """Start a job and read everything; returns the JOB."""
        job = self.start(*arguments)
        self.drain()
        return self.job(job)

    @property
    def superuser_url(self) -> str:
        """A login that sees everything, for looking and for breaking things."""
        return EmbeddedPostgres(self.home).superuser_url()

    def store(self, address: str) -> Store:
        return read_store(self.superuser_url, self.home / "memory", address)

    def differences(self, data: Path, name: str = "ines", **about: Any) -> list[str]:
        """Compare all that is stored of a mailbox with its files."""
        return differences(self.truth(data, name), self.store(f"{name}@example.com"), Wanted(**about))

    @staticmethod
    def truth(data: Path, name: str = "ines") -> Truth:
        return read_truth(data, name)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATOM_", "DATABASE_"))}
        return {**kept, **self.environment}


@contextmanager
def a_product(
    home: Path, *, simulator: Simulator | None = None, embeddings: str = "", **settings: str
) -> Iterator[Product]:
    """Make a home with its server up; at the end nothing is left running. `embeddings`: a server in place of MiniLM."""
    environment = {f"ATOM_{name.upper()}": value for name, value in settings.items()}
    if simulator:
        environment |= {"ATOM_GRAPH_BASE_URL": f"{simulator.url}/v1.0", "ATOM_LOGIN_BASE_URL": simulator.url}
    if embeddings:
        environment |= {"ATOM_EMBEDDER": "openai", "ATOM_OPENAI_BASE_URL": embeddings, "ATOM_OPENAI_API_KEY": KEY}
        environment |= {"ATOM_OPENAI_EMBEDDING_MODEL": MODEL}
    product = Product(home, environment)
    try:
        product.run("init")
        product.run("db", "start")
        yield product
    finally:
        EmbeddedPostgres(home).stop(even_if_used=True)


@contextmanager
def a_simulator(data: Path, *flags: str, faults: Sequence[Mapping[str, Json]] = ()) -> Iterator[Simulator]:
    """Run the Graph simulator while the block lasts."""
    script = data / "faults.json"
    script.write_text(json.dumps(list(faults)))
    command = [*PROGRAM, "simulate", "graph", "--data", str(data), "--faults", str(script), *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Simulator(json.loads(process.stdout.readline())["url"])
    finally:
        process.kill()
        process.communicate()


def until(met: Callable[[], object], *, seconds: float = PATIENCE_S) -> None:
    """Wait for other processes to get somewhere; what they are waited for stands in `met`."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
