"""The one client for foreign APIs: limits, pinning, and a place for every exception of httpx."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError, UsageError
from atom_backfill.http import TRANSPORT_ERRORS, Answer, HttpClient

BASE = "https://graph.example.test/v1.0"


def client(handle: Callable[[httpx.Request], httpx.Response], **about: float) -> HttpClient:
    options = {"total_seconds": 5.0, **about}
    return HttpClient(BASE, transport=httpx.MockTransport(handle), **options)  # type: ignore[arg-type]


def every_class(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for below in root.__subclasses__():
        yield from every_class(below)


def every_httpx_error() -> list[type[Exception]]:
    roots = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
    return sorted({kind for root in roots for kind in every_class(root)}, key=lambda kind: kind.__name__)


ABSTRACT = {httpx.HTTPError, httpx.RequestError, httpx.TransportError, httpx.ProtocolError}


def make(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, "secret=in-the-text")
    return error


@pytest.mark.parametrize("kind", every_httpx_error(), ids=lambda kind: kind.__name__)
async def test_every_exception_of_httpx_has_its_place(kind: type[Exception]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise make(kind)

    with pytest.raises(AtomError) as raised:
        await client(handle).send("GET", "/me")
    nearest = next((above for above in kind.__mro__ if above in TRANSPORT_ERRORS), None)
    assert (nearest is not None) == (kind not in ABSTRACT), f"{kind.__name__} needs a row in TRANSPORT_ERRORS"
    expected = TRANSPORT_ERRORS[nearest][:2] if nearest else (BugError, "http_unknown")
    assert (type(raised.value), raised.value.code) == expected
    assert "graph.example.test" in raised.value.message
    assert "secret" not in raised.value.message


def test_httpx_has_no_error_that_the_table_does_not_reach() -> None:
    exported = {getattr(httpx, name) for name in httpx.__all__}
    errors = {thing for thing in exported if isinstance(thing, type) and issubclass(thing, Exception)}
    assert errors <= set(every_httpx_error())


@pytest.mark.parametrize("status", [200, 204, 301, 401, 429, 500, 504])
async def test_any_status_is_an_answer(status: int) -> None:
    answer = await client(lambda request: httpx.Response(status, headers={"X-One": "1"}, content=b"body")).send(
        "GET", "/"
    )
    assert answer == Answer(status, {"x-one": "1", "content-length": "4"}, b"body")


async def test_a_redirect_is_not_followed() -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(302, headers={"location": "https://evil.test/"})

    assert (await client(handle).send("GET", "/me")).status == 302
    assert seen == [f"{BASE}/me"]


async def test_cookies_are_not_kept() -> None:
    seen: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=1; Path=/"})

    http = client(handle)
    await http.send("GET", "/")
    await http.send("GET", "/")
    assert seen == [None, None]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/v1.0/me",
        "http://graph.example.test/v1.0/me",
        "https://graph.example.test:444/v1.0/me",
        "https://graph.example.test@evil.test/v1.0/me",
        "https://graph.example.test\\@evil.test/me",
        "https://user@graph.example.test/v1.0/me",
        "https://graph.example.test.evil.test/me",
        "ftp://graph.example.test/me",
        "https://[::1/me",
        "https://",
    ],
)
async def test_a_request_elsewhere_is_refused_before_anything_is_sent(target: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    http = client(handle)
    assert not http.is_home(target)
    with pytest.raises(BugError) as raised:
        await http.send("GET", target, headers={"authorization": "Bearer t"})
    assert raised.value.code == "foreign_host"


@pytest.mark.parametrize("target", [f"{BASE}/me?$skip=10", "https://GRAPH.example.test:443/v1.0/me"])
def test_the_same_scheme_host_and_port_are_home(target: str) -> None:
    assert client(lambda request: httpx.Response(200)).is_home(target)


async def test_a_continuation_is_sent_with_the_query_that_it_came_with() -> None:
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200)

    path = "/v1.0/users('a%40b')/messages?$top=10&%24skiptoken=X%2bY%3D&$filter=isRead%20eq%20true"
    await client(handle).send("GET", "https://graph.example.test" + path)
    assert seen == [path.encode()]


@pytest.mark.parametrize(
    ("base", "code"),
    [
        ("http://graph.example.test/v1.0", "plain_http"),
        ("http://127.0.0.1.example.test", "plain_http"),
        ("ftp://graph.example.test", "bad_url"),
        ("graph.example.test", "bad_url"),
        ("https://user:password@graph.example.test", "bad_url"),
        ("https://graph.example.test?key=password", "bad_url"),
        ("https://", "bad_url"),
        ("", "bad_url"),
    ],
)
def test_a_base_must_be_https_or_loopback(base: str, code: str) -> None:
    with pytest.raises(UsageError) as raised:
        HttpClient(base)
    assert raised.value.code == code
    assert "password" not in raised.value.message


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80/v1.0", "http://localhost:1"]
)
def test_plain_http_is_allowed_on_loopback(base: str) -> None:
    HttpClient(base)


async def test_a_body_over_the_limit_is_cut_off_while_it_streams() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1000

    http = client(lambda request: httpx.Response(200, content=endless()), body_limit=10_000)
    with pytest.raises(RetryLaterError) as raised:
        await http.send("GET", "/")
    assert raised.value.code == "answer_too_large"
    assert sent <= 12


async def test_the_limit_counts_what_compression_hides() -> None:
    bomb = gzip.compress(b"0" * 1_000_000)
    http = client(
        lambda request: httpx.Response(200, content=bomb, headers={"content-encoding": "gzip"}), body_limit=100_000
    )
    assert len(bomb) < 2_000
    with pytest.raises(RetryLaterError) as raised:
        await http.send("GET", "/")
    assert raised.value.code == "answer_too_large"


@pytest.mark.parametrize("where", ["headers", "body"])
async def test_the_time_limit_is_for_the_whole_call(where: str) -> None:
    """Each byte comes well within httpx's own limit for a step, so only the total can end this."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if where == "body":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nx-long: ")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with HttpClient(f"http://127.0.0.1:{port}", total_seconds=0.15) as http:
        began = asyncio.get_running_loop().time()
        with pytest.raises(RetryLaterError) as raised:
            await http.send("GET", "/")
    assert raised.value.code == "timeout"
    assert asyncio.get_running_loop().time() - began < 2
    server.close()


async def test_a_body_that_ends_early_is_a_lost_connection() -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"value":[')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut_off, "127.0.0.1", 0)
    async with HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        with pytest.raises(RetryLaterError) as raised:
            await http.send("GET", "/")
    assert raised.value.code == "connection_lost"
    server.close()


async def test_a_closed_port_is_unreachable() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with HttpClient(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(RetryLaterError) as raised:
            await http.send("GET", "/")
    assert raised.value.code == "unreachable"


async def test_cancelling_a_call_is_not_turned_into_an_error() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = HttpClient(BASE, transport=httpx.MockTransport(hang))
    call = asyncio.create_task(http.send("GET", "/"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_loopback_base_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        assert (await http.send("GET", "/")).body == b"ok"
    server.close()


def test_a_proxy_that_cannot_be_used_says_how_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.test:1")
    with pytest.raises(NeedsOwnerError) as raised:
        HttpClient(BASE)
    assert raised.value.code == "bad_proxy"
    assert "HTTPS_PROXY" in raised.value.message
