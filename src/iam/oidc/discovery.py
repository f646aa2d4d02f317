"""What a client reads first: the provider's metadata and its public keys."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.authn import SINGLE_FACTOR
from iam.keys import public_jwks
from iam.oidc.authorize_request import PROMPTS, RESPONSE_MODES
from iam.oidc.tokens import ALGORITHM, SCOPES
from iam.web.engine import engine_of

# Long enough to spare requests, short enough that a new key is known before the old one is gone.
_CACHED = {"cache-control": "public, max-age=300"}


async def configuration(request: Request) -> Response:
    """`GET /.well-known/openid-configuration` (OpenID Connect Discovery §3, RFC 8414 §2)."""
    issuer = engine_of(request).settings.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "userinfo_endpoint": f"{issuer}/oauth/userinfo",
            "jwks_uri": f"{issuer}/oauth/jwks",
            "end_session_endpoint": f"{issuer}/oauth/logout",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": list(RESPONSE_MODES),
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": [SINGLE_FACTOR],
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
                "email",
            ],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "frontchannel_logout_supported": True,
            "frontchannel_logout_session_supported": True,
            "claims_parameter_supported": False,
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
