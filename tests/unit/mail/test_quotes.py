from __future__ import annotations

import pytest

from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address
from builders import a_message
from tagged import drawn, redrawn, text_of


def assert_cut(drawing: str, subject: str = "Re: Lease", name: str = "Ines Halloran") -> None:
    author = Address(name, "ines@lumen.example")
    digest = clean(a_message(body=text_of(drawing), subject=subject, from_=author), Limits())
    assert redrawn(digest) == drawn(drawing)


def test_an_answer_above_a_marked_quotation() -> None:
    assert_cut(
        """
        n The lease is fine, please sign it.
        .
        a On Mon, 2 Mar 2026 at 10:12, Tomasz Reyl <tomasz@lumen.example> wrote:
        q > Is the lease fine?
        q >
        q >> It came on Friday.
        """
    )


def test_answers_between_quoted_lines_stay_new() -> None:
    assert_cut(
        """
        a On 2026-03-02 09:40, Tomasz Reyl wrote:
        q > Who signs?
        n Mara does.
        q > And when?
        n On Thursday, at the bank.
        """
    )


def test_the_end_of_a_broken_quoted_line_is_quoted_too() -> None:
    assert_cut(
        """
        q > The roof of the workshop has to be mended before the winter, the landlord
        q says,
        q > and he wants half of the money in advance.
        n I agree.
        """
    )


@pytest.mark.parametrize(
    "line",
    [
        "On Tue, Mar 3, 2026 at 4:05 PM Tomasz Reyl <tomasz@lumen.example> wrote:",
        'On 3/3/26, 4:05 PM, "Tomasz Reyl" <tomasz@lumen.example> wrote:',
        "On Mar 3, 2026, at 4:05 PM, Tomasz Reyl wrote:",
        "Tomasz Reyl <tomasz@lumen.example> wrote on 03.03.2026 16:05:11:",
        "Am 03.03.2026 um 16:05 schrieb Tomasz Reyl:",
        "Tomasz Reyl <tomasz@lumen.example> schrieb am Di., 3. März 2026, 16:05:",
        "Le mar. 3 mars 2026 à 16:05, Tomasz Reyl <tomasz@lumen.example> a écrit :",
        "El mar, 3 mar 2026 a las 16:05, Tomasz Reyl (<tomasz@lumen.example>) escribió:",
        "Il giorno mar 3 mar 2026 alle ore 16:05 Tomasz Reyl <tomasz@lumen.example> ha scritto:",
        "Em ter., 3 de mar. de 2026 às 16:05, Tomasz Reyl <tomasz@lumen.example> escreveu:",
        "Op di 3 mrt 2026 om 16:05 schreef Tomasz Reyl <tomasz@lumen.example>:",
        "Den tis 3 mars 2026 kl 16:05 skrev Tomasz Reyl <tomasz@lumen.example>:",
        "ti 3. maalisk. 2026 klo 16.05 Tomasz Reyl (tomasz@lumen.example) kirjoitti:",
        "wt., 3 mar 2026 o 16:05 Tomasz Reyl <tomasz@lumen.example> napisał(a):",
        "út 3. 3. 2026 v 16:05 odesílatel Tomasz Reyl <tomasz@lumen.example> napsal:",
        "вт, 3 мар. 2026 г. в 16:05, Tomasz Reyl <tomasz@lumen.example> написал:",
        "Tomasz Reyl <tomasz@lumen.example> 于2026年3月3日周二 下午4:05写道：",
        "2026年3月3日(火) 16:05 Tomasz Reyl <tomasz@lumen.example> さんは書きました:",
        "Tomasz Reyl <tomasz@lumen.example>, 3 Mar 2026 Sal, 16:05 tarihinde şunu yazdı:",
    ],
)
def test_an_unmarked_quotation_below_an_attribution_is_history(line: str) -> None:
    assert_cut(
        f"""
        n Agreed.
        .
        a {line}
        .
        q Shall we meet at noon?
        q Bring the plans.
        """
    )


def test_an_attribution_over_several_lines() -> None:
    assert_cut(
        """
        n Agreed.
        .
        a On Tue, Mar 3, 2026 at 4:05 PM Tomasz Reyl via Workshop
        a <a-very-long-list-name@lists.lumen.example>
        a wrote:
        .
        q > Noon?
        """
    )


def test_a_line_that_only_looks_like_an_attribution_stays_new() -> None:
    assert_cut(
        """
        n Mara wrote:
        n "we do not need the second room", and I agree with her.
        n On Monday I will say so to the landlord:
        n it is too dear.
        """,
        subject="The second room",
    )


@pytest.mark.parametrize(
    ("sender", "sent", "to", "subject"),
    [
        ("From:", "Sent:", "To:", "Subject:"),
        ("*From:*", "*Sent:*", "*To:*", "*Subject:*"),
        ("Von:", "Gesendet:", "An:", "Betreff:"),
        ("De :", "Envoyé :", "À :", "Objet :"),
        ("De:", "Enviado:", "Para:", "Asunto:"),
        ("De:", "Enviada em:", "Para:", "Assunto:"),
        ("Da:", "Inviato:", "A:", "Oggetto:"),
        ("Van:", "Verzonden:", "Aan:", "Onderwerp:"),
        ("Från:", "Skickat:", "Till:", "Ämne:"),
        ("Fra:", "Sendt:", "Til:", "Emne:"),
        ("Lähettäjä:", "Lähetetty:", "Vastaanottaja:", "Aihe:"),
        ("Od:", "Wysłano:", "Do:", "Temat:"),
        ("Od:", "Odesláno:", "Komu:", "Předmět:"),
        ("От:", "Отправлено:", "Кому:", "Тема:"),
        ("发件人:", "发送时间:", "收件人:", "主题:"),
        ("差出人:", "送信日時:", "宛先:", "件名:"),
        ("보낸 사람:", "보낸 날짜:", "받는 사람:", "제목:"),
    ],
)
def test_outlook_puts_a_header_block_over_what_it_quotes(sender: str, sent: str, to: str, subject: str) -> None:
    assert_cut(
        f"""
        n Please see the new figures.
        .
        a {sender} Tomasz Reyl <tomasz@lumen.example>
        a {sent} 3 March 2026 16:05
        a {to} Ines Halloran <ines@lumen.example>; Mara Quill
        a <mara@lumen.example>
        a {subject} Figures
        .
        q Where are the figures?
        .
        q Tomasz
        """
    )


def test_a_header_block_under_a_line_with_words_or_a_rule() -> None:
    assert_cut(
        """
        n Done.
        .
        a -----Ursprüngliche Nachricht-----
        a Von: Tomasz Reyl
        a Gesendet: Dienstag, 3. März 2026 16:05
        a Betreff: Zahlen
        .
        q Wo sind die Zahlen?
        .
        a ________________________________
        a From: Mara Quill <mara@lumen.example>
        a Sent: Monday, 2 March 2026 11:00
        a To: Tomasz Reyl
        a Subject: Figures
        .
        q Tomasz, the figures please.
        """
    )


def test_lotus_notes_puts_a_name_and_a_moment_over_what_it_quotes() -> None:
    assert_cut(
        """
        n Yes, at ten.
        .
        a Tomasz Reyl@LUMEN
        a 03/03/2026 04:05 PM
        a To:\tInes Halloran/Workshop/Lumen@LUMEN
        a cc:\t
        .
        a Subject:\tMeeting
        .
        q Shall we meet?
        """
    )


def test_other_quote_marks_are_recognised_below_an_attribution() -> None:
    assert_cut(
        """
        a On 3 Mar 2026, Tomasz Reyl wrote:
        .
        q | Is it dear?
        q | I fear it is.
        .
        n It is not.
        """
    )


def test_a_quotation_set_in_by_spaces_ends_where_the_margin_begins_again() -> None:
    assert_cut(
        """
        a On 3 Mar 2026, Tomasz Reyl <tomasz@lumen.example> wrote:
        .
        q     Is it dear?
        q     I fear it is.
        .
        n It is not.
        """
    )


def test_a_forwarded_mail_counts_as_new_but_for_its_headers() -> None:
    assert_cut(
        """
        n For your files.
        .
        a ---------- Forwarded message ---------
        a From: Tomasz Reyl <tomasz@lumen.example>
        a Date: Tue, Mar 3, 2026 at 4:05 PM
        a Subject: Offer
        a To: Ines Halloran <ines@lumen.example>
        .
        n The offer of the printer is 420 EUR.
        .
        q > What do they want for it?
        """,
        subject="Fwd: Offer",
    )


def test_outlook_forwards_by_subject_alone() -> None:
    block = """
        n FYI
        .
        a From: Tomasz Reyl
        a Sent: Tuesday, 3 March 2026 16:05
        a To: Ines Halloran
        a Subject: Offer
        .
        {} The printer wants 420 EUR.
        """
    assert_cut(block.format("n"), subject="WG: Offer")
    assert_cut(block.format("q"), subject="RE: Offer")


def test_a_mail_put_below_one_that_answers_nothing_is_passed_on() -> None:
    block = """
        n Please see below.
        .
        s Thanks,
        s Ines
        .
        a -----Original Message-----
        a From: Tomasz Reyl
        a Sent: Tuesday, 3 March 2026 16:05
        a To: Ines Halloran
        a Subject: Offer
        .
        {} The printer wants 420 EUR.
        """
    assert_cut(block.format("n"), subject="The printer")
    assert_cut(block.format("q"), subject="Re: The printer")


@pytest.mark.parametrize(
    "sentence",
    [
        "In the call on 3 March 2026 Tomasz said we need:",
        "As Tomasz wrote on 3/12/2026, these are missing:",
        "On 3 March 2026 the insurer wrote that they want:",
    ],
)
def test_a_sentence_that_announces_the_authors_own_list_introduces_no_quotation(sentence: str) -> None:
    assert_cut(f"n {sentence}\n.\nn - pumps\nn - valves\n.\nn Please order them.", subject="Re: Pumps")


def test_a_bare_signature_is_given_back_when_there_is_nothing_else() -> None:
    digest = clean(a_message(body="Thanks,\nInes\n"), Limits())
    assert digest.clean_text == "Thanks,\nInes"


def test_an_answer_below_an_unmarked_quotation_is_not_lost() -> None:
    body = "On 3 Mar 2026, Tomasz Reyl <tomasz@lumen.example> wrote:\nIs it dear?\n\nNo, it is not.\n"
    digest = clean(a_message(body=body, subject="Re: Price"), Limits())
    assert "No, it is not." in digest.clean_text


def test_a_mail_of_quoted_lines_alone_is_new_unless_it_answers_one() -> None:
    body = "> The gate is locked at six.\n> Use the side door.\n"
    fresh = clean(a_message(body=body, subject="Gate"), Limits())
    answer = clean(a_message(body=body, subject="Re: Gate", references=("<gate@lumen.example>",)), Limits())
    assert "side door" in fresh.clean_text
    assert answer.clean_text == ""


def test_html_says_what_is_quoted_where_words_do_not() -> None:
    html = (
        '<div>Good.</div><div class="yahoo_quoted"><div>Vendredi 3 mars, X.</div><div>Old words</div></div>'
        '<div class="gmail_signature">Ines<br>Lumen workshop</div>'
    )
    digest = clean(a_message(body=html, body_type="html", subject="Re: x"), Limits())
    kinds = {digest.text[s.start : s.end].strip(): s.kind for s in digest.segments}
    assert kinds["Good."] is SegmentKind.NEW
    assert kinds["Vendredi 3 mars, X.\nOld words"] is SegmentKind.QUOTE
    assert kinds["Ines\nLumen workshop"] is SegmentKind.SIGNATURE
