"""HTML mail, in the manner of several mail programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from itertools import groupby

from .as_text import signing
from .mail import Mail
from .quoting import TONGUES, attribution, header_block

HTML_CLIENTS = frozenset({"outlook", "owa", "gmail", "apple", "mobile"})

_WORD_HEAD = (
    '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
    'xmlns:w="urn:schemas-microsoft-com:office:word" '
    'xmlns="http://www.w3.org/TR/REC-html40">\n<head>\n'
    '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\n'
    '<meta name="Generator" content="Microsoft Word 15 (filtered medium)">\n'
    "<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]-->\n"
    "<style><!--\n@font-face\n\t{font-family:Calibri;\n\tpanose-1:2 15 5 2 2 2 4 3 2 4;}\n"
    "p.MsoNormal, li.MsoNormal, div.MsoNormal\n\t{margin:0cm;\n\tfont-size:11.0pt;\n"
    '\tfont-family:"Calibri",sans-serif;\n\tmso-fareast-language:EN-US;}\n'
    "a:link, span.MsoHyperlink\n\t{mso-style-priority:99;\n\tcolor:#0563C1;}\n--></style>\n"
    '<!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]-->\n'
    "</head>\n"
)
_PLAIN_HEAD = '<html><head>\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>'
_OWA_FONT = "font-family:Aptos,Calibri,Helvetica,sans-serif; font-size:12pt; color:rgb(0,0,0)"
_GMAIL_QUOTE = "margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex"
_BORDER_TOP = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"


def render(mail: Mail) -> str:
    """The whole HTML document; line ends are LF. Raises KeyError for a mail program that writes no HTML."""
    if mail.style == "outlook":
        body = f'<div class="WordSection1">\n{fragment(mail)}\n</div>'
        return f'{_WORD_HEAD}<body lang="EN-GB" link="#0563C1" vlink="#954F72">\n{body}\n</body>\n</html>\n'
    return f"{_PLAIN_HEAD}<body{_BODY_ATTRIBUTES[mail.style]}>\n{fragment(mail)}\n</body></html>\n"


def fragment(mail: Mail) -> str:
    """What stands inside the document's body: new text, then the quote, each in the writer's manner."""
    style = mail.style if mail.style in HTML_CLIENTS else "gmail"
    paragraph = _PARAGRAPHS[style]
    lead = [f"<div>{escape(attribution(mail.parent, mail.sender))}</div>"] if mail.inline and mail.parent else []
    own = "\n".join([*lead, *_blocks(mail, paragraph)])
    if style == "gmail":
        own = f'<div dir="ltr">{own}</div>'
    if mail.parent is None or mail.inline or mail.relation == "new":
        return own
    return f"{own}\n{_quoted(mail, mail.parent, style)}"


def _blocks(mail: Mail, paragraph: Callable[[str], str]) -> Iterable[str]:
    for part in [*mail.text.split("\n\n"), *signing(mail)]:
        for is_quote, lines in groupby(part.splitlines(), key=lambda line: line.startswith("> ")):
            if is_quote:
                inner = "<br>".join(escape(line[2:], quote=False) for line in lines)
                yield f'<blockquote type="cite" style="{_GMAIL_QUOTE}">{inner}</blockquote>'
            else:
                yield paragraph("<br>\n".join(escape(line, quote=False) for line in lines))


def _word(inner: str) -> str:
    return f'<p class="MsoNormal">{inner}<o:p></o:p></p>\n<p class="MsoNormal"><o:p>&nbsp;</o:p></p>'


def _owa(inner: str) -> str:
    return f'<div class="elementToProof" style="{_OWA_FONT}">{inner}</div>\n<div style="{_OWA_FONT}"><br></div>'


def _div(inner: str) -> str:
    return f"<div>{inner}</div><div><br></div>"


_PARAGRAPHS: dict[str, Callable[[str], str]] = {
    "outlook": _word,
    "owa": _owa,
    "gmail": _div,
    "apple": _div,
    "mobile": _div,
}
_BODY_ATTRIBUTES = {
    "owa": ' dir="ltr"',
    "gmail": "",
    "mobile": ' dir="auto"',
    "apple": ' style="overflow-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;"',
}


def _quoted(mail: Mail, parent: Mail, style: str) -> str:
    inner = fragment(parent)
    if style in ("gmail", "apple"):
        return _blockquote(mail, parent, style, inner)
    rows = header_block(parent, mail.sender)
    block = "<br>\n".join(f"<b>{label}:</b> {escape(value, quote=False)}" for label, value in rows)
    if style == "outlook":
        return (
            f'<div>\n<div style="{_BORDER_TOP}">\n<p class="MsoNormal">{block}<o:p></o:p></p>\n</div>\n</div>\n{inner}'
        )
    if style == "mobile":
        return f'<div id="ms-outlook-mobile-signature"></div><hr>\n<div><font size="2">{block}</font></div>\n{inner}'
    font = f'<font face="Calibri, sans-serif" style="font-size:11pt">{block}</font>'
    rule = '<hr style="display:inline-block;width:98%" tabindex="-1">'
    return f'{rule}\n<div id="divRplyFwdMsg" dir="ltr">{font}</div>\n{inner}'


def _blockquote(mail: Mail, parent: Mail, style: str, inner: str) -> str:
    line = escape(attribution(parent, mail.sender), quote=False)
    if mail.relation == "forward":
        rows = header_block(parent, mail.sender)
        block = "<br>".join(f"{label}: {escape(value, quote=False)}" for label, value in rows)
        line = f"---------- {TONGUES[mail.sender.lang].forwarded} ---------<br>{block}<br><br>"
        if style == "apple":
            line = f"Begin forwarded message:<br><br>{block}<br>"
    if style == "apple":
        return f'<div><br><blockquote type="cite"><div>{line}</div><br><div>{inner}</div></blockquote></div>'
    return (
        f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{line}<br></div>'
        f'<blockquote class="gmail_quote" style="{_GMAIL_QUOTE}">{inner}</blockquote></div>'
    )
