"""RP-initiated logout: an application sends its user here to be signed out everywhere in this browser.

Asks first wherever the request does not prove whom the application had (a link on any page would sign
people out), and leads on only to an address that the application has registered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.applications import Application
from iam.directory.names import UserMissing
from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.kernel.events import Actor, user_actor
from iam.languages import _
from iam.oidc.clients import find_openid_client
from iam.oidc.token import read_pairs
from iam.oidc.tokens import Hint, TokenInvalid, read_hint
from iam.sessions import store
from iam.sessions.model import LiveRow, Session
from iam.sessions.validate import Verdict
from iam.web.accounts import hold
from iam.web.brand_files import brand_for
from iam.web.caller import Person
from iam.web.cookies import BROWSER, read_cookie
from iam.web.csrf import check_csrf, check_origin, csrf_token
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import error_page, page_errors, render, see_other
from iam.web.signing_out import Left, sign_out, signed_out_onward, signed_out_page
from iam.web.targets import uri_targets
from iam.web.visitor import look

PATH = "/oauth/logout"
CONFIRM_PATH = "/oauth/logout/confirm"
_LONGEST = 16384
# What counts of a request; all else (ui_locales, logout_hint …) is tolerated.
_NAMES = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a request wants.

    `mistake` is a sentence that says why it is believed nothing and led nowhere; `onward` an address
    that was checked, `state` included; `own` the hint's session, if it is of a browser session that this
    browser holds, which `through` is then.
    """

    fields: dict[str, str]
    client: Application | None = None
    hint: Hint | None = None
    onward: str | None = None
    own: Session | None = None
    through: LiveRow | None = None
    children: int = 0
    mistake: str | None = None

    @property
    def client_name(self) -> str:
        """What its application is called, '' where it names none."""
        return self.client.display_name if self.client is not None else ""


@page_errors
async def logout(request: Request) -> Response:
    """`GET` or `POST /oauth/logout` (OpenID Connect RP-Initiated Logout 1.0 §2)."""
    if request.method == "POST":
        # A form on another site brings no SameSite=Lax cookie; the GET that this leads to does.
        try:
            query = urlencode(await read_pairs(request))
        except OAuth2Error:
            query = None
        if query is None or len(query) > _LONGEST:
            return _refused(request, _("The request cannot be read."))
        return see_other(f"{PATH}?{query}" if query else PATH)
    engine, now = engine_of(request), engine_of(request).clock()
    pairs = request.query_params.multi_items()
    held = await hold(engine, request, now)
    current = held.current if held.current is not None and held.current.lives else None
    row = current.row if current is not None else None
    wish = await _understand(engine, pairs, row, tuple(one.row for one in held.others))
    if wish.own is not None and wish.through is not None:
        # One that has no parent does not end by the browser session's end.
        also = [wish.own.id] if wish.own.parent is None else []
        mine = wish.through
        return await _end(request, wish, Person(mine).actor, now, mine.id, *also)
    if current is not None:
        return await _question(request, current.row, current.token, wish)
    if wish.mistake is not None:
        return _refused(request, wish.mistake)
    if wish.hint is not None:
        return await _end_alone(request, wish, wish.hint, now)
    # Nobody has said yes to being led on, and no token shows that the application had anybody.
    return await _over(request, wish, Left(), ask=True)


@page_errors
async def confirm(request: Request) -> Response:
    """`POST /oauth/logout/confirm`: the answer to our own question. What it said is checked anew."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    token = read_cookie(request, engine.settings, BROWSER)
    if token is None:
        check_origin(request, engine.settings)
    else:
        check_csrf(request, engine.settings, token, fields.get("csrf"))
    verdict, _token = await look(engine, request, now)
    row = _live(verdict)
    pairs = [(name, fields[name]) for name in _NAMES if name in fields]
    wish = await _understand(engine, pairs, row)
    # Somebody whose session is over already is signed out all the same.
    if row is None:
        return await _over(request, wish, Left())
    return await _end(request, wish, Person(row).actor, now, row.id)


def _live(verdict: Verdict | None) -> LiveRow | None:
    # A locked one as well: who cannot go on may still leave.
    return verdict.living if verdict is not None else None


async def _understand(
    engine: Engine,
    pairs: list[tuple[str, str]],
    row: LiveRow | None,
    others: tuple[LiveRow, ...] = (),
) -> _Wish:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields and name in _NAMES:
            return _Wish(fields={}, mistake=_("A parameter came more than once."))
        # Without a value it counts as absent (RFC 6749 §3.1).
        if name in _NAMES and value:
            fields[name] = value
    if not fields and row is None:
        return _Wish(fields=fields)
    return await in_thread(
        lambda: engine.database.read(lambda c: _wish(c, engine, fields, row, others))
    )


def _wish(
    connection: Connection,
    engine: Engine,
    fields: dict[str, str],
    row: LiveRow | None,
    others: tuple[LiveRow, ...],
) -> _Wish:
    children = len(store.children_of(connection, [row.id])) if row is not None else 0
    hint: Hint | None = None
    client_id = fields.get("client_id")
    if "id_token_hint" in fields:
        try:
            hint = read_hint(fields["id_token_hint"], engine.keys, engine.settings.issuer)
        except TokenInvalid:
            return _Wish(fields={}, children=children, mistake=_("Its ID token is none of ours."))
        if client_id is not None and client_id != hint.client_id:
            mistake = _("Its ID token was issued to another application.")
            return _Wish(fields={}, children=children, mistake=mistake)
        client_id = hint.client_id
    found = find_openid_client(connection, client_id)
    if found is None and "client_id" in fields:
        mistake = _("No application here has its client ID.")
        return _Wish(fields={}, children=children, mistake=mistake)
    client = found.application if found is not None else None
    onward: str | None = None
    if "post_logout_redirect_uri" in fields and client is not None:
        uri = fields["post_logout_redirect_uri"]
        # Character by character: here no port is free, and no query may be added (§3).
        if uri not in client.post_logout_redirect_uris:
            mistake = _("The address it wants to go on to is not registered.")
            return _Wish(fields={}, client=client, children=children, mistake=mistake)
        onward = _with_state(uri, fields.get("state"))
    held = [*([row] if row is not None else []), *others]
    own, through = _own(connection, hint, held) if hint is not None else (None, None)
    return _Wish(
        fields=fields,
        client=client,
        hint=hint,
        onward=onward,
        own=own,
        through=through,
        children=children,
    )


def _own(
    connection: Connection, hint: Hint, held: Sequence[LiveRow]
) -> tuple[Session, LiveRow] | tuple[None, None]:
    """The session that the hint names and the browser session that it belongs to, if that is among those
    that this browser holds.

    One that has no parent (its policy lets it outlive browser sessions) belongs to the browser session
    that it was entered through; one that stands apart (`offline_access`) to any of its user.
    """
    session = store.read_session(connection, hint.session_id) if held else None
    if session is None:
        return None, None
    through = session.parent or session.entered_through
    for row in held:
        if (session.organization, session.user) != (row.organization, row.user):
            continue
        try:
            who = find_user(connection, row.organization, row.user)
        except UserMissing:
            continue
        # The same name may have been given to somebody else since.
        if who.id == hint.subject and through in (None, row.id):
            return session, row
    return None, None


def _with_state(uri: str, state: str | None) -> str:
    if state is None:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': state})}"


async def _end(
    request: Request, wish: _Wish, actor: Actor, now: Instant, *session_ids: str
) -> Response:
    left = await sign_out(
        request, actor, now, *session_ids, onward=wish.onward, onward_name=wish.client_name
    )
    return await _over(request, wish, left)


async def _end_alone(request: Request, wish: _Wish, hint: Hint, now: Instant) -> Response:
    """End the session that the hint names, from a browser that holds no session here.

    Its application says with a token of ours that its user signs out (a phone's browser may have
    forgotten us since). Nothing but this one session ends by it.
    """
    database = engine_of(request).database
    session = await in_thread(
        lambda: database.read(lambda c: store.read_session(c, hint.session_id))
    )
    if session is None or session.ended_at is not None:
        return await _over(request, wish, Left())
    actor = user_actor(session.organization, session.user)
    return await _end(request, wish, actor, now, session.id)


async def _over(request: Request, wish: _Wish, left: Left, *, ask: bool = False) -> Response:
    """The end of it. `ask`: lead on by a link that somebody follows, not by ourselves."""
    name = wish.client_name
    if wish.onward is not None and not ask:
        return await signed_out_onward(request, left, onward=wish.onward, onward_name=name)
    return await signed_out_page(request, left, onward=wish.onward, onward_name=name)


async def _question(request: Request, row: LiveRow, token: str, wish: _Wish) -> Response:
    name = wish.client.display_name if wish.client is not None else None
    notice = None
    if wish.mistake is not None:
        text = _("%(problem)s You can sign out here all the same.", problem=wish.mistake)
        title = _("The application's request is not right")
        notice = {"kind": "error", "title": title, "text": text}
    elif wish.hint is not None:
        text = _("The application means another sign-in than the one in this browser.")
        if name is not None:
            text = _("%(name)s means another sign-in than the one in this browser.", name=name)
        notice = {"kind": "info", "title": _("This is another sign-in"), "text": text}
    elif name is not None:
        text = _("Only say yes if you have just signed out of %(name)s.", name=name)
        title = _("%(name)s asks to sign you out", name=name)
        notice = {"kind": "info", "title": title, "text": text}
    return render(
        request,
        "sign_out.html",
        status=200 if wish.mistake is None else 400,
        person=Person(row),
        csrf=csrf_token(token),
        form_targets=uri_targets(wish.onward) if wish.onward is not None else (),
        user=row.display_name,
        applications=wish.children,
        action=CONFIRM_PATH,
        fields=wish.fields,
        notice=notice,
        brand=await brand_for(engine_of(request), row.organization),
    )


def _refused(request: Request, mistake: str) -> Response:
    text = _(
        "%(problem)s You are not signed in here, and nothing was sent to the application.",
        problem=mistake,
    )
    title = _("This sign-out request is not right")
    return error_page(request, 400, title, text, code="logout_request_refused")
