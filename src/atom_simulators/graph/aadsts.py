"""Refusals of the sign-in service: AADSTS numbers with their OAuth error, status and words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .wire import JSON, Answer


@dataclass(frozen=True, slots=True)
class SignInError(Exception):
    """An OAuth error answer. `about` fills the message's gap."""

    number: int
    about: str = ""

    def answer(self, now: float, trace: str, correlation: str) -> Answer:
        """The JSON that a client of the token endpoint gets."""
        error, status, words = _KNOWN[self.number]
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{self.number}: {words.replace('{}', self.about)} "
            f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        )
        content: dict[str, object] = {
            "error": error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        return Answer(status, content=content, content_type=JSON)


_KNOWN: Mapping[int, tuple[str, int, str]] = {
    50011: ("invalid_grant", 400, "The redirect URI '{}' does not match the one the code was asked for."),
    54005: (
        "invalid_grant",
        400,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
        "refresh token.",
    ),
    50059: (
        "invalid_request",
        400,
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    50173: (
        "invalid_grant",
        400,
        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    ),
    65001: (
        "invalid_grant",
        400,
        "The user or administrator has not consented to use the application with ID '{}'.",
    ),
    70000: ("invalid_grant", 400, "The provided value for the input parameter '{}' is not valid."),
    70003: ("unsupported_grant_type", 400, "The app requested an unsupported grant type '{}'."),
    70008: ("invalid_grant", 400, "The provided authorization code or refresh token has expired."),
    70011: ("invalid_scope", 400, "The provided value for the input parameter 'scope' is not valid. {}"),
    70016: (
        "authorization_pending",
        400,
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    ),
    70018: ("bad_verification_code", 400, "Invalid verification code due to User typing in wrong user code."),
    70019: ("expired_token", 400, "Verification code expired."),
    70020: ("authorization_declined", 400, "The end user has denied the authorization request."),
    90002: (
        "invalid_request",
        400,
        "Tenant '{}' not found. Check to make sure you have the correct tenant ID and are signing into the correct "
        "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions "
        "for the tenant.",
    ),
    90033: ("temporarily_unavailable", 503, "A transient error has occurred. Please try again."),
    501481: (
        "invalid_grant",
        400,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    700082: ("invalid_grant", 400, "The refresh token has expired due to inactivity."),
    900144: ("invalid_request", 400, "The request body must contain the following parameter: '{}'."),
    1002012: (
        "invalid_scope",
        400,
        "The provided value for scope {} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    ),
    7000215: (
        "invalid_client",
        401,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
        "not the client secret ID, for a secret added to app '{}'.",
    ),
    7000216: (
        "invalid_client",
        401,
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
    ),
    7000222: (
        "invalid_client",
        401,
        "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for "
        "your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: "
        "https://aka.ms/certCreds.",
    ),
}
