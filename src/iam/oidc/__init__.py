"""OpenID Connect: authorization code with PKCE, ID and access tokens, userinfo, discovery, JWKS, logout;
and in `upstream` the other side of it, signing in through others.

Owns: the protocol's parameters, errors and tokens. Authlib judges the requests, joserfc signs.
Does not own: who is signed in, the sessions that a code leads to and when they end (`signin`,
`sessions`); one-time codes (`signin.codes`); the keys (`keys`).
Hands to: `server`, which serves its routes.
"""

from starlette.routing import BaseRoute, Route

from iam.oidc import upstream
from iam.oidc.authorize import authorize
from iam.oidc.consent import CONSENT_PATH, answer_consent
from iam.oidc.cross_origin import cross_origin
from iam.oidc.device import device_authorization
from iam.oidc.device_page import decide, enter_code, show_device
from iam.oidc.discovery import configuration, jwks
from iam.oidc.introspect import introspect
from iam.oidc.introspect_hot import INTROSPECTION as INTROSPECTION
from iam.oidc.introspect_hot import Introspection as Introspection
from iam.oidc.logout import CONFIRM_PATH, confirm, logout
from iam.oidc.par import pushed_request
from iam.oidc.register import manage, register
from iam.oidc.revoke import revoke
from iam.oidc.token import token
from iam.oidc.userinfo import userinfo


def routes() -> list[BaseRoute]:
    """The door's routes."""
    return [
        cross_origin("/.well-known/openid-configuration", configuration, "GET"),
        cross_origin("/.well-known/oauth-authorization-server", configuration, "GET"),
        cross_origin("/oauth/jwks", jwks, "GET"),
        Route("/oauth/authorize", authorize, methods=["GET", "POST"]),
        Route(CONSENT_PATH, answer_consent, methods=["POST"]),
        cross_origin("/oauth/token", token, "POST"),
        cross_origin("/oauth/par", pushed_request, "POST"),
        Route("/oauth/device", device_authorization, methods=["POST"]),
        Route("/device", show_device, methods=["GET"]),
        Route("/device", enter_code, methods=["POST"]),
        Route("/device/decide", decide, methods=["POST"]),
        Route("/oauth/register", register, methods=["POST"]),
        Route("/oauth/register/{client_id}", manage, methods=["GET", "PUT", "DELETE"]),
        Route(INTROSPECTION, introspect, methods=["POST"]),
        cross_origin("/oauth/revoke", revoke, "POST"),
        Route("/oauth/logout", logout, methods=["GET", "POST"]),
        Route(CONFIRM_PATH, confirm, methods=["POST"]),
        cross_origin("/oauth/userinfo", userinfo, "GET", "POST"),
        *upstream.routes(),
    ]
