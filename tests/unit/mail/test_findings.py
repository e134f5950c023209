from __future__ import annotations

from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import Finding
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address, Message
from builders import a_message


def found(message: Message, limits: Limits | None = None) -> list[Finding]:
    return list(clean(message, limits or Limits()).findings)


def keys(message: Message, kind: str, field: str) -> list[str]:
    return [finding.key for finding in found(message) if (finding.entity_type, finding.field) == (kind, field)]


def test_headers_name_addresses_people_and_organizations() -> None:
    message = a_message(cc=(Address("Accounts", "billing@lumen.example"), Address("", "mara@quill.test")))
    assert keys(message, "address", "from") == ["ines@lumen.example"]
    assert keys(message, "person", "from") == ["ines@lumen.example"]
    assert keys(message, "organization", "to") == ["lumen.example"]
    assert keys(message, "address", "cc") == ["billing@lumen.example", "mara@quill.test"]
    assert keys(message, "person", "cc") == []
    assert keys(message, "organization", "cc") == ["lumen.example", "quill.test"]


def test_findings_in_headers_have_no_span() -> None:
    assert all(f.start is None and f.end is None for f in found(a_message()) if f.field in ("from", "to"))


def test_every_span_is_the_text_to_the_letter() -> None:
    body = (
        "Ask mara@lumen.example 😀 or see https://lumen.example/plan?utm_source=x before 3 March 2026.\n"
        "It costs 1.200,50 EUR. Call +44 20 7946 0301.\n"
    )
    message = a_message(body=body, subject="Offer of 99 EUR")
    digest = clean(message, Limits())
    spans = {
        (f.entity_type, f.field, f.key): (digest.text if f.field == "content" else message.subject)[f.start : f.end]
        for f in digest.findings
        if f.start is not None
    }
    assert spans == {
        ("address", "content", "mara@lumen.example"): "mara@lumen.example",
        ("link", "content", "https://lumen.example/plan"): "https://lumen.example/plan?utm_source=x",
        ("date", "content", "2026-03-03"): "3 March 2026",
        ("amount", "content", "EUR 1200.5"): "1.200,50 EUR",
        ("phone", "content", "+442079460301"): "+44 20 7946 0301",
        ("amount", "subject", "EUR 99"): "99 EUR",
    }


def test_a_links_own_words_are_its_span() -> None:
    message = a_message(body="<p>See <a href='https://lumen.example/x'>the plan</a></p>", body_type="html")
    digest = clean(message, Limits())
    (link,) = [f for f in digest.findings if f.entity_type == "link"]
    assert digest.text[link.start : link.end] == "the plan"
    assert link.key == "https://lumen.example/x"


def test_what_is_quoted_finds_nothing_and_a_signature_only_ways_to_reach_someone() -> None:
    body = (
        "Fine.\n\nBest regards,\nInes Halloran\nSince 1 May 2001\nTel. +44 20 7946 0301\n\n"
        "On 3 Mar 2026, Tomasz Reyl wrote:\n> Pay 500 EUR to old@lumen.example by 9 May 2026.\n"
    )
    content = {(f.entity_type, f.key) for f in found(a_message(body=body)) if f.field == "content"}
    assert content == {("phone", "+442079460301")}


def test_the_same_thing_twice_is_one_finding_that_counts_its_mentions() -> None:
    body = "Ask mara@lumen.example. If Mara@lumen.example is out, wait for mara@lumen.example.\n"
    (finding,) = [f for f in found(a_message(body=body)) if f.field == "content"]
    assert dict(finding.properties) == {"mentions": "3"}
    assert finding.start == 4


def test_many_recipients_crowd_nothing_out_and_the_cut_is_noted() -> None:
    crowd = tuple(Address(f"Person {n}", f"p{n}@lumen.example") for n in range(500))
    message = a_message(to=crowd, body="It costs 420 EUR.\n")
    digest = clean(message, Limits(findings=50))
    assert len(digest.findings) == 50
    assert any(finding.key == "EUR 420" for finding in digest.findings)
    assert "findings_capped" in digest.notes


def test_links_are_bounded_by_themselves() -> None:
    body = "".join(f"https://lumen.example/{n} and mara{n}@lumen.example\n" for n in range(40))
    digest = clean(a_message(body=body), Limits(links=5))
    kinds = [f.entity_type for f in digest.findings if f.field == "content"]
    assert kinds.count("link") == 5
    assert kinds.count("address") == 40
    assert "findings_capped" in digest.notes
