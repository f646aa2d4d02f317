"""The grant `authorization_code` with PKCE (RFC 6749 §4.1, RFC 7636): the code is made, and redeemed."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped] # Authlib ships no types
    AuthorizationCodeGrant,
)
from authlib.oauth2.rfc7636 import (  # type: ignore[import-untyped] # Authlib ships no types
    CodeChallenge,
)

from iam.delivery.logouts import note_client_session
from iam.directory.names import UserMissing
from iam.directory.users import find_user
from iam.kernel.authn import reaches
from iam.kernel.events import Origin
from iam.oidc import pushed
from iam.oidc.claims import asked_claims
from iam.oidc.clients import OpenidClient
from iam.oidc.resources import asked_audience, narrowed
from iam.oidc.tokens import OFFLINE, Grant
from iam.sessions import store
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.limits import SessionLimit
from iam.sessions.model import LiveRow
from iam.signin.codes import issue_code, note_started, redeem_code
from iam.signin.consents import allowed_scopes
from iam.signin.enter import NotAdmitted, enter_application

if TYPE_CHECKING:
    from iam.oidc.protocol import ProtocolRequest, Provider

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_KIND = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redeemed:
    """A code that was used up now, as Authlib asks for it."""

    text: str
    browser_session: str
    payload: dict[str, Any]
    compares_redirect: bool
    """Whether the address that the code was sent to has to be named once more (RFC 6749 §4.1.3)."""
    code_challenge_method: str = "S256"

    @property
    def code_challenge(self) -> str | None:
        challenge = self.payload["code_challenge"]
        return None if challenge is None else str(challenge)

    def get_redirect_uri(self) -> str | None:
        return str(self.payload["redirect_uri"]) if self.compares_redirect else None

    def get_scope(self) -> str:
        return str(self.payload["scope"])


class Pkce(CodeChallenge):  # type: ignore[misc] # Authlib's base has no types
    """PKCE with S256 for every client. Authlib would let one with a secret go without, and take
    `plain` (RFC 9700 §2.1.1): whoever reads the request could then redeem the code."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:
        asked = grant.request.payload.data
        application = grant.request.client.application
        free = not application.public and not application.openid.require_pkce
        if free and not asked.keys() & {"code_challenge", "code_challenge_method"}:
            return
        if asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: code_challenge_method=S256.")
        if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge must be 43 characters of base64url.")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc] # Authlib's base has no types
    """A code, once, for tokens. `grant_user` is the browser session; a token's user is a `Grant`."""

    server: "Provider"

    def generate_authorization_code(self) -> str:
        provider, asked = self.server, self.request.payload
        browser: LiveRow = self.request.user
        self._use_up_pushed()
        claims = asked_claims(asked.data)
        try:
            audience = asked_audience(
                provider.connection, self.request.client.application, asked.data
            )
        except OAuth2Error as error:
            error.redirect_uri = asked.redirect_uri
            raise
        return issue_code(
            provider.connection,
            _KIND,
            browser_session=browser.id,
            payload={
                "client": self.request.client.get_client_id(),
                "redirect_uri": asked.redirect_uri,
                "code_challenge": asked.data.get("code_challenge"),
                "nonce": asked.data.get("nonce"),
                "scope": self.request.scope,
                "audience": audience,
                "jkt": asked.data.get("dpop_jkt"),
                "acr": self.request.acr,
                "userinfo_claims": claims.userinfo,
                "id_token_claims": claims.id_token,
                "allowed": sorted({*self.request.scope.split(), *claims.scopes}),
                "ip": provider.origin.ip,
                "user_agent": provider.origin.user_agent,
            },
            now=provider.now,
            random=provider.engine.random,
        )

    def _use_up_pushed(self) -> None:
        uri = self.request.again.get("request_uri")
        if uri and not pushed.use_up(self.server.connection, uri):
            raise InvalidRequestError(
                "This request was answered before.", redirect_uri=self.request.payload.redirect_uri
            )

    def save_authorization_code(self, code: str, request: "ProtocolRequest") -> None:
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
        named = "redirect_uri" in self.request.form
        return _Redeemed(
            text=code,
            browser_session=found.browser_session,
            payload=dict(found.payload),
            compares_redirect=named or not provider.redirect_uri_optional,
        )

    def authenticate_user(self, authorization_code: _Redeemed) -> Grant:
        """Enter the application, if the browser session still lives and its user still may.

        Raises:
            InvalidGrantError: it does not, or they may not.
        """
        provider, payload = self.server, authorization_code.payload
        if payload.get("jkt") is not None and payload["jkt"] != provider.jkt:
            raise InvalidGrantError("This code is bound to another key.")
        audience = narrowed(payload.get("audience", ()), self.request.form)
        application = self.request.client.application
        self._require_what_was_given(authorization_code)
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
                apart=OFFLINE in payload["scope"].split(),
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
        note_client_session(
            provider.connection, session.id, client_id=application.client_id, subject=user.id
        )
        return Grant(
            client_id=application.client_id,
            subject=user.id,
            session=session,
            scope=tuple(payload["scope"].split()),
            nonce=payload["nonce"],
            acr=payload.get("acr"),
            audience=audience,
            userinfo_claims=tuple(payload.get("userinfo_claims", ())),
            id_token_claims=tuple(payload.get("id_token_claims", ())),
        )

    def _require_what_was_given(self, code: _Redeemed) -> None:
        """What the person has allowed and shown when the code was issued, they may have taken back since.
        Before anything is started: what a refusal has done stays.

        Raises:
            InvalidGrantError: they have.
        """
        connection, application = self.server.connection, self.request.client.application
        browser = store.read_session(connection, code.browser_session)
        if browser is None:
            return  # nor is anything entered
        acr = code.payload.get("acr")
        if acr is not None and not reaches(browser.acr, acr):
            raise InvalidGrantError("The person has given up the second factor since.")
        if application.openid.consent == "none":
            return
        try:
            user = find_user(connection, browser.organization, browser.user)
        except UserMissing as error:
            raise InvalidGrantError("The user may not enter this application.") from error
        given = code.payload.get("allowed") or code.get_scope().split()
        if not {*given} <= allowed_scopes(connection, user.id, application.client_id):
            raise InvalidGrantError("The person no longer allows this.")

    def delete_authorization_code(self, authorization_code: _Redeemed) -> None:
        """It was used up when it was found, and stays known as used."""
