"""What scripts of other origins may call, and that no cookie ever goes with it."""

import pytest

from tests.oidc.conftest import Party

OPEN = [
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/oauth/jwks",
    "/oauth/token",
    "/oauth/par",
    "/oauth/revoke",
    "/oauth/userinfo",
]
POSTED = ("/oauth/token", "/oauth/par", "/oauth/revoke")
ORIGIN = {"origin": "https://spa.test"}


@pytest.mark.parametrize("path", OPEN)
def test_a_browser_application_may_call_it(party: Party, path: str) -> None:
    asked = {
        **ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, dpop",
    }

    preflight = party.world.request("OPTIONS", path, headers=asked)
    answer = party.world.request("POST" if path in POSTED else "GET", path, headers=ORIGIN)

    assert preflight.status_code == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in one.headers


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/authorize",
        "/oauth/logout",
        "/oauth/consent",
        "/oauth/introspect",
        "/sign-in",
        "/v1/me/sessions",
    ],
)
def test_nothing_else_is_open(party: Party, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = party.world.request(method, path, headers=ORIGIN)
        assert "access-control-allow-origin" not in answer.headers
