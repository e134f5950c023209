"""The OData query options of a list or of one resource, checked as the service checks them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import schema
from .conditions import Condition, paths
from .errors import bad_request, invalid_url_query, too_complex
from .query import Dialect, parse_filter, unknown_property
from .quirks import Quirks
from .wire import OPTIONS

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000
_EXPAND = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_CAST = re.compile(r"^microsoft\.graph\.\w+/")
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
    search = texts.get("$search")
    if search is not None:
        _check_search(search, texts)
    options = _options(texts, schema.MESSAGES, quirks)
    _check_order(options, quirks)
    return options


def folder_options(texts: Mapping[str, str], quirks: Quirks) -> Options:
    """Read the options of a folder request. Raises GraphError (400)."""
    return _options(texts, schema.FOLDERS, quirks)


def _options(texts: Mapping[str, str], words: schema.Vocabulary, quirks: Quirks) -> Options:
    _refuse_unknown(texts)
    dialect = Dialect(words, quirks.unknown_property_code, quirks.date_only_accepted)
    return Options(
        select=_select(texts.get("$select", ""), dialect),
        expand=_expand(texts.get("$expand", ""), dialect) if words is schema.MESSAGES else frozenset(),
        condition=parse_filter(texts["$filter"], dialect) if "$filter" in texts else None,
        order=_order(texts.get("$orderby", ""), dialect),
        top=_top(texts.get("$top"), quirks),
        skip=_whole(texts.get("$skip", "0"), "$skip"),
        count=_truth(texts.get("$count", "false"), "$count"),
        search=texts.get("$search"),
        token=texts.get("$skiptoken"),
    )


def is_true(text: str) -> bool:
    """Whether a switch in the query is on."""
    return text.lower() == "true"


def _refuse_unknown(texts: Mapping[str, str]) -> None:
    # OData options must be known; any other parameter is passed over.
    for name in texts:
        if name.startswith("$") and name.removeprefix("$") not in OPTIONS:
            raise bad_request(f"The query parameter '{name}' is not supported.")


def _select(text: str, dialect: Dialect) -> tuple[str, ...]:
    names = [_CAST.sub("", name.strip()) for name in text.split(",") if name.strip()]
    if "*" in names:
        return ()
    for name in names:
        if name not in dialect.words.properties and name not in schema.NAVIGATIONS | schema.OF_EVENTS:
            raise unknown_property(name, dialect.words, dialect.property_code)
    return tuple(dict.fromkeys(names))


def _expand(text: str, dialect: Dialect) -> frozenset[str]:
    match = _EXPAND.fullmatch(text)
    if not text.strip():
        return frozenset()
    if match is None or match[1] not in schema.NAVIGATIONS:
        raise unknown_property(match[1] if match else text, dialect.words, dialect.property_code)
    if match[1] == "singleValueExtendedProperties" and not _SIZE_PROPERTY.search(match[2] or ""):
        return frozenset()
    return frozenset({match[1]})


def _order(text: str, dialect: Dialect) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        path, _, direction = part.partition(" ")
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise bad_request(f"Syntax error at position {len(path) + 1} in '{text}'.")
        if dialect.words.type_of(path) is None:
            raise unknown_property(path, dialect.words, dialect.property_code)
        order.append((path, direction.strip().lower() == "desc"))
    return tuple(order)


def _check_order(options: Options, quirks: Quirks) -> None:
    """What $orderby names must stand in $filter, in the same order, before anything else."""
    if options.condition is None or not options.order:
        return
    filtered = list(dict.fromkeys(paths(options.condition)))
    if filtered[: len(options.order)] != [path for path, _ in options.order]:
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
