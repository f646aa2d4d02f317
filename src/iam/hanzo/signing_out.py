"""Signing out: `logout` ends the session that one is signed in with, `sso-logout` that or all there are.

What ends tells every application, as every end does. A browser that follows a link here is led to our own
page, which asks first: a link on any page would sign people out.
"""

from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import Response

from iam.directory.applications import find_application, find_client
from iam.hanzo.browser import forget_session
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, respond
from iam.hanzo.errors import Refused
from iam.hanzo.verbs import Verb
from iam.kernel.events import Actor
from iam.oidc.access_tokens import read_access_token
from iam.oidc.logout import PATH as LOGOUT
from iam.oidc.tokens import TokenInvalid, read_hint
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, LiveRow, Selection
from iam.sessions.validate import verdict_on
from iam.web.caller import Client, Person
from iam.web.pages import see_other

_AT_ONCE = 2000
_HINTS = ("id_token_hint", "post_logout_redirect_uri", "client_id", "state")


def logout(call: Call) -> Response:
    """`GET` or `POST logout`: the session of the cookie, of the token, or of an `id_token_hint` (which
    those clients fill with an access token as well)."""
    asked = {name: call.either(name) for name in _HINTS if call.either(name)}
    if _navigates(call):
        return see_other(f"{LOGOUT}?{urlencode(asked)}" if asked else LOGOUT)
    call.check_origin()
    onward = _onward(call, asked)
    own = _own(call)
    hinted = _hinted(call, asked["id_token_hint"]) if "id_token_hint" in asked else None
    ended: tuple[Ended, ...] = ()
    if own is not None:
        ended += _end(call, own, *_together(call, own))
    if hinted is not None:
        ended += _end(call, hinted, hinted.id)
    call.engine.count_ended(ended)
    who = own or hinted
    reply = Reply(data=f"{who.organization}/{who.user}" if who is not None else None)
    response = see_other(onward) if onward is not None else respond(reply)
    return _forgotten(call, response)


def sso_logout(call: Call) -> Response:
    """`GET` or `POST sso-logout?logoutAll`: everything of the user's, everywhere; or (`logoutAll=false`)
    where they are signed in with this request."""
    everywhere = call.either("logoutAll") in ("", "true", "1")
    if _navigates(call):
        return see_other("/sign-out")
    call.check_origin()
    own = _own(call)
    if own is not None and everywhere:
        # The one in use first: it has signed out, and the others were signed out by it.
        call.engine.count_ended(_end(call, own, *_together(call, own)))
        _end_all(call, own)
    elif own is not None:
        call.engine.count_ended(_end(call, own, *_together(call, own)))
    return _forgotten(call, respond(Reply()))


def _navigates(call: Call) -> bool:
    """Whether this is a browser that goes somewhere: then a page asks. Only such a request carries a
    SameSite=Lax cookie across sites."""
    request = call.request
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def _own(call: Call) -> LiveRow | None:
    """The session of whoever calls, also a locked one: who cannot go on may still leave."""
    if call.shown.by_cookie:
        return call.shown.verdict.living if call.shown.verdict is not None else None
    caller = call.shown.caller
    return caller.session if isinstance(caller, Person) else None


def _together(call: Call, own: LiveRow) -> tuple[str, ...]:
    """One sign-in: the browser session that the caller's was entered from, if that is so, and its own."""
    session = call.engine.database.read(lambda c: store.read_session(c, own.id))
    through = session.entered_through if session is not None else None
    return tuple(one for one in (own.parent or through, own.id) if one is not None)


def _hinted(call: Call, hint: str) -> LiveRow | None:
    """The session that a token of ours names, if it lives.

    Raises:
        Refused: it is no token of ours.
    """
    engine = call.engine

    def work(connection: Connection) -> LiveRow | None:
        session_id = _session_of(connection, call, hint)
        row = store.read_live_row(connection, session_id) if session_id is not None else None
        return verdict_on(row, call.now).living

    return engine.database.read(work)


def _session_of(connection: Connection, call: Call, hint: str) -> str | None:
    engine = call.engine
    issuer = engine.settings.issuer
    try:
        return read_hint(hint, engine.keys, issuer).session_id
    except TokenInvalid:
        pass
    try:
        return read_access_token(connection, hint, engine.keys, issuer, call.now).session_id
    except TokenInvalid as error:
        raise Refused("Token not found, invalid accessToken") from error


def _onward(call: Call, asked: dict[str, str]) -> str | None:
    """Where the answer leads, if that is registered for the application that is named.

    Raises:
        Refused: it is not.
    """
    uri = asked.get("post_logout_redirect_uri")
    if uri is None:
        return None
    application = None
    if "client_id" in asked:
        client_id = asked["client_id"]
        application = call.engine.database.read(lambda c: find_client(c, client_id))
    elif isinstance(call.shown.caller, Client):
        key = call.shown.caller.key
        application = call.engine.database.read(lambda c: find_application(c, *key))
    if application is None or uri not in application.post_logout_redirect_uris:
        raise Refused(f"Redirect URI: {uri[:200]} doesn't exist in the allowed Redirect URI list")
    if "state" not in asked:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': asked['state']})}"


def _end(call: Call, whose: LiveRow, *session_ids: str) -> tuple[Ended, ...]:
    return call.engine.database.write(
        lambda c: lifecycle.end(
            c,
            session_ids,
            reason=EndReason.SIGNED_OUT,
            actor=_actor(whose),
            now=call.now,
            random=call.engine.random,
            origin=call.origin,
        )
    )


def _end_all(call: Call, whose: LiveRow) -> None:
    """All that is left of a user's, in transactions of bounded size."""
    selection = Selection(organization=whose.organization, user=whose.user)
    while True:
        ended = call.engine.database.write(
            lambda c: lifecycle.end_selected(
                c,
                selection,
                reason=EndReason.ENDED_BY_USER,
                actor=_actor(whose),
                now=call.now,
                random=call.engine.random,
                origin=call.origin,
                limit=_AT_ONCE,
            )
        )
        call.engine.count_ended(ended)
        if len(ended) < _AT_ONCE:
            return


def _actor(whose: LiveRow) -> Actor:
    return Person(whose).actor


def _forgotten(call: Call, response: Response) -> Response:
    """A browser forgets what it kept; other callers keep no cookies, and are sent none."""
    if call.shown.by_cookie:
        forget_session(response.headers, call.engine)
    return response


# They look at where a request comes from themselves: a link is led to a page, and not refused.
VERBS: tuple[Verb, ...] = (
    Verb(name="logout", methods=("GET", "POST"), handler=logout),
    Verb(name="sso-logout", methods=("GET", "POST"), handler=sso_logout),
)
