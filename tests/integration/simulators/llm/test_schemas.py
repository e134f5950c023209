"""A schema that strict mode does not take is refused with the place and the rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llm_simulator import SCHEMA, Simulator, by_schema, llm_simulator

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with llm_simulator() as running:
        yield running


def closed(properties: Schema, **about: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
        **about,
    }


def nested(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels - 1):
        schema = closed({"a": schema})
    return schema


TEXT: Schema = {"type": "string"}
WRONG: dict[str, tuple[Schema, str]] = {
    "an array at the top": ({"type": "array", "items": TEXT}, """'type: "object"', got 'type: "array"'."""),
    "no type at the top": ({}, """got 'type: "None"'."""),
    "anyOf at the top": (closed({}, anyOf=[TEXT]), "must not have 'anyOf' at the top level"),
    "open": (
        {"type": "object", "properties": {}, "required": []},
        "In context=(), 'additionalProperties' is required to be supplied and to be false.",
    ),
    "open inside": (
        closed({"a": closed({}, additionalProperties=True)}),
        "In context=('properties', 'a'), 'additionalProperties' is required",
    ),
    "something not required": (
        closed({"a": TEXT, "b": TEXT}, required=["a"]),
        "an array including every key in properties. Missing 'b'.",
    ),
    "required beyond": (closed({"a": TEXT}, required=["a", "b"]), "extra required key 'b'"),
    "a default": (closed({"a": {"type": "string", "default": "x"}}), "'default' is not permitted."),
    "a length": (closed({"a": {"type": "string", "minLength": 1}}), "'minLength' is not permitted."),
    "unique items": (
        closed({"a": {"type": "array", "items": TEXT, "uniqueItems": True}}),
        "'uniqueItems' is not permitted.",
    ),
    "allOf": (closed({"a": {"allOf": [TEXT], "type": "string"}}), "'allOf' is not permitted."),
    "oneOf": (closed({"a": {"oneOf": [TEXT], "type": "string"}}), "'oneOf' is not permitted."),
    "not": (closed({"a": {"not": TEXT, "type": "string"}}), "'not' is not permitted."),
    "if": (closed({"a": {"type": "string", "if": TEXT}}), "'if' is not permitted."),
    "pattern properties": (closed({}, patternProperties={"x": TEXT}), "'patternProperties' is not permitted."),
    "tuples": (
        closed({"a": {"type": "array", "items": TEXT, "prefixItems": [TEXT]}}),
        "'prefixItems' is not permitted.",
    ),
    "items missing": (closed({"a": {"type": "array"}}), "In context=('properties', 'a'), array schema missing items."),
    "type missing": (closed({"a": {"description": "x"}}), "schema must have a 'type' key."),
    "type unknown": (closed({"a": {"type": "text"}}), "'text' is not valid under any of the given schemas."),
    "format unknown": (closed({"a": {"type": "string", "format": "uri"}}), "format 'uri' is not supported."),
    "pattern broken": (closed({"a": {"type": "string", "pattern": "("}}), "not a valid regular expression"),
    "lookahead": (closed({"a": {"type": "string", "pattern": "(?=x)x"}}), "lookaround"),
    "foreign reference": (closed({"a": {"$ref": "https://schemas.example/x"}}), "reference can only point to"),
    "eleven levels": (nested(11), "11 levels of nesting exceeds limit of 10."),
    "too many properties": (closed({f"p{n}": TEXT for n in range(5_001)}), "at most 5000 object properties"),
    "too many values": (
        closed({"a": {"type": "string", "enum": [str(n) for n in range(1_001)]}}),
        "at most 1000 enum values in total, but got 1001",
    ),
    "too many letters": (closed({"a" * 120_001: TEXT}), "at most 120000 characters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_schema_that_breaks_a_rule_is_refused(simulator: Simulator, case: str) -> None:
    schema, words = WRONG[case]
    answer = simulator.chat(response_format=by_schema(schema))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith("Invalid schema for response_format 'facts': ")
    assert words in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "response_format", None)


@pytest.mark.parametrize("case", WRONG)
def test_without_strict_the_schema_is_not_looked_at(simulator: Simulator, case: str) -> None:
    schema, _ = WRONG[case]
    assert simulator.chat(response_format=by_schema(schema, strict=False)).status_code == 200


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        nested(10),
        closed({"a": {"type": ["string", "null"], "enum": ["x", None]}}),
        closed({"a": {"anyOf": [TEXT, {"type": "null"}]}}),
        closed({"a": {"$ref": "#/$defs/b"}}, **{"$defs": {"b": closed({"c": TEXT})}}),
        closed({"a": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 3}}),
        closed({"a": {"type": "number", "minimum": 0, "multipleOf": 2}}),
        closed({"a": {"type": "string", "format": "date"}, "b": {"const": 4}}),
    ],
)
def test_a_schema_that_keeps_the_rules_is_taken(simulator: Simulator, schema: Schema) -> None:
    answer = simulator.chat(response_format=by_schema(schema))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"schema": SCHEMA, "strict": True}, "response_format.json_schema.name"),
        ({"name": "my facts", "schema": SCHEMA}, "response_format.json_schema.name"),
        ({"name": "x" * 65, "schema": SCHEMA}, "response_format.json_schema.name"),
        ({"name": "facts", "strict": True}, "response_format.json_schema.schema"),
        ({"name": "facts", "schema": []}, "response_format.json_schema.schema"),
    ],
)
def test_what_stands_around_the_schema_is_checked(simulator: Simulator, wanted: Schema, param: str) -> None:
    answer = simulator.chat(response_format={"type": "json_schema", "json_schema": wanted})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
