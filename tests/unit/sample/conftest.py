"""The sample mailbox, made once for all tests of this room."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from atom_simulators.sample import messages

Message = Mapping[str, Any]


@pytest.fixture(scope="session")
def mailbox() -> Sequence[Message]:
    """Every message of the sample mailbox as it is by default, newest first."""
    return tuple(messages())


@pytest.fixture(scope="session")
def plain_text() -> Callable[[Message], str]:
    """A message's body without markup, as a reader sees it."""

    def plain(message: Message) -> str:
        body = message.get("body") or {}
        content = body.get("content") or ""
        if body.get("contentType") == "html":
            visible = re.sub(r"(?is)^.*?<body[^>]*>", "", content)
            content = html.unescape(re.sub(r"<[^>]+>", "", visible))
        return str(content)

    return plain


@pytest.fixture(scope="session")
def odd(mailbox: Sequence[Message]) -> Callable[[str], Message]:
    """The awkward mail of that name."""
    from atom_simulators.sample.idents import message_id

    by_id = {message["id"]: message for message in mailbox}
    return lambda name: by_id[message_id("sample", f"odd/{name}")]
