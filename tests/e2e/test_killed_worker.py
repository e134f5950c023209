"""Workers die by kill -9 in the middle of their work; whoever comes next finishes it, and every row is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from e2e.mailboxes import FOLDERS, a_mail, mails
from e2e.product import Product, Simulator, a_product, a_simulator, until
from fakes.embedding_server import embedding_server
from graph_world import write_mailbox

SLOW = {"on": "messages", "kind": "slow", "seconds": 0.3}
PAGE = 3
MAILS = [
    *mails("Inbox", 30),
    *mails("Inbox", 11, start=300.0, step=0.0),
    *mails("Sent Items", 9, start=3.0),
    a_mail("Inbox", receivedDateTime=None),
]


@dataclass
class World:
    """A mailbox that is read slowly."""

    data: Path
    simulator: Simulator
    product: Product

    def sql(self, statement: str) -> int:
        with psycopg.connect(self.product.superuser_url, autocommit=True) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]
            row = done.fetchone() if done.description else None
        return int(row[0]) if row else int(done.rowcount)

    def stored(self) -> int:
        return self.sql("SELECT count(*) FROM messages")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    data = write_mailbox(tmp_path / "data", MAILS, [*FOLDERS.values()])
    with ExitStack() as stack:
        embeddings = stack.enter_context(embedding_server())
        simulator = stack.enter_context(a_simulator(data, faults=[SLOW]))
        settings = {"simulator": simulator, "embeddings": embeddings.url, "page_size": str(PAGE)}
        product = stack.enter_context(a_product(tmp_path / "home", **settings))  # type: ignore[arg-type]
        product.connect("ines@example.com")
        yield World(data, simulator, product)


@pytest.mark.long
def test_a_killed_worker_loses_nothing_and_doubles_nothing(world: World) -> None:
    job = world.product.start("ines@example.com")
    for _ in range(2):
        before = world.stored()
        with world.product.worker(fresh=True) as worker:
            until(lambda before=before: world.stored() > before)  # type: ignore[misc]
            children = _children(worker.process.pid)
            worker.kill()
        until(lambda children=children: not any(map(_is_alive, children)), seconds=20)  # type: ignore[misc]
        assert world.product.job(job)["status"] == "running"
        assert world.sql("SELECT count(*) FROM sync_chunks WHERE state = 'leased'") > 0
        # A killed worker's leases lapse in 20 s; the test does not wait for that.
        world.sql("UPDATE sync_chunks SET lease_until = atom_now() - interval '1 s' WHERE state = 'leased'")
    assert world.stored() < len(MAILS)
    world.simulator.script()
    world.product.drain()
    assert world.product.differences(world.data) == []
    done = world.product.job(job)
    assert (done["status"], done["records_processed"], done["failures"]) == ("completed", len(MAILS), 0)
    assert world.product.json("balance")["memory"]["orphans"] == 0


def _children(process: int) -> list[int]:
    """Return the processes that a process has started. Linux only; elsewhere none are looked at."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _is_alive(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
