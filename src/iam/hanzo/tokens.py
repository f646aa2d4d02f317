"""Tokens as those clients read them, made by the provider of the OAuth door.

An access token of theirs is for the client itself (`aud`) and says who the user is; its ID token is always
there. Ours are the same tokens as everywhere, with these claims and that audience besides.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from iam.directory.names import UserMissing
from iam.directory.users import ADMINISTRATOR, find_user
from iam.oidc.clients import OpenidClient
from iam.oidc.protocol import Provider
from iam.oidc.tokens import SCOPES, Grant
from iam.sessions.model import Session

OPENID = "openid profile email"


def scope_of(asked: str) -> str:
    """The scopes that a client means. With theirs, tokens say who the user is whatever is asked for
    (`read`, as the SDKs do): that is what `openid profile email` asks for with us."""
    return asked if "openid" in asked.split() else " ".join([OPENID, *_ours(asked)])


def refreshed_scope(asked: str) -> str:
    """What of these a refresh may be narrowed to; empty for all: their own words mean nothing here."""
    return " ".join(_ours(asked)) if set(asked.split()) <= set(SCOPES) else ""


def _ours(asked: str) -> list[str]:
    known = OPENID.split()
    return [one for one in asked.split() if one in SCOPES and one not in known]


class LegacyProvider(Provider):
    """The provider for clients that were written for those servers."""

    redirect_uri_optional = True

    def generate_token(
        self,
        *,
        client: OpenidClient,
        user: Grant,
        include_refresh_token: bool = False,
        **rest: object,
    ) -> dict[str, object]:
        """The body of a token answer, with the user in the access token and the client in its audience."""
        audience = user.audience or (self.engine.settings.issuer,)
        together = tuple(dict.fromkeys((*audience, client.get_client_id())))
        claims = _claims(self.connection, user.session, user.scope) if user.session else {}
        grant = replace(user, audience=together, claims={**claims, "azp": client.get_client_id()})
        return super().generate_token(
            client=client, user=grant, include_refresh_token=include_refresh_token, **rest
        )


def _claims(connection: Connection, session: Session, scope: tuple[str, ...]) -> dict[str, Any]:
    """What their access tokens say of a user, as far as the scopes go."""
    claims: dict[str, Any] = {
        "owner": session.organization,
        "tokenType": "access-token",
        "signinMethod": "Password" if "pwd" in session.amr else "",
    }
    try:
        user = find_user(connection, session.organization, session.user)
    except UserMissing:
        return claims
    claims["id"] = user.id
    if "profile" in scope:
        claims |= {"name": user.name, "displayName": user.display_name}
        claims["isAdmin"] = ADMINISTRATOR in user.roles
    if "email" in scope and user.email is not None:
        claims["email"] = user.email
    return claims
