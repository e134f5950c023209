"""Each way in which the proxy breaks a connection, as both ends see it over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest

from atom_torture.processes.proxy import LATE_S, Proxy, Stream
from atom_torture.processes.schedule import WIRES

T = TypeVar("T")
SOON_S = 5.0
QUIET_S = 0.3


@dataclass
class Echo:
    """A server that says everything back in capitals. `ends`: how its connections have ended."""

    port: int = 0
    ends: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece.upper())
            self.ends.put_nowait("FIN")
        except ConnectionError:
            self.ends.put_nowait("RST")
        finally:
            writer.close()


@asynccontextmanager
async def a_proxy() -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    try:
        async with Proxy(partial(asyncio.open_connection, "127.0.0.1", echo.port)) as proxy:
            yield proxy, echo
    finally:
        server.close()


async def soon(what: Awaitable[T]) -> T:
    return await asyncio.wait_for(what, SOON_S)


async def client_of(proxy: Proxy) -> Stream:
    return await soon(asyncio.open_connection("127.0.0.1", proxy.port))


async def ask(client: Stream, words: bytes = b"valve") -> bytes:
    client[1].write(words)
    return await soon(client[0].readexactly(len(words)))


async def hears_nothing(client: Stream) -> bool:
    """Tell whether neither a byte nor an end comes."""
    reading = asyncio.ensure_future(client[0].read(1))
    done, _ = await asyncio.wait({reading}, timeout=QUIET_S)
    reading.cancel()
    return not done


async def test_in_calm_everything_passes_and_each_end_is_told_of_the_others() -> None:
    async with a_proxy() as (proxy, echo):
        client = await client_of(proxy)
        assert await ask(client) == b"VALVE"
        assert await ask(client, b"x" * 1_000_000) == b"X" * 1_000_000
        assert proxy.calm
        client[1].close()
        assert await soon(echo.ends.get()) == "FIN"


async def test_latency_makes_every_piece_late_and_loses_none() -> None:
    async with a_proxy() as (proxy, _):
        client = await client_of(proxy)
        proxy.strike("latency", 60)
        began = asyncio.get_running_loop().time()
        assert await ask(client) == b"VALVE"
        assert asyncio.get_running_loop().time() - began >= 2 * LATE_S
        assert not proxy.calm
        proxy.heal()
        assert proxy.calm


async def test_a_reset_ends_what_is_open_and_whoever_comes_and_both_ends_see_it() -> None:
    async with a_proxy() as (proxy, echo):
        client = await client_of(proxy)
        await ask(client)
        proxy.strike("reset", 60)
        with pytest.raises(ConnectionResetError):
            await soon(client[0].read(1))
        assert await soon(echo.ends.get()) == "RST"
        with pytest.raises(ConnectionError):
            await ask(await client_of(proxy))
        proxy.heal()
        assert await ask(await client_of(proxy)) == b"VALVE"


async def test_of_a_half_open_connection_the_client_hears_nothing_and_the_server_after_a_while() -> None:
    async with a_proxy() as (proxy, echo):
        client = await client_of(proxy)
        await ask(client)
        proxy.strike("half_open", 2 * QUIET_S)
        client[1].write(b"anybody there?")
        assert await hears_nothing(client)
        assert echo.ends.empty()
        later = await client_of(proxy)
        assert await ask(later) == b"VALVE", "who comes later gets through"
        assert await soon(echo.ends.get()) == "RST"
        assert await hears_nothing(client)
        assert not proxy.calm, "a client still believes in it"
        client[1].close()
        while not proxy.calm:
            await ask(later)


async def test_a_cut_lets_so_many_bytes_through_and_ends() -> None:
    async with a_proxy() as (proxy, echo):
        before = await client_of(proxy)
        await ask(before)
        proxy.strike("cut", 60, size=7)
        later = await client_of(proxy)
        for client in (before, later):
            client[1].write(b"pump and valve")
            assert await soon(client[0].read()) == b"PUMP AN"
            assert await soon(echo.ends.get()) in ("FIN", "RST")
        proxy.heal()
        assert await ask(await client_of(proxy)) == b"VALVE"


async def test_a_black_hole_takes_everybody_in_and_answers_when_it_is_over() -> None:
    async with a_proxy() as (proxy, _):
        before = await client_of(proxy)
        await ask(before)
        proxy.strike("black_hole", 4 * QUIET_S)
        during = await client_of(proxy)
        for client in (before, during):
            client[1].write(b"valve")
            assert await hears_nothing(client)
        for client in (before, during):
            assert await soon(client[0].readexactly(5)) == b"VALVE"
        assert proxy.calm


async def test_a_server_that_is_away_is_an_end_and_no_silence() -> None:
    async def away() -> Stream:
        raise ConnectionRefusedError

    async with Proxy(away) as proxy:
        client = await client_of(proxy)
        assert await soon(client[0].read()) == b""


async def test_each_kind_of_the_schedules_is_known_and_no_other() -> None:
    async with a_proxy() as (proxy, _):
        for kind in WIRES:
            proxy.strike(kind, 0.0)
        with pytest.raises(ValueError, match="does not know 'sharks'"):
            proxy.strike("sharks", 1.0)
