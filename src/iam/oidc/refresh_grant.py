"""The grant `refresh_token` (RFC 6749 §6): new tokens for as long as the session lives."""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    BaseGrant,
    TokenEndpointMixin,
)

from iam.oidc import refresh_tokens
from iam.oidc.refresh_tokens import RefreshToken, Standing
from iam.oidc.resources import narrowed
from iam.oidc.tokens import Grant
from iam.sessions import store
from iam.sessions.model import EndReason, Session
from iam.sessions.validate import Hold, refusal

if TYPE_CHECKING:
    from iam.oidc.protocol import Provider


class RefreshGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc] # Authlib's base has no types
    """Every use rotates the token (RFC 9700 §4.14.2) and is activity of its session, which is read each
    time: a token of a session that has ended is none."""

    GRANT_TYPE = "refresh_token"
    server: "Provider"

    def validate_token_request(self) -> None:
        """Find the token and its session.

        Raises:
            InvalidGrantError: it is none of this client's, its session has ended, or it was used
                before: then its session is ended, because two hold it.
            InvalidScopeError, InvalidTarget: more is asked for than was granted.
        """
        provider, request = self.server, self.request
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This application may not refresh.")
        request.client = client
        text = request.form.get("refresh_token")
        if not text:
            raise InvalidRequestError("refresh_token is missing.")
        found = refresh_tokens.find(provider.connection, text, provider.now)
        if found is None or found.client_id != client.get_client_id():
            raise InvalidGrantError("This refresh token is not known.")
        if found.jkt is not None and found.jkt != provider.jkt:
            raise InvalidGrantError("This refresh token is bound to another key.")
        session = store.read_session(provider.connection, found.session_id)
        refused = refusal(session, provider.now) if session is not None else None
        if session is None or refused is not None:
            state = "is locked" if refused is Hold.LOCKED else "has ended"
            raise InvalidGrantError(f"The session {state}.")
        self._use_up(found, session)

    def create_token_response(self) -> tuple[int, dict[str, object], Any]:
        """Answer new tokens, the next refresh token among them."""
        body = self.generate_token(user=self.request.user, include_refresh_token=False)
        body["refresh_token"] = self.request.refresh_token
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _use_up(self, found: RefreshToken, session: Session) -> None:
        provider, request = self.server, self.request
        if found.standing is Standing.STALE:
            provider.end(session.id, request.client, EndReason.REFRESH_REUSE)
            raise InvalidGrantError("This refresh token was used before.")
        scope = found.scope
        if request.form.get("scope"):
            asked = request.form["scope"].split()
            scope = tuple(one for one in found.scope if one in asked)
            if not set(asked) <= set(found.scope):
                raise InvalidScopeError("More is asked for than was granted.")
        audience = narrowed(found.audience, request.form)
        successor = refresh_tokens.succeed(
            provider.connection, found, provider.now, provider.engine.random
        )
        if successor is None:
            raise InvalidGrantError("This refresh token was used before.")
        provider.touched.append(session)
        if found.standing is Standing.CURRENT:
            provider.note_refresh(session, request.client)
        request.refresh_token = successor
        request.user = Grant(
            client_id=found.client_id,
            subject=found.subject,
            session=session,
            scope=scope,
            audience=audience,
            userinfo_claims=found.userinfo_claims,
            id_token_claims=found.id_token_claims,
        )
