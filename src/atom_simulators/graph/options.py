"""The OData query options of a list or of one resource, checked as the service checks them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import query, schema
from .errors import bad_request, invalid_url_query, too_complex
from .query import Condition, unknown_property
from .quirks import Quirks

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000
_KNOWN = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$skip", "$count", "$expand", "$search"}
    | {"$skiptoken", "$deltatoken", "$format"}
)
_EXPAND = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_SIZE_PROPERTY = re.compile(r"\$filter=\s*id eq 'LONG 0x0?E08'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asks for. `select` is in the order asked; `order` holds (path, descending)."""

    select: tuple[str, ...] = ()
    expand: frozenset[str] = frozenset()
    condition: Condition | None = None
    order: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    search: str | None = None
    token: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def page(self) -> int:
        """The page size."""
        return DEFAULT_PAGE if self.top is None else self.top

    def shows(self, name: str) -> bool:
        """Whether a property is asked for by name."""
        return name in self.select

    @property
    def with_bodies(self) -> bool:
        """Whether the answer carries message bodies."""
        return not self.select or "body" in self.select or "uniqueBody" in self.select


def message_options(texts: Mapping[str, str], quirks: Quirks) -> Options:
    """Read the options of a message request. Raises GraphError (400)."""
    _refuse_unknown(texts)
    code = quirks.unknown_property_code
    search = texts.get("$search")
    condition = (
        query.parse_filter(texts["$filter"], code, date_only=quirks.date_only_accepted) if "$filter" in texts else None
    )
    order = _order(texts.get("$orderby", ""), code)
    if search is not None:
        _check_search(search, texts)
    _check_order(condition, order, quirks)
    return Options(
        select=_select(texts.get("$select", ""), schema.MESSAGE, schema.MESSAGE_TYPE, code),
        expand=_expand(texts.get("$expand", ""), code),
        condition=condition,
        order=order,
        top=_top(texts.get("$top"), quirks),
        skip=_whole(texts.get("$skip", "0"), "$skip"),
        count=_truth(texts.get("$count", "false"), "$count"),
        search=search,
        token=texts.get("$skiptoken"),
        texts=texts,
    )


def folder_options(texts: Mapping[str, str], quirks: Quirks) -> Options:
    """Read the options of a folder request. Raises GraphError (400)."""
    _refuse_unknown(texts)
    code = quirks.unknown_property_code
    return Options(
        select=_select(texts.get("$select", ""), schema.FOLDER, schema.FOLDER_TYPE, code),
        top=_top(texts.get("$top"), quirks),
        skip=_whole(texts.get("$skip", "0"), "$skip"),
        count=_truth(texts.get("$count", "false"), "$count"),
        token=texts.get("$skiptoken"),
        texts=texts,
    )


def is_true(text: str) -> bool:
    """Whether a switch in the query is on."""
    return text.lower() == "true"


def _refuse_unknown(texts: Mapping[str, str]) -> None:
    for name in texts:
        if name.startswith("$") and name.lower() not in _KNOWN:
            raise bad_request(f"The query parameter '{name}' is not supported.")


def _select(text: str, known: Mapping[str, str], type_name: str, code: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if "*" in names:
        return ()
    for name in names:
        if name not in known and name not in schema.NAVIGATIONS:
            raise unknown_property(name, code, type_name)
    return tuple(dict.fromkeys(names))


def _expand(text: str, code: str) -> frozenset[str]:
    match = _EXPAND.fullmatch(text)
    if not text.strip():
        return frozenset()
    if match is None or match[1] not in schema.NAVIGATIONS:
        raise unknown_property(match[1] if match else text, code)
    if match[1] == "singleValueExtendedProperties" and not _SIZE_PROPERTY.search(match[2] or ""):
        return frozenset()
    return frozenset({match[1]})


def _order(text: str, code: str) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        path, _, direction = part.partition(" ")
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise bad_request(f"Syntax error at position {len(path) + 1} in '{text}'.")
        if query.type_of(path) is None:
            raise unknown_property(path.split("/")[-1], code)
        order.append((path, direction.strip().lower() == "desc"))
    return tuple(order)


def _check_order(condition: Condition | None, order: tuple[tuple[str, bool], ...], quirks: Quirks) -> None:
    """What $orderby names must stand in $filter, in the same order, before anything else."""
    if condition is None or not order:
        return
    filtered = list(dict.fromkeys(query.paths(condition)))
    if filtered[: len(order)] != [path for path, _ in order]:
        raise too_complex(quirks.restriction_code)


def _check_search(search: str, texts: Mapping[str, str]) -> None:
    for other in ("$filter", "$orderby"):
        if other in texts:
            raise bad_request(f"The query parameter '{other}' is not supported with '$search'.")
    if len(search) < 2 or not (search.startswith('"') and search.endswith('"')):
        raise bad_request(f"Syntax error: a search must stand in double quotes: '{search}'.")


def _top(text: str | None, quirks: Quirks) -> int | None:
    if text is None:
        return None
    value = _whole(text, "$top")
    if 1 <= value <= LARGEST_PAGE:
        return value
    if value > LARGEST_PAGE and quirks.top_over_limit == "clamp":
        return LARGEST_PAGE
    raise invalid_url_query(f"The value of query option '$top' must be between 1 and {LARGEST_PAGE}; it is '{value}'.")


def _whole(text: str, name: str) -> int:
    if text.strip().isdecimal():
        return int(text)
    raise bad_request(
        f"Invalid value '{text}' for {name} query option found. "
        f"The {name} query option requires a non-negative integer value."
    )


def _truth(text: str, name: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise bad_request(f"Invalid value '{text}' for {name} query option found. Valid values are 'true' or 'false'.")
