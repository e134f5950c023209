from __future__ import annotations

import pytest

from atom_backfill.mail.bulk import is_bulk, is_machine, recognise_kind
from atom_backfill.mail.message import Kind
from builders import a_message

Headers = tuple[tuple[str, str], ...]


@pytest.mark.parametrize(
    "headers",
    [
        (("List-Unsubscribe", "<https://lumen.example/u>"),),
        (("Precedence", "bulk"),),
        (("precedence", "Junk"),),
        (("List-Id", "campaign 7"), ("List-Unsubscribe", "<mailto:u@lumen.example>")),
        (("X-Campaign", "spring"),),
        (("List-Post", "NO"), ("List-Unsubscribe", "<mailto:u@lumen.example>")),
    ],
)
def test_mail_to_many_who_should_not_answer_is_bulk(headers: Headers) -> None:
    assert is_bulk(a_message(headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("List-Post", "<mailto:gate@lists.lumen.example>"), ("List-Unsubscribe", "<mailto:x@lumen.example>")),
        (
            ("List-Id", "<gate.lumen.example>"),
            ("List-Archive", "<https://x>"),
            ("List-Unsubscribe", "<mailto:x@y.test>"),
        ),
        (("Precedence", "list"), ("List-Id", "<gate.lumen.example>")),
    ],
)
def test_a_discussion_list_and_a_word_in_the_text_are_not_bulk(headers: Headers) -> None:
    assert not is_bulk(a_message(headers=headers, body="Click here to unsubscribe from this newsletter.\n"))


@pytest.mark.parametrize(
    ("headers", "subject", "address", "kind"),
    [
        ((), "Re: Gate", "ines@lumen.example", Kind.MESSAGE),
        ((("Auto-Submitted", "auto-replied"),), "Gate", "ines@lumen.example", Kind.AUTO_REPLY),
        ((("Auto-Submitted", "auto-replied (vacation)"),), "Gate", "ines@lumen.example", Kind.AUTO_REPLY),
        ((("Auto-Submitted", "no"),), "Gate", "ines@lumen.example", Kind.MESSAGE),
        ((("X-Autoreply", "yes"),), "Gate", "ines@lumen.example", Kind.AUTO_REPLY),
        ((), "Automatic reply: Gate", "ines@lumen.example", Kind.AUTO_REPLY),
        ((), "Abwesenheitsnotiz: Tor", "ines@lumen.example", Kind.AUTO_REPLY),
        ((), "Réponse automatique : Porte", "ines@lumen.example", Kind.AUTO_REPLY),
        ((), "Undeliverable: Gate", "MAILER-DAEMON@lumen.example", Kind.DELIVERY_REPORT),
        (
            (("Content-Type", 'multipart/report; report-type="delivery-status"; boundary=x'),),
            "Returned mail",
            "ines@lumen.example",
            Kind.DELIVERY_REPORT,
        ),
        ((("Content-Type", "text/calendar; method=REQUEST"),), "Meeting", "ines@lumen.example", Kind.MEETING_REQUEST),
        ((("Content-Type", "text/calendar; method=CANCEL"),), "Meeting", "ines@lumen.example", Kind.MEETING_CANCELLED),
        ((("Content-Type", "text/calendar; method=REPLY"),), "Meeting", "ines@lumen.example", Kind.MEETING_RESPONSE),
    ],
)
def test_kinds_are_recognised_by_headers(headers: Headers, subject: str, address: str, kind: Kind) -> None:
    assert recognise_kind(headers, subject, address) is kind


def test_machines_are_recognised() -> None:
    assert is_machine(a_message(kind=Kind.AUTO_REPLY))
    assert is_machine(a_message(headers=(("Auto-Submitted", "auto-generated"),)))
    assert is_machine(a_message(headers=(("X-Cron-Env", "<HOME=/>"),)))
    assert not is_machine(a_message(headers=(("Auto-Submitted", "no"),)))
    assert not is_machine(a_message())
