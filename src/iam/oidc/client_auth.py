"""Which application calls: client authentication at the OAuth endpoints (RFC 6749 §2.3, RFC 7523 §2.2).

One method a request, and the one that the application has registered: whoever could choose would
choose the weakest.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidClientError,
    InvalidRequestError,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol
from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.kernel.clock import Instant, after
from iam.keys.client_keys import REGISTRY, PublicKey, fits, public_key
from iam.oidc import spent
from iam.oidc.clients import OpenidClient, find_openid_client

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

LONGEST_ASSERTION_LIFE = 10 * 60
"""Seconds: the longest that an assertion may be good for, and has to be remembered as used."""
SKEW = 30
"""Seconds by which a client's clock may be ahead of ours."""
_LONGEST = 8192
_LONGEST_JTI = 255


@dataclass(frozen=True, slots=True)
class _Presented:
    method: str
    client_id: str
    proof: str


def authenticate(
    connection: Connection,
    parameters: Mapping[str, str],
    authorization: str | None,
    *,
    issuer: str,
    now: Instant,
) -> OpenidClient:
    """The enabled application that sends these parameters and this Authorization header.

    An assertion is used up by it, so the connection has to be one that may write if
    `parameters` hold one.

    Raises:
        InvalidRequestError: more than one method at once.
        InvalidClientError: nobody, not who they claim to be, or by another method than registered.
    """
    presented = _presented(parameters, authorization)
    client = find_openid_client(connection, presented.client_id)
    if client is None or not _registered(client.application, presented.method):
        raise refused()
    application = client.application
    if presented.method == "private_key_jwt":
        _check_assertion(connection, application, presented.proof, issuer, now)
    elif presented.method != "none" and not application.authenticates(presented.proof):
        raise refused()
    return client


def refused() -> InvalidClientError:
    """One answer for all: which part is wrong is not for a stranger to know."""
    return InvalidClientError("The client credentials are not right.", status_code=401)


def _presented(parameters: Mapping[str, str], authorization: str | None) -> _Presented:
    found: list[_Presented] = []
    client_id = parameters.get("client_id", "")
    if authorization is not None and authorization.partition(" ")[0].lower() == "basic":
        found.append(_Presented("client_secret_basic", *_basic(authorization)))
    if "client_secret" in parameters:
        found.append(_Presented("client_secret_post", client_id, parameters["client_secret"]))
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequestError("This client_assertion_type is not supported.")
        assertion = parameters.get("client_assertion", "")
        name = client_id or str(_unverified(assertion).get("sub"))
        found.append(_Presented("private_key_jwt", name, assertion))
    if len(found) > 1:
        raise InvalidRequestError("Use one method of client authentication, not two.")
    if not found:
        found.append(_Presented("none", client_id, ""))
    if client_id and found[0].client_id != client_id:
        raise InvalidRequestError("The client_id is not that of the credentials.")
    return found[0]


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: both halves are form-urlencoded before they are joined."""
    try:
        text = base64.b64decode(authorization.partition(" ")[2].strip(), validate=True).decode()
    except ValueError as error:  # not base64, not ASCII, not UTF-8: each is one
        raise refused() from error
    client_id, separator, secret = text.partition(":")
    if not separator:
        raise refused()
    return unquote_plus(client_id), unquote_plus(secret)


def _registered(application: Application, method: str) -> bool:
    if application.client.token_endpoint_auth_method is None:
        return method in ("client_secret_basic", "client_secret_post")
    return method == application.client.token_endpoint_auth_method


def _unverified(text: str) -> Mapping[str, Any]:
    """What an assertion claims, only to know whose keys to check it with."""
    try:
        claims = json.loads(jws.extract_compact(text[:_LONGEST].encode()).payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise refused() from error
    if not isinstance(claims, dict):
        raise refused()
    return claims


def _check_assertion(
    connection: Connection, application: Application, text: str, issuer: str, now: Instant
) -> None:
    """RFC 7523 §3, with the audience as one exact text: an assertion that names several, or an
    address, could have been made for somebody else's server."""
    claims = _verified(application, text)
    client_id, jti = application.client_id, claims.get("jti")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise refused()
    if claims.get("aud") != issuer or not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise refused()
    until = _instant(claims.get("exp"))
    if not now < until <= after(now, LONGEST_ASSERTION_LIFE):
        raise refused()
    for name in ("iat", "nbf"):
        if name in claims and _instant(claims[name]) > after(now, SKEW):
            raise refused()
    if not spent.spend(connection, spent.ASSERTION, client_id, jti, until):
        raise refused()


def _verified(application: Application, text: str) -> Mapping[str, Any]:
    def theirs(token: GuestProtocol) -> PublicKey:
        # Among the keys that were registered: what the header carries (jwk, jku, x5u) is not looked at.
        header = token.headers()
        candidates = [
            one
            for one in (application.client.jwks or {}).get("keys", ())
            if header.get("kid") is None or one.get("kid") in (None, header["kid"])
        ]
        for one in candidates:
            key = public_key(one)
            if fits(key, str(header.get("alg"))):
                return key
        raise refused()

    if len(text) > _LONGEST:
        raise refused()
    try:
        claims = json.loads(jws.deserialize_compact(text, theirs, registry=REGISTRY).payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise refused() from error
    if not isinstance(claims, dict):
        raise refused()
    return claims


def _instant(value: object) -> Instant:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1 << 40:
        raise refused()
    return Instant(int(value * 1000))
