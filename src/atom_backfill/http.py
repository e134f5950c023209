"""One HTTP client for each foreign API: a time limit in total, a size limit, one host, and every failure sorted.

A call ends within its limit (connecting, sending, headers and body together; httpx alone limits each step), its body is
cut off at a number of bytes, redirects are not followed, cookies are not kept, and nothing is sent to another scheme,
host or port than the base's. Plain http is for loopback addresses only.

Of the environment, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured for https,
as companies need; loopback addresses are never reached through a proxy, and no `.netrc` is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn, Self

import httpx

from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError, UsageError

TOTAL_SECONDS = 30.0
BODY_LIMIT = 64 * 2**20
RETRY_AFTER_LIMIT = 24 * 3600.0

_DEFAULT_PORTS = {"http": 80, "https": 443}

TRANSPORT_ERRORS: dict[type[Exception], tuple[type[AtomError], str, str]] = {
    httpx.TimeoutException: (RetryLaterError, "timeout", "did not answer in time"),
    httpx.ConnectError: (RetryLaterError, "unreachable", "cannot be reached"),
    httpx.NetworkError: (RetryLaterError, "connection_lost", "broke the connection off"),
    httpx.RemoteProtocolError: (RetryLaterError, "connection_lost", "broke the connection off"),
    httpx.ProxyError: (RetryLaterError, "proxy_failed", "cannot be reached through the proxy (see HTTPS_PROXY)"),
    httpx.DecodingError: (RetryLaterError, "bad_answer", "sent an answer that cannot be read"),
    httpx.TooManyRedirects: (RetryLaterError, "bad_answer", "sent an answer that cannot be read"),
    httpx.InvalidURL: (BugError, "bad_url", "was called by an address that is none"),
    httpx.UnsupportedProtocol: (BugError, "bad_url", "was called by an address that is none"),
    httpx.LocalProtocolError: (BugError, "bad_request", "was called by a request that breaks the protocol"),
    httpx.HTTPStatusError: (BugError, "http_misuse", "was called wrongly"),
    httpx.CookieConflict: (BugError, "http_misuse", "was called wrongly"),
    httpx.StreamError: (BugError, "http_misuse", "was called wrongly"),
}
"""What each exception of httpx becomes, by the nearest of its classes: error, code, what the host did."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response: status, headers by lower-case name, decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """A client bound to one base URL. Raises UsageError for a base that is not https (http on loopback)."""

    def __init__(
        self,
        base_url: str,
        *,
        total_seconds: float = TOTAL_SECONDS,
        body_limit: int = BODY_LIMIT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base = parse_base(base_url)
        self._total_seconds = total_seconds
        self._body_limit = body_limit
        self._client = _open(self.base, total_seconds, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    def is_home(self, url: str) -> bool:
        """Tell whether an absolute URL has the base's scheme, host and port, and no user part."""
        try:
            there = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            return False
        return _origin(there) == _origin(self.base) and not there.userinfo

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send one request; `target` is a path below the base or an absolute URL at home, sent verbatim.

        Raises RetryLaterError for whatever goes wrong on the way, `answer_too_large` included, and BugError for a
        foreign host before anything is sent. Any status is an answer, not an error.
        """
        url = target if "://" in target else str(self.base).rstrip("/") + target
        if not self.is_home(url):
            raise BugError("foreign_host", f"A request to another host than {self.base.host} was refused.")
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._exchange(method, url, dict(headers or {}), params, content)
        except TimeoutError as late:
            raise self._sorted(httpx.TimeoutException(f"{self._total_seconds:g} s in total")) from late
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError) as error:
            raise self._sorted(error) from error

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], params: Mapping[str, str] | None, content: bytes | None
    ) -> Answer:
        async with self._client.stream(method, url, headers=headers, params=params, content=content) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > self._body_limit:
                    raise RetryLaterError("answer_too_large", f"{self.base.host} sent more than can be taken at once.")
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, names, bytes(body))

    def _sorted(self, error: Exception) -> AtomError:
        # The nearest class first: what a later httpx adds is sorted as its parent is.
        for kind in type(error).__mro__:
            if kind in TRANSPORT_ERRORS:
                becomes, code, did = TRANSPORT_ERRORS[kind]
                # Only these texts (a refused certificate, a name that does not resolve) can hold no part of a URL.
                why = f": {error}"[:200] if isinstance(error, (httpx.ConnectError, httpx.ProxyError)) else ""
                return becomes(code, f"{self.base.host} {did}.", detail=type(error).__name__ + why)
        return BugError("http_unknown", f"Calling {self.base.host} failed in an unknown way.", detail=repr(type(error)))


def parse_base(base_url: str) -> httpx.URL:
    """Read a base URL. Raises UsageError for one that is not https (http on loopback), or has a user or a query."""
    try:
        base = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError) as error:
        _refuse_base(base_url, error)
    if base.scheme not in _DEFAULT_PORTS or not base.host or base.userinfo or base.query or base.fragment:
        _refuse_base(base_url)
    if base.scheme == "http" and not _is_loopback(base.host):
        raise UsageError("plain_http", f"{base.host} is not a loopback address: write its URL with https.")
    return base


def read_json(body: bytes, host: str) -> Any:
    """Read a JSON body as leniently as is harmless. Raises RetryLaterError `bad_answer` where there is none.

    A byte order mark is skipped, control characters in strings are let through, NaN and infinities become None, of
    equal keys the last counts, and bytes that are not UTF-8 are taken for Latin-1.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    try:
        return json.loads(text, strict=False, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        # The detail holds no part of the body: it may be mail.
        detail = f"{type(error).__name__}, {len(body)} bytes"
        raise RetryLaterError("bad_answer", f"{host} sent an answer that cannot be read.", detail=detail) from None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read Retry-After, in seconds from now (0 to a day), from seconds or an HTTP date; None where there is none."""
    value = headers.get("retry-after", "").strip()[:64]
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now)
    if seconds != seconds:  # "nan" is a float to Python
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT)


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


def _no_number(_: str) -> None:
    return None


def _refuse_base(base_url: str, cause: Exception | None = None) -> NoReturn:
    # A user part or a query may hold a key.
    shown = "one with a user part" if "@" in base_url else repr(base_url[:100].partition("?")[0])
    raise UsageError("bad_url", f"Not a base URL: {shown}. One looks like https://host/path.") from cause


def _open(base: httpx.URL, seconds: float, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    # A call must not depend on what an earlier one, perhaps for another mailbox, has left behind.
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    try:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(seconds),
            follow_redirects=False,
            cookies=no_cookies,
            headers={"accept-encoding": "gzip", "user-agent": "atom-backfill"},
            # Plain http needs no authorities (40 ms to load); this context trusts none, so nothing is lost with them.
            verify=True if base.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=not _is_loopback(base.host),
            transport=transport,
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        fix = "set HTTPS_PROXY to http://host:port, or unset it and ALL_PROXY"
        raise NeedsOwnerError("bad_proxy", f"The proxy of the environment cannot be used: {fix}.") from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
