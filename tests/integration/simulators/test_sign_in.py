"""Sign-in by the three flows, refresh, discovery; and which token opens which mailbox."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest

from atom_simulators.graph.quirks import Quirks
from graph_simulator import Simulator, a_graph_message, a_mailbox, error_of, graph_simulator, message_id

TOKEN = "/lumen.example/oauth2/v2.0/token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TARGET = "http://localhost:1234/done"
SCOPE = "openid offline_access https://graph.microsoft.com/Mail.Read User.Read"


def two_mailboxes() -> list[Any]:
    return [a_mailbox("ines", [a_graph_message(1)]), a_mailbox("tomasz", [a_graph_message(2)])]


def refused(answer: httpx.Response, number: int, error: str, status: int = 400) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= set(body)


def test_client_credentials_give_a_token_without_a_refresh_token() -> None:
    with graph_simulator() as simulator:
        body = simulator.token().json()
        assert body["token_type"] == "Bearer"
        assert body["expires_in"] == body["ext_expires_in"] == 3599
        assert "refresh_token" not in body


@pytest.mark.parametrize(
    ("form", "number", "error", "status"),
    [
        ({"client_secret": "wrong"}, 7000215, "invalid_client", 401),
        ({"client_secret": "expired"}, 7000222, "invalid_client", 401),
        ({"client_secret": ""}, 7000216, "invalid_client", 401),
        ({"scope": "Mail.Read"}, 1002012, "invalid_scope", 400),
        ({"scope": ""}, 900144, "invalid_request", 400),
        ({"client_id": ""}, 900144, "invalid_request", 400),
        ({"grant_type": ""}, 900144, "invalid_request", 400),
        ({"grant_type": "password"}, 70003, "unsupported_grant_type", 400),
        ({"grant_type": "refresh_token", "refresh_token": "1.Agarbage"}, 70000, "invalid_grant", 400),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": TARGET}, 70000, "invalid_grant", 400),
        ({"grant_type": DEVICE, "device_code": "x"}, 70018, "bad_verification_code", 400),
    ],
)
def test_a_bad_token_request_is_refused(form: dict[str, str], number: int, error: str, status: int) -> None:
    with graph_simulator() as simulator:
        refused(simulator.token(**form), number, error, status)


def test_an_assertion_stands_in_for_a_secret() -> None:
    with graph_simulator() as simulator:
        assert simulator.token(client_secret="", client_assertion="a.b.c").status_code == 200


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_an_app_signs_in_to_one_tenant(tenant: str) -> None:
    with graph_simulator() as simulator:
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "scope": "x/.default"}
        refused(simulator.http.post(f"/{tenant}/oauth2/v2.0/token", data=form), 50059, "invalid_request")


def test_a_tenant_that_does_not_exist_is_refused() -> None:
    with graph_simulator(quirks=Quirks(tenants=("lumen.example",))) as simulator:
        assert simulator.token().status_code == 200
        refused(simulator.http.post("/other.example/oauth2/v2.0/token", data={}), 90002, "invalid_request")


def start_device(simulator: Simulator, client: str = "app-1") -> dict[str, Any]:
    asked = {"client_id": client, "scope": SCOPE}
    return dict(simulator.http.post("/common/oauth2/v2.0/devicecode", data=asked).json())


def poll_device(simulator: Simulator, code: str, client: str = "app-1") -> httpx.Response:
    form = {"grant_type": DEVICE, "client_id": client, "device_code": code}
    return simulator.http.post("/common/oauth2/v2.0/token", data=form)


def test_a_device_code_is_approved_at_its_second_poll_and_works_once() -> None:
    with graph_simulator() as simulator:
        started = start_device(simulator)
        assert started["expires_in"] == 900
        assert started["interval"] == 5
        assert started["user_code"] in started["message"]
        assert not started["user_code"].endswith("D")
        refused(poll_device(simulator, started["device_code"]), 70016, "authorization_pending")
        body = poll_device(simulator, started["device_code"]).json()
        assert body["scope"] == "Mail.Read User.Read openid"
        assert "refresh_token" in body
        refused(poll_device(simulator, started["device_code"]), 70018, "bad_verification_code")


def test_a_user_code_ending_in_d_is_declined() -> None:
    with graph_simulator() as simulator:
        started = start_device(simulator, "app-declined")
        assert started["user_code"].endswith("D")
        poll_device(simulator, started["device_code"], "app-declined")
        answer = poll_device(simulator, started["device_code"], "app-declined")
        refused(answer, 70020, "authorization_declined")


def test_a_device_code_expires() -> None:
    with graph_simulator(device_life_s=60) as simulator:
        started = start_device(simulator)
        simulator.time.seconds += 61
        refused(poll_device(simulator, started["device_code"]), 70019, "expired_token")


def test_polling_too_fast_is_slowed_down_where_the_switch_says_so() -> None:
    with graph_simulator(quirks=Quirks(slow_down=True)) as simulator:
        code = start_device(simulator)["device_code"]
        poll_device(simulator, code)
        assert poll_device(simulator, code).json() == {"error": "slow_down"}
        simulator.time.seconds += 6
        assert poll_device(simulator, code).status_code == 200


def authorize(simulator: Simulator, **changes: str) -> httpx.Response:
    asked = {
        "client_id": "app-1",
        "response_type": "code",
        "redirect_uri": TARGET,
        "scope": SCOPE,
        "state": "s-1",
        "nonce": "n-1",
        **changes,
    }
    return simulator.http.get("/lumen.example/oauth2/v2.0/authorize", params=asked)


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def redeem(simulator: Simulator, code: str, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": TARGET, "scope": SCOPE}
    return simulator.token(**{**form, **changes})


def test_a_code_comes_back_with_the_state_and_is_redeemed_with_its_verifier() -> None:
    with graph_simulator() as simulator:
        proof = {"code_challenge": challenge("v" * 43), "code_challenge_method": "S256"}
        sent = authorize(simulator, **proof)
        assert sent.status_code == 302
        params = httpx.URL(sent.headers["location"]).params
        assert params["state"] == "s-1"
        refused(redeem(simulator, params["code"], code_verifier="w" * 43), 501481, "invalid_grant")
        body = redeem(simulator, params["code"], code_verifier="v" * 43).json()
        assert {"access_token", "refresh_token", "id_token"} <= set(body)
        refused(redeem(simulator, params["code"], code_verifier="v" * 43), 54005, "invalid_grant")


def test_a_code_is_bound_to_its_client_its_redirect_and_ten_minutes() -> None:
    with graph_simulator() as simulator:
        code = httpx.URL(authorize(simulator).headers["location"]).params["code"]
        refused(redeem(simulator, code, redirect_uri="http://localhost:9/x"), 50011, "invalid_grant")
        refused(redeem(simulator, code, client_id="other"), 70000, "invalid_grant")
        simulator.time.seconds += 601
        refused(redeem(simulator, code), 70008, "invalid_grant")


def test_a_user_can_decline_and_bad_requests_are_told() -> None:
    with graph_simulator() as simulator:
        sent = authorize(simulator, client_id="app-declined").headers["location"]
        assert httpx.URL(sent).params["error"] == "access_denied"
        refused(authorize(simulator, response_type="token"), 70000, "invalid_grant")
        refused(authorize(simulator, redirect_uri="nowhere"), 50011, "invalid_grant")
        refused(authorize(simulator, code_challenge="x", code_challenge_method="plain"), 70000, "invalid_grant")


def refresh(simulator: Simulator, token: str, **changes: str) -> httpx.Response:
    return simulator.token(**{"grant_type": "refresh_token", "refresh_token": token, "scope": SCOPE, **changes})


def a_refresh_token(simulator: Simulator) -> str:
    code = httpx.URL(authorize(simulator).headers["location"]).params["code"]
    return str(redeem(simulator, code).json()["refresh_token"])


def test_each_refresh_gives_a_new_token_and_the_old_one_lives_on() -> None:
    with graph_simulator() as simulator:
        first = a_refresh_token(simulator)
        second = refresh(simulator, first).json()["refresh_token"]
        assert second != first
        assert refresh(simulator, first).status_code == 200
        refused(refresh(simulator, first, client_id="other"), 70000, "invalid_grant")


def test_with_strict_rotation_a_refresh_token_works_once() -> None:
    with graph_simulator(quirks=Quirks(strict_rotation=True)) as simulator:
        first = a_refresh_token(simulator)
        second = refresh(simulator, first).json()["refresh_token"]
        refused(refresh(simulator, first), 50173, "invalid_grant")
        assert refresh(simulator, second).status_code == 200


def test_a_refresh_token_ends_by_age_and_by_revocation() -> None:
    with graph_simulator() as simulator:
        old = a_refresh_token(simulator)
        simulator.time.seconds += 91 * 86_400
        refused(refresh(simulator, old), 700082, "invalid_grant")
        fresh = a_refresh_token(simulator)
        simulator.control("POST", "/tokens/revoke")
        refused(refresh(simulator, fresh), 50173, "invalid_grant")


def test_tokens_outlive_a_restart() -> None:
    with graph_simulator() as simulator:
        headers, kept = simulator.app_only(), a_refresh_token(simulator)
    with graph_simulator() as simulator:
        assert simulator.get("/messages", headers=headers).status_code == 200
        assert refresh(simulator, kept).status_code == 200


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "Access token is empty."),
        ("Bearer", "Access token is empty."),
        ("Basic abc", "Access token is empty."),
        ("Bearer garbage", "CompactToken parsing failed with error code: 80049217"),
    ],
)
def test_without_a_good_token_nothing_is_answered(header: str, message: str) -> None:
    with graph_simulator() as simulator:
        answer = simulator.get("/messages", headers={"Authorization": header})
        assert error_of(answer) == (401, "InvalidAuthenticationToken")
        assert answer.json()["error"]["message"] == message
        assert answer.headers["www-authenticate"].startswith('Bearer realm="", authorization_uri="')
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_garbage_token_may_be_told_in_the_newer_words() -> None:
    with graph_simulator(quirks=Quirks(unreadable_bearer="IDX14100")) as simulator:
        answer = simulator.get("/messages", headers={"Authorization": "Bearer garbage"})
        assert error_of(answer) == (401, "InvalidAuthenticationToken")
        assert answer.json()["error"]["message"].startswith("IDX14100: ")


def test_a_token_expires_after_its_life() -> None:
    with graph_simulator(token_life_s=60) as simulator:
        assert simulator.token().json()["expires_in"] == 60
        simulator.time.seconds += 61
        answer = simulator.get("/messages")
        assert error_of(answer) == (401, "InvalidAuthenticationToken")
        assert answer.json()["error"]["message"] == "Lifetime validation failed, the token is expired."
        assert simulator.get("/messages", headers=simulator.app_only()).status_code == 200


def test_an_app_has_no_me() -> None:
    with graph_simulator() as simulator:
        for path in ("/me", "/me/messages"):
            answer = simulator.http.get(f"/v1.0{path}")
            assert error_of(answer) == (400, "BadRequest")
            assert answer.json()["error"]["message"] == (
                "/me request is only valid with delegated authentication flow."
            )
    with graph_simulator(quirks=Quirks(app_only_me_refused=False)) as simulator:
        assert simulator.http.get("/v1.0/me/messages").status_code == 200


def test_a_user_has_me_and_nobody_else() -> None:
    with graph_simulator(two_mailboxes()) as simulator:
        headers = simulator.delegated("tomasz")
        assert simulator.http.get("/v1.0/me", headers=headers).json()["mail"] == "tomasz@example.com"
        mine = simulator.http.get("/v1.0/me/messages", headers={**headers, "Prefer": 'IdType="ImmutableId"'})
        assert [item["id"] for item in mine.json()["value"]] == [message_id(2)]
        own = simulator.http.get("/v1.0/users/TOMASZ@example.com/messages", headers=headers)
        assert own.status_code == 200
        for other in ("ines@example.com", "nobody@example.com"):
            answer = simulator.http.get(f"/v1.0/users/{other}/messages", headers=headers)
            assert error_of(answer) == (403, "ErrorAccessDenied")


def test_an_app_reads_every_mailbox_and_is_told_of_those_that_are_not_there() -> None:
    with graph_simulator(two_mailboxes(), quirks=Quirks(inactive_mailboxes=("tomasz",))) as simulator:
        get = simulator.http.get
        assert get("/v1.0/users/ines@example.com/messages").status_code == 200
        assert error_of(get("/v1.0/users/nobody@example.com/messages")) == (404, "ErrorInvalidUser")
        assert error_of(get("/v1.0/users/nobody@example.com")) == (404, "Request_ResourceNotFound")
        assert error_of(get("/v1.0/users/tomasz@example.com/messages")) == (404, "MailboxNotEnabledForRESTAPI")


def test_an_access_policy_closes_the_other_mailboxes() -> None:
    with graph_simulator(two_mailboxes(), quirks=Quirks(allowed_mailboxes=("ines",))) as simulator:
        assert simulator.http.get("/v1.0/users/ines@example.com/messages").status_code == 200
        answer = simulator.http.get("/v1.0/users/tomasz@example.com/messages")
        assert error_of(answer) == (403, "ErrorAccessDenied")


def test_a_missing_permission_is_told() -> None:
    with graph_simulator(quirks=Quirks(app_roles=("User.Read.All",))) as simulator:
        assert error_of(simulator.get("/messages")) == (403, "ErrorAccessDenied")
        assert simulator.get("").status_code == 200
    with graph_simulator(quirks=Quirks(app_roles=("Mail.Read",))) as simulator:
        assert error_of(simulator.get("")) == (403, "Authorization_RequestDenied")
    with graph_simulator() as simulator:
        headers = simulator.delegated("ines", "User.Read")
        assert error_of(simulator.http.get("/v1.0/me/messages", headers=headers)) == (403, "ErrorAccessDenied")


def test_scopes_that_are_not_granted_are_left_out() -> None:
    with graph_simulator(quirks=Quirks(granted_scopes=("User.Read",))) as simulator:
        code = httpx.URL(authorize(simulator).headers["location"]).params["code"]
        assert redeem(simulator, code).json()["scope"] == "User.Read openid"


def test_with_basic_permission_there_are_no_bodies() -> None:
    with graph_simulator(quirks=Quirks(app_roles=("Mail.ReadBasic.All",))) as simulator:
        for message in (
            simulator.get("/messages").json()["value"][0],
            simulator.get(f"/messages/{message_id(1)}").json(),
        ):
            assert "subject" in message
            assert not {"body", "bodyPreview"} & set(message)


def test_discovery_names_the_endpoints_and_refuses_strange_hosts() -> None:
    with graph_simulator() as simulator:
        found = simulator.http.get("/lumen.example/v2.0/.well-known/openid-configuration").json()
        assert found["token_endpoint"] == simulator.url.replace("http:", "https:") + TOKEN
        assert found["issuer"].startswith("https://login.microsoftonline.com/")
        asked = {"api-version": "1.1", "authorization_endpoint": "https://evil.example/common/oauth2/authorize"}
        answer = simulator.http.get("/common/discovery/instance", params=asked)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_instance")
        assert simulator.http.get("/common/discovery/v2.0/keys").json() == {"keys": []}
        assert simulator.http.get("/common/oauth2/v2.0/logout").status_code == 404
    with graph_simulator(quirks=Quirks(endpoints_scheme="http")) as simulator:
        found = simulator.http.get("/lumen.example/v2.0/.well-known/openid-configuration").json()
        assert found["token_endpoint"] == simulator.url + TOKEN
