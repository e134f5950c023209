"""MSAL's way to the sign-in service: its https authority, carried to the configured host by our own client.

MSAL is blocking, has no time limit of its own and takes no loopback authority. So it runs in a thread, and each of its
requests is sent on the event loop by the one HttpClient for sign-in, which brings the limits and the pinning. Nothing
is sent to any other host, whatever the service's discovery document says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from atom_backfill.clock import Clock
from atom_backfill.errors import BugError, RetryLaterError
from atom_backfill.http import TOTAL_SECONDS, Answer, HttpClient, read_json, retry_after
from atom_backfill.sources.outlook.refusals import no_such_tenant

AUTHORITY_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoft.com",
        "login.windows.net",
        "sts.windows.net",
        "login.microsoftonline.us",
        "login.usgovcloudapi.net",
        "login.chinacloudapi.cn",
        "login.partner.microsoftonline.cn",
    }
)
_DEFAULT_HOST = "login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """An answer in the shape that MSAL reads."""

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        """Raise for a status that MSAL does not read; those are sorted before it sees them."""
        if self.status_code >= 400:
            raise BugError("login_misread", "Microsoft's sign-in answered in an unexpected way.")


class LoginTransport:
    """The blocking HTTP client that MSAL is given, to be used from a thread while `loop` runs."""

    def __init__(self, http: HttpClient, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._http = http
        self._clock = clock
        self._loop = loop

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> LoginAnswer:
        """Send a GET. Raises AtomErrors for what MSAL could not sort."""
        return self._send("GET", url, params, headers, None)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> LoginAnswer:
        """Send a form. Raises AtomErrors for what MSAL could not sort."""
        form = data if isinstance(data, str) else urlencode({k: v for k, v in (data or {}).items() if v is not None})
        headers = {**(headers or {}), "content-type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, params, headers, form.encode())

    def close(self) -> None:
        """Nothing to close: the client belongs to whoever made it."""

    def _send(self, method: str, url: str, params: Any, headers: Any, content: bytes | None) -> LoginAnswer:
        target = self._mapped(url)
        sent = {str(name): str(value) for name, value in (headers or {}).items()}
        call = self._http.send(method, target, headers=sent, params=params or None, content=content)
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            answer = future.result(TOTAL_SECONDS + 5)
        except FutureTimeoutError:
            future.cancel()  # the loop has stopped: the process is ending
            raise RetryLaterError("timeout", f"{self._http.base.host} did not answer in time.") from None
        return self._sorted(answer, discovery=target.endswith("/.well-known/openid-configuration"))

    def _mapped(self, url: str) -> str:
        """Carry a URL of the authority, under any of its names or under our own, to the configured base."""
        base = self._http.base
        there = urlsplit(url)
        port = f":{base.port}" if base.port else ""
        if there.hostname not in AUTHORITY_HOSTS and there.netloc != f"{base.host}{port}":
            raise BugError("foreign_host", "Sign-in was sent to a host that is not Microsoft's: refused.")
        return there.path + (f"?{there.query}" if there.query else "")

    def _sorted(self, answer: Answer, *, discovery: bool) -> LoginAnswer:
        host = self._http.base.host
        if answer.status == 429 or answer.status >= 500:
            after = retry_after(answer.headers, self._clock.now())
            raise RetryLaterError(
                "login_unavailable", f"{host} is not available just now.", after=after, detail=f"HTTP {answer.status}"
            )
        if discovery and 400 <= answer.status < 500:
            raise no_such_tenant()
        # MSAL logs a body that it cannot read, and a body may hold a token.
        value = read_json(answer.body, host)
        if not isinstance(value, dict) or answer.status in range(300, 400):
            raise RetryLaterError("bad_answer", f"{host} sent an answer that cannot be read.")
        return LoginAnswer(answer.status, json.dumps(self._as_https(value)), dict(answer.headers))

    def _as_https(self, value: dict[str, Any]) -> dict[str, Any]:
        """Write endpoints of a loopback base as MSAL takes them."""
        own = str(self._http.base).rstrip("/")
        authority = f"https://{authority_host(self._http)}"
        return {
            name: authority + text.removeprefix(own)
            if name.endswith("_endpoint") and isinstance(text, str) and text.startswith(own + "/")
            else text
            for name, text in value.items()
        }


def authority_host(http: HttpClient) -> str:
    """Return the host that MSAL is told: the configured one where it is Microsoft's, else the worldwide one."""
    host = http.base.host.lower()
    return host if host in AUTHORITY_HOSTS else _DEFAULT_HOST
