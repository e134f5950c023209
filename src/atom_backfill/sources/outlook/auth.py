"""Sign-in to Outlook mailboxes through MSAL: by client secret (the app itself) or by device code (a person).

Access tokens are held in memory; MSAL's cache is kept sealed by the TokenCache. Of all workers one renews a token at a
time, and the others use what it got. No secret, token or address is logged or put into an error.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from atom_backfill.clock import Clock
from atom_backfill.errors import NeedsOwnerError, RetryLaterError, SignInNeededError
from atom_backfill.http import HttpClient
from atom_backfill.sources.outlook.login import LoginTransport, authority_host
from atom_backfill.sources.outlook.refusals import (
    code_expired,
    consent_needed,
    no_such_tenant,
    not_signed_in,
    refused,
    tenant_needed,
)
from atom_backfill.sources.ports import CachedTokens, TokenCache

USER_SCOPES = ["Mail.Read", "User.Read"]
GRAPH_HOSTS = frozenset(
    {"graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}
)
MARGIN_SECONDS = 300.0
LONGEST_CODE_SECONDS = 1800.0
LAST_ANSWER_SECONDS = 10.0
"""For which a renewal is still waited for after whoever wanted it was cancelled."""

_MANY_TENANTS = frozenset({"common", "organizations", "consumers"})
_MISREAD = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to sign in: with a client secret as the app itself, without one as a person by device code.

    `tenant`: the directory's id or domain; for people also common, organizations or consumers.
    """

    tenant: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)

    @property
    def delegated(self) -> bool:
        """Whether a person signs in."""
        return self.client_secret is None


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the person who signs in has to be told. `message` is the service's own sentence."""

    message: str
    user_code: str
    url: str
    expires_in: float


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that worked: the cache to keep sealed, and who signed in ("" for the app itself)."""

    cache: str = field(repr=False)
    address: str = ""


class MemoryTokenCache:
    """A TokenCache for one process, for the time before an account has a sealed one."""

    def __init__(self, text: str = "") -> None:
        self._held = CachedTokens(text, 1 if text else 0)
        self._lock = asyncio.Lock()

    async def load(self) -> CachedTokens:
        """Read the newest cache."""
        return self._held

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[CachedTokens]:
        """Hold the right to refresh."""
        async with self._lock:
            yield self._held

    async def store(self, text: str, *, version: int) -> bool:
        """Replace the cache of that version."""
        if version != self._held.version:
            return False
        self._held = CachedTokens(text, version + 1)
        return True


class OutlookTokens:
    """One account's access tokens. Raises SignInNeededError where only a new sign-in helps, RetryLaterError else."""

    def __init__(
        self, http: HttpClient, cache: TokenCache, clock: Clock, credentials: Credentials, *, graph_base_url: str
    ) -> None:
        """`http`: the client for sign-in, based at `ATOM_LOGIN_BASE_URL`."""
        _check(credentials)
        self._http = http
        self._cache = cache
        self._clock = clock
        self._credentials = credentials
        self._scopes = _scopes(credentials, graph_base_url)
        self._renewing = asyncio.Lock()
        self._discovered: dict[str, Any] = {}
        self._token = ""
        self._good_until = 0.0
        self._unstored: CachedTokens | None = None

    @property
    def delegated(self) -> bool:
        """Whether a person signed in, not the app by itself."""
        return self._credentials.delegated

    async def token(self) -> str:
        """Return a token that should still be good for minutes."""
        if not self._is_good(""):
            await self._renew("", None)
        return self._token

    async def renew(self, refused: str, claims: str | None) -> str:
        """Return another token than the refused one; one renewal serves all who were refused the same token."""
        await self._renew(refused, claims)
        return self._token

    def _is_good(self, refused: str) -> bool:
        return self._token not in ("", refused) and self._clock.monotonic() < self._good_until

    async def _renew(self, refused: str, claims: str | None) -> None:
        async with self._renewing:
            if self._is_good(refused):
                return
            async with self._cache.refreshing() as cached:
                await _to_its_end(self._ask(cached, refused, claims))

    async def _ask(self, cached: CachedTokens, refused: str, claims: str | None) -> None:
        """Get a token and store what came with it: the only refresh token, maybe, that still works."""
        newest = cached
        if self._unstored is not None and self._unstored.version == cached.version:
            newest = self._unstored
        session = _Session(self._http, self._clock, self._credentials, newest.text, self._discovered)
        result = await session.run(lambda app: _acquire(app, self._scopes, refused, claims))
        text = session.changed_cache() or newest.text
        if text != cached.text:
            self._unstored = CachedTokens(text, cached.version)
            await self._cache.store(text, version=cached.version)
        self._unstored = None
        self._token = result["access_token"]
        life = _seconds(result.get("expires_in"), 3600.0)
        self._good_until = self._clock.monotonic() + max(life - MARGIN_SECONDS, life / 2)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work whose result must not be lost: a cancellation takes effect when it is done, or after a while."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=LAST_ANSWER_SECONDS)
        raise


async def sign_in_with_secret(
    http: HttpClient, clock: Clock, credentials: Credentials, *, graph_base_url: str
) -> SignedIn:
    """Sign in as the app itself. Raises SignInNeededError and NeedsOwnerError that say what to change and where."""
    _check(credentials)
    session = _Session(http, clock, credentials, "", {})
    scopes = _scopes(credentials, graph_base_url)
    await _reached(http, session.run(lambda app: _acquire(app, scopes, "", None)))
    return SignedIn(session.changed_cache() or "")


async def sign_in_with_device_code(
    http: HttpClient, clock: Clock, credentials: Credentials, tell: Callable[[DeviceCode], Awaitable[None]]
) -> SignedIn:
    """Sign in as a person: `tell` is given the code once, then the answer is waited for, as long as the code lives.

    Raises SignInNeededError where the sign-in is declined, not made in time, or does not allow to read mail.
    """
    _check(credentials)
    session = _Session(http, clock, credentials, "", {})
    flow = await _reached(http, session.run(_begin_flow))
    life = min(_seconds(flow.get("expires_in"), 900.0), LONGEST_CODE_SECONDS)
    message, code, url = (str(flow.get(name, ""))[:1000] for name in ("message", "user_code", "verification_uri"))
    await tell(DeviceCode(message, code, url, life))
    result = await _poll(session, clock, flow, life)
    granted = result.get("scope")
    if isinstance(granted, str) and not re.search(r"(?:^|[ /])mail\.read(?:write)?(?: |$)", granted.lower()):
        raise consent_needed()
    claims = result.get("id_token_claims")
    address = claims.get("preferred_username") if isinstance(claims, dict) else ""
    return SignedIn(session.changed_cache() or "", address[:320] if isinstance(address, str) else "")


async def _poll(session: _Session, clock: Clock, flow: dict[str, Any], life: float) -> dict[str, Any]:
    until = clock.monotonic() + life
    interval = min(max(_seconds(flow.get("interval"), 5.0), 1.0), 60.0)
    while clock.monotonic() + interval < until:
        await clock.sleep(interval)
        try:
            result = await session.run(lambda app: _ask_flow(app, flow))
        except RetryLaterError as error:
            interval = min(max(interval * 2, error.after or 0.0), 60.0)  # RFC 8628, 3.5
            continue
        if "access_token" in result:
            return result
        if result.get("error") == "slow_down":
            interval += 5.0
        elif result.get("error") != "authorization_pending":
            raise refused(result)
    raise code_expired()


class _Session:
    """One MSAL application over one cache, used by one thread at a time."""

    def __init__(
        self, http: HttpClient, clock: Clock, credentials: Credentials, cache: str, discovered: dict[str, Any]
    ) -> None:
        self._http = http
        self._clock = clock
        self._credentials = credentials
        self._text = cache
        self._discovered = discovered
        self._app: Any = None
        self._cache: Any = None

    async def run(self, work: Callable[[Any], T]) -> T:
        """Run MSAL work in a thread. What it cannot read of an answer becomes RetryLaterError `bad_answer`."""
        transport = LoginTransport(self._http, self._clock, asyncio.get_running_loop())
        return await asyncio.to_thread(self._blocking, transport, work)

    def changed_cache(self) -> str | None:
        """Return the cache as text where it has changed, and take the change for stored."""
        if self._cache is None or not self._cache.has_state_changed:
            return None
        return str(self._cache.serialize())

    def _blocking(self, transport: LoginTransport, work: Callable[[Any], T]) -> T:
        try:
            if self._app is None:
                self._app = self._open(transport)
            return work(self._app)
        except _MISREAD as error:
            host = self._http.base.host
            raise RetryLaterError(
                "bad_answer", f"{host} sent an answer that cannot be read.", detail=type(error).__name__
            ) from error

    def _open(self, transport: LoginTransport) -> Any:
        import msal  # type: ignore[import-untyped]  # 0.1 s: only who signs in pays for it

        self._cache = msal.SerializableTokenCache()
        if _is_cache(self._text):
            self._cache.deserialize(self._text)
        common = {
            "authority": f"https://{authority_host(self._http)}/{self._credentials.tenant}",
            "http_client": transport,
            "http_cache": self._discovered,
            "token_cache": self._cache,
            # The authority is ours to know; asking Microsoft whether it knows it costs a request and proves nothing.
            "instance_discovery": False,
        }
        if self._credentials.delegated:
            return msal.PublicClientApplication(self._credentials.client_id, **common)
        secret = self._credentials.client_secret
        return msal.ConfidentialClientApplication(
            self._credentials.client_id, client_credential=secret, azure_region=False, **common
        )


def _acquire(app: Any, scopes: list[str], refused_token: str, claims: str | None) -> dict[str, Any]:
    """Get a token from the cache, or a new one where the cached one is old or was refused. Blocking."""
    if hasattr(app, "acquire_token_for_client"):
        result = app.acquire_token_for_client(scopes, claims_challenge=claims)
        if result.get("access_token") == refused_token:
            app.remove_tokens_for_client()
            result = app.acquire_token_for_client(scopes, claims_challenge=claims)
    else:
        account = next(iter(app.get_accounts()), None)
        result = app.acquire_token_silent_with_error(scopes, account, claims_challenge=claims)
        if result and result.get("access_token") == refused_token:
            result = app.acquire_token_silent_with_error(scopes, account, force_refresh=True)
    if not result:
        raise not_signed_in()
    if "access_token" not in result:
        raise refused(result)
    return dict(result)


def _begin_flow(app: Any) -> dict[str, Any]:
    flow = dict(app.initiate_device_flow(USER_SCOPES))
    if "device_code" not in flow or "user_code" not in flow:
        raise refused(flow)
    return flow


def _ask_flow(app: Any, flow: dict[str, Any]) -> dict[str, Any]:
    flow.pop("latest_attempt_at", None)  # the pace is set by our clock
    return dict(app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True))


async def _reached(http: HttpClient, work: Awaitable[T]) -> T:
    """A host that cannot be reached while a person connects is that person's to fix."""
    try:
        return await work
    except RetryLaterError as error:
        if error.code not in ("unreachable", "timeout", "proxy_failed", "connection_lost"):
            raise
        raise NeedsOwnerError(
            "login_unreachable",
            f"{http.base.host} cannot be reached: check the network, the proxy (HTTPS_PROXY) and ATOM_LOGIN_BASE_URL.",
            detail=error.detail,
        ) from error


def _is_cache(text: str) -> bool:
    """Tell whether MSAL can work with a stored cache; one that it cannot is as good as none."""
    try:
        parts = json.loads(text)
    except ValueError:
        return False
    return isinstance(parts, dict) and all(isinstance(part, dict) for part in parts.values())


def _check(credentials: Credentials) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}", credentials.tenant, re.ASCII):
        raise no_such_tenant()
    if not re.fullmatch(r"[!-~]{1,200}", credentials.client_id, re.ASCII):
        raise SignInNeededError(
            "unknown_app", "Give --client-id the Application (client) ID from App registrations → Overview."
        )
    if not credentials.delegated and credentials.tenant.lower() in _MANY_TENANTS:
        raise tenant_needed()


def _scopes(credentials: Credentials, graph_base_url: str) -> list[str]:
    if credentials.delegated:
        return USER_SCOPES
    host = re.sub(r"^https?://([^/:?#]*).*", r"\1", graph_base_url, flags=re.DOTALL).lower()
    return [f"https://{host if host in GRAPH_HOSTS else 'graph.microsoft.com'}/.default"]


def _seconds(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 10**7 else otherwise
