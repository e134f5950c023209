"""The Graph simulator in the test's own event loop, and the product's client in front of it."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atom_backfill.http import HttpClient
from atom_backfill.sources.outlook.auth import Credentials, MemoryTokenCache, OutlookTokens
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.source import OutlookSource
from atom_simulators.graph.data import read_mailboxes
from atom_simulators.graph.faults import GRAMMAR
from atom_simulators.graph.limits import Limits
from atom_simulators.graph.quirks import Quirks, with_quirks
from atom_simulators.graph.server import serving
from atom_simulators.graph.service import Clocks, Service, Settings, real_sleep
from atom_simulators.scenario import Script, parse_faults
from fakes.permits import MemoryPermits
from fakes.skipping_clock import SkippingClock

Json = dict[str, Any]
SECRET = Credentials("example.com", "app-1", "right")


@dataclass
class GraphWorld:
    """A running simulator. `requests` lists what it was asked since `since`."""

    url: str
    service: Service

    def script(self, *faults: Json) -> None:
        """Have these faults from now on; calls are counted anew."""
        self.service.script = Script(parse_faults(list(faults), GRAMMAR))

    def requests(self, operation: str = "", since: int = 0) -> list[Json]:
        """What was asked, in order."""
        lines = [line for line in self.service.journal.lines if line["n"] > since]
        return [line for line in lines if not operation or line["operation"] == operation]


@dataclass
class Outlook:
    """The product's side: a source over its own client, with everything that a test may look at."""

    source: OutlookSource
    client: GraphClient
    tokens: OutlookTokens
    permits: MemoryPermits
    clock: SkippingClock
    seen: list[tuple[str, int, float]] = field(default_factory=list)


@asynccontextmanager
async def graph_world(
    directory: Path, *, faults: Sequence[Json] = (), quirks: Json | None = None, **settings: Any
) -> AsyncIterator[GraphWorld]:
    """Serve the mailboxes of a folder."""
    switches = with_quirks(Quirks(), quirks or {})
    limits = Limits(**settings.pop("limits", {}))
    clocks = Clocks(time.time, time.monotonic, real_sleep, lambda: str(uuid.uuid4()))
    script = Script(parse_faults(list(faults), GRAMMAR))
    service = Service(read_mailboxes(directory), Settings(quirks=switches, limits=limits, **settings), script, clocks)
    try:
        async with serving(service) as url:
            yield GraphWorld(url, service)
    except BaseExceptionGroup as group:  # a failed assertion, wrapped by the server's task group
        raise group.exceptions[0] from None


@asynccontextmanager
async def outlook(
    world: GraphWorld,
    *,
    credentials: Credentials = SECRET,
    cache: MemoryTokenCache | None = None,
    address: str = "ines@example.com",
    total_seconds: float = 5.0,
    body_limit: int = 64 * 2**20,
    patience: float = 60.0,
    request_seconds: float = 0.0,
) -> AsyncIterator[Outlook]:
    """Open a source as the product does. Each request takes `request_seconds` of the source's time."""
    clock = SkippingClock()
    seen: list[tuple[str, int, float]] = []

    def noted(kind: str, status: int, seconds: float) -> None:
        seen.append((kind, status, seconds))
        clock.skip(request_seconds)

    graph = HttpClient(f"{world.url}/v1.0", total_seconds=total_seconds, body_limit=body_limit)
    async with graph, HttpClient(world.url, total_seconds=total_seconds) as login:
        tokens = OutlookTokens(
            login, cache or MemoryTokenCache(), clock, credentials, graph_base_url=f"{world.url}/v1.0"
        )
        permits = MemoryPermits(clock, patience=patience)
        client = GraphClient(graph, tokens, permits, clock, user=address, on_request=noted)
        yield Outlook(OutlookSource(client, clock, address=address), client, tokens, permits, clock, seen)


def write_mailbox(directory: Path, messages: Sequence[Json], folders: Sequence[Json], name: str = "ines") -> Path:
    """Write a mailbox as the simulator reads it."""
    place = directory / "mailboxes"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.folders.json").write_text(json.dumps(list(folders)))
    with gzip.open(place / f"{name}.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(message) + "\n" for message in messages)
    return directory


_numbers = itertools.count(1)


def a_folder(name: str, *, parent: str = "root-folder-id", **about: Any) -> Json:
    """A folder with an id of its own."""
    fields = {"id": f"AAMkFolder{next(_numbers):05}=", "displayName": name, "parentFolderId": parent}
    return {**fields, "isHidden": False, "wellKnownName": None, **about}


def a_graph_message(folder: Json, **about: Any) -> Json:
    """A message as Graph stores it."""
    number = next(_numbers)
    person = {"emailAddress": {"name": "Tomasz Reyl", "address": "tomasz@example.org"}}
    fields: Json = {
        "id": f"AAkALgMessage{number:08}",
        "parentFolderId": folder["id"],
        "changeKey": f"CQAAA{number:08}",
        "createdDateTime": "2026-03-02T09:30:00Z",
        "lastModifiedDateTime": "2026-03-02T09:30:00Z",
        "receivedDateTime": "2026-03-02T09:30:00Z",
        "sentDateTime": "2026-03-02T09:29:00Z",
        "internetMessageId": f"<m-{number}@example.org>",
        "conversationId": f"AAQk{number:08}=",
        "subject": f"Lease {number}",
        "body": {"contentType": "text", "content": f"The lease {number} is signed.\r\n"},
        "bodyPreview": f"The lease {number} is signed.",
        "from": person,
        "sender": person,
        "toRecipients": [{"emailAddress": {"name": "Ines Halloran", "address": "ines@example.com"}}],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "hasAttachments": False,
        "isDraft": False,
        "isRead": True,
        "importance": "normal",
    }
    return {**fields, **about}
