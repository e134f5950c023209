from __future__ import annotations

import pytest

from atom_backfill.mail.clean import clean
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address
from builders import a_message
from tagged import drawn, redrawn, text_of


def assert_cut(drawing: str, name: str = "Halloran, Ines", address: str = "ines@lumen.example") -> None:
    message = a_message(body=text_of(drawing), subject="Re: Keys", from_=Address(name, address))
    assert redrawn(clean(message, Limits())) == drawn(drawing)


@pytest.mark.parametrize(
    "signature",
    [
        "s Ines",
        "s -- \ns Ines Halloran\ns Lumen Workshop",
        "s Best regards,\n.\ns Ines",
        "s Cheers, Ines",
        "s Ines Halloran\ns Head of Workshop\ns Tel.: +44 20 7946 0301\ns www.lumen.example",
        "s Mit freundlichen Grüßen\n.\ns Ines Halloran",
        "s Bien cordialement,\ns I. Halloran",
        "s Un saludo,\ns Ines",
        "s С уважением,\ns Инес",
        "s Sent from my iPhone",
        "s Von meinem iPhone gesendet",
        "s Envoyé de mon iPad",
        "s IH",
    ],
)
def test_a_signature_is_told_from_the_words_above_it(signature: str) -> None:
    assert_cut(f"n The keys are with Mara.\n.\n{signature}")


def test_a_signature_stands_above_the_quotation_as_well() -> None:
    assert_cut(
        """
        n The keys are with Mara.
        .
        s Thanks,
        s Ines
        .
        a From: Tomasz Reyl
        a Sent: Tuesday, 3 March 2026 16:05
        a To: Ines Halloran
        a Subject: Keys
        .
        q Where are the keys?
        .
        q Tomasz
        """
    )


@pytest.mark.parametrize(
    "ending",
    [
        "n Thanks!",
        "n Please call Mara on 713-555-0142 when you are there, or come to the office on Smith Street.",
        "n Could Ines bring them?",
        "n 1. the cellar\nn 2. the roof",
        "n Harbour Hotel\nn 1600 Lamar Street\nn Houston, TX 77010\nn 713-555-0142",
        "n Conference Call\nn 888-555-0142\nn Passcode 1234",
        "n Thanks\n.\nn New ropes\nn Shackles\nn Two buckets",
        "n --- a/keys.c\nn +++ b/keys.c\nn @@ -1 +1 @@\nn -old\nn +new",
    ],
)
def test_a_last_line_that_is_no_signature_stays_new(ending: str) -> None:
    assert_cut(f"n The keys are with Mara.\n.\n{ending}")


def test_a_list_of_numbers_for_others_to_call_is_no_signature() -> None:
    numbers = "\n".join(f"n Desk {n}      (713) 555-01{n}0" for n in range(1, 9))
    assert_cut(f"n Whom to call:\n.\n{numbers}")


def test_a_delimiter_before_too_much_text_is_no_signature() -> None:
    lines = "\n".join(f"n And this is sentence {n} of the second part." for n in range(30))
    assert_cut(f"n The first part.\n.\nn --\n{lines}")
