"""Refusals in the real service's form and words: `{"error": {"message", "type", "param", "code"}}`.

Sources: the service's own answers as quoted in public issue threads of its clients, and its published API reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KEYS = "https://platform.openai.com/account/api-keys"
_LIMITS = "https://platform.openai.com/account/rate-limits"
ORGANISATION = "org-Simulated0000000000000"


@dataclass(frozen=True)
class ApiError(Exception):
    """An answer that is a refusal."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON that the service sends."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def no_key() -> ApiError:
    """401 without a key."""
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
        "API from your browser and are prompted for a username and password. You can obtain an API key from "
        f"{_KEYS}.",
    )


def wrong_key(key: str) -> ApiError:
    """401 for a key that is not one; of longer keys the ends alone are shown."""
    shown = key if len(key) <= 8 else f"{key[:4]}{'*' * (len(key) - 8)}{key[-4:]}"
    message = f"Incorrect API key provided: {shown}. You can find your API key at {_KEYS}."
    return ApiError(401, message, code="invalid_api_key")


def no_quota() -> ApiError:
    """429 for an account without credit; waiting does not help."""
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        code="insufficient_quota",
    )


def rate_limited(model: str, unit: str, limit: int, used: int, requested: int, wait_s: float) -> ApiError:
    """429 of a limit a minute; `unit` is `requests` or `tokens`."""
    short = "RPM" if unit == "requests" else "TPM"
    message = (
        f"Rate limit reached for {model} in organization {ORGANISATION} on {unit} per min ({short}): Limit {limit}, "
        f"Used {used}, Requested {requested}. Please try again in {duration(wait_s)}. Visit {_LIMITS} to learn more."
    )
    return ApiError(429, message, unit, code="rate_limit_exceeded", headers=retry_headers(wait_s))


def too_large_for_limit(model: str, limit: int, requested: int) -> ApiError:
    """429 for one request that no waiting lets through."""
    message = (
        f"Request too large for {model} in organization {ORGANISATION} on tokens per min (TPM): Limit {limit}, "
        f"Requested {requested}. The input or output tokens must be reduced in order to run successfully. "
        f"Visit {_LIMITS} to learn more."
    )
    return ApiError(429, message, "tokens", code="rate_limit_exceeded")


def retry_headers(wait_s: float) -> dict[str, str]:
    """How long to wait: whole seconds, and milliseconds."""
    return {"retry-after": str(max(1, -int(-wait_s // 1))), "retry-after-ms": str(max(1, round(wait_s * 1000)))}


def no_model(model: str) -> ApiError:
    """404 for a model that there is not."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found")


def no_route(method: str, path: str) -> ApiError:
    """404 for an address that there is not."""
    return ApiError(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str) -> ApiError:
    """405 for a method that the address does not know."""
    return ApiError(
        405,
        f"Not allowed to {method} on this resource. (HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
    )


def no_json() -> ApiError:
    """400 for a body that is no JSON object."""
    return ApiError(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
        "figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    )


def invalid(param: str, message: str, code: str | None = None) -> ApiError:
    """400 about one parameter."""
    return ApiError(400, message, param=param, code=code)


def missing(param: str) -> ApiError:
    """400 for a parameter that must be there."""
    return invalid(param, f"Missing required parameter: '{param}'.", "missing_required_parameter")


_JSON_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
}


def wrong_type(param: str, expected: str, value: object) -> ApiError:
    """400 for a value of another type."""
    got = "null" if value is None else _JSON_TYPES.get(type(value), "something else")
    return invalid(param, f"Invalid type for '{param}': expected {expected}, but got {got} instead.", "invalid_type")


def context_exceeded(most: int, found: int) -> ApiError:
    """400 for messages that do not fit."""
    return invalid(
        "messages",
        f"This model's maximum context length is {most} tokens. However, your messages resulted in {found} tokens. "
        "Please reduce the length of the messages.",
        "context_length_exceeded",
    )


def server_error() -> ApiError:
    """500."""
    return ApiError(
        500,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
    )


def overloaded() -> ApiError:
    """503."""
    message = "The engine is currently overloaded, please try again later."
    return ApiError(503, message, "service_unavailable_error", code="overloaded")


def duration(seconds: float) -> str:
    """A time as the service's headers and messages write it: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    return f"{whole // 60}m{whole % 60}s"
