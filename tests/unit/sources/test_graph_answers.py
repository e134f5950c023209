"""What each refusal of Graph and of the sign-in means: one row for each that is known."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import (
    AtomError,
    BugError,
    NeedsOwnerError,
    NotFoundError,
    RetryLaterError,
    SignInNeededError,
    SkipItemError,
    ThrottledError,
)
from atom_backfill.http import Answer
from atom_backfill.sources.outlook.answers import ITEM_CODES, MAILBOX_CODES, claims_challenge, judge, read_refusal
from atom_backfill.sources.outlook.refusals import refused

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def answer(status: int, code: str = "", headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    error = {"error": {"code": code, "message": "Words that nobody may rely on."}}
    return Answer(status, headers or {}, json.dumps(error).encode() if body is None else body)


def judged(given: Answer, *, delegated: bool = False) -> AtomError:
    return judge(given, NOW, delegated=delegated, pause=4.0)


ROWS: list[tuple[int, str, type[AtomError], str]] = [
    (400, "BadRequest", BugError, "bad_request"),
    (400, "ErrorInvalidUrlQuery", BugError, "bad_request"),
    (400, "InefficientFilter", BugError, "bad_request"),
    (400, "RequestBroker--ParseUri", BugError, "bad_request"),
    (400, "ErrorInvalidIdMalformed", NotFoundError, "id_malformed"),
    (403, "ErrorAccessDenied", NeedsOwnerError, "access_denied"),
    (403, "Authorization_RequestDenied", NeedsOwnerError, "access_denied"),
    (403, "insufficient_claims", NeedsOwnerError, "access_denied"),
    (403, "extensionError", NeedsOwnerError, "access_denied"),
    (404, "ErrorItemNotFound", NotFoundError, "not_found"),
    (404, "ErrorFolderNotFound", NotFoundError, "not_found"),
    (404, "MailboxNotEnabledForRESTAPI", NeedsOwnerError, "mailbox_not_found"),
    (404, "ErrorInvalidUser", NeedsOwnerError, "mailbox_not_found"),
    (404, "Request_ResourceNotFound", NeedsOwnerError, "mailbox_not_found"),
    (405, "", BugError, "bad_request"),
    (408, "", RetryLaterError, "timeout"),
    (410, "SyncStateNotFound", RetryLaterError, "gone"),
    (413, "", BugError, "bad_request"),
    (423, "", RetryLaterError, "mailbox_locked"),
    (429, "ApplicationThrottled", ThrottledError, "throttled"),
    (429, "TooManyRequests", ThrottledError, "throttled"),
    (429, "activityLimitReached", ThrottledError, "throttled"),
    (500, "InternalServerError", RetryLaterError, "server_error"),
    (500, "ErrorInternalServerError", RetryLaterError, "server_error"),
    (500, "ErrorItemCorrupt", SkipItemError, "item_corrupt"),
    (500, "ErrorContentConversionFailed", SkipItemError, "item_corrupt"),
    (502, "UnknownError", RetryLaterError, "bad_gateway"),
    (503, "serviceNotAvailable", RetryLaterError, "unavailable"),
    (503, "MailboxInfoStale", RetryLaterError, "unavailable"),
    (503, "ErrorServerBusy", RetryLaterError, "unavailable"),
    (504, "UnknownError", RetryLaterError, "gateway_timeout"),
    (507, "", RetryLaterError, "unavailable"),
    (509, "", ThrottledError, "throttled"),
    (520, "", RetryLaterError, "server_error"),
    (302, "", RetryLaterError, "bad_answer"),
    (101, "", RetryLaterError, "bad_answer"),
]


@pytest.mark.parametrize(("status", "code", "kind", "ours"), ROWS)
@pytest.mark.parametrize("spelling", [str, str.upper, str.lower])
def test_each_answer_has_its_error_whatever_the_spelling_of_its_code(
    status: int, code: str, kind: type[AtomError], ours: str, spelling: Any
) -> None:
    error = judged(answer(status, spelling(code)))
    assert (type(error), error.code) == (kind, ours)
    assert error.message.endswith(".")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":null}', b'{"error":"text"}', b"\xff\x00"])
def test_every_status_has_an_error_whatever_the_body(body: bytes) -> None:
    for status in (*range(100, 200), *range(300, 600)):
        assert isinstance(judged(answer(status, body=body)), AtomError)


@pytest.mark.parametrize(("header", "after"), [("7", 7.0), ("0", 0.0), (None, 4.0), ("soon", 4.0)])
def test_a_throttled_answer_says_how_long_to_wait(header: str | None, after: float) -> None:
    error = judged(answer(429, "TooManyRequests", {"retry-after": header} if header else {}))
    assert isinstance(error, ThrottledError)
    assert (error.after, error.concurrency) == (after, False)


def test_a_503_with_a_wait_is_throttling_and_one_without_is_not() -> None:
    assert isinstance(judged(answer(503, "ErrorServerBusy", {"retry-after": "3"})), ThrottledError)
    assert not isinstance(judged(answer(503, "ErrorServerBusy")), ThrottledError)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "ApplicationThrottled", "message": "Application is over its MailboxConcurrency limit."},
        {"code": "ApplicationThrottled", "message": ""},
        {"code": "TooManyRequests", "message": "Application is over its mailboxconcurrency limit."},
    ],
)
def test_too_many_at_once_is_told_from_too_many_in_all(error: dict[str, str]) -> None:
    told = judged(answer(429, body=json.dumps({"error": error}).encode()))
    assert isinstance(told, ThrottledError)
    assert told.concurrency


def test_the_innermost_code_counts_and_nesting_is_bounded() -> None:
    nested: dict[str, Any] = {"code": "ErrorItemCorrupt"}
    nested = {"code": "generalException", "innerError": {"code": "other", "innererror": nested}}
    error = judged(answer(500, body=json.dumps({"error": nested}).encode()))
    assert isinstance(error, SkipItemError)
    deep: dict[str, Any] = {"code": "end"}
    for _ in range(300):
        deep = {"code": "level", "innerError": deep}
    assert len(read_refusal(answer(500, body=json.dumps({"error": deep}).encode())).codes) <= 8


@pytest.mark.parametrize("code", sorted(ITEM_CODES))
def test_an_item_is_blamed_whatever_the_status(code: str) -> None:
    for status in (400, 404, 500, 503):
        assert isinstance(judged(answer(status, code)), SkipItemError)


@pytest.mark.parametrize("code", sorted(MAILBOX_CODES))
def test_a_mailbox_that_is_not_there_needs_the_owner(code: str) -> None:
    assert isinstance(judged(answer(404, code)), NeedsOwnerError)


def test_a_refused_mailbox_is_mended_elsewhere_for_an_app_than_for_a_person() -> None:
    app, person = judged(answer(403, "ErrorAccessDenied")), judged(answer(403, "ErrorAccessDenied"), delegated=True)
    assert "application permission Mail.Read" in app.message
    assert "RBAC" in app.message
    assert "delegated permission Mail.Read" in person.message


def test_the_detail_is_what_support_asks_for_and_nothing_else() -> None:
    headers = {"request-id": "8a6f\r\nX: ines@example.com", "date": "Mon, 02 Mar 2026 09:30:00 GMT"}
    error = judged(answer(504, "Weird code: ines@example.com <script>", headers))
    assert (
        error.detail
        == "HTTP 504, weirdcodeinesexample.comscript, request-id 8a6fXinesexamplecom, Mon, 02 Mar 2026 09:30:00 GMT"
    )
    assert "@" not in error.detail


@given(st.integers(100, 599), st.text(max_size=40), st.text(max_size=40), st.binary(max_size=60))
def test_no_answer_makes_judging_fail(status: int, code: str, header: str, body: bytes) -> None:
    assert isinstance(judged(answer(status, code, {"retry-after": header, "request-id": header})), AtomError)
    assert isinstance(judged(answer(status, body=body)), AtomError)


CLAIMS = '{"access_token":{"nbf":{"essential":true}}}'


@pytest.mark.parametrize(
    ("value", "claims"),
    [
        (base64.b64encode(CLAIMS.encode()).decode(), CLAIMS),
        (base64.urlsafe_b64encode(CLAIMS.encode()).decode().rstrip("="), CLAIMS),
        ("bm90IGpzb24=", None),
        (base64.b64encode(b"[1]").decode(), None),
        ("/w==", None),
    ],
)
def test_a_claims_challenge_is_read_and_anything_else_is_none(value: str, claims: str | None) -> None:
    header = f'Bearer realm="", error="insufficient_claims", claims="{value}"'
    assert claims_challenge(answer(401, headers={"www-authenticate": header})) == claims


def test_no_claims_challenge_is_none() -> None:
    assert claims_challenge(answer(401)) is None


SIGN_IN: list[tuple[Any, type[AtomError], str]] = [
    ({"error": "invalid_client", "error_codes": [7000215]}, SignInNeededError, "wrong_secret"),
    ({"error": "invalid_client", "error_codes": [7000222]}, SignInNeededError, "expired_secret"),
    ({"error": "invalid_client", "error_codes": [7000218]}, SignInNeededError, "device_code_off"),
    ({"error": "unauthorized_client", "error_codes": [700016]}, SignInNeededError, "unknown_app"),
    ({"error": "invalid_request", "error_codes": [90002]}, SignInNeededError, "unknown_tenant"),
    ({"error": "invalid_request", "error_codes": [50194]}, SignInNeededError, "wrong_audience"),
    (
        {"error": "invalid_grant", "error_codes": [65001], "suberror": "consent_required"},
        SignInNeededError,
        "consent_needed",
    ),
    ({"error": "interaction_required", "error_codes": [50076]}, SignInNeededError, "interaction_needed"),
    ({"error": "invalid_grant", "error_codes": [53003]}, SignInNeededError, "blocked_by_policy"),
    ({"error": "invalid_grant", "error_codes": [700082]}, SignInNeededError, "sign_in_expired"),
    ({"error": "invalid_grant", "error_codes": [50173]}, SignInNeededError, "sign_in_expired"),
    ({"error": "invalid_grant", "error_codes": [50057]}, SignInNeededError, "account_blocked"),
    ({"error": "invalid_grant", "error_description": "AADSTS7000222: expired."}, SignInNeededError, "expired_secret"),
    ({"error": "authorization_declined"}, SignInNeededError, "sign_in_declined"),
    ({"error": "expired_token"}, SignInNeededError, "code_expired"),
    ({"error": "bad_verification_code"}, SignInNeededError, "code_expired"),
    ({"error": "invalid_scope", "error_codes": [70011]}, SignInNeededError, "permission_unknown"),
    ({"error": "invalid_resource", "error_codes": [500011]}, SignInNeededError, "graph_not_in_tenant"),
    ({"error": "invalid_grant", "suberror": "consent_required"}, SignInNeededError, "consent_needed"),
    ({"error": "invalid_grant"}, SignInNeededError, "sign_in_expired"),
    ({"error": "invalid_grant", "error_codes": [123456789]}, SignInNeededError, "sign_in_expired"),
    ({"error": "something_new", "error_codes": [999]}, SignInNeededError, "sign_in_refused"),
    ({"error": "temporarily_unavailable", "error_codes": [90033]}, RetryLaterError, "login_unavailable"),
    ({}, SignInNeededError, "sign_in_refused"),
    ({"error": 5, "error_codes": "x", "suberror": [], "error_description": None}, SignInNeededError, "sign_in_refused"),
]


@pytest.mark.parametrize(("result", "kind", "code"), SIGN_IN)
def test_each_refusal_of_the_sign_in_has_its_error(result: Any, kind: type[AtomError], code: str) -> None:
    error = refused(result)
    assert (type(error), error.code) == (kind, code)
    assert error.message.endswith(".")


def test_a_refusal_tells_nothing_that_the_service_wrote_in_words() -> None:
    error = refused(
        {"error": "invalid_client", "error_description": "AADSTS7000215: secret hunter2 of ines@example.com"}
    )
    assert "hunter2" not in error.message + error.detail
    assert "@" not in error.message + error.detail
    assert "7000215" in error.detail
