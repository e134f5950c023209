"""Errors as Microsoft Graph answers them: status, code, message, and the envelope round them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class GraphError(Exception):
    """An answer that is an error. Messages are the real service's words; clients must compare codes only."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    inner: bool = True

    def body(self, request_id: str, client_request_id: str, now: float) -> dict[str, Any]:
        """The error envelope; `innerError.date` carries no zone."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner:
            error["innerError"] = {
                "date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": request_id,
                "client-request-id": client_request_id,
            }
        return {"error": error}


def bad_request(message: str) -> GraphError:
    """400 BadRequest."""
    return GraphError(400, "BadRequest", message)


def unknown_segment(segment: str) -> GraphError:
    """A path that names nothing; also what an unescaped slash in an id leads to."""
    return GraphError(400, "RequestBroker--ParseUri", f"Resource not found for the segment '{segment}'.")


def method_not_allowed() -> GraphError:
    """A method that the resource does not know."""
    return GraphError(405, "UnsupportedHttpMethod", "Specified HTTP method is not allowed for the request target.")


def malformed_id() -> GraphError:
    """An id that cannot be one."""
    return GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def item_not_found() -> GraphError:
    """A well-formed id of nothing that is in this mailbox."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def folder_not_found(code: str) -> GraphError:
    """A folder that this mailbox does not have."""
    if code == "ErrorItemNotFound":
        return item_not_found()
    return GraphError(404, code, "The specified folder could not be found in the store.")


def invalid_user(name: str) -> GraphError:
    """A mailbox call for a user who does not exist."""
    return GraphError(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")


def user_not_found(name: str) -> GraphError:
    """A directory call for a user who does not exist."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def mailbox_inactive() -> GraphError:
    """A user without a mailbox in the cloud."""
    return GraphError(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )


def access_denied() -> GraphError:
    """The token is good, but not for this."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def invalid_token(message: str, login: str) -> GraphError:
    """401, with the header that says where to get a token."""
    challenge = (
        f'Bearer realm="", authorization_uri="{login}/common/oauth2/authorize", '
        f'client_id="00000003-0000-0000-c000-000000000000", error="invalid_token"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})


def invalid_url_query(message: str) -> GraphError:
    """400 for a query option that Outlook refuses."""
    return GraphError(400, "ErrorInvalidUrlQuery", message)


def too_complex(code: str) -> GraphError:
    """A $filter and an $orderby that do not go together."""
    return GraphError(400, code, "The restriction or sort order is too complex for this operation.")
