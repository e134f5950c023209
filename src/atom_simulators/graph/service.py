"""The Graph side of the simulator: one call in, one answer out, through sign-in, limits and faults in that order."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..scenario import Script
from . import batch, directory, faults, routes
from .errors import (
    GraphError,
    access_denied,
    bad_request,
    invalid_user,
    mailbox_inactive,
    method_not_allowed,
    unknown_segment,
    user_not_found,
)
from .journal import Journal, Ticket
from .limits import Limits, Throttle
from .mailbox import Mailbox
from .oauth import SignIn, SignInSettings
from .quirks import Quirks
from .routes import Route
from .scope import CorruptItemError, Scope
from .tokens import Grant, Tokens
from .wire import Answer, Call, preferences


@dataclass(frozen=True, slots=True)
class Settings:
    """How a simulator runs. Latencies in seconds; `page_latency_s` replaces `latency_s` for lists of messages."""

    quirks: Quirks = dataclasses.field(default_factory=Quirks)
    limits: Limits = dataclasses.field(default_factory=Limits)
    latency_s: float = 0.0
    page_latency_s: float | None = None
    token_life_s: int = 3599
    user: str = ""
    device_life_s: int = 900
    device_interval_s: int = 5


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance, passed in so that tests own them."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    new_id: Callable[[], str]


class Service:
    """Mailboxes, sign-in, limits and faults of one simulator."""

    def __init__(self, mailboxes: dict[str, Mailbox], settings: Settings, script: Script, clocks: Clocks) -> None:
        self.mailboxes = mailboxes
        self.settings = settings
        self.quirks = settings.quirks
        self.script = script
        self.clocks = clocks
        self.journal = Journal()
        self.throttle = Throttle(settings.limits, settings.quirks, clocks.monotonic)
        self.tokens = Tokens(clocks.now, clocks.new_id, settings.token_life_s, settings.quirks.unreadable_bearer)
        user = settings.user or next(iter(sorted(mailboxes)), "")
        sign_in = SignInSettings(user, settings.device_life_s, settings.device_interval_s)
        self.sign_in = SignIn(self.tokens, settings.quirks, sign_in, clocks.now, clocks.new_id)

    async def answer(self, call: Call, ticket: Ticket) -> Answer:
        """Answer one Graph call; errors are answers too. The ticket tells what the call turned out to be."""
        try:
            answer = await self._answer(call, ticket)
        except GraphError as error:
            content = error.body(ticket.request_id, ticket.client_request_id, self.clocks.now())
            raw = faults.gateway_body(ticket.fault) if str(error.status) == _kind(ticket) else None
            kind = Answer().content_type if raw is None else "text/html"
            answer = Answer(error.status, content, raw, dict(error.headers), kind)
        if _kind(ticket) == "badjson":
            answer.raw = faults.broken_json(answer.encoded())
        answer.headers.setdefault("request-id", ticket.request_id)
        answer.headers.setdefault("client-request-id", ticket.client_request_id)
        return answer

    def leave(self, ticket: Ticket) -> None:
        """The call is over: give back its place in the limits."""
        if ticket.holds_place:
            ticket.holds_place = False
            self.throttle.leave(ticket.app, ticket.mailbox)

    async def _answer(self, call: Call, ticket: Ticket) -> Answer:
        segments = call.segments
        if segments[0].lower() != "v1.0":
            raise bad_request(f"Invalid version: {segments[0]}")
        # Before the path is looked at: without a token nothing is told of what exists.
        grant = self.tokens.check(call.headers.get("authorization"), call.origin)
        ticket.app = grant.app
        if [part.lower() for part in segments[1:]] == ["$batch"]:
            return await self._batch(call, ticket, grant)
        route = routes.find_route(call.method, segments[1:])
        ticket.operation = route.operation
        mailbox = self._mailbox(route, grant)
        # Directory calls have other limits, far wider ones.
        if route.mail:
            self._enter(ticket, mailbox)
        # After the limits: a script names the n-th call that is served, however many were refused.
        self._strike(ticket, grant, call)
        await self._wait(route.operation)
        error = faults.status_error(ticket.fault)
        if error is not None:
            raise error
        try:
            return route.serve(self._scope(call, ticket, route, mailbox, grant))
        except CorruptItemError as corrupt:
            if corrupt.fault is not None:
                self.script.struck(corrupt.fault)
            ticket.fault = corrupt.fault
            raise

    async def _batch(self, call: Call, ticket: Ticket, grant: Grant) -> Answer:
        ticket.operation = "batch"
        if ticket.in_batch:
            raise unknown_segment("$batch")
        if call.method != "POST":
            raise method_not_allowed()
        self._strike(ticket, grant, call)
        error = faults.status_error(ticket.fault)
        if error is not None:
            raise error
        return await batch.run(call, self._part)

    async def _part(self, call: Call) -> Answer:
        started = self.clocks.monotonic()
        request_id = self.clocks.new_id()
        ticket = Ticket(request_id, call.headers.get("client-request-id", request_id), in_batch=True)
        try:
            answer = await self.answer(call, ticket)
        finally:
            self.leave(ticket)
        seconds = self.clocks.monotonic() - started
        self.journal.record(ticket, call.method, call.path, call.query_text, answer.status, self.clocks.now(), seconds)
        return answer

    def _enter(self, ticket: Ticket, mailbox: Mailbox) -> None:
        ticket.mailbox = mailbox.name
        ticket.in_flight = self.throttle.in_flight[mailbox.name]
        self.throttle.enter(ticket.app, mailbox.name)
        ticket.holds_place = True
        ticket.in_flight += 1

    def _strike(self, ticket: Ticket, grant: Grant, call: Call) -> None:
        leave = faults.NEVER_BY_CALL | (faults.OF_CONNECTIONS if ticket.in_batch else frozenset())
        ticket.fault = self.script.call(ticket.operation, leave=leave)
        if _kind(ticket) == "expire_token":
            raise self.tokens.end(grant, call.origin)

    async def _wait(self, operation: str) -> None:
        seconds = self.settings.latency_s
        if operation in ("messages", "delta") and self.settings.page_latency_s is not None:
            seconds = self.settings.page_latency_s
        if seconds:
            await self.clocks.sleep(seconds)

    def _scope(self, call: Call, ticket: Ticket, route: Route, mailbox: Mailbox, grant: Grant) -> Scope:
        return Scope(
            call=call,
            mailbox=mailbox,
            owner=route.owner,
            quirks=self.quirks,
            prefer=preferences(call.headers.get("prefer", "")),
            basic=grant.basic_only,
            fault=ticket.fault,
            corrupt=faults.corrupt_items(self.script, route.operation, mailbox),
        )

    def _mailbox(self, route: Route, grant: Grant) -> Mailbox:
        """The mailbox that a call is about, if this grant may have it. Raises GraphError."""
        mailbox = self._named(route, grant)
        if not route.mail:
            if not grant.reads_users:
                raise GraphError(
                    403,
                    "Authorization_RequestDenied",
                    "Insufficient privileges to complete the operation.",
                )
            return mailbox
        if mailbox.name in self.quirks.inactive_mailboxes:
            raise mailbox_inactive()
        allowed = self.quirks.allowed_mailboxes
        if not grant.reads_mail or (grant.user is None and allowed and mailbox.name not in allowed):
            raise access_denied()
        return mailbox

    def _named(self, route: Route, grant: Grant) -> Mailbox:
        if route.owner.lower() == "me":
            if grant.user is None and self.quirks.app_only_me_refused:
                raise bad_request("/me request is only valid with delegated authentication flow.")
            name = grant.user or self.settings.user or next(iter(sorted(self.mailboxes)))
            found = self.mailboxes.get(name)
        else:
            found = directory.find_mailbox(self.mailboxes, route.owner)
            # Also for a mailbox that does not exist: nobody learns of others' by asking.
            if grant.user is not None and (found is None or found.name != grant.user):
                raise access_denied()
        if found is None:
            raise invalid_user(route.owner) if route.mail else user_not_found(route.owner)
        return found


def _kind(ticket: Ticket) -> str:
    return ticket.fault.kind if ticket.fault is not None else ""


def diagnostic() -> str:
    """The header that tells support which server it was."""
    info = {"DataCenter": "Simulator", "Slice": "E", "Ring": "0", "ScaleUnit": "000", "RoleInstance": "SIM"}
    return json.dumps({"ServerInfo": info}, separators=(",", ":"))


async def real_sleep(seconds: float) -> None:
    """Let real time pass."""
    await asyncio.sleep(seconds)
