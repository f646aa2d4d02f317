"""“Continue with …”: where a browser begins to sign in by another provider, whatever protocol it speaks."""

from collections.abc import Mapping
from urllib.parse import urlencode

from sqlalchemy import Connection

from iam.directory.providers import Kind, Provider
from iam.kernel.clock import Instant, after
from iam.sessions import store
from iam.web.returning import HOME, return_path

WAYS = "/account/ways"
RECENT = 15 * 60
"""Seconds after which somebody has to sign in again before they add a way in: a session that was stolen
must not make itself one."""

# A door for each kind: `oidc` has the first two, `saml` its own.
_START: Mapping[Kind, str] = {
    "oidc": "/sign-in/with/{}",
    "oauth2": "/sign-in/with/{}",
    "saml": "/saml/sign-in/{}",
}
_LINK: Mapping[Kind, str] = {
    "oidc": "/account/ways/{}/link",
    "oauth2": "/account/ways/{}/link",
    "saml": "/saml/link/{}",
}


def start_address(
    provider: Provider,
    *,
    application: str = "",
    return_to: str | None = None,
    login_hint: str = "",
    again: bool = False,
) -> str:
    """The address of a link by which somebody signs in at this provider.

    Args:
        application: the client ID of what they sign in to.
        return_to: where they go on to then.
        login_hint: whom they have said to be, told to the provider.
        again: they are to show it once more, though they may be signed in there.
    """
    query = {"application": application, "login_hint": login_hint}
    accepted = return_path(return_to)
    if accepted != HOME:
        query["return_to"] = accepted
    if again:
        query["prompt"] = "login"
    carried = {name: value for name, value in query.items() if value}
    path = _START[provider.kind].format(provider.id)
    return f"{path}?{urlencode(carried)}" if carried else path


def may_add_way(connection: Connection, session_id: str, now: Instant) -> bool:
    """Whether somebody has signed in recently enough to link an account elsewhere."""
    session = store.read_session(connection, session_id)
    at = session.authenticated_at if session is not None else None
    return at is not None and at >= after(now, -RECENT)


def link_action(provider: Provider) -> str:
    """Where a form is sent by which somebody who is signed in links an account of theirs there."""
    return _LINK[provider.kind].format(provider.id)
