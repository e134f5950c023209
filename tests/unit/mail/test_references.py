from __future__ import annotations

import pytest

from atom_backfill.mail.references import base_subject, conversation_of, message_ids, subject_purpose


def test_ids_are_read_in_order_each_once() -> None:
    assert message_ids("<a@x.test> <b@x.test>\n <a@x.test> junk <broken") == ("<a@x.test>", "<b@x.test>")


def test_a_thread_has_one_conversation_whichever_mail_is_asked() -> None:
    root = conversation_of("<a@x.test>", (), "Gate")
    answer = conversation_of("<b@x.test>", ("<a@x.test>",), "Re: Gate")
    later = conversation_of("<c@x.test>", ("<a@x.test>", "<b@x.test>"), "Re: Gate")
    assert root == answer == later
    assert conversation_of("<d@x.test>", (), "Gate") != root


def test_mails_without_ids_are_joined_by_subject() -> None:
    assert conversation_of("", (), "Gate") == conversation_of("", (), "AW: [team] re: GATE")


@pytest.mark.parametrize(
    ("subject", "base", "purpose"),
    [
        ("Gate", "Gate", ""),
        ("Re: Gate", "Gate", "reply"),
        ("RE[2]: FW: Gate", "Gate", "reply"),
        ("Fwd: Re: Gate", "Gate", "forward"),
        ("[team] AW: Gate", "Gate", "reply"),
        ("WG: Gate", "Gate", "forward"),
        ("TR : Gate", "Gate", "forward"),
        ("回复：Gate", "Gate", "reply"),
        ("Regarding the gate", "Regarding the gate", ""),
        ("Report: gate", "Report: gate", ""),
        ("", "", ""),
    ],
)
def test_prefixes_of_subjects_are_understood(subject: str, base: str, purpose: str) -> None:
    assert base_subject(subject) == base
    assert subject_purpose(subject) == purpose
