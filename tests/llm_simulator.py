"""A model simulator in a thread of the test's own process, over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from atom_simulators.facts import Stated
from atom_simulators.llm.answers import Reader
from atom_simulators.llm.faults import GRAMMAR
from atom_simulators.llm.limits import Limits
from atom_simulators.llm.reading import read
from atom_simulators.llm.recognising import Known
from atom_simulators.llm.requests import Offers
from atom_simulators.llm.server import serving
from atom_simulators.llm.service import Clocks, Service, Settings
from atom_simulators.sample import everything
from atom_simulators.scenario import Script, parse_faults

JsonObject = dict[str, Any]
REFERENCE = (Path(__file__).parents[1] / "docs/reference/extraction.md").read_text("utf-8")
SCHEMA: JsonObject = json.loads(re.findall(r"```json\n(.*?)```", REFERENCE.split("## Schema")[1], re.DOTALL)[0])
PROMPT: str = re.findall(r"```text\n(.*?)\n```", REFERENCE.split("## Prompt")[1], re.DOTALL)[0]


@dataclass
class HandTime:
    """A clock that the test moves."""

    seconds: float = 1_750_000_000.0

    def now(self) -> float:
        return self.seconds


@dataclass
class Simulator:
    """A running simulator and a client for it with a good key."""

    url: str
    service: Service
    time: HandTime
    http: httpx.Client

    def chat(self, content: str = "Answer in JSON.", **about: Any) -> httpx.Response:
        """Ask; a value of None leaves a parameter out."""
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": content}]
        asked = {"model": "gpt-4o-mini", "messages": messages, **about}
        body = {name: value for name, value in asked.items() if value is not None}
        return self.http.post("/v1/chat/completions", json=body)

    def extract(self, *units: str, **about: Any) -> httpx.Response:
        """Ask what units state, by the reference's schema."""
        return self.chat(a_call(*units), **{"response_format": by_schema(SCHEMA), **about})

    def facts(self, *units: str, **about: Any) -> list[JsonObject]:
        """What units state."""
        answer = self.extract(*units, **about).json()
        found: list[JsonObject] = json.loads(answer["choices"][0]["message"]["content"])["u"]
        return found

    def calls(self) -> JsonObject:
        """The simulator's own count."""
        answer: JsonObject = self.http.get("/_simulator/calls").json()
        return answer


def by_schema(schema: JsonObject, *, strict: bool = True, name: str = "facts") -> JsonObject:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": schema}}


def a_unit(text: str, people: Sequence[str] = ("Ines Roth ines@lumen.example",), *, sender: str = "p0") -> str:
    """The inside of a unit with one mail."""
    lines = "".join(f"p{number} {person}\n" for number, person in enumerate(people))
    return f'{lines}<mail date="2024-05-02" from="{sender}" to="">\n{text.replace("<", "‹")}\n</mail>'


def a_call(*units: str) -> str:
    """The user's message with these units."""
    inside = "\n".join(f'<unit n="{number}">\n{unit}\n</unit>' for number, unit in enumerate(units))
    return f"<units>\n{inside}\n</units>"


@cache
def the_sample() -> Known:
    """The sample mailbox, as the simulator knows it."""
    return Known(everything())


@contextmanager
def llm_simulator(
    *,
    faults: Sequence[JsonObject] = (),
    known: Sequence[Stated] | Known = (),
    reader: Reader = read,
    limits: Limits | None = None,
    offers: Offers | None = None,
    key: str = "sk-good",
    **settings: Any,
) -> Iterator[Simulator]:
    """Run a simulator while the block lasts."""
    time = HandTime()
    numbers = itertools.count(1)
    service = Service(
        Settings(limits=limits or Limits(), offers=offers or Offers(), **settings),
        Script(parse_faults(list(faults), GRAMMAR)),
        Clocks(time.now, time.now, lambda: f"00000000-0000-4000-8000-{next(numbers):012d}"),
        known if isinstance(known, Known) else Known(known),
        reader=reader,
    )
    with _in_thread(service) as url, httpx.Client(base_url=url, timeout=20, headers=authorised(key)) as http:
        yield Simulator(url, service, time, http)


def authorised(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def _in_thread(service: Service) -> Iterator[str]:
    ready, started = threading.Event(), {}
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serving(service) as url:
            started["url"] = url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield started["url"]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
