"""What a client reads first: the provider's metadata and its public keys."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.authn import CLASSES
from iam.keys import public_jwks
from iam.keys.client_keys import ALGORITHMS
from iam.keys.signing import ALGORITHMS as SIGNING_ALGORITHMS
from iam.oidc.authorize_request import PROMPTS, RESPONSE_MODES
from iam.oidc.client_auth import METHODS
from iam.oidc.device_grant import DEVICE_CODE
from iam.oidc.exchange import TOKEN_EXCHANGE
from iam.oidc.tokens import SCOPES
from iam.web.engine import engine_of

# Long enough to spare requests, short enough that a new key is known before the old one is gone.
_CACHED = {"cache-control": "public, max-age=300"}


async def configuration(request: Request) -> Response:
    """`GET /.well-known/openid-configuration` (OpenID Connect Discovery §3), and the same under the name
    that clients of OAuth alone look for, `/.well-known/oauth-authorization-server` (RFC 8414 §3)."""
    issuer = engine_of(request).settings.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "userinfo_endpoint": f"{issuer}/oauth/userinfo",
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "introspection_endpoint_auth_methods_supported": [m for m in METHODS if m != "none"],
            "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "revocation_endpoint_auth_methods_supported": list(METHODS),
            "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "jwks_uri": f"{issuer}/oauth/jwks",
            "end_session_endpoint": f"{issuer}/oauth/logout",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": list(RESPONSE_MODES),
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                DEVICE_CODE,
                TOKEN_EXCHANGE,
            ],
            "registration_endpoint": f"{issuer}/oauth/register",
            "device_authorization_endpoint": f"{issuer}/oauth/device",
            "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
            "require_pushed_authorization_requests": False,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
            "token_endpoint_auth_methods_supported": list(METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "code_challenge_methods_supported": ["S256"],
            "dpop_signing_alg_values_supported": list(ALGORITHMS),
            "acr_values_supported": list(CLASSES),
            "prompt_values_supported": list(PROMPTS),
            "claims_supported": [
                "iss",
                "sub",
                "aud",
                "azp",
                "exp",
                "iat",
                "auth_time",
                "nonce",
                "at_hash",
                "sid",
                "amr",
                "acr",
                "name",
                "preferred_username",
                "locale",
                "zoneinfo",
                "email",
            ],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "frontchannel_logout_supported": True,
            "frontchannel_logout_session_supported": True,
            "claims_parameter_supported": True,
            "request_parameter_supported": False,
            # Said because its default is true.
            "request_uri_parameter_supported": False,
        },
        headers=_CACHED,
    )


async def jwks(request: Request) -> Response:
    """`GET /oauth/jwks`: the public halves of the signing keys (RFC 7517 §5)."""
    return JSONResponse(
        public_jwks(engine_of(request).keys), headers=_CACHED, media_type="application/jwk-set+json"
    )
