"""Plain-text mail, in the manner of several mail programs."""

from __future__ import annotations

import textwrap

from .mail import Mail
from .quoting import TONGUES, attribution, header_block

WRAPPED = frozenset({"thunderbird", "plain-inline"})
_DASHED = WRAPPED | {"plain", "apple-text"}
# What stands above the header block, for the programs that quote with one; Word writes nothing.
_BLOCK_RULES = {"original": "-----Original Message-----", "outlook": ""} | dict.fromkeys(
    ("outlook-text", "owa", "mobile"), "_" * 32
)


def render(mail: Mail) -> str:
    """The whole plain-text body: new text, signature, and what is quoted; line ends are LF."""
    own = new_text(mail)
    if mail.parent is None or mail.relation == "new":
        return own
    if mail.relation == "forward":
        return f"{own}\n\n{_forwarded(mail, mail.parent)}"
    if mail.inline:
        return f"{attribution(mail.parent, mail.sender, short=mail.style in WRAPPED)}\n\n{own}"
    return f"{own}\n\n{_quoted(mail, mail.parent)}"


def new_text(mail: Mail) -> str:
    """What this mail adds, with sign-off, signature and disclaimer."""
    body = _wrap(mail.text) if mail.style in WRAPPED else mail.text
    return "\n\n".join(part for part in (body, *signing(mail)) if part)


def signing(mail: Mail) -> list[str]:
    """Sign-off, signature and disclaimer, as far as the mail has them."""
    if mail.sign == "none":
        return []
    parts = [mail.sender.closing]
    if mail.style == "mobile":
        return [*parts, _MOBILE.get(mail.sender.lang, _MOBILE["en"])]
    if mail.sign == "full" and mail.sender.org.name:
        dashes = "-- \n" if mail.style in _DASHED else ""
        parts += [dashes + mail.sender.signature, mail.sender.org.disclaimer]
    return parts


_MOBILE = {"en": "Sent from my phone", "de": "Von meinem Telefon gesendet", "fr": "Envoyé de mon téléphone"}


def _quoted(mail: Mail, parent: Mail) -> str:
    if mail.style in _BLOCK_RULES:
        block = "\n".join(f"{label}: {value}" for label, value in header_block(parent, mail.sender))
        return f"{_BLOCK_RULES[mail.style]}\n{block}\n\n{render(parent)}".lstrip("\n")
    line = attribution(parent, mail.sender, short=mail.style in WRAPPED)
    return f"{line}\n{_marked(render(parent))}"


def _forwarded(mail: Mail, parent: Mail) -> str:
    block = "\n".join(f"{label}: {value}" for label, value in header_block(parent, mail.sender))
    title = TONGUES[mail.sender.lang].forwarded
    rule = {
        "thunderbird": f"-------- {title} --------",
        "apple": "Begin forwarded message:\n",
        "apple-text": "Begin forwarded message:\n",
    }.get(mail.style, _BLOCK_RULES.get(mail.style, f"---------- {title} ---------"))
    return f"{rule}\n{block}\n\n{render(parent)}".lstrip("\n")


def _marked(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in text.splitlines())


def _wrap(text: str) -> str:
    return "\n".join(
        line if len(line) <= 72 or line.startswith("> ") else textwrap.fill(line, 72, break_long_words=False)
        for line in text.splitlines()
    )
