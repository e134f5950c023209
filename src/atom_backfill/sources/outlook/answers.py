"""What Graph's refusals mean: an HTTP answer becomes the error that says what to do next. Pure.

Source of the codes: Microsoft Graph documentation (errors, throttling, best practices) and public reports of the live
service. Codes are compared without case, the most specific first; messages are never compared, save the one that alone
tells a concurrency limit from a rate limit.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from atom_backfill.errors import (
    AtomError,
    BugError,
    NeedsOwnerError,
    NotFoundError,
    RetryLaterError,
    SkipItemError,
    ThrottledError,
)
from atom_backfill.http import Answer, read_json, retry_after

ITEM_CODES = frozenset(
    {
        "errorcontentconversionfailed",
        "errorcorruptdata",
        "errorinvalidrecipients",
        "erroritemcorrupt",
        "errormimecontentconversionfailed",
        "errormimecontentinvalid",
        "erroritempropertyrequestfailed",
        "errorunsupportedmimeconversion",
    }
)
"""Codes that blame one item, whatever the status."""

MAILBOX_CODES = frozenset(
    {
        "mailboxnotenabledforrestapi",
        "mailboxnotsupportedforrestapi",
        "errorinvaliduser",
        "errornonexistentmailbox",
        "request_resourcenotfound",
    }
)

_STATUS_CODES = {
    408: "timeout",
    410: "gone",
    423: "mailbox_locked",
    500: "server_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
    507: "unavailable",
}

_NO_MAILBOX = (
    "The mailbox was not found in Microsoft 365: check the address, and that the account has an Exchange Online licence"
    " and is neither deleted nor hosted on premises."
)
_DENIED_APP = (
    "Microsoft refuses this app the mailbox. Under App registrations → API permissions add the application permission"
    " Mail.Read and grant admin consent; where access is limited by RBAC for Applications or an application access"
    " policy, put the mailbox into its scope. Changes take up to two hours."
)
_DENIED_USER = (
    "Microsoft refuses this sign-in the mailbox. Under App registrations → API permissions add the delegated permission"
    " Mail.Read, then connect again, signing in as the mailbox's own user."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error object of an answer: `codes` in lower case, the most specific first."""

    codes: tuple[str, ...]
    message: str
    detail: str


def read_refusal(answer: Answer) -> Refusal:
    """Read the error object, however mangled: gateways answer with HTML or nothing."""
    error = _error_object(answer)
    codes: list[str] = []
    inner: Any = error
    while isinstance(inner, dict) and len(codes) < 8:
        if isinstance(code := inner.get("code"), str):
            codes.insert(0, code.casefold()[:80])
        inner = next((inner[key] for key in ("innerError", "innererror") if key in inner), None)
    message = error.get("message")
    return Refusal(tuple(codes), message[:500] if isinstance(message, str) else "", _detail(answer, codes))


def judge(answer: Answer, now: datetime, *, delegated: bool, pause: float) -> AtomError:
    """Turn an answer that is neither a success nor a 401 into the error that says what to do next.

    `pause`: how long to wait where the service says wait and not how long, in seconds.
    """
    refusal = read_refusal(answer)
    wait = retry_after(answer.headers, now)
    if answer.status in (429, 509) or (answer.status == 503 and wait is not None):
        return _throttled(refusal, pause if wait is None else wait)
    if any(code in ITEM_CODES for code in refusal.codes):
        return SkipItemError("item_corrupt", "Microsoft cannot read this item itself.", detail=refusal.detail)
    if any(code in MAILBOX_CODES for code in refusal.codes):
        return NeedsOwnerError("mailbox_not_found", _NO_MAILBOX, detail=refusal.detail)
    if answer.status == 403:
        return NeedsOwnerError("access_denied", _DENIED_USER if delegated else _DENIED_APP, detail=refusal.detail)
    if answer.status == 404:
        return NotFoundError("not_found", "The mailbox does not hold this any more.", detail=refusal.detail)
    if answer.status == 400 and "errorinvalididmalformed" in refusal.codes:
        return NotFoundError("id_malformed", "The mailbox does not know this id.", detail=refusal.detail)
    if 400 <= answer.status < 500 and answer.status not in _STATUS_CODES:
        return BugError("bad_request", "Microsoft Graph did not accept the request.", detail=refusal.detail)
    code = _STATUS_CODES.get(answer.status, "server_error" if answer.status >= 500 else "bad_answer")
    return RetryLaterError(code, "Microsoft Graph could not answer just now.", detail=refusal.detail)


def claims_challenge(answer: Answer) -> str | None:
    """Read the claims that a 401 asks a new token to carry (continuous access evaluation), as JSON text."""
    found = re.search(r'claims="([A-Za-z0-9+/=_-]{1,4096})"', answer.headers.get("www-authenticate", "")[:8192])
    if not found:
        return None
    try:
        text = base64.b64decode(found[1] + "=" * (-len(found[1]) % 4), altchars=b"-_").decode("utf-8")
        return text if isinstance(json.loads(text), dict) else None
    except (binascii.Error, ValueError, RecursionError):
        return None


def _throttled(refusal: Refusal, after: float) -> ThrottledError:
    concurrency = "applicationthrottled" in refusal.codes or "mailboxconcurrency" in refusal.message.casefold()
    return ThrottledError(
        "throttled", "Microsoft asked to wait.", after=after, concurrency=concurrency, detail=refusal.detail
    )


def _error_object(answer: Answer) -> dict[str, Any]:
    try:
        body = read_json(answer.body[:65536], "")
    except RetryLaterError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _detail(answer: Answer, codes: list[str]) -> str:
    # Only what cannot carry mail: words of the vendor's code alphabet, and what its support asks for.
    code = re.sub(r"[^a-z0-9_.-]", "", codes[0])[:60] if codes else "no code"
    request = re.sub(r"[^0-9A-Za-z-]", "", answer.headers.get("request-id", ""))[:64]
    date = re.sub(r"[^0-9A-Za-z:, -]", "", answer.headers.get("date", ""))[:40]
    return f"HTTP {answer.status}, {code}, request-id {request or 'none'}, {date or 'no date'}"
