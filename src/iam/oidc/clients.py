"""Applications as the protocol sees them, and which addresses they may be answered at."""

import re
from collections.abc import Iterable

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    ClientMixin,
)
from sqlalchemy import Connection

from iam.directory.applications import Application, find_client
from iam.kernel.ids import is_client_id
from iam.oidc.tokens import OFFLINE, SCOPES
from iam.sessions.model import BUILT_IN_APPLICATION

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?((?:/[^#]*)?)", re.ASCII)


class OpenidClient(ClientMixin):  # type: ignore[misc] # Authlib's base has no types
    """An application with the questions that Authlib asks of a client."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def get_client_id(self) -> str:
        return self.application.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a request says where to (OpenID Connect Core §3.1.2.1)."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """What of this is supported; the rest is ignored (Core §3.1.2.1).

        `offline_access` is for applications that may refresh (Core §11), and ignored of others.
        """
        asked = (scope or "").split()
        return " ".join(
            one
            for one in SCOPES
            if one in asked and (one != OFFLINE or self.check_grant_type("refresh_token"))
        )

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_allowed(redirect_uri, self.application.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.application.grant_types


def find_openid_client(connection: Connection, client_id: str | None) -> OpenidClient | None:
    """The enabled application with this client ID.

    Not the server's own: its sessions are the browser sessions, which no code may lead to.
    """
    if client_id is None or not is_client_id(client_id):
        return None
    application = find_client(connection, client_id)
    if application is None or not application.is_open or application.name == BUILT_IN_APPLICATION:
        return None
    return OpenidClient(application)


def redirect_allowed(uri: str, registered: Iterable[str]) -> bool:
    """Whether an answer may go to `uri`: it is registered, character by character.

    One exception, RFC 8252 §7.3: a native app listens on the loopback address at a port the system
    gives it, so there, and only there, the port may differ.
    """
    native = _LOOPBACK.fullmatch(uri)
    for one in registered:
        if uri == one:
            return True
        same = _LOOPBACK.fullmatch(one) if native else None
        if native and same and native.groups() == same.groups():
            return True
    return False
