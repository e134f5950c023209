"""Graph calls: one place for tokens, permits, retries and the headers that every request needs."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from atom_backfill.clock import Clock
from atom_backfill.errors import BugError, NotFoundError, RetryLaterError, SignInNeededError, ThrottledError
from atom_backfill.http import Answer, HttpClient, read_json
from atom_backfill.sources.outlook.answers import claims_challenge, judge
from atom_backfill.sources.ports import Permits

ATTEMPTS = 3
FIRST_PAUSE = 2.0
RENEWALS = 3
"""Of the token, for one call. The first is all that an expired token takes."""
REFUSED_PAUSE = 0.5
OF_LATE_SECONDS = 60.0

T = TypeVar("T")
OnRequest = Callable[[str, int, float], None]
"""Told of each request: its kind, the status (0 where there was no answer), seconds. No ids, no addresses."""


class Tokens(Protocol):
    """Where bearer tokens come from."""

    @property
    def delegated(self) -> bool:
        """Whether a person signed in (`/me`), not the app by itself (`/users/…`)."""
        ...

    async def token(self) -> str:
        """Return a token that should still be good for minutes."""
        ...

    async def renew(self, refused: str, claims: str | None) -> str:
        """Return another token than the refused one, carrying the claims where asked."""
        ...


class GraphClient:
    """Reads from one mailbox. Retries what may pass, a small number of times; what remains is raised.

    Raises RetryLaterError, ThrottledError (already told to the permits), SignInNeededError, NeedsOwnerError,
    NotFoundError, SkipItemError (an item is to blame) and BugError.
    """

    def __init__(
        self,
        http: HttpClient,
        tokens: Tokens,
        permits: Permits,
        clock: Clock,
        *,
        user: str,
        jitter: Callable[[], float] = lambda: 0.0,
        on_request: OnRequest = lambda kind, status, seconds: None,
    ) -> None:
        """`user`: id or address of the mailbox for app-only sign-in. `jitter` gives numbers from 0 to 1."""
        self._http = http
        self._tokens = tokens
        self._permits = permits
        self._clock = clock
        self._root = "/me" if tokens.delegated else f"/users/{quote(user, safe='')}"
        self._jitter = jitter
        self._on_request = on_request
        self._worked_at = -math.inf

    @property
    def delegated(self) -> bool:
        """Whether a person signed in, so that `/me` exists."""
        return self._tokens.delegated

    def is_home(self, url: str) -> bool:
        """Tell whether a continuation may be followed: same scheme, host and port as the base."""
        return self._http.is_home(url)

    def pause(self, failures: int) -> float:
        """Return how many seconds to wait after so many failures in a row: 2, 4, 8, … and up to a quarter more."""
        return float(FIRST_PAUSE * 2 ** min(failures - 1, 5) * (1 + self._jitter() / 4))

    async def get(
        self,
        kind: str,
        target: str | tuple[str, ...],
        params: Mapping[str, str] | None = None,
        *,
        tries: int = ATTEMPTS,
    ) -> dict[str, Any]:
        """Read a JSON object; `target` is a continuation, verbatim, or the path below the mailbox in segments."""
        return await self._with_mended_ids(kind, target, params, tries, _object)

    async def get_text(self, kind: str, target: tuple[str, ...], params: Mapping[str, str] | None = None) -> str:
        """Read a plain text answer."""
        return await self._with_mended_ids(kind, target, params, ATTEMPTS, _text)

    async def _with_mended_ids(
        self,
        kind: str,
        target: str | tuple[str, ...],
        params: Mapping[str, str] | None,
        tries: int,
        read: Callable[[Answer], T],
    ) -> T:
        if isinstance(target, str):
            return await self._persist(kind, target, params, tries, read)
        # Some ids come with "/" and "+" where the service itself wants the URL-safe alphabet.
        mended = tuple(part.replace("/", "-").replace("+", "_") for part in target)
        try:
            return await self._persist(kind, self._path(target), params, tries, read)
        except (NotFoundError, BugError) as error:
            if mended == target or error.code not in ("id_malformed", "bad_request"):
                raise
        return await self._persist(kind, self._path(mended), params, tries, read)

    async def _persist(
        self,
        kind: str,
        target: str,
        params: Mapping[str, str] | None,
        tries: int,
        read: Callable[[Answer], T],
    ) -> T:
        token = await self._tokens.token()
        renewals = 0
        failures = 0
        while True:
            answer = await self._once(kind, target, params, token)
            if isinstance(answer, Answer) and answer.status == 401:
                token = await self._another_token(token, answer, renewals)
                renewals += 1
                continue
            if isinstance(answer, Answer):
                self._worked_at = self._clock.monotonic()
            try:
                return read(self._accepted(answer, failures))
            except RetryLaterError as error:
                failures += 1
                failure = error
            if isinstance(failure, ThrottledError):
                await self._permits.throttled(failure)  # and the next hold() waits
            if failures >= tries:
                raise failure
            if not isinstance(failure, ThrottledError):
                await self._clock.sleep(self.pause(failures))

    async def _another_token(self, refused: str, answer: Answer, renewals: int) -> str:
        """Renew the token; again, where another worker's call may have ended the new one before it was used here.

        Raises SignInNeededError where no token has worked of late, RetryLaterError where they do now and then.
        """
        works = self._clock.monotonic() - self._worked_at < OF_LATE_SECONDS
        if renewals == RENEWALS:
            raise _tokens_end_early() if works else _refused_again()
        if renewals and not works:
            await self._clock.sleep(REFUSED_PAUSE * renewals)
        return await self._tokens.renew(refused, claims_challenge(answer))

    async def _once(
        self, kind: str, target: str, params: Mapping[str, str] | None, token: str
    ) -> Answer | RetryLaterError:
        """Send it once; what went wrong on the way is returned, so that only the permits' refusal is raised."""
        headers = {
            "authorization": f"Bearer {token}",
            # Without it a message's id changes when the message moves; links do not carry it.
            "prefer": 'IdType="ImmutableId"',
            "client-request-id": str(uuid.uuid4()),
            "return-client-request-id": "true",
            "accept": "application/json",
        }
        async with self._permits.hold():
            began = self._clock.monotonic()
            status = 0
            try:
                answer = await self._http.send("GET", target, headers=headers, params=params)
                status = answer.status
            except RetryLaterError as error:
                return error
            finally:
                self._on_request(kind, status, self._clock.monotonic() - began)
        return answer

    def _accepted(self, answer: Answer | RetryLaterError, failures: int) -> Answer:
        if isinstance(answer, RetryLaterError):
            raise answer
        if not 200 <= answer.status < 300:
            pause = self.pause(failures + 1)
            raise judge(answer, self._clock.now(), delegated=self._tokens.delegated, pause=pause)
        return answer

    def _path(self, segments: tuple[str, ...]) -> str:
        return self._root + "".join("/" + quote(part, safe="$") for part in segments)


def _object(answer: Answer) -> dict[str, Any]:
    value = read_json(answer.body, "Microsoft Graph")
    if not isinstance(value, dict):
        raise RetryLaterError("bad_answer", "Microsoft Graph sent an answer that cannot be read.")
    return value


def _text(answer: Answer) -> str:
    return answer.body[:1024].decode("utf-8-sig", "replace").strip()


def _tokens_end_early() -> RetryLaterError:
    return RetryLaterError("tokens_end_early", "Microsoft Graph's tokens end as soon as they are made.")


def _refused_again() -> SignInNeededError:
    return SignInNeededError(
        "token_refused",
        "Microsoft Graph refuses the sign-in's new token as well: connect the mailbox again. If that does not help,"
        " check that ATOM_GRAPH_BASE_URL and ATOM_LOGIN_BASE_URL belong to the same cloud.",
    )
