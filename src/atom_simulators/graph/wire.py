"""A call as it came in and an answer as it goes out, free of any server library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ODATA_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
JSON = "application/json; charset=utf-8"


OPTIONS = frozenset(
    {"select", "filter", "orderby", "top", "skip", "count", "expand", "search", "format"} | {"skiptoken", "deltatoken"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `origin` is scheme and host as the client named them; header names are in lower case."""

    method: str
    origin: str
    path: str
    query_text: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; OData options get the `$` that may be left out; of repeated names the first counts."""
        pairs = parse_qsl(self.query_text, keep_blank_values=True)
        return {_option(name): text for name, text in reversed(pairs)}

    @property
    def segments(self) -> list[str]:
        """The path's parts. It is decoded as a whole, split, and each part decoded again.

        So `%2F` in an id splits the path, as reported of the real service, and `%252F` does not.
        """
        return [unquote(part) for part in unquote(self.path).strip("/").split("/")]

    @property
    def url(self) -> str:
        """The address as the client called it."""
        return f"{self.origin}{self.path}" + (f"?{self.query_text}" if self.query_text else "")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the `Prefer` header asks for."""

    immutable_ids: bool = False
    body_type: str | None = None
    page_size: int | None = None

    def applied(self) -> str:
        """The value of `Preference-Applied`, empty where nothing was asked for."""
        parts = []
        if self.body_type is not None:
            parts.append(f'outlook.body-content-type="{self.body_type}"')
        if self.immutable_ids:
            parts.append("IdType=ImmutableId")
        if self.page_size is not None:
            parts.append(f"odata.maxpagesize={self.page_size}")
        return ", ".join(parts)


@dataclass(slots=True)
class Answer:
    """A response: JSON content (or raw bytes), to be encoded when it is sent."""

    status: int = 200
    content: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = ODATA_JSON

    def encoded(self) -> bytes:
        """The body. Lone surrogates, which mail does contain, go out as escapes."""
        if self.raw is not None:
            return self.raw
        if self.content is None:
            return b""
        try:
            return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            return json.dumps(self.content, separators=(",", ":")).encode()


def _option(name: str) -> str:
    lower = name.lower().removeprefix("$")
    return f"${lower}" if lower in OPTIONS else name


def preferences(header: str) -> Preferences:
    """Read a `Prefer` header; what is not known is passed over, as the service does."""
    immutable, body_type, page_size = False, None, None
    for part in header.split(","):
        name, _, value = (piece.strip().strip('"') for piece in part.partition("="))
        value = value.strip('"')
        if name.lower() == "idtype":
            immutable = value.lower() == "immutableid"
        elif name.lower() == "outlook.body-content-type" and value.lower() in ("text", "html"):
            body_type = value.lower()
        elif name.lower() == "odata.maxpagesize" and value.isdecimal() and int(value) > 0:
            page_size = int(value)
    return Preferences(immutable, body_type, page_size)


def split_target(target: str) -> tuple[str, str]:
    """Path and query of a relative or absolute address."""
    parts = urlsplit(target)
    return parts.path, parts.query
