"""Which domains and names are one organisation."""

from __future__ import annotations

import pytest

from atom_backfill.graph.resolve import Pins, Resolution
from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_organizations import organization_words, resolve_organizations
from atom_backfill.graph.resolve_rules import Rule


def found(*keys: str, pins: Pins | None = None) -> Resolution:
    return resolve_organizations([Identity(key) for key in keys], pins or Pins())


@pytest.mark.parametrize(
    ("name", "folded", "forms"),
    [
        ("The Lumen Company, Inc.", "lumen", {"co", "inc"}),
        ("Lumen", "lumen", set()),
        ("Harbour & Söhne GmbH", "harbour sohne", {"gmbh"}),
        ("Co", "co", set()),
        ("", "", set()),
    ],
)
def test_a_legal_form_is_no_part_of_the_name(name: str, folded: str, forms: set[str]) -> None:
    assert organization_words(name) == (folded, forms)


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("Lumen Ltd.", "LUMEN", Rule.ORGANIZATION_NAME),
        ("Lumen Limited", "lumen ltd", Rule.ORGANIZATION_NAME),
        ("harbour-lights.test", "Harbour Lights", Rule.BRAND),
    ],
)
def test_one_organisation_is_joined(one: str, other: str, rule: Rule) -> None:
    result = found(one, other)
    assert [merge.rule for merge in result.merges] == [rule]
    assert result.suggestions == ()


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("Lumen Ltd", "Lumen GmbH", Rule.ORGANIZATION_NAME),
        ("lumen.test", "lumen.example", Rule.BRAND),
        ("abc.test", "ABC", Rule.BRAND),
        ("HLS", "Harbour Light Systems", Rule.ACRONYM),
        ("Harbour Lights", "Harbor Lights", Rule.SPELLING),
    ],
)
def test_a_doubt_is_a_suggestion(one: str, other: str, rule: Rule) -> None:
    result = found(one, other)
    assert result.merges == ()
    assert [pair.rule for pair in result.suggestions] == [rule]


def test_a_name_that_two_domains_spell_joins_neither() -> None:
    assert found("lumen.test", "lumen.example", "Lumen").merges == ()


def test_strangers_stay_apart() -> None:
    assert found("lumen.test", "Harbour") == Resolution((), (), ())


def test_a_persons_split_wins() -> None:
    assert found("lumen.test", "Lumen", pins=Pins(different=frozenset({("lumen.test", "Lumen")}))).merges == ()
