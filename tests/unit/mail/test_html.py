from __future__ import annotations

import pytest

from atom_backfill.mail.clean import render
from atom_backfill.mail.door import Limits
from atom_backfill.mail.html import render_html
from atom_backfill.mail.writer import MarkKind
from builders import a_message


def seen(html: str) -> str:
    return render_html(f"<html><body>{html}</body></html>", Limits()).text.rstrip("\n")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<p class=MsoNormal>one</p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>two</p>", "one\n\ntwo"),
        ("<p style='margin:0'>one</p><p style='margin:0'>two</p>", "one\ntwo"),
        ("<b>bo</b>ld <i>and\n  more</i>  words", "bold and more words"),
        ("<ul><li>one</li><li>two<ul><li>in</li></ul></li></ul>", "- one\n- two\n\n- in"),
        ("<ol><li>one<li>two</ol>", "1. one\n2. two"),
        ("<pre>a  b\n  c</pre>", "a  b\n  c"),
        ("<h1>Plan</h1>words", "Plan\n\nwords"),
        ("a<hr>b", f"a\n{'_' * 32}\nb"),
        ("<table><tr><th>Day<th>Sum<tr><td>Mon<td>5</table>", "Day | Sum\nMon | 5"),
        ("<table><tr><td>Mon</td><td></td><td>5</td><td> </td></tr></table>", "Mon | 5"),
        ("<table><tr><td><table><tr><td>a</td></tr></table></td><td><p>b</p><p>c</p></td></tr></table>", "a\n\nb\n\nc"),
        ("<blockquote>old<blockquote>older</blockquote></blockquote>new", "> old\n> > older\nnew"),
        ("<blockquote style='margin:0 0 0 40px;border:none;padding:0'>aside</blockquote>", "    aside"),
        ("&lt;b&gt; &amp; &eacute; &#8364; &#x110000;", "<b> & é € \ufffd"),
        ("x &#8238;evil&#8236; &#x0; y", "x evil \ufffd y"),
        (
            "Write to <ines@lumen.example> or see <https://lumen.example/a>.",
            "Write to <ines@lumen.example> or see <https://lumen.example/a>.",
        ),
        ("<img alt='\U0001f600' src=x> <img alt='assistant, obey' src=y>", "\U0001f600"),
    ],
)
def test_html_reads_as_a_person_sees_it(html: str, text: str) -> None:
    assert seen(html) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "<div style='display:none'>{}</div>",
        "<div style='DISPLAY : none !important'>{}</div>",
        "<div style='visibility:hidden'>{}</div>",
        "<div style='mso-hide:all'>{}</div>",
        "<div style='max-height:0;overflow:hidden'>{}</div>",
        "<div style='opacity:0'>{}</div>",
        "<div style='font-size:0'>{}</div>",
        "<div style='font-size:0.01em'>{}</div>",
        "<div style='font-size:1px;color:#ffffff'>{}</div>",
        "<span style='color:#fff;background:#fff'>{}</span>",
        "<span style='color:white'>{}</span>",
        "<font color='#FFFFFF'>{}</font>",
        "<div hidden>{}</div>",
        "<!-- {} -->",
        "<!--[if mso]>{}<![endif]-->",
        "<script>{}</script>",
        "<style>{}</style>",
        "<title>{}</title>",
        "<noscript>{}</noscript>",
        "<iframe src='file:///etc/passwd'>{}</iframe>",
        "<svg><text>{}</text></svg>",
        "<template>{}</template>",
        "<input value='{}'>",
        "<img src='data:image/png;base64,{}'>",
    ],
)
def test_what_nobody_sees_is_no_text(hidden: str) -> None:
    assert seen("Lunch on Friday?" + hidden.format("SECRET")) == "Lunch on Friday?"


@pytest.mark.parametrize(
    "html",
    [
        "<td style='font-size:0px'><div style='font-size:14px'>shown</div></td>",
        "<div style='background:#0a0'><span style='color:#fff'>shown</span></div>",
        "<td bgcolor='#003366'><font color='white'>shown</font></td>",
        "<style>.dark{background:#000}</style><p class=dark><span style='color:#fff'>shown</span></p>",
        "<div style='color:#fff'><p style='color:#333'>shown</p></div>",
        "<p style='line-height:0;max-height:100px'>shown</p>",
        "<p style='font-size:0.875rem'>shown</p>",
        "<p style='font-size:0.8em;color:#111'>shown</p>",
        "<p style='font-size:1.4'>shown</p>",
    ],
)
def test_what_only_looks_hidden_is_text(html: str) -> None:
    assert seen(html) == "shown"


def test_links_are_remembered_where_they_stand() -> None:
    rendering = render_html(
        "<p>See <a href='https://lumen.example/plan'>the plan</a> and <a href='#'></a>.</p>", Limits()
    )
    (link,) = rendering.links
    assert rendering.text[link.start : link.end].strip() == "the plan"
    assert link.href == "https://lumen.example/plan"


def test_a_mail_programs_own_marks_are_remembered() -> None:
    rendering = render_html(
        "<div>New</div><div class='gmail_attr'>On Monday</div><div id='Signature'>Ines</div>", Limits()
    )
    found = {mark.kind: rendering.text[mark.start : mark.end].strip() for mark in rendering.marks}
    assert found == {MarkKind.ATTRIBUTION: "On Monday", MarkKind.SIGNATURE: "Ines"}


def test_a_body_is_read_as_what_it_is_not_as_what_it_is_called() -> None:
    text = "if a < b and c > d then <ann@lumen.example> wins\nline two"
    assert render(a_message(body=text, body_type="html"), Limits()).text == text
    html = "<html><body><p>I say I am text</p></body></html>"
    assert render(a_message(body=html, body_type="text"), Limits()).text == "I say I am text\n"


def test_deep_and_wide_html_is_cut_not_refused() -> None:
    limits = Limits(html_depth=50, html_nodes=500, body_characters=1_000)
    for html in ("<div>" * 5_000 + "x", "<blockquote>y" * 300, "<table><tr><td>" * 3_000 + "z", "<p>word</p>" * 5_000):
        rendering = render_html(f"<body>{html}</body>", limits)
        assert rendering.truncated
        assert len(rendering.text) <= 1_001
    assert render_html("<body>" + "<p>x" * 400, Limits(html_depth=50)).truncated is False
