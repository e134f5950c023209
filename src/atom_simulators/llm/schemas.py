"""The part of JSON Schema that strict structured output takes, and what is said of the rest.

Source: OpenAI's guide "Structured Outputs", section "Supported schemas" (2025-2026), and the service's messages as
quoted in issue threads. Limits: 5,000 properties, 10 levels, 1,000 enum values, 120,000 letters of names and values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ApiError, invalid, missing, wrong_type

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LEVELS, _PROPERTIES, _ENUM_VALUES, _LETTERS = 10, 5_000, 1_000, 120_000
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_EVERYWHERE = frozenset({"type", "description", "title", "enum", "const", "anyOf", "$ref", "$defs", "definitions"})
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "format"}),
    "number": frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "integer": frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
}
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])")


@dataclass(slots=True)
class _Totals:
    properties: int = 0
    enum_values: int = 0
    letters: int = 0


def check_format(wanted: Mapping[str, Any], *, patterns: bool = True) -> None:
    """Check the `json_schema` of a response format. Raises ApiError (400) with the first thing that is wrong.

    `patterns`: whether the server knows the keyword; not all do that speak the same.
    """
    if "name" not in wanted:
        raise missing("response_format.json_schema.name")
    name = wanted["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(
            "response_format.json_schema.name",
            "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that matches "
            "the pattern '^[a-zA-Z0-9_-]+$'.",
            "invalid_value",
        )
    schema = wanted.get("schema")
    if schema is None:
        raise missing("response_format.json_schema.schema")
    if not isinstance(schema, dict):
        raise wrong_type("response_format.json_schema.schema", "an object", schema)
    if wanted.get("strict") is True:
        _check_strict(name, schema)
    for part, path, _ in () if patterns else _parts(schema, (), 1):
        if isinstance(part, dict) and "pattern" in part:
            raise _wrong(name, f"In context={path!r}, 'pattern' is not permitted.")


def _check_strict(name: str, schema: Mapping[str, Any]) -> None:
    if schema.get("type") != "object":
        shown = schema.get("type")
        raise _wrong(name, f"""schema must be a JSON Schema of 'type: "object"', got 'type: "{shown}"'.""")
    if "anyOf" in schema:
        raise _wrong(name, "schema must not have 'anyOf' at the top level.")
    totals = _Totals()
    for found, path, level in _parts(schema, (), 1):
        if level > _LEVELS:
            raise _wrong(name, f"{level} levels of nesting exceeds limit of {_LEVELS}.")
        _check_part(name, found, path, totals)
    for count, most, what in (
        (totals.properties, _PROPERTIES, "object properties"),
        (totals.enum_values, _ENUM_VALUES, "enum values"),
        (totals.letters, _LETTERS, "characters of property names, definition names and enum values"),
    ):
        if count > most:
            raise _wrong(name, f"Expected at most {most} {what} in total, but got {count}.")


def _parts(schema: Any, path: tuple[str, ...], level: int) -> Iterator[tuple[Any, tuple[str, ...], int]]:
    """A schema and all within it, with where it stands and how deep; not deeper than is worth a complaint."""
    yield schema, path, level
    if not isinstance(schema, dict) or level > _LEVELS:
        return
    for holder in ("properties", "$defs", "definitions"):
        held = schema.get(holder)
        for key, inner in held.items() if isinstance(held, dict) else ():
            yield from _parts(inner, (*path, holder, key), level + (holder == "properties"))
    if "items" in schema:
        yield from _parts(schema["items"], (*path, "items"), level)
    choices = schema.get("anyOf")
    for place, inner in enumerate(choices if isinstance(choices, list) else ()):
        yield from _parts(inner, (*path, "anyOf", str(place)), level)


def _check_part(name: str, part: Any, path: tuple[str, ...], totals: _Totals) -> None:
    if not isinstance(part, dict):
        raise _wrong(name, f"In context={path!r}, {part!r} is not of type 'object', 'boolean'.")
    if "$ref" in part:
        if not str(part["$ref"]).startswith("#"):
            raise _wrong(name, f"In context={path!r}, reference can only point to definitions in the schema.")
        return
    kinds = part.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if kinds is not None else []
    if not kinds and not part.keys() & {"anyOf", "enum", "const"}:
        raise _wrong(name, f"In context={path!r}, schema must have a 'type' key.")
    for kind in kinds:
        if kind not in _TYPES:
            raise _wrong(name, f"In context={path!r}, {kind!r} is not valid under any of the given schemas.")
    allowed = _EVERYWHERE.union(*(_KEYWORDS.get(kind, frozenset()) for kind in kinds))
    for keyword in part:
        if keyword not in allowed:
            raise _wrong(name, f"In context={path!r}, '{keyword}' is not permitted.")
    values = part.get("enum")
    if isinstance(values, list):
        totals.enum_values += len(values)
        totals.letters += sum(len(value) for value in values if isinstance(value, str))
    if "object" in kinds:
        _check_object(name, part, path, totals)
    if "array" in kinds and "items" not in part:
        raise _wrong(name, f"In context={path!r}, array schema missing items.")
    _check_text(name, part, path)


def _check_object(name: str, part: Mapping[str, Any], path: tuple[str, ...], totals: _Totals) -> None:
    properties = part.get("properties", {})
    if part.get("additionalProperties") is not False:
        raise _wrong(name, f"In context={path!r}, 'additionalProperties' is required to be supplied and to be false.")
    if not isinstance(properties, dict):
        raise _wrong(name, f"In context={path!r}, {properties!r} is not of type 'object'.")
    required = part.get("required", [])
    left_out = [key for key in properties if not isinstance(required, list) or key not in required]
    if left_out:
        raise _wrong(
            name,
            f"In context={path!r}, 'required' is required to be supplied and to be an array including every key in "
            f"properties. Missing '{left_out[0]}'.",
        )
    extra = [key for key in required if key not in properties]
    if extra:
        raise _wrong(name, f"In context={path!r}, 'required' has extra required key '{extra[0]}'.")
    totals.properties += len(properties)
    totals.letters += sum(map(len, properties))


def _check_text(name: str, part: Mapping[str, Any], path: tuple[str, ...]) -> None:
    if "format" in part and part["format"] not in _FORMATS:
        raise _wrong(name, f"In context={path!r}, format '{part['format']}' is not supported.")
    pattern = part.get("pattern")
    if pattern is None:
        return
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise _wrong(name, f"In context={path!r}, pattern is not a valid regular expression.") from error
    if _LOOKAROUND.search(pattern):
        raise _wrong(name, f"In context={path!r}, pattern uses lookaround, which is not supported.")


def _wrong(name: str, what: str) -> ApiError:
    return invalid("response_format", f"Invalid schema for response_format '{name}': {what}")
