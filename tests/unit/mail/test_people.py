from __future__ import annotations

import pytest

from atom_backfill.mail.message import Address
from atom_backfill.mail.people import Person, address_key, display_name, name_key, organization_of, person_of


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Bob.Meyer@Lumen.EXAMPLE", "bob.meyer@lumen.example"),
        (" bob@lumen.example. ", "bob@lumen.example"),
        ("bob+news@lumen.example", "bob+news@lumen.example"),
        ('"very odd"@lumen.example', '"very odd"@lumen.example'),
        ("info@bücher.example", "info@bücher.example"),
        ("info@xn--bcher-kva.example", "info@bücher.example"),
        ("jose\u0301@lumen.example", "josé@lumen.example"),
        ("/O=LUMEN/OU=FIRST/CN=RECIPIENTS/CN=BOB", "/o=lumen/ou=first/cn=recipients/cn=bob"),
        ("ceo@real.example <evil@evil.example>", "evil@evil.example"),
        ("postmaster", ""),
        ("", ""),
        ("a b@lumen.example", ""),
        ("bob@", ""),
        ("@lumen.example", ""),
        ("bob@lumen..example", ""),
        ("undisclosed-recipients:;", ""),
        ("/tmp/file", ""),
    ],
)
def test_an_address_names_one_identity(written: str, key: str) -> None:
    assert address_key(written) == key


def test_a_look_alike_letter_makes_another_identity() -> None:
    assert address_key("b\u043eb@lumen.example") != address_key("bob@lumen.example")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Halloran, Ines", "Ines Halloran"),
        ("Halloran, Ines M.", "Ines M. Halloran"),
        ("'Ines Halloran'", "Ines Halloran"),
        ('"Ines  Halloran"', "Ines Halloran"),
        ("Ines Halloran via Workshop List", "Ines Halloran"),
        ("Ines Halloran (External)", "Ines Halloran"),
        ("Ines Halloran [Lumen]", "Ines Halloran"),
        ("ines@lumen.example", ""),
        ("Ines Halloran <ines@lumen.example>", "Ines Halloran"),
        ("ines", ""),
        ("1234", ""),
        ("", ""),
        ("Reyl, Quill & Partners, Solicitors", "Reyl, Quill & Partners, Solicitors"),
    ],
)
def test_a_display_name_is_cleaned(name: str, shown: str) -> None:
    assert display_name(Address(name, "ines@lumen.example")) == shown


def test_names_compare_without_regard_to_form() -> None:
    assert name_key("Jose\u0301  Ångström") == name_key("JOSÉ A\u030angström")
    assert name_key("Halloran, I.") == name_key("halloran i")


@pytest.mark.parametrize(
    ("domain", "organization"),
    [
        ("mail.lumen.example", "lumen.example"),
        ("lumen.example", "lumen.example"),
        ("a.b.lumen.co.uk", "lumen.co.uk"),
        ("co.uk", ""),
        ("gmail.com", ""),
        ("yahoo.co.jp", ""),
        ("lists.googlegroups.com", ""),
        ("localhost", ""),
        ("10.0.0.1", ""),
        ("", ""),
    ],
)
def test_a_domain_names_an_organization_unless_anyone_can_have_an_address_there(domain: str, organization: str) -> None:
    assert organization_of(domain) == organization


@pytest.mark.parametrize(
    "address",
    [
        "info@lumen.example", "no-reply@lumen.example", "noreply+1@lumen.example", "billing@lumen.example",
        "team-owner@lumen.example", "mailer-daemon@lumen.example", "gate@lists.lumen.example",
        "bounces+ines=lumen.example@mail.test", "notifications-noreply@lumen.example",
        "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e@lumen.example", "kontakt@lumen.example",
    ],
)  # fmt: skip
def test_a_role_a_machine_or_a_list_is_no_person(address: str) -> None:
    person = person_of(Address("Lumen", address))
    assert person is not None
    assert person.shared


def test_a_person_is_one() -> None:
    written = Address("Reyl, Tomasz", "Tomasz.Reyl@Mail.Lumen.Example")
    assert person_of(written) == Person("tomasz.reyl@mail.lumen.example", "Tomasz Reyl", False, "lumen.example")
    assert person_of(Address("Undisclosed recipients", "")) is None
