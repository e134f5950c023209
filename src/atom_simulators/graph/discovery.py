"""What clients of the sign-in service ask before they sign in: endpoints of a tenant, and known hosts."""

from urllib.parse import urlsplit

from . import ids
from .quirks import Quirks
from .wire import JSON, Answer, Call

_ALIASES = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]


def openid_configuration(call: Call, tenant: str, quirks: Quirks) -> Answer:
    """The tenant's endpoints, at the host that the client called.

    Their scheme is https, as MSAL wants, though the simulator itself speaks http: who maps the one to the other
    for the first request does so for all. `endpoints_scheme` changes it.
    """
    host = call.origin.split("://", 1)[1]
    base = f"{quirks.endpoints_scheme}://{host}/{tenant}"
    content = {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"https://login.microsoftonline.com/{ids.user_guid(f'tenant {tenant}')}/v2.0",
        "request_uri_parameter_supported": False,
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "http_logout_supported": True,
        "tenant_region_scope": None,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }
    return Answer(content=content, content_type=JSON)


def instance(call: Call) -> Answer:
    """Whether the host of an authority is one of the service's, and by which names it goes."""
    endpoint = urlsplit(call.query.get("authorization_endpoint", ""))
    own = call.origin.split("://", 1)[1]
    known = {*_ALIASES, own, own.rsplit(":", 1)[0]}
    if endpoint.netloc not in known and (endpoint.hostname or "") not in known:
        return Answer(400, content={"error": "invalid_instance"}, content_type=JSON)
    tenant = endpoint.path.strip("/").split("/")[0] or "common"
    content = {
        "tenant_discovery_endpoint": f"https://{endpoint.netloc}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": call.query.get("api-version", "1.1"),
        "metadata": [
            {"preferred_network": _ALIASES[0], "preferred_cache": _ALIASES[1], "aliases": _ALIASES},
        ],
    }
    return Answer(content=content, content_type=JSON)
