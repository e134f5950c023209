"""Access tokens: who is let in, as whom, for what, and until when."""

from collections.abc import Callable
from dataclasses import dataclass

from . import ids
from .errors import GraphError, invalid_token

_READING = frozenset({"Mail.Read", "Mail.ReadWrite", "Mail.Read.Shared"})
_GARBAGE = {
    "CompactToken": "CompactToken parsing failed with error code: 80049217",
    "IDX14100": "IDX14100: JWT is not well formed, there are no dots (.).",
}
_BASIC = frozenset({"Mail.ReadBasic", "Mail.ReadBasic.All"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for. `user` is the mailbox name of the signed-in user, None for app-only."""

    app: str
    tenant: str
    user: str | None
    permissions: frozenset[str]
    serial: str

    @property
    def reads_mail(self) -> bool:
        """Whether mail may be read at all."""
        return bool(self.permissions & (_READING | _BASIC))

    @property
    def basic_only(self) -> bool:
        """Whether bodies are out of bounds."""
        return not self.permissions & _READING

    @property
    def reads_users(self) -> bool:
        """Whether directory entries may be read."""
        return bool(self.permissions & {"User.Read", "User.Read.All", "User.ReadBasic.All", "Directory.Read.All"})


class Tokens:
    """Makes and checks access tokens. They are sealed words, so they outlive a restart of the simulator."""

    def __init__(self, now: Callable[[], float], new_id: Callable[[], str], lifetime_s: int, garbage: str) -> None:
        self._garbage = garbage
        self._now = now
        self._new_id = new_id
        self.lifetime_s = lifetime_s
        self._ended: set[str] = set()
        self._epoch = 0

    def issue(self, app: str, tenant: str, user: str | None, permissions: list[str]) -> str:
        """A new access token."""
        expires = self._now() + self.lifetime_s
        # Begins as those of personal accounts do, and is no JWT: clients must not look inside.
        return "EwB" + ids.seal("access", [app, tenant, user, permissions, self._epoch, expires, self._new_id()])

    def check(self, authorization: str | None, login: str) -> Grant:
        """The grant behind an Authorization header. Raises GraphError (401)."""
        scheme, _, word = (authorization or "").partition(" ")
        if not word.strip() or scheme.lower() != "bearer":
            raise invalid_token("Access token is empty.", login)
        content = ids.unseal("access", word.strip().removeprefix("EwB"))
        if content is None:
            raise invalid_token(_GARBAGE[self._garbage], login)
        app, tenant, user, permissions, epoch, expires, serial = content
        if expires <= self._now() or serial in self._ended or epoch < self._epoch:
            raise invalid_token("Lifetime validation failed, the token is expired.", login)
        return Grant(app, tenant, user, frozenset(permissions), serial)

    def end(self, grant: Grant, login: str) -> GraphError:
        """Let a token expire now; the error is what its bearer is told."""
        self._ended.add(grant.serial)
        return invalid_token("Lifetime validation failed, the token is expired.", login)

    def end_all(self) -> None:
        """Let every token issued so far expire."""
        self._epoch += 1
