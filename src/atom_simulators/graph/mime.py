"""A message as RFC 822 text, made from its properties."""

from email.message import EmailMessage
from email.utils import formataddr
from typing import Any

_HEADERS = (("Subject", "subject"), ("Message-ID", "internetMessageId"), ("Date", "sentDateTime"))
_PEOPLE = (("From", "from"), ("To", "toRecipients"), ("Cc", "ccRecipients"))


def rendered(message: dict[str, Any]) -> bytes:
    """The message with its main headers and its body; what is no text in it is left out."""
    mail = EmailMessage()
    for header, name in _HEADERS:
        if isinstance(message.get(name), str):
            mail[header] = _one_line(message[name])
    for header, name in _PEOPLE:
        found = message.get(name)
        people = [_person(one) for one in (found if isinstance(found, list) else [found])]
        if any(people):
            mail.add_header(header, ", ".join(person for person in people if person))
    body = message.get("body")
    content = body.get("content") if isinstance(body, dict) else ""
    kind = body.get("contentType") if isinstance(body, dict) else "text"
    text = _clean(content) if isinstance(content, str) else ""
    mail.set_content(text, subtype="html" if kind == "html" else "plain", cte="base64")
    return mail.as_bytes()


def _person(recipient: object) -> str:
    address = recipient.get("emailAddress") if isinstance(recipient, dict) else None
    if not isinstance(address, dict) or not isinstance(address.get("address"), str):
        return ""
    name = address.get("name")
    return formataddr((_one_line(name) if isinstance(name, str) else "", _one_line(address["address"])), "utf-8")


def _one_line(text: str) -> str:
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
