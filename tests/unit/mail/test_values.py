from __future__ import annotations

import pytest

from atom_backfill.mail.links import normalise_url, urls_in
from atom_backfill.mail.values import amounts_in, dates_in, phones_in


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("call +44 20 7946 0301 now", "+442079460301"),
        ("+49 (30) 123 456-78", "+493012345678"),
        ("0049 30 1234567", "+49301234567"),
        ("(713) 555-0142", "7135550142"),
        ("713.555.0142", "7135550142"),
        ("Tel.: 030/1234567", "0301234567"),
        ("my fax is 5035550123", "5035550123"),
    ],
)
def test_phone_numbers_are_found(text: str, key: str) -> None:
    (value,) = phones_in(text, 0, len(text))
    assert value.key == key
    assert key.lstrip("+") == "".join(c for c in text[value.start : value.end] if c.isdigit()).removeprefix("00")


def test_a_phone_number_says_its_kind_and_extension() -> None:
    text = "Mobile: +44 7700 900123, fax: 713-555-0142 x12"
    assert [dict(value.properties) for value in phones_in(text, 0, len(text))] == [
        {"kind": "mobile"},
        {"kind": "fax", "extension": "12"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567", "2024-03-01", "01/02/2024", "10.20.30.40", "pages 100-200", "1,234,567", "1 234 567 890",
        "2001-2002", "ZIP 77002-1234", "v1.2.3.4.5", "3.1415926535", "id=7135550142", "x7135550142y", "12:30:45",
    ],
)  # fmt: skip
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    assert not list(phones_in(text, 0, len(text)))


def test_in_a_signature_less_proof_is_asked_for() -> None:
    text = "030 1234 5678"
    assert not list(phones_in(text, 0, len(text)))
    assert [value.key for value in phones_in(text, 0, len(text), sure=True)] == ["03012345678"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("on 2026-03-02T10:00", "2026-03-02"),
        ("3 March 2026", "2026-03-03"),
        ("3rd of March, 2026", "2026-03-03"),
        ("Mar 3, 2026", "2026-03-03"),
        ("March 3rd 2026", "2026-03-03"),
        ("3. März 2026", "2026-03-03"),
        ("1er juin 2026", "2026-06-01"),
        ("14 juillet 2026", "2026-07-14"),
        ("3 de marzo de 2026", "2026-03-03"),
        ("3 марта 2026", "2026-03-03"),
        ("03.04.2026", "2026-04-03"),
        ("31/12/2026", "2026-12-31"),
        ("12/31/2026", "2026-12-31"),
        ("5/5/2026", "2026-05-05"),
        ("2026年3月2日", "2026-03-02"),
    ],
)
def test_dates_are_found_in_many_notations(text: str, key: str) -> None:
    assert [value.key for value in dates_in(text, 0, len(text))] == [key]


@pytest.mark.parametrize(
    "text", ["3/4/2026", "31 February 2026", "2026", "Marketing 12, 2026", "version 3.2026", "in March", "2026-13-01"]
)
def test_what_can_be_read_in_two_ways_or_none_is_no_date(text: str) -> None:
    assert not list(dates_in(text, 0, len(text)))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("$1,234.56", "USD 1234.56"),
        ("US$ 1,000,000", "USD 1000000"),
        ("€1.234,56", "EUR 1234.56"),
        ("1 234,50 €", "EUR 1234.5"),
        ("CHF 12'500", "CHF 12500"),
        ("420 EUR", "EUR 420"),
        ("£5m", "GBP 5000000"),
        ("1.5 million dollars", "USD 1500000"),
        ("$3.2bn", "USD 3200000000"),
        ("R$ 50", "BRL 50"),
        ("¥10000", "JPY 10000"),
        ("99 zł", "PLN 99"),
    ],
)
def test_amounts_are_found_in_many_notations(text: str, key: str) -> None:
    sentence = f"They want {text}, no more."
    (value,) = amounts_in(sentence, 0, len(sentence))
    assert value.key == key
    assert sentence[value.start : value.end].strip(".") == text


@pytest.mark.parametrize("text", ["echo $1", "$HOME", "420 pieces", "EUROPE 2026", "TRYING 5"])
def test_other_signs_and_numbers_are_no_amounts(text: str) -> None:
    assert not list(amounts_in(text, 0, len(text)))


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Lumen.Example:443/Plan/?utm_source=x&page=2#top", "https://lumen.example/Plan?page=2#top"),
        ("www.lumen.example.", "http://www.lumen.example"),
        ("http://user:secret@lumen.example/a", "http://lumen.example/a"),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Flumen.example%2Fa%3Ffbclid%3D1&data=05",
            "https://lumen.example/a",
        ),
        ("https://urldefense.com/v3/__https://lumen.example/plan__;!!abc", "https://lumen.example/plan"),
        ("https://www.google.com/url?q=https://lumen.example/&sa=D", "https://lumen.example"),
        ("https://lumen.example/?" + "&" * 400, "https://lumen.example"),
        ("https://www.google.com/url?" + "a=1&" * 300 + "q=https://lumen.example", "https://lumen.example"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("mailto:ines@lumen.example", ""),
        ("http://", ""),
        ("http://[bad", ""),
        ("https://lumen.example/" + "a" * 3_000, ""),
    ],
)
def test_a_link_is_normalised_to_where_it_leads(url: str, normal: str) -> None:
    assert normalise_url(url) == normal


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("See https://lumen.example/a, please.", "https://lumen.example/a"),
        ("(see https://lumen.example/a_(b))", "https://lumen.example/a_(b)"),
        ("<https://lumen.example/a>", "https://lumen.example/a"),
        ("*www.lumen.example*", "www.lumen.example"),
    ],
)
def test_punctuation_after_a_link_is_not_of_it(text: str, url: str) -> None:
    assert [text[start:end] for start, end in urls_in(text, 0, len(text))] == [url]
