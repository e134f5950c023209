"""Mail whose text cannot be read here: encrypted, opaquely signed, under rights management, or inside winmail.dat."""

from __future__ import annotations

from collections.abc import Iterable

from atom_backfill.mail.message import Attachment


def sealed_note(attachments: Iterable[Attachment], *, empty: bool) -> tuple[str, ...]:
    """Return the note that says why a body is missing, if an attachment tells; `empty`: the body holds no text."""
    for attachment in attachments:
        kind, name = attachment.content_type.lower(), attachment.name.lower()
        if kind.startswith("application/x-microsoft-rpmsg-message") or name == "message.rpmsg":
            return ("body_protected",)
        if empty and (name.endswith(".p7m") or kind.startswith(_SEALED)):
            return ("body_encrypted",)
        if empty and (name == "winmail.dat" or kind.startswith("application/ms-tnef")):
            return ("body_in_winmail",)
    return ()


_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
