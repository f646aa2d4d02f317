"""Authlib's authorization server, made to work inside one of our transactions.

Authlib judges parameters, client authentication and PKCE; one `Provider` lives for one request, on
the connection of its transaction, so that what a refusal uses up (a code) is committed with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

# Authlib ships no types: what comes from it is checked where it enters our own values.
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AuthorizationServer,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Payload,
    OAuth2Request,
)
from authlib.oauth2.rfc9207 import (  # type: ignore[import-untyped] # Authlib ships no types
    IssuerParameter,
)
from sqlalchemy import Connection

from iam import audit
from iam.kernel.clock import Instant
from iam.kernel.events import Event, Origin, application_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import make_secret
from iam.keys import signer
from iam.oidc import access_tokens, client_auth, refresh_tokens
from iam.oidc import pushed as pushed_requests
from iam.oidc.claims import values_for
from iam.oidc.clients import OpenidClient, find_openid_client
from iam.oidc.code_grant import CodeGrant, Pkce
from iam.oidc.tokens import Grant, make_access_token, make_id_token
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import EndReason, Session
from iam.web.engine import Engine

USED_TWICE = "authorization code used twice"


SEVERAL = "resource"
"""The one parameter that may come more than once (RFC 8707 §2)."""


class _Payload(OAuth2Payload):  # type: ignore[misc] # Authlib's base has no types
    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._all: dict[str, list[str]] = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)
        if SEVERAL in self._all:
            # As one text, in which form they also go through sign-in and back: a URI has no space.
            self._all[SEVERAL] = [" ".join(self._all[SEVERAL])]
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
        self,
        method: str,
        pairs: Iterable[tuple[str, str]],
        authorization: str | None = None,
        again: dict[str, str] | None = None,
    ) -> None:
        # Authlib refuses plain http by the address, and behind a proxy a request always looks plain.
        # That browsers reach us over https (or on loopback) is the settings' promise.
        headers = {"Authorization": authorization} if authorization is not None else {}
        super().__init__(method, "https://issuer.invalid/oauth", headers=headers)
        self.payload: _Payload = _Payload(pairs)
        self.again: dict[str, str] = self.payload.data if again is None else again
        """The parameters with which a browser comes back here, when it has to go elsewhere first."""
        self.acr: str | None = None
        """The class of authentication that the ID token has to name (`acr`)."""

    @property
    def parameters(self) -> dict[str, str]:
        """Name and (first) value of every parameter."""
        return self.payload.data

    @property
    def repeated(self) -> list[str]:
        """Parameters that came more than once, which none may but `SEVERAL` (RFC 6749 §3.1, §3.2)."""
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


class _Issuer(IssuerParameter):  # type: ignore[misc] # Authlib's base has no types
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_issuer(self) -> str:
        return self._issuer


class Provider(AuthorizationServer):  # type: ignore[misc] # Authlib's base has no types
    """The server for one request. `started` and `ended` are to be counted, and `touched` to be noted,
    after the commit."""

    redirect_uri_optional = False
    """Whether a client may redeem a code without saying where it was sent to, as OAuth 2.1 lets it."""

    def __init__(
        self, connection: Connection, engine: Engine, now: Instant, origin: Origin
    ) -> None:
        super().__init__()
        self.connection, self.engine, self.now, self.origin = connection, engine, now, origin
        self.started: list[Started] = []
        self.ended: list[Ended] = []
        self.touched: list[Session] = []
        self.jkt: str | None = None
        """The thumbprint of the key that this request proves (`dpop`)."""
        self._iss = _Issuer(engine.settings.issuer)
        self.register_grant(CodeGrant, [Pkce()])
        self.register_extension(self._iss)

    def take_up(self, asked: ProtocolRequest, *, since: str, chosen: str) -> ProtocolRequest:
        """The request that was pushed, if this one refers to one; else itself.

        Raises:
            PushedRequestUnknown: see `pushed.take_up`.
        """
        found = pushed_requests.take_up(
            self.connection, asked.parameters, self.now, since=since, chosen=chosen
        )
        return asked if found is None else ProtocolRequest("GET", found[0].items(), again=found[1])

    def get_consent_grant(self, request: ProtocolRequest, end_user: object = None) -> object:
        """Judge an authorization request.

        Raises:
            OAuth2Error: it is not right, or should have been pushed (RFC 9126 §6).
        """
        grant = super().get_consent_grant(request, end_user)
        settings = request.client.application.client
        if settings.require_pushed_authorization_requests and "request_uri" not in request.again:
            raise InvalidRequestError("This application pushes its requests (RFC 9126).")
        return grant

    def query_client(self, client_id: str) -> OpenidClient | None:
        return find_openid_client(self.connection, client_id)

    def authenticate_client(
        self, request: ProtocolRequest, methods: object = (), endpoint: str = "token"
    ) -> OpenidClient:
        """The application that calls; the methods are the same for every grant.

        Raises:
            InvalidClientError, InvalidRequestError: as `client_auth.authenticate` says; or it asks for
                tokens without the proof that it has promised (RFC 9449 §5.2).
        """
        client = client_auth.authenticate(
            self.connection,
            request.parameters,
            request.headers.get("Authorization"),
            issuer=self.engine.settings.issuer,
            now=self.now,
        )
        promised = client.application.client.dpop_bound_access_tokens
        if promised and self.jkt is None and endpoint == "token":
            raise InvalidRequestError("This application proves its key (RFC 9449): send a proof.")
        return client

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

    def generate_token(
        self, *, client: OpenidClient, user: Grant, include_refresh_token: bool = False, **_: object
    ) -> dict[str, object]:
        """The body of a token answer (RFC 6749 §5.1; Core §3.1.3.3)."""
        engine, user = self.engine, replace(user, jkt=self.jkt)
        key = signer(engine.keys, client.application.client.id_token_signed_response_alg)
        issuer = engine.settings.issuer
        if client.application.client.opaque_access_tokens:
            access, lifetime = access_tokens.issue_opaque(
                self.connection, user, issuer, self.now, engine.random
            )
        else:
            jti = make_secret(engine.random)
            access, lifetime = make_access_token(user, key, issuer, self.now, jti)
        body: dict[str, object] = {
            "access_token": access,
            "token_type": "Bearer" if self.jkt is None else "DPoP",
            "expires_in": lifetime,
        }
        if user.scope:
            body["scope"] = " ".join(user.scope)
        session = user.session
        if "openid" in user.scope and session is not None:
            said = values_for(
                self.connection,
                user.id_token_claims,
                organization=session.organization,
                user=session.user,
                name=session.identity.display_name,
                email=session.identity.email,
            )
            body["id_token"] = make_id_token(user, session, said, access, key, issuer, self.now)
        if include_refresh_token:
            # One of an application that authenticates is bound to that already (RFC 9449 §5).
            jkt = self.jkt if client.application.public else None
            body["refresh_token"] = refresh_tokens.issue(
                self.connection, user, jkt=jkt, now=self.now, random=engine.random
            )
        return body

    def save_token(self, token: dict[str, object], request: ProtocolRequest) -> None:
        """Nothing is stored of a token: the session it names is what counts."""

    def note_refresh(self, session: Session, client: OpenidClient) -> None:
        """Tell that an application has gone on with a session, with new tokens."""
        application = client.application
        event = Event(
            id=make_id(EVENT, self.now, self.engine.random),
            at=self.now,
            type="session.refreshed",
            actor=application_actor(application.organization, application.name),
            organization=session.organization,
            user=session.user,
            application=session.application,
            session=session.id,
            origin=self.origin,
        )
        audit.append(self.connection, [event])

    def end_used_twice(self, session_id: str, client: OpenidClient) -> None:
        """End the session that a code led to which was used again."""
        self.end(session_id, client, EndReason.POLICY, USED_TWICE)

    def end(
        self, session_id: str, client: OpenidClient, reason: EndReason, note: str | None = None
    ) -> None:
        """End a session for what its application did."""
        application = client.application
        self.ended += lifecycle.end(
            self.connection,
            [session_id],
            reason=reason,
            actor=application_actor(application.organization, application.name),
            now=self.now,
            random=self.engine.random,
            origin=self.origin,
            note=note,
        )
