"""A Graph simulator in a thread of the test's own process, over real HTTP, with invented mail."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from atom_simulators.graph import ids
from atom_simulators.graph.faults import GRAMMAR
from atom_simulators.graph.folders import FolderTree, parse_folders
from atom_simulators.graph.limits import Limits
from atom_simulators.graph.mailbox import Mailbox
from atom_simulators.graph.quirks import Quirks
from atom_simulators.graph.server import serving
from atom_simulators.graph.service import Clocks, Service, Settings
from atom_simulators.scenario import Script, parse_faults

JsonObject = dict[str, Any]
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


def folder_id(name: str) -> str:
    """The id of an invented folder."""
    return ids.folder_id(hashlib.shake_256(name.encode()).digest(87))


def message_id(number: int) -> str:
    """The immutable id of invented message `number`."""
    return "AAkALg" + hashlib.sha256(f"message {number}".encode()).hexdigest() + f"{number:02d}"


def a_folder(name: str, *, parent: str = "msgfolderroot", **about: Any) -> JsonObject:
    well_known = name.lower().replace(" ", "")
    known = well_known in {"inbox", "sentitems", "drafts", "deleteditems", "junkemail", "archive"}
    return {
        "id": folder_id(name),
        "displayName": name,
        "parentFolderId": folder_id(parent),
        "isHidden": False,
        "wellKnownName": well_known if known else None,
        **about,
    }


def a_graph_message(number: int, **about: Any) -> JsonObject:
    """Message `number`: one a minute, in the inbox, read where the number is even."""
    person = {"emailAddress": {"name": "Ines Halloran", "address": "ines@lumen.example"}}
    moment = f"2024-01-{1 + number // 1440:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z"
    return {
        "id": message_id(number),
        "createdDateTime": moment,
        "lastModifiedDateTime": moment,
        "changeKey": f"CQAAABYAAAB{number:021d}",
        "categories": [],
        "receivedDateTime": moment,
        "sentDateTime": moment,
        "hasAttachments": False,
        "internetMessageId": f"<m{number}@lumen.example>",
        "subject": f"Lease {number}",
        "bodyPreview": f"The lease, part {number}.",
        "importance": "normal",
        "parentFolderId": folder_id("Inbox"),
        "conversationId": f"AAQkconversation{number // 3:064d}=",
        "isDeliveryReceiptRequested": None,
        "isReadReceiptRequested": False,
        "isRead": number % 2 == 0,
        "isDraft": False,
        "inferenceClassification": "focused",
        "body": {"contentType": "text", "content": f"The lease, part {number}.\r\n"},
        "sender": person,
        "from": person,
        "toRecipients": [person],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "flag": {"flagStatus": "notFlagged"},
        "internetMessageHeaders": [{"name": "Received", "value": "by mx.lumen.example"}],
        **about,
    }


STANDARD_FOLDERS = tuple(a_folder(name) for name in ("Inbox", "Sent Items", "Drafts", "Deleted Items", "Archive"))


def a_mailbox(
    name: str = "ines", messages: Sequence[JsonObject] = (), folders: Sequence[JsonObject] = STANDARD_FOLDERS
) -> Mailbox:
    mailbox = Mailbox(name, FolderTree(name, parse_folders(list(folders))))
    mailbox.load(json.dumps(message).encode() for message in messages)
    return mailbox


def write_data(
    directory: Path, name: str, messages: Sequence[JsonObject], folders: Sequence[JsonObject] = STANDARD_FOLDERS
) -> Path:
    """Write a mailbox as `simulate graph --data` reads one."""
    place = directory / "mailboxes"
    place.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    (place / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (place / f"{name}.folders.json").write_text(json.dumps({"value": list(folders)}))
    return directory


@dataclass
class HandTime:
    """A clock that the test moves, and a gate that holds sleeping requests while it is shut."""

    seconds: float = 1_750_000_000.0
    gate_open: bool = True
    _gate: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        if not self.gate_open:
            self._gate = self._gate or asyncio.Event()
            await self._gate.wait()

    def open_gate(self) -> None:
        self.gate_open = True
        if self._loop is not None and self._gate is not None:
            self._loop.call_soon_threadsafe(self._gate.set)


@dataclass
class Simulator:
    """A running simulator and clients for it."""

    url: str
    service: Service
    time: HandTime
    http: httpx.Client
    box: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def token(self, **form: str) -> httpx.Response:
        """Ask for an app-only token; `form` adds to the request or changes it."""
        asked = {
            "grant_type": "client_credentials",
            "client_id": "app-1",
            "client_secret": "good",
            "scope": "https://graph.microsoft.com/.default",
            **form,
        }
        return self.http.post("/lumen.example/oauth2/v2.0/token", data=asked, headers={"Authorization": ""})

    def app_only(self, app: str = "app-1") -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token(client_id=app).json()['access_token']}"}

    def delegated(self, user: str, scope: str = "Mail.Read User.Read offline_access") -> Mapping[str, str]:
        """Headers of a signed-in user, by authorization code."""
        target = "http://localhost:1/done"
        asked = {
            "client_id": "app-1",
            "response_type": "code",
            "redirect_uri": target,
            "scope": scope,
            "login_hint": f"{user}@example.com",
        }
        sent = self.http.get("/lumen.example/oauth2/v2.0/authorize", params=asked).headers["location"]
        code = httpx.URL(sent).params["code"]
        token = self.token(grant_type="authorization_code", code=code, redirect_uri=target, scope=scope)
        return {"Authorization": f"Bearer {token.json()['access_token']}"}

    def get(self, path: str, **params: Any) -> httpx.Response:
        """GET below the mailbox's user, or an absolute link as it stands."""
        headers = params.pop("headers", {})
        url = path if path.startswith("http") else f"/v1.0/users/{self.box}@example.com{path}"
        return self.http.get(url, params=params or None, headers=headers)

    def pages(self, path: str, **params: Any) -> list[JsonObject]:
        """Every page of a list, by its links."""
        headers = params.get("headers", {})
        found = [self.get(path, **params).json()]
        while "@odata.nextLink" in found[-1]:
            found.append(self.get(found[-1]["@odata.nextLink"], headers=headers).json())
        return found

    def items(self, path: str, **params: Any) -> list[JsonObject]:
        return [item for page in self.pages(path, **params) for item in page["value"]]

    def control(self, method: str, path: str, content: Any = None) -> Any:
        answer = self.http.request(method, f"/_sim{path}", json=content)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def graph_simulator(
    mailboxes: Sequence[Mailbox] = (),
    *,
    faults: Sequence[JsonObject] = (),
    quirks: Quirks | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> Iterator[Simulator]:
    """Run a simulator while the block lasts; the first mailbox is the one that `get` asks."""
    boxes = list(mailboxes) or [a_mailbox(messages=[a_graph_message(n) for n in range(30)])]
    time = HandTime()
    numbers = itertools.count(1)
    clocks = Clocks(time.now, time.now, time.sleep, lambda: f"00000000-0000-4000-8000-{next(numbers):012d}")
    service = Service(
        {box.name: box for box in boxes},
        Settings(quirks=quirks or Quirks(), limits=limits or Limits(), **settings),
        Script(parse_faults(list(faults), GRAMMAR)),
        clocks,
    )
    with _in_thread(service) as url, httpx.Client(base_url=url, timeout=20, verify=False) as http:
        simulator = Simulator(url, service, time, http, boxes[0].name)
        http.headers.update(simulator.app_only())
        yield simulator
        time.open_gate()


@contextmanager
def _in_thread(service: Service) -> Iterator[str]:
    started = threading.Event()
    box: dict[str, Any] = {}

    async def run() -> None:
        async with serving(service) as url:
            box.update(url=url, loop=asyncio.get_running_loop(), stop=asyncio.Event())
            started.set()
            await box["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(10), "the simulator did not start"
    try:
        yield box["url"]
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(10)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a Graph error."""
    return answer.status_code, answer.json()["error"]["code"]


def numbers_of(items: Sequence[JsonObject]) -> list[int]:
    """The numbers of invented messages, from their subjects."""
    return [int(item["subject"].split()[-1]) for item in items]


Asserting = Callable[[], bool]


def until(met: Asserting, tries: int = 2000) -> None:
    """Ask again until it is so; each question is a round trip, so no time is slept away."""
    for _ in range(tries):
        if met():
            return
    raise AssertionError("it did not come about")
