"""What Microsoft's sign-in refuses, and what the owner has to change where. Pure.

Source of the numbers: Microsoft Entra authentication error codes (AADSTS); of the words, RFC 6749 and RFC 8628.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atom_backfill.errors import AtomError, RetryLaterError, SignInNeededError

_WRONG_SECRET = (
    "wrong_secret",
    "The client secret is wrong: make a new one under App registrations → Certificates & secrets, and give its Value"
    " (not its Secret ID) to `atom-backfill connect outlook`.",
)
_EXPIRED_SECRET = (
    "expired_secret",
    "The client secret has expired: make a new one under App registrations → Certificates & secrets and connect the"
    " mailbox again with it.",
)
_UNKNOWN_APP = (
    "unknown_app",
    "The app is not known in this directory: compare --client-id with Application (client) ID, and --app-tenant with"
    " Directory (tenant) ID, both under App registrations → Overview.",
)
_UNKNOWN_TENANT = (
    "unknown_tenant",
    "There is no such directory: compare --app-tenant with Directory (tenant) ID under App registrations → Overview.",
)
_TENANT_NEEDED = (
    "tenant_needed",
    "Sign-in with a client secret needs one directory: give --app-tenant the Directory (tenant) ID from App"
    " registrations → Overview instead of common, organizations or consumers.",
)
_WRONG_AUDIENCE = (
    "wrong_audience",
    "The app does not take accounts of this kind: choose them under App registrations → Authentication → Supported"
    " account types, or give --app-tenant the directory that the app belongs to.",
)
_NOT_PUBLIC = (
    "device_code_off",
    "The app does not allow device codes: set Allow public client flows to Yes under App registrations →"
    " Authentication.",
)
_CONSENT = (
    "consent_needed",
    "Consent is missing: add Mail.Read under App registrations → API permissions and have it granted (Grant admin"
    " consent), then connect the mailbox again.",
)
_INTERACTION = (
    "interaction_needed",
    "Your organisation asks for more than a password (a second factor, a managed device): connect the mailbox again"
    " and complete it, or ask the administrator about Conditional Access for this app.",
)
_BLOCKED = (
    "blocked_by_policy",
    "A Conditional Access policy of your organisation blocks this sign-in: ask the administrator to allow this app, or"
    " device codes, in Entra admin center → Protection → Conditional Access.",
)
_EXPIRED = (
    "sign_in_expired",
    "The sign-in has expired or was revoked (a changed password, a long pause): connect the mailbox again. What is"
    " stored stays.",
)
_ACCOUNT = (
    "account_blocked",
    "The account may not sign in (disabled, password expired, or not assigned to the app): ask its administrator.",
)
_DECLINED = ("sign_in_declined", "The sign-in was declined in the browser: connect again and accept it.")
CODE_EXPIRED = ("code_expired", "The code was not entered in time: connect again and enter the new one.")
_SCOPE = (
    "permission_unknown",
    "The app may not ask for Mail.Read: add Microsoft Graph → Mail.Read under App registrations → API permissions.",
)
_NO_GRAPH = (
    "graph_not_in_tenant",
    "This directory does not know Microsoft Graph of this cloud: check that ATOM_LOGIN_BASE_URL and ATOM_GRAPH_BASE_URL"
    " belong together.",
)

_BY_NUMBER: Mapping[int, tuple[str, str]] = {
    7000215: _WRONG_SECRET,
    7000216: _WRONG_SECRET,
    7000222: _EXPIRED_SECRET,
    7000218: _NOT_PUBLIC,
    70002: _NOT_PUBLIC,
    700016: _UNKNOWN_APP,
    700038: _UNKNOWN_APP,
    7000112: _UNKNOWN_APP,
    90002: _UNKNOWN_TENANT,
    90013: _UNKNOWN_TENANT,
    900021: _UNKNOWN_TENANT,
    900023: _UNKNOWN_TENANT,
    50059: _TENANT_NEEDED,
    50020: _WRONG_AUDIENCE,
    50194: _WRONG_AUDIENCE,
    9002331: _WRONG_AUDIENCE,
    9002346: _WRONG_AUDIENCE,
    700022: _WRONG_AUDIENCE,
    65001: _CONSENT,
    90094: _CONSENT,
    65004: _DECLINED,
    50072: _INTERACTION,
    50074: _INTERACTION,
    50076: _INTERACTION,
    50079: _INTERACTION,
    50158: _INTERACTION,
    53000: _BLOCKED,
    53001: _BLOCKED,
    53002: _BLOCKED,
    53003: _BLOCKED,
    530034: _BLOCKED,
    50053: _ACCOUNT,
    50055: _ACCOUNT,
    50057: _ACCOUNT,
    50105: _ACCOUNT,
    50034: _ACCOUNT,
    70000: _EXPIRED,
    70008: _EXPIRED,
    700082: _EXPIRED,
    700084: _EXPIRED,
    70043: _EXPIRED,
    50078: _EXPIRED,
    50089: _EXPIRED,
    50132: _EXPIRED,
    50173: _EXPIRED,
    54005: _EXPIRED,
    70018: CODE_EXPIRED,
    70019: CODE_EXPIRED,
    70020: _DECLINED,
    70011: _SCOPE,
    1002012: _SCOPE,
    500011: _NO_GRAPH,
    650052: _NO_GRAPH,
}
_BY_WORD: Mapping[str, tuple[str, str]] = {
    "consent_required": _CONSENT,
    "interaction_required": _INTERACTION,
    "login_required": _EXPIRED,
    "authorization_declined": _DECLINED,
    "access_denied": _DECLINED,
    "expired_token": CODE_EXPIRED,
    "bad_verification_code": CODE_EXPIRED,
    "unauthorized_client": _UNKNOWN_APP,
    "invalid_client": _WRONG_SECRET,
    "invalid_scope": _SCOPE,
    "invalid_resource": _NO_GRAPH,
    "invalid_grant": _EXPIRED,
}
_TRANSIENT = frozenset({"temporarily_unavailable", "server_error"})


def refused(result: Mapping[str, Any]) -> AtomError:
    """Turn an error object of the token endpoint into the error that says what to change and where."""
    word = result.get("error")
    word = word if isinstance(word, str) else ""
    numbers = _numbers(result)
    detail = f"{re.sub(r'[^a-z_]', '', word.lower())[:40] or 'no error'}, AADSTS {numbers or 'none'}"
    if word in _TRANSIENT:
        return RetryLaterError("login_unavailable", "Microsoft's sign-in is not available just now.", detail=detail)
    suberror = result.get("suberror")
    found = next((_BY_NUMBER[number] for number in numbers if number in _BY_NUMBER), None)
    found = found or _BY_WORD.get(suberror if isinstance(suberror, str) else "") or _BY_WORD.get(word)
    if found is None:
        number = f" (AADSTS{numbers[0]})" if numbers else ""
        return SignInNeededError("sign_in_refused", f"Microsoft refused the sign-in{number}.", detail=detail)
    return SignInNeededError(*found, detail=detail)


def no_such_tenant() -> SignInNeededError:
    """The directory has no sign-in endpoints."""
    return SignInNeededError(*_UNKNOWN_TENANT)


def tenant_needed() -> SignInNeededError:
    """A client secret cannot be used with a tenant that stands for many."""
    return SignInNeededError(*_TENANT_NEEDED)


def code_expired() -> SignInNeededError:
    """Nobody entered the device code in its time."""
    return SignInNeededError(*CODE_EXPIRED)


def consent_needed() -> SignInNeededError:
    """The sign-in worked and does not allow to read mail."""
    return SignInNeededError(*_CONSENT)


def not_signed_in() -> SignInNeededError:
    """There is no cached sign-in."""
    return SignInNeededError("not_signed_in", "Nobody is signed in to this mailbox: connect it again.")


def _numbers(result: Mapping[str, Any]) -> list[int]:
    listed = result.get("error_codes")
    numbers = [number for number in listed[:8] if isinstance(number, int)] if isinstance(listed, list) else []
    described = result.get("error_description")
    if isinstance(described, str):
        numbers += [int(number) for number in re.findall(r"AADSTS(\d{4,8})", described[:2000])[:4]]
    return list(dict.fromkeys(numbers))
