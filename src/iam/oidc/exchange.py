"""Token exchange (RFC 8693): a service that was called with a user's token calls another one for them.

The new token is the subject's: of the same session, and over with it. It says who acts (`act`), asks for
no more than the old one did, and lasts no longer.
"""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    BaseGrant,
    TokenEndpointMixin,
)

from iam.kernel.clock import Instant
from iam.oidc.access_tokens import concerns, find_session, read_access_token
from iam.oidc.clients import OpenidClient
from iam.oidc.resources import asked_audience
from iam.oidc.tokens import AccessToken, Grant, TokenInvalid
from iam.sessions.model import Session

if TYPE_CHECKING:
    from iam.oidc.protocol import Provider

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a grant's name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
_DEEPEST = 5
"""Services in a row that may act for one another: a ring of them would make tokens grow for ever."""


class ExchangeGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc] # Authlib's base has no types
    """For applications that authenticate, with access tokens of theirs or for them."""

    GRANT_TYPE = TOKEN_EXCHANGE
    server: "Provider"

    def validate_token_request(self) -> None:
        """Judge the subject's token like introspection does.

        Raises:
            InvalidRequestError: it is not good, or not this application's to use (§2.2.2).
            InvalidScopeError, InvalidTarget: more is asked for than there is.
        """
        request = self.request
        client = self.authenticate_token_endpoint_client()
        if client.application.public or not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This application may not exchange tokens.")
        request.client = client
        parameters = request.form
        if parameters.get("subject_token_type") != ACCESS_TOKEN or not parameters.get(
            "subject_token"
        ):
            raise InvalidRequestError("Send a subject_token that is an access token.")
        if parameters.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise InvalidRequestError("Only access tokens are issued.")
        if {"actor_token", "actor_token_type", "audience"} & parameters.keys():
            raise InvalidRequestError("Who acts is the application itself; the target is resource.")
        token, session = self._subject(client, parameters["subject_token"])
        request.user = self._grant(client, token, session)

    def create_token_response(self) -> tuple[int, dict[str, object], Any]:
        """Answer an access token."""
        body = self.generate_token(user=self.request.user, include_refresh_token=False)
        # An ID token says who signed in at an application, and nobody did at this one.
        body.pop("id_token", None)
        body["issued_token_type"] = ACCESS_TOKEN
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _subject(self, client: OpenidClient, text: str) -> tuple[AccessToken, Session]:
        provider = self.server
        connection, engine, now = provider.connection, provider.engine, provider.now
        try:
            token = read_access_token(connection, text, engine.keys, engine.settings.issuer, now)
        except TokenInvalid as error:
            raise InvalidRequestError("The subject_token is not good.") from error
        session = find_session(connection, token.session_id, now) if token.session_id else None
        if session is None or not concerns(connection, token, session, client.application):
            raise InvalidRequestError("The subject_token is not good.")
        return token, session

    def _grant(self, client: OpenidClient, token: AccessToken, session: Session) -> Grant:
        asked = self.request.form.get("scope", "").split()
        if not set(asked) <= set(token.scope):
            raise InvalidScopeError("More is asked for than was granted.")
        actor: dict[str, Any] = {"sub": client.get_client_id()}
        if token.act is not None:
            actor["act"] = token.act
        if _depth(actor) > _DEEPEST:
            raise InvalidRequestError("Too many act for one another already.")
        audience = asked_audience(self.server.connection, client.application, self.request.form)
        return Grant(
            client_id=client.get_client_id(),
            subject=token.subject,
            session=session,
            scope=tuple(one for one in token.scope if not asked or one in asked),
            audience=audience or token.audience,
            act=actor,
            until=Instant(token.expires_at * 1000),
        )


def _depth(actor: Any) -> int:
    return 0 if actor is None else 1 + _depth(actor.get("act"))
