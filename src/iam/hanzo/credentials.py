"""Who is calling, shown in any of the ways in which those servers let it be shown. No way makes a session.

In their order: an access token (ours, or a session's own token), client credentials by HTTP Basic or in
the query, a pair of keys in the query, a cookie. A request that shows credentials is judged by them alone:
never by a cookie that comes along.
"""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request

from iam.directory.applications import Application, find_client
from iam.hanzo.errors import CredentialsRefused
from iam.kernel.clock import Instant
from iam.kernel.ids import SESSION, is_id
from iam.kernel.secrets import make_token
from iam.oidc.access_tokens import read_access_token
from iam.oidc.dpop import proven_key
from iam.oidc.tokens import TokenInvalid
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.store import read_live_row
from iam.sessions.validate import Outcome, Verdict, validate, verdict_on
from iam.web.caller import Caller, ClientInvalid, Person, basic_credentials, client_of, client_with
from iam.web.cookies import BROWSER, cookie_value, read_cookie
from iam.web.engine import Engine

COOKIES = ("casdoor_session_id", "iam_session_id")
"""What those servers call the browser's cookie. It holds the token of a browser session of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Who calls; nobody if nothing was shown, or a cookie that is good no more."""

    caller: Caller | None = None
    by_cookie: bool = False
    """A browser sent it along by itself: a change has to come from a page of this server."""
    verdict: Verdict | None = None
    """On the cookie."""
    access_token: str | None = None
    """The one that was shown."""

    @property
    def person(self) -> Person | None:
        """The user, if one calls."""
        return self.caller if isinstance(self.caller, Person) else None


def who_calls(engine: Engine, request: Request, now: Instant) -> Shown:
    """Find out who calls. Blocks: run it in a thread.

    Raises:
        CredentialsRefused: credentials were shown, and they are not good.
    """
    query = request.query_params
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "dpop"):
        return _by_token(engine, request, value.strip(), now, bound=scheme.lower() == "dpop")
    if scheme.lower() == "basic":
        try:
            credentials = basic_credentials(request)
        except ClientInvalid as error:
            raise CredentialsRefused("client_unknown") from error
        if credentials is not None:
            return _by_secret(engine, *credentials)
    if "authorization" in request.headers:
        raise CredentialsRefused("token_unknown")
    for name in ("accessToken", "access_token"):
        if query.get(name):
            return _by_token(engine, request, query[name], now)
    if query.get("clientId") and query.get("clientSecret"):
        return _by_secret(engine, query["clientId"], query["clientSecret"])
    if query.get("accessKey") and query.get("accessSecret"):
        return _by_keys(engine, request, query["accessKey"], query["accessSecret"], now)
    return _by_cookie(engine, request, now)


def browser_token(engine: Engine, request: Request) -> str | None:
    """The token in the browser's cookie: in ours if there is one, else in one of theirs.

    Theirs can be planted by another host of the domain, as ours cannot; so ours counts first.
    """
    own = read_cookie(request, engine.settings, BROWSER)
    if own is not None:
        return own
    here = their_cookie(request)
    held = (cookie_value(request, name) for name in (here, *COOKIES))
    return next((value for value in held if value), None)


def their_cookie(request: Request) -> str:
    """What the server that this path is of calls it."""
    return COOKIES[1] if request.url.path.startswith("/v1/iam/") else COOKIES[0]


def _by_cookie(engine: Engine, request: Request, now: Instant) -> Shown:
    token = browser_token(engine, request)
    if token is None:
        return Shown()
    verdict = engine.database.look(lambda c: validate(c, token, now))
    engine.metrics.validations[str(verdict.outcome)] += 1
    row = verdict.row
    if row is None or row.application != BUILT_IN_APPLICATION:
        # A token of an application's session is none of a browser (see `web.visitor`).
        return Shown()
    if verdict.outcome is not Outcome.VALID:
        return Shown(by_cookie=True, verdict=verdict)
    engine.touches.note(row, now)
    return Shown(caller=Person(row), by_cookie=True, verdict=verdict)


def _by_secret(engine: Engine, client_id: str, secret: str) -> Shown:
    try:
        client = engine.database.look(lambda c: client_with(c, client_id, secret))
    except ClientInvalid as error:
        raise CredentialsRefused("client_unknown") from error
    return Shown(caller=client)


def _by_keys(engine: Engine, request: Request, key: str, secret: str, now: Instant) -> Shown:
    """Their pairs of keys are what we have in two halves: a session's own token, or a client's
    credentials."""
    if is_id(SESSION, key):
        return _by_token(engine, request, make_token(key, secret), now)
    return _by_secret(engine, key, secret)


def _by_token(
    engine: Engine, request: Request, text: str, now: Instant, *, bound: bool = False
) -> Shown:
    if text.startswith(SESSION):
        verdict = engine.database.look(lambda c: validate(c, text, now))
        row = _living(engine, verdict)
        engine.touches.note(row, now)
        return Shown(caller=Person(row))
    # A proof is used up, which takes a connection that writes.
    run = engine.database.write if bound else engine.database.read
    try:
        found = run(lambda c: _read(c, engine, request, text, now, bound=bound))
    except (TokenInvalid, OAuth2Error) as error:
        raise CredentialsRefused("token_unknown") from error
    if isinstance(found, Application):
        return Shown(caller=client_of(found), access_token=text)
    # A look is not activity (see `oidc.userinfo`).
    return Shown(caller=Person(_living(engine, verdict_on(found, now))), access_token=text)


def _living(engine: Engine, verdict: Verdict) -> LiveRow:
    engine.metrics.validations[str(verdict.outcome)] += 1
    if verdict.row is None:
        raise CredentialsRefused("token_unknown")
    if verdict.reason is not None:
        locked = verdict.outcome is Outcome.LOCKED
        raise CredentialsRefused("session_locked" if locked else "session_over")
    return verdict.row


def _read(
    connection: Connection,
    engine: Engine,
    request: Request,
    text: str,
    now: Instant,
    *,
    bound: bool,
) -> LiveRow | Application | None:
    """Whose an access token is that is for this server: a session's, or an application's own.

    Raises:
        TokenInvalid, OAuth2Error: it is not good, or the key that it is bound to was not proven.
    """
    issuer = engine.settings.issuer
    token = read_access_token(connection, text, engine.keys, issuer, now)
    if issuer not in token.audience:
        raise TokenInvalid("it is for another resource")
    jkt = None
    if bound:
        jkt = proven_key(
            connection,
            request.headers.getlist("dpop"),
            method=request.method,
            url=issuer + request.url.path,
            cipher=engine.cipher,
            now=now,
            access_token=text,
        )
    if jkt != token.jkt:
        # Whoever stole one that is bound would show it without the proof (RFC 9449 §7.2).
        raise TokenInvalid("it is bound to another key")
    if token.session_id is not None:
        return read_live_row(connection, token.session_id)
    application = find_client(connection, token.client_id)
    if application is None or not application.is_open:
        raise TokenInvalid("its application is not there")
    return application
