"""The grant `device_code` (RFC 8628 §3.4): a device asks until its user has decided.

The session that comes of it is one of its own, without a parent: it shows the device, is ended like any
other, and does not end with the browser in which it was approved.
"""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AccessDeniedError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    BaseGrant,
    TokenEndpointMixin,
)

from iam.delivery.logouts import note_client_session
from iam.kernel.clock import after
from iam.oidc import device_requests
from iam.oidc.clients import OpenidClient
from iam.oidc.device_requests import INTERVAL, DeviceRequest
from iam.oidc.tokens import Grant
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.limits import SessionLimit
from iam.signin.devices import device_label
from iam.signin.enter import NotAdmitted, enter_application

if TYPE_CHECKING:
    from iam.oidc.protocol import Provider

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


class DeviceGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc] # Authlib's base has no types
    """Whatever a refusal changes (how long to wait, that a code is used up) is kept."""

    GRANT_TYPE = DEVICE_CODE
    server: "Provider"

    def validate_token_request(self) -> None:
        """Find out what the user has decided.

        Raises:
            OAuth2Error: `authorization_pending`, `slow_down`, `access_denied`, `expired_token` (§3.5), or
                one of RFC 6749 §5.2.
        """
        provider, request = self.server, self.request
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This application is not for devices.")
        request.client = client
        code = request.form.get("device_code")
        if not code:
            raise InvalidRequestError("device_code is missing.")
        found = device_requests.find(provider.connection, code)
        if found is None or found.client_id != client.get_client_id():
            raise InvalidGrantError("This device code is not known.")
        if provider.now >= found.expires_at:
            raise OAuth2Error("The device code has expired.", error="expired_token")
        if found.state == "pending":
            self._wait(code, found)
        device_requests.use_up(provider.connection, code)
        if found.browser_session is None:
            raise AccessDeniedError("The user has declined.")
        request.user = self._enter(client, found, found.browser_session)

    def create_token_response(self) -> tuple[int, dict[str, object], Any]:
        """Answer tokens."""
        may_refresh = self.request.client.check_grant_type("refresh_token")
        body = self.generate_token(user=self.request.user, include_refresh_token=may_refresh)
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _wait(self, code: str, found: DeviceRequest) -> None:
        connection, now = self.server.connection, self.server.now
        early = found.polled_at is not None and now < after(found.polled_at, found.poll_interval)
        interval = found.poll_interval + (INTERVAL if early else 0)
        device_requests.note_poll(connection, code, interval, now)
        if early:
            raise OAuth2Error("Ask less often.", error="slow_down")
        raise OAuth2Error("The user has not decided yet.", error="authorization_pending")

    def _enter(self, client: OpenidClient, found: DeviceRequest, browser_session: str) -> Grant:
        provider, application = self.server, client.application
        try:
            session, user, started = enter_application(
                provider.connection,
                browser_session=browser_session,
                organization=application.organization,
                application=application.name,
                instance=None,
                origin=found.origin,
                now=provider.now,
                random=provider.engine.random,
                apart=True,
                device=device_label(found.origin.user_agent),
            )
        except (ParentEnded, NotAdmitted) as error:
            raise AccessDeniedError("Whoever approved may not any more.") from error
        except SessionLimit as error:
            raise AccessDeniedError(error.title) from error
        if started is not None:
            provider.started.append(started)
        note_client_session(
            provider.connection, session.id, client_id=application.client_id, subject=user.id
        )
        return Grant(
            client_id=application.client_id,
            subject=user.id,
            session=session,
            scope=found.scope,
            audience=found.audience,
        )
