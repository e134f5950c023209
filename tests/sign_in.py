"""Signing in to the simulator, in both ways, as tests of MSAL do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from atom_backfill.http import HttpClient
from atom_backfill.sources.outlook.auth import (
    Credentials,
    DeviceCode,
    SignedIn,
    sign_in_with_device_code,
    sign_in_with_secret,
)
from fakes.skipping_clock import SkippingClock
from graph_world import SECRET, GraphWorld, a_folder, a_graph_message, graph_world, write_mailbox

PERSON = Credentials("common", "app-1")
INBOX = a_folder("Inbox", wellKnownName="inbox")


@asynccontextmanager
async def world(tmp_path: Path, **about: Any) -> AsyncIterator[GraphWorld]:
    write_mailbox(tmp_path, [a_graph_message(INBOX)], [INBOX])
    about.setdefault("device_interval_s", 0)
    async with graph_world(tmp_path, **about) as found:
        yield found


@asynccontextmanager
async def login(found: GraphWorld, **about: Any) -> AsyncIterator[HttpClient]:
    async with HttpClient(found.url, **about) as http:
        yield http


async def with_secret(found: GraphWorld, credentials: Credentials = SECRET) -> SignedIn:
    async with login(found) as http:
        return await sign_in_with_secret(http, SkippingClock(), credentials, graph_base_url=f"{found.url}/v1.0")


async def with_code(
    found: GraphWorld, credentials: Credentials = PERSON, codes: list[DeviceCode] | None = None
) -> SignedIn:
    async def tell(code: DeviceCode) -> None:
        if codes is not None:
            codes.append(code)

    async with login(found) as http:
        return await sign_in_with_device_code(http, SkippingClock(), credentials, tell)
