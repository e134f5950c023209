"""Sign-in: the token endpoint for its four grants, the device code, the authorize redirect.

Any client id is accepted. The client secrets `wrong` and `expired` are refused. A device code is approved at its
second poll; user codes ending in `D` are declined, and a client id ending in `declined` is given such a code (and
is refused by authorize). Refresh tokens and authorization codes are sealed words and outlive a restart.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from . import ids
from .aadsts import SignInError
from .quirks import Quirks
from .tokens import Tokens
from .wire import JSON, Answer, Call

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_MANY_TENANTS = frozenset({"common", "organizations", "consumers"})
_OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_GRAPH = "https://graph.microsoft.com/"
_CODE_LIFE_S = 600
_REFRESH_LIFE_S = 90 * 86_400
# Without D, which marks a code that is declined, and without letters that are misread.
_LETTERS = "ABCEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """Who signs in where nobody says so (a mailbox name), and how device codes behave, in seconds."""

    user: str
    device_life_s: int = 900
    device_interval_s: int = 5


@dataclass(slots=True)
class Device:
    """A device code on its way to approval."""

    client: str
    scope: str
    user_code: str
    expires: float
    polls: int = 0
    polled_at: float = 0.0


class SignIn:
    """The sign-in service's memory and its endpoints."""

    def __init__(
        self,
        tokens: Tokens,
        quirks: Quirks,
        settings: SignInSettings,
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._tokens = tokens
        self._quirks = quirks
        self._settings = settings
        self._now = now
        self._new_id = new_id
        self._devices: dict[str, Device] = {}
        self._spent: set[str] = set()
        self._epoch = 0

    def revoke_all(self) -> None:
        """End every refresh token issued so far, as a changed password does."""
        self._epoch += 1

    def token(self, call: Call, tenant: str) -> Answer:
        """POST /token. Raises SignInError."""
        self._check_tenant(tenant)
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        grant = _needed(form, "grant_type")
        _needed(form, "client_id")
        _check_secret(form)
        match grant:
            case "client_credentials":
                return self._app_only(form, tenant)
            case "authorization_code":
                return self._by_code(form, tenant)
            case "refresh_token":
                return self._by_refresh(form, tenant)
            case _ if grant == DEVICE_GRANT:
                return self._by_device(form, tenant)
            case _:
                raise SignInError(70003, grant)

    def device_code(self, call: Call, tenant: str) -> Answer:
        """POST /devicecode. Raises SignInError."""
        self._check_tenant(tenant)
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        client, scope = _needed(form, "client_id"), _needed(form, "scope")
        stem = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = stem + ("D" if client.lower().endswith("declined") else secrets.choice(_LETTERS))
        code = "GAQ" + secrets.token_urlsafe(90)
        life = self._settings.device_life_s
        self._devices[code] = Device(client, scope, user_code, self._now() + life)
        place = "https://microsoft.com/devicelogin"
        content = {
            "user_code": user_code,
            "device_code": code,
            "verification_uri": place,
            "expires_in": life,
            "interval": self._settings.device_interval_s,
            "message": f"To sign in, use a web browser to open the page {place} and enter the code {user_code} "
            "to authenticate.",
        }
        return Answer(content=content, content_type=JSON)

    def authorize(self, call: Call, tenant: str) -> Answer:
        """GET /authorize: goes straight back to the client, as for a user who is signed in and has consented."""
        self._check_tenant(tenant)
        asked = call.query
        client, target = _needed(asked, "client_id"), _needed(asked, "redirect_uri")
        if _needed(asked, "response_type") != "code":
            raise SignInError(70000, "response_type")
        if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
            raise SignInError(70000, "code_challenge_method")
        if not urlsplit(target).scheme:
            raise SignInError(50011, target)
        if client.lower().endswith("declined"):
            reply = {"error": "access_denied", "error_description": "the user canceled the authentication"}
        else:
            user = asked.get("login_hint", "").split("@")[0] or self._settings.user
            reply = {"code": "1." + ids.seal("code", self._code(client, target, user, asked))}
        if "state" in asked:
            reply["state"] = asked["state"]
        mark = "&" if urlsplit(target).query else "?"
        return Answer(302, raw=b"", headers={"Location": f"{target}{mark}{urlencode(reply)}"}, content_type=JSON)

    def _code(self, client: str, target: str, user: str, asked: dict[str, str]) -> list[object]:
        until = self._now() + _CODE_LIFE_S
        return [
            client,
            target,
            user,
            _needed(asked, "scope"),
            asked.get("code_challenge"),
            until,
            asked.get("nonce"),
            self._new_id(),
        ]

    def _app_only(self, form: dict[str, str], tenant: str) -> Answer:
        if tenant.lower() in _MANY_TENANTS:
            raise SignInError(50059)
        if not form.get("client_secret") and not form.get("client_assertion"):
            raise SignInError(7000216)
        scope = _needed(form, "scope")
        if not scope.endswith("/.default"):
            raise SignInError(1002012, scope)
        life = self._tokens.lifetime_s
        token = self._tokens.issue(form["client_id"], tenant, None, list(self._quirks.app_roles))
        content = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}
        return Answer(content=content, content_type=JSON)

    def _by_code(self, form: dict[str, str], tenant: str) -> Answer:
        content = ids.unseal("code", _needed(form, "code").removeprefix("1."))
        if content is None:
            raise SignInError(70000, "code")
        client, target, user, scope, challenge, until, nonce, serial = content
        if serial in self._spent:
            raise SignInError(54005)
        if until <= self._now():
            raise SignInError(70008)
        if client != form["client_id"]:
            raise SignInError(70000, "code")
        if target != _needed(form, "redirect_uri"):
            raise SignInError(50011, form["redirect_uri"])
        if challenge and _challenge(form.get("code_verifier", "")) != challenge:
            raise SignInError(501481)
        self._spent.add(serial)
        return self._delegated(form["client_id"], tenant, user, scope, nonce)

    def _by_refresh(self, form: dict[str, str], tenant: str) -> Answer:
        content = ids.unseal("refresh", _needed(form, "refresh_token").removeprefix("1.A"))
        if content is None:
            raise SignInError(70000, "refresh_token")
        client, user, scope, issued, epoch, serial = content
        if client != form["client_id"]:
            raise SignInError(70000, "refresh_token")
        if epoch < self._epoch or serial in self._spent:
            raise SignInError(50173)
        if issued + _REFRESH_LIFE_S <= self._now():
            raise SignInError(700082)
        if self._quirks.strict_rotation:
            self._spent.add(serial)
        return self._delegated(client, tenant, user, form.get("scope") or scope, None)

    def _by_device(self, form: dict[str, str], tenant: str) -> Answer:
        # MSAL sends `device_code` only; older clients send `code`.
        device = self._devices.get(form.get("device_code") or form.get("code", ""))
        if device is None or device.client != form["client_id"]:
            raise SignInError(70018)
        if device.expires <= self._now():
            raise SignInError(70019)
        too_soon = self._now() - device.polled_at < self._settings.device_interval_s
        device.polls, device.polled_at = device.polls + 1, self._now()
        if self._quirks.slow_down and device.polls > 1 and too_soon:
            return Answer(400, content={"error": "slow_down"}, content_type=JSON)
        # Nobody is there to type the code in: the second poll stands for that.
        if device.polls < 2:
            raise SignInError(70016)
        if device.user_code.endswith("D"):
            raise SignInError(70020)
        del self._devices[form.get("device_code") or form.get("code", "")]
        return self._delegated(device.client, tenant, self._settings.user, device.scope, None)

    def _delegated(self, client: str, tenant: str, user: str, scope: str, nonce: str | None) -> Answer:
        asked = scope.split()
        granted = _granted(asked, self._quirks.granted_scopes)
        life = self._tokens.lifetime_s
        content: dict[str, object] = {
            "token_type": "Bearer",
            "scope": " ".join([*granted, *(one for one in asked if one in ("openid", "profile", "email"))]),
            "expires_in": life,
            "ext_expires_in": life,
            "access_token": self._tokens.issue(client, tenant, user, granted),
        }
        if "offline_access" in asked:
            content["refresh_token"] = "1.A" + ids.seal(
                "refresh", [client, user, scope, self._now(), self._epoch, self._new_id()]
            )
        if "openid" in asked:
            content["id_token"] = self._id_token(client, tenant, user, nonce)
            info = {"uid": ids.user_guid(user), "utid": ids.user_guid(f"tenant {tenant}")}
            content["client_info"] = _base64(json.dumps(info).encode())
        return Answer(content=content, content_type=JSON)

    def _id_token(self, client: str, tenant: str, user: str, nonce: str | None) -> str:
        now = int(self._now())
        tenant_id = ids.user_guid(f"tenant {tenant}")
        claims: dict[str, object] = {
            "aud": client,
            "iss": f"https://login.microsoftonline.com/{tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "name": user.replace(".", " ").title(),
            "oid": ids.user_guid(user),
            "preferred_username": f"{user}@example.com",
            "sub": ids.user_guid(f"{client} {user}"),
            "tid": tenant_id,
            "ver": "2.0",
        }
        if nonce is not None:
            claims["nonce"] = nonce
        # Unsigned in effect: clients read it without checking it, as it comes straight from the token endpoint.
        head = _base64(b'{"typ":"JWT","alg":"RS256","kid":"simulator"}')
        return f"{head}.{_base64(json.dumps(claims).encode())}.{_base64(hashlib.sha256(head.encode()).digest())}"

    def _check_tenant(self, tenant: str) -> None:
        if self._quirks.tenants and tenant.lower() not in {t.lower() for t in self._quirks.tenants}:
            raise SignInError(90002, tenant)


def _granted(asked: list[str], allowed: tuple[str, ...]) -> list[str]:
    names = []
    for scope in asked:
        scope = scope.removeprefix(_GRAPH).lstrip("/")
        names += ["Mail.Read", "User.Read"] if scope == ".default" else [scope]
    return [n for n in dict.fromkeys(names) if n not in _OPENID_SCOPES and (not allowed or n in allowed)]


def _check_secret(form: dict[str, str]) -> None:
    if form.get("client_secret") == "wrong":
        raise SignInError(7000215, form["client_id"])
    if form.get("client_secret") == "expired":
        raise SignInError(7000222, form["client_id"])


def _needed(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise SignInError(900144, name)
    return form[name]


def _challenge(verifier: str) -> str:
    return _base64(hashlib.sha256(verifier.encode()).digest())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
