"""Authlib's authorization server, made to work inside one of our transactions.

Authlib judges parameters, client authentication and PKCE; one `Provider` lives for one request, on
the connection of its transaction, so that what a refusal uses up (a code) is committed with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Authlib ships no types: what comes from it is checked where it enters our own values.
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AuthorizationServer,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Payload,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    AuthorizationCodeGrant,
)
from authlib.oauth2.rfc7636 import (  # type: ignore[import-untyped] # Authlib ships no types
    CodeChallenge,
)
from authlib.oauth2.rfc9207 import (  # type: ignore[import-untyped] # Authlib ships no types
    IssuerParameter,
)
from sqlalchemy import Connection

from iam.kernel.clock import Instant
from iam.kernel.events import Origin, application_actor
from iam.kernel.secrets import make_secret
from iam.oidc.clients import OpenidClient, find_openid_client
from iam.oidc.tokens import Grant, make_access_token, make_id_token
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended, ParentEnded, Started
from iam.sessions.limits import SessionLimit
from iam.sessions.model import EndReason, LiveRow
from iam.signin.codes import issue_code, note_started, redeem_code
from iam.signin.enter import NotAdmitted, enter_application
from iam.web.engine import Engine

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_KIND = "oidc"
USED_TWICE = "authorization code used twice"


class _Payload(OAuth2Payload):  # type: ignore[misc] # Authlib's base has no types
    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._all: dict[str, list[str]] = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)
        self._first = {name: values[0] for name, values in self._all.items()}

    @property
    def data(self) -> dict[str, str]:
        return self._first

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._all


class ProtocolRequest(OAuth2Request):  # type: ignore[misc] # Authlib's base has no types
    """A request as Authlib reads it. Parameters come from the query or the body, never from both."""

    def __init__(
        self, method: str, pairs: Iterable[tuple[str, str]], authorization: str | None = None
    ) -> None:
        # Authlib refuses plain http by the address, and behind a proxy a request always looks plain.
        # That browsers reach us over https (or on loopback) is the settings' promise.
        headers = {"Authorization": authorization} if authorization is not None else {}
        super().__init__(method, "https://issuer.invalid/oauth", headers=headers)
        self.payload: _Payload = _Payload(pairs)

    @property
    def parameters(self) -> dict[str, str]:
        """Name and (first) value of every parameter."""
        return self.payload.data

    @property
    def repeated(self) -> list[str]:
        """Parameters that came more than once, which none may (RFC 6749 §3.1, §3.2)."""
        return [name for name, values in self.payload.datalist.items() if len(values) > 1]

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


@dataclass(slots=True)
class Answer:
    """What the protocol answers. Not frozen: Authlib adds `iss` to `location` (RFC 9207)."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def location(self) -> str | None:
        """Where the browser is sent."""
        return self.headers.get("Location")

    @location.setter
    def location(self, value: str) -> None:
        self.headers["Location"] = value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redeemed:
    """A code that was used up now, as Authlib asks for it."""

    text: str
    browser_session: str
    payload: dict[str, Any]
    code_challenge_method: str = "S256"

    @property
    def code_challenge(self) -> str:
        return str(self.payload["code_challenge"])

    def get_redirect_uri(self) -> str:
        return str(self.payload["redirect_uri"])

    def get_scope(self) -> str:
        return str(self.payload["scope"])


class _Pkce(CodeChallenge):  # type: ignore[misc] # Authlib's base has no types
    """PKCE with S256 for every client. Authlib would let one with a secret go without, and take
    `plain` (RFC 9700 §2.1.1): whoever reads the request could then redeem the code."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:
        asked = grant.request.payload.data
        if asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: code_challenge_method=S256.")
        if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge must be 43 characters of base64url.")
        super().validate_code_challenge(grant, redirect_uri)


class _Issuer(IssuerParameter):  # type: ignore[misc] # Authlib's base has no types
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_issuer(self) -> str:
        return self._issuer


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc] # Authlib's base has no types
    """The one grant there is. `grant_user` is the browser session; a token's user is a `Grant`."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
    server: "Provider"

    def generate_authorization_code(self) -> str:
        provider, asked = self.server, self.request.payload
        browser: LiveRow = self.request.user
        return issue_code(
            provider.connection,
            _KIND,
            browser_session=browser.id,
            payload={
                "client": self.request.client.get_client_id(),
                "redirect_uri": asked.redirect_uri,
                "code_challenge": asked.data["code_challenge"],
                "nonce": asked.data.get("nonce"),
                "scope": self.request.scope,
                "ip": provider.origin.ip,
                "user_agent": provider.origin.user_agent,
            },
            now=provider.now,
            random=provider.engine.random,
        )

    def save_authorization_code(self, code: str, request: ProtocolRequest) -> None:
        """It was stored as it was made."""

    def query_authorization_code(self, code: str, client: OpenidClient) -> _Redeemed | None:
        """Use the code up, whatever comes of it: a wrong verifier must not be followed by a guess."""
        provider = self.server
        found = redeem_code(provider.connection, _KIND, code, provider.now)
        if found is None or found.payload["client"] != client.get_client_id():
            return None
        if found.replayed:
            # Two have held this code (RFC 6749 §4.1.2): what it led to may be in the wrong hands.
            if found.started_session is not None:
                provider.end_used_twice(found.started_session, client)
            return None
        return _Redeemed(
            text=code, browser_session=found.browser_session, payload=dict(found.payload)
        )

    def authenticate_user(self, authorization_code: _Redeemed) -> Grant:
        """Enter the application, if the browser session still lives and its user still may.

        Raises:
            InvalidGrantError: it does not, or they may not.
        """
        provider, payload = self.server, authorization_code.payload
        application = self.request.client.application
        try:
            session, user, started = enter_application(
                provider.connection,
                browser_session=authorization_code.browser_session,
                organization=application.organization,
                application=application.name,
                instance=None,
                origin=Origin(ip=payload["ip"], user_agent=payload["user_agent"]),
                now=provider.now,
                random=provider.engine.random,
            )
        except ParentEnded as error:
            raise InvalidGrantError("The browser session has ended.") from error
        except NotAdmitted as error:
            raise InvalidGrantError("The user may not enter this application.") from error
        except SessionLimit as error:
            raise InvalidGrantError(error.title) from error
        if started is not None:
            provider.started.append(started)
        note_started(provider.connection, authorization_code.text, session.id)
        return Grant(
            client_id=application.client_id,
            user=user,
            session=session,
            scope=tuple(payload["scope"].split()),
            nonce=payload["nonce"],
        )

    def delete_authorization_code(self, authorization_code: _Redeemed) -> None:
        """It was used up when it was found, and stays known as used."""


class Provider(AuthorizationServer):  # type: ignore[misc] # Authlib's base has no types
    """The server for one request. `started` and `ended` are to be counted after the commit."""

    def __init__(
        self, connection: Connection, engine: Engine, now: Instant, origin: Origin
    ) -> None:
        super().__init__()
        self.connection, self.engine, self.now, self.origin = connection, engine, now, origin
        self.started: list[Started] = []
        self.ended: list[Ended] = []
        self._iss = _Issuer(engine.settings.issuer)
        self.register_grant(_CodeGrant, [_Pkce()])
        self.register_extension(self._iss)

    def query_client(self, client_id: str) -> OpenidClient | None:
        return find_openid_client(self.connection, client_id)

    def create_oauth2_request(self, request: ProtocolRequest) -> ProtocolRequest:
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return Answer(status, body, dict(headers))

    def refuse(self, error: OAuth2Error) -> Answer:
        """The answer that an error is; one that goes back to the client by redirect carries `iss`."""
        answer = self.handle_response(*error())
        self._iss.add_issuer_parameter(self, answer)
        return answer

    def generate_token(self, *, user: Grant, **_: object) -> dict[str, object]:
        """The body of a token answer (RFC 6749 §5.1; Core §3.1.3.3)."""
        engine, key = self.engine, self.engine.keys[0]
        issuer = engine.settings.issuer
        access, lifetime = make_access_token(
            user, key, issuer, self.now, jti=make_secret(engine.random)
        )
        body: dict[str, object] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": " ".join(user.scope),
        }
        if "openid" in user.scope:
            body["id_token"] = make_id_token(user, access, key, issuer, self.now)
        return body

    def save_token(self, token: dict[str, object], request: ProtocolRequest) -> None:
        """Nothing is stored of a token: the session it names is what counts."""

    def end_used_twice(self, session_id: str, client: OpenidClient) -> None:
        """End the session that a code led to which was used again."""
        application = client.application
        self.ended += lifecycle.end(
            self.connection,
            [session_id],
            reason=EndReason.POLICY,
            actor=application_actor(application.organization, application.name),
            now=self.now,
            random=self.engine.random,
            origin=self.origin,
            note=USED_TWICE,
        )
