from __future__ import annotations

import pytest

from atom_backfill.mail.clean import clean
from atom_backfill.mail.door import Limits
from builders import a_message
from tagged import drawn, redrawn, text_of


def assert_cut(drawing: str) -> None:
    assert redrawn(clean(a_message(body=text_of(drawing), subject="Gate"), Limits())) == drawn(drawing)


@pytest.mark.parametrize(
    "footer",
    [
        "f _______________________________________________\n"
        "f Gate mailing list\nf Gate@lists.lumen.example\nf https://lists.lumen.example/listinfo/gate",
        'f -- \nf You received this message because you are subscribed to the group "gate".\n'
        "f To unsubscribe from this group, send an email to gate+unsubscribe@lumen.example.",
        "f To unsubscribe send an email to gate-leave@lists.lumen.example",
        "f This email has been checked for viruses by a program.\nf www.antivirus.example",
        "f Sie erhalten diese Mail als Abonnent. Abmelden: https://lumen.example/unsubscribe?u=1",
    ],
)
def test_what_a_list_or_program_adds_is_a_footer(footer: str) -> None:
    assert_cut(f"n The gate is locked at six.\n.\n{footer}")


@pytest.mark.parametrize(
    "disclaimer",
    [
        "This e-mail and any attachments are confidential and intended solely for the addressee.",
        "Diese E-Mail enthält vertrauliche Informationen und ist nur für den Adressaten bestimmt.",
        "Ce message et toutes les pièces jointes sont confidentiels et destinés à ses destinataires.",
        "Este mensaje y sus anexos son confidenciales y para uso exclusivo de su destinatario.",
        "Il presente messaggio contiene informazioni riservate ed è destinato al solo destinatario.",
        "Please consider the environment before printing this e-mail, and print it only if you must.",
        "If you are not the intended recipient, any disclosure or distribution is strictly prohibited; please notify us"
        " and delete it.",
    ],
)
def test_what_lawyers_add_is_a_disclaimer(disclaimer: str) -> None:
    assert_cut(f"n The gate is locked at six.\n.\nd {disclaimer}")


def test_a_disclaimer_right_under_the_words_takes_none_of_them_along() -> None:
    assert_cut(
        """
        n Please send the figures by Friday.
        d This message is for the addressee alone.
        d It is confidential; any distribution or disclosure is prohibited. If you received it in error, delete it.
        """
    )


def test_a_warning_on_top_is_a_disclaimer() -> None:
    assert_cut(
        """
        d CAUTION: This email originated from outside of the organization. Do not click links.
        .
        n The gate is locked at six.
        """
    )


def test_words_about_confidence_and_lists_stay_new() -> None:
    assert_cut(
        """
        n The report is confidential until Monday, so please do not pass it on.
        .
        n How do I subscribe to the mailing list of the workshop?
        """
    )


@pytest.mark.parametrize(
    "blob",
    [
        "b -----BEGIN PGP SIGNATURE-----\n.\nb iQIzBAEBCAAdFiEEjVflzZuxNlVFbt5QvgHsIqBOLkYFAl7F\nb =AbCd\n"
        "b -----END PGP SIGNATURE-----",
        "b begin 644 plan.txt\nb M5&AE(&=A=&4@:7,@;&]C:V5D(&%T('-I>\"X*5&AE(&=A=&4@:7,@;&]C:V5D\nb `\nb end",
        "b =ybegin line=128 size=20 name=plan.bin\nb )*+,-./0123\nb =yend size=20",
        "\n".join(["b VGhlIGdhdGUgaXMgbG9ja2VkIGF0IHNpeC4gVXNlIHRoZSBzaWRlIGRvb3IuIFRoZSB4"] * 4) + "\nb IGtleQ==",
    ],
)
def test_encoded_data_is_not_taken_for_words(blob: str) -> None:
    assert_cut(f"n The plan is below.\n.\n{blob}\n.\nn That was it.")


def test_the_text_of_a_signed_mail_stays_new() -> None:
    assert_cut(
        """
        b -----BEGIN PGP SIGNED MESSAGE-----
        b Hash: SHA256
        .
        n The gate is locked at six.
        .
        b -----BEGIN PGP SIGNATURE-----
        .
        b iQIzBAEBCAAdFiEEjVflzZuxNlVFbt5QvgHsIqBOLkYFAl7F
        b -----END PGP SIGNATURE-----
        """
    )


def test_long_addresses_and_hashes_are_no_blobs() -> None:
    url = "https://lumen.example/" + "plans/" * 12 + "gate.pdf"
    assert_cut(f"n See\nn {url}\nn {url}\nn {url}\nn for the plans.")
