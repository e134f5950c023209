"""Microsoft's own sign-in library signs in to the simulator."""

from __future__ import annotations

from typing import Any

import httpx
import msal

from graph_simulator import graph_simulator


class LoopbackClient:
    """An HTTP client for MSAL that maps its https authority to the simulator, as the product's does."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(timeout=20, verify=False)
        self._base = httpx.URL(url)

    def get(self, url: str, **kwargs: Any) -> Any:
        return self._send("GET", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> Any:
        return self._send("POST", url, **kwargs)

    def _send(self, method: str, url: str, **kwargs: Any) -> Any:
        mapped = httpx.URL(url).copy_with(scheme="http", host=self._base.host, port=self._base.port)
        kwargs.pop("allow_redirects", None)
        return self._http.request(method, mapped, **kwargs)

    def close(self) -> None:
        self._http.close()


TARGET = "http://localhost:1234/done"
AUTHORITY = "https://login.microsoftonline.com/lumen.example"


def test_msal_signs_an_app_in() -> None:
    with graph_simulator() as simulator:
        client = LoopbackClient(simulator.url)
        app = msal.ConfidentialClientApplication(
            "app-1", client_credential="good", authority=AUTHORITY, http_client=client
        )
        result = app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
        headers = {"Authorization": f"Bearer {result['access_token']}"}
        assert simulator.get("/messages", headers=headers).status_code == 200
        bad = msal.ConfidentialClientApplication(
            "app-1", client_credential="wrong", authority=AUTHORITY, http_client=client
        )
        assert bad.acquire_token_for_client(["https://graph.microsoft.com/.default"])["error_codes"] == [7000215]
        client.close()


def test_msal_signs_a_user_in_by_device_code_and_refreshes() -> None:
    with graph_simulator(device_interval_s=0) as simulator:
        client = LoopbackClient(simulator.url)
        app = msal.PublicClientApplication("app-1", authority=AUTHORITY, http_client=client)
        flow = app.initiate_device_flow(["Mail.Read"])
        result = app.acquire_token_by_device_flow(flow)
        assert result["id_token_claims"]["preferred_username"] == "ines@example.com"
        account = app.get_accounts()[0]
        assert account["username"] == "ines@example.com"
        again = app.acquire_token_silent_with_error(["Mail.Read"], account, force_refresh=True)
        assert again["access_token"] != result["access_token"]
        client.close()


def test_msal_signs_a_user_in_by_code_with_proof_key() -> None:
    with graph_simulator() as simulator:
        client = LoopbackClient(simulator.url)
        app = msal.PublicClientApplication("app-1", authority=AUTHORITY, http_client=client)
        flow = app.initiate_auth_code_flow(["Mail.Read"], redirect_uri=TARGET)
        sent = client.get(flow["auth_uri"])
        answer = dict(httpx.URL(sent.headers["location"]).params)
        assert "access_token" in app.acquire_token_by_auth_code_flow(flow, answer)
        client.close()


def test_msal_takes_an_authority_of_the_simulator_s_own_host() -> None:
    with graph_simulator() as simulator:
        client = LoopbackClient(simulator.url)
        authority = simulator.url.replace("http:", "https:") + "/lumen.example"
        app = msal.ConfidentialClientApplication(
            "app-1", client_credential="good", authority=authority, http_client=client
        )
        assert "access_token" in app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
        client.close()
