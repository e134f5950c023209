"""The home, the server, the simulator and the proxies of one run, and the command line in front of them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from atom_backfill.db.embedded import EmbeddedPostgres
from atom_torture.processes.mailbox import ADDRESS, mails_of, write_mailbox
from atom_torture.processes.proc import children_of, kill_all
from atom_torture.processes.program import Program
from atom_torture.processes.proxy import Proxy, Stream
from atom_torture.processes.schedule import Schedule, from_seed
from atom_torture.processes.vectors import KEY, MODEL, vector_server
from atom_torture.shards import to_its_end
from atom_torture.truth import Mail

LAG_S = 0.03
"""That each request to the mailbox takes, so that there is a while in which to strike."""
COMMAND_S = 90.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended; one that hangs is killed."""

    status: int
    out: str
    err: str


@dataclass
class World:
    """Everything of one run but its workers. `base` holds all its files; `admin_url` sees everything, past proxies."""

    schedule: Schedule
    base: Path
    server: EmbeddedPostgres
    admin_url: str
    proxies: Mapping[str, Proxy]
    environment: Mapping[str, str]
    mails: Sequence[Mail]
    commands: int = 0

    @property
    def memory(self) -> Path:
        """The folder of the memory."""
        return self.base / "home" / "memory"

    @property
    def calm(self) -> bool:
        """Whether no proxy breaks anything at present."""
        return all(proxy.calm for proxy in self.proxies.values())

    async def command(self, *arguments: str) -> Done:
        """Run a command of the program to its end."""
        self.commands += 1
        out, err = (self.base / f"command-{self.commands}.{stream}" for stream in ("out", "err"))
        program = await Program.start(arguments, self.environment, out=out, err=err)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(program.wait(), COMMAND_S)
        finally:
            program.send(signal.SIGKILL)
        return Done(await program.wait(), out.read_text(), err.read_text())

    async def restart_server(self) -> None:
        """Stop the server as its operator does, and start it again."""
        await to_its_end(partial(self.server.stop, even_if_used=True))
        await to_its_end(self.server.start)

    async def crash_server(self) -> None:
        """Kill the server with all its children, and start it again."""
        folder = self.server.status().data_folder
        assert folder is not None
        postmaster = int((folder / "postmaster.pid").read_text().split()[0])
        # The children first: they would go by themselves, and some in order.
        kill_all([*children_of(postmaster), postmaster])
        await to_its_end(self.server.start)


class Template:
    """A home in which everything is made and the mailbox is connected; each run gets a copy of it."""

    def __init__(self, folder: Path, product: Path | None) -> None:
        self.folder = folder
        self.environment = _environment(folder / "home", product)

    async def make(self) -> None:
        """Make it, by the commands that a user types."""
        schedule = from_seed(0)
        write_mailbox(self.folder / "data", mails_of(schedule))
        secret = self.folder / "secret.txt"
        secret.write_text("right\n")
        server = EmbeddedPostgres(self.folder / "home")
        try:
            await to_its_end(server.start)
            with _simulator(self.folder / "data", self.environment) as port:
                graph = {"ATOM_GRAPH_BASE_URL": _http(port, "/v1.0"), "ATOM_LOGIN_BASE_URL": _http(port)}
                world = World(schedule, self.folder, server, "", {}, {**self.environment, **graph}, ())
                app = ("--app-tenant", "example.com", "--client-id", "app-1", "--client-secret-file", str(secret))
                for command in (("init",), ("connect", "outlook", "--user", ADDRESS, *app)):
                    done = await world.command(*command)
                    if done.status:
                        raise RuntimeError(f"{command[0]}: {done.err}")
            async with await psycopg.AsyncConnection.connect(server.superuser_url(), autocommit=True) as admin:
                await admin.execute(files("atom_torture").joinpath("watch.sql").read_text().encode())
        finally:
            await to_its_end(partial(server.stop, even_if_used=True))
            await to_its_end(server.close)


@asynccontextmanager
async def a_world(template: Template, schedule: Schedule) -> AsyncIterator[World]:
    """Set everything up for a run, and leave nothing of it."""
    mails = mails_of(schedule)
    base = await to_its_end(partial(_lay_out, template, mails))
    server = EmbeddedPostgres(base / "home")
    environment = {**template.environment, "ATOM_HOME": str(base / "home")}
    try:
        with vector_server() as vectors, _simulator(base / "data", environment) as graph:
            await to_its_end(server.start)
            url = urlsplit(server.owner_url())
            where = parse_qs(url.query)
            # The same after each start.
            path = f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}"
            async with (
                Proxy(partial(_local, path)) as database,
                Proxy(partial(_tcp, graph), lag_s=LAG_S) as mailbox,
                Proxy(partial(_tcp, vectors)) as embeddings,
            ):
                environment |= {
                    "DATABASE_URL": f"postgresql://{url.username}:{url.password}@127.0.0.1:{database.port}{url.path}",
                    "ATOM_GRAPH_BASE_URL": _http(mailbox.port, "/v1.0"),
                    "ATOM_LOGIN_BASE_URL": _http(mailbox.port),
                    "ATOM_OPENAI_BASE_URL": _http(embeddings.port, "/v1"),
                    "ATOM_PAGE_SIZE": str(schedule.page),
                }
                proxies = {"database": database, "mailbox": mailbox, "vectors": embeddings}
                yield World(schedule, base, server, server.superuser_url(), proxies, environment, mails)
    finally:
        await to_its_end(partial(server.stop, even_if_used=True))
        await to_its_end(server.close)
        shutil.rmtree(base, ignore_errors=True)


def _lay_out(template: Template, mails: Sequence[Mail]) -> Path:
    base = Path(tempfile.mkdtemp(prefix="run-", dir=template.folder))
    base.chmod(0o755)
    # `cp`, since it keeps the owners: the server of a root's home runs as another account.
    subprocess.run(["cp", "-a", str(template.folder / "home"), str(base / "home")], check=True)
    write_mailbox(base / "data", mails)
    return base


def _environment(home: Path, product: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATOM_", "DATABASE_"))}
    ours = {
        "ATOM_HOME": str(home),
        "ATOM_THREADS": "1",
        "ATOM_EMBEDDER": "openai",
        "ATOM_OPENAI_API_KEY": KEY,
        "ATOM_OPENAI_EMBEDDING_MODEL": MODEL,
    }
    return {**kept, **ours} | ({"PYTHONPATH": str(product)} if product else {})


@contextmanager
def _simulator(data: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Run the Graph simulator; gives its port."""
    faults = str(data / "faults.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "atom_backfill", "simulate", "graph", "--data", str(data), "--faults", faults],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(environment),
    )
    try:
        assert process.stdout is not None
        port = urlsplit(json.loads(process.stdout.readline())["url"]).port
        assert port is not None
        yield port
    finally:
        process.kill()
        process.communicate()


async def _local(path: str) -> Stream:
    return await asyncio.open_unix_connection(path)


async def _tcp(port: int) -> Stream:
    return await asyncio.open_connection("127.0.0.1", port)


def _http(port: int, path: str = "") -> str:
    return f"http://127.0.0.1:{port}{path}"
