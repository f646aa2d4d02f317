"""The grant `client_credentials` (RFC 6749 §4.4): an application asks for itself, and no user is there.

Its token is bound to the application and to no session: there is nobody who could sign out. It is good
while the application is enabled, ten minutes at most.
"""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    BaseGrant,
    TokenEndpointMixin,
)

from iam.oidc.resources import asked_audience
from iam.oidc.tokens import Grant

if TYPE_CHECKING:
    from iam.oidc.protocol import Provider


class ClientCredentialsGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc] # Authlib's base has no types
    """For applications that authenticate; there is no refresh token (§4.4.3)."""

    GRANT_TYPE = "client_credentials"
    server: "Provider"

    def validate_token_request(self) -> None:
        """Find out for what.

        Raises:
            UnauthorizedClientError: anybody could say that they are this application.
            InvalidScopeError: the scopes that there are, are about a user.
        """
        request = self.request
        client = self.authenticate_token_endpoint_client()
        if client.application.public or not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This application may not ask for itself.")
        if request.form.get("scope"):
            raise InvalidScopeError("All scopes are about a user, and there is none.")
        request.client = client
        request.user = Grant(
            client_id=client.get_client_id(),
            subject=client.get_client_id(),
            session=None,
            scope=(),
            audience=asked_audience(self.server.connection, client.application, request.form),
        )

    def create_token_response(self) -> tuple[int, dict[str, object], Any]:
        """Answer an access token."""
        body = self.generate_token(user=self.request.user, include_refresh_token=False)
        return 200, body, self.TOKEN_RESPONSE_HEADER
