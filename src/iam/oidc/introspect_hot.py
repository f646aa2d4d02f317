"""Introspection's short way: the call that a resource server makes for every request of its own.

An opaque access token, asked about by an application that authenticates in the header, is two rows,
each read by its key together with those of whoever asks at the same moment. Anything else, and every
refusal, is `introspect`'s to answer. Both ways give the same answers.
"""

import base64
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iam.db import DatabaseUnavailable
from iam.db.tables import session
from iam.db.token_tables import access_token
from iam.directory.callers import Caller
from iam.kernel.clock import Instant
from iam.kernel.secrets import proves
from iam.oidc.access_tokens import is_for
from iam.oidc.introspect import INACTIVE, SignedIn, described
from iam.oidc.tokens import AccessToken
from iam.sessions.reader import Question, Reader, open_reader
from iam.sessions.validate import refusal
from iam.web.engine import Engine

INTROSPECTION = "/oauth/introspect"

_BODY = re.compile(
    rb"token=(oat_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{43})(?:&token_type_hint=access_token)?"
)
_BASIC = re.compile(rb"[Bb]asic ([A-Za-z0-9+/]+={0,2})")
# Neither half has a character that form-urlencoding (RFC 6749 §2.3.1) writes in another way.
_CREDENTIALS = re.compile(rb"(app_[0-9a-hjkmnp-tv-z]{26}):([A-Za-z0-9_-]{43})")
_LONGEST = 256  # more than any body of that form
_FORM = b"application/x-www-form-urlencoded"


class _Token(NamedTuple):
    """An opaque access token and its session, whose members are None where it has none."""

    id: str
    secret_hash: bytes
    client_id: str
    subject: str
    scope: str
    audience: list[str]
    jkt: str | None
    act: dict[str, Any] | None
    created_at: Instant
    good_until: Instant
    session_id: str | None
    organization: str
    user: str
    amr: list[str]
    acr: str | None
    authenticated_at: Instant | None
    last_active_at: Instant
    idle_timeout: int
    expires_at: Instant
    ended_at: Instant | None
    end_reason: str | None
    locked_at: Instant | None


_COLUMNS = (
    access_token.c.id,
    access_token.c.secret_hash,
    access_token.c.client_id,
    access_token.c.subject,
    access_token.c.scope,
    access_token.c.audience,
    access_token.c.jkt,
    access_token.c.act,
    access_token.c.created_at,
    access_token.c.expires_at,
    session.c.id,
    session.c.organization,
    session.c.user_name,
    session.c.amr,
    session.c.acr,
    session.c.authenticated_at,
    session.c.last_active_at,
    session.c.idle_timeout,
    session.c.expires_at,
    session.c.ended_at,
    session.c.end_reason,
    session.c.locked_at,
)
_BOTH = access_token.outerjoin(session, session.c.id == access_token.c.session_id)
_TOKENS = Question[_Token](
    "iam_read_access_tokens", select(*_COLUMNS).select_from(_BOTH), _Token._make
)


class Introspection:
    """The ASGI callable for `INTROSPECTION`; what it does not answer goes to `otherwise`."""

    def __init__(self, engine: Engine, otherwise: ASGIApp) -> None:
        self._engine, self._otherwise = engine, otherwise
        self._tokens: Reader[_Token] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have it answered."""
        messages = [await receive()]
        body = messages[0].get("body", b"")
        while messages[-1].get("more_body") and len(body) <= _LONGEST:
            messages.append(await receive())
            body += messages[-1].get("body", b"")
        answer = await self._answer(scope, body)
        if answer is None:
            await self._otherwise(scope, _again(messages, receive), send)
            return
        told = msgspec.json.encode(answer)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(told)).encode()),
            (b"cache-control", b"no-store"),
            (b"pragma", b"no-cache"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    async def _answer(self, scope: Scope, body: bytes) -> dict[str, object] | None:
        asked = _BODY.fullmatch(body)
        if asked is None or scope["method"] != "POST":
            return None
        credentials = _credentials(scope["headers"])
        if credentials is None:
            return None
        client_id, secret = credentials
        # Asked before the caller is awaited, so that both are read at once.
        reading = self._open().read(asked[1].decode())
        caller = await self._engine.callers.proven(client_id, secret)
        try:
            token = await reading
        except DatabaseUnavailable:
            return None
        if caller is None:
            return None
        return self._told(caller, token, asked[2].decode())

    def _told(self, caller: Caller, token: _Token | None, secret: str) -> dict[str, object] | None:
        now = self._engine.clock()
        if token is None or not proves(secret, token.secret_hash) or now >= token.good_until:
            return INACTIVE
        if token.session_id is None:
            return None  # an application's own: whether that is enabled is read elsewhere
        if refusal(token, now) is not None:
            return INACTIVE
        said = AccessToken(
            jti=token.id,
            subject=token.subject,
            session_id=token.session_id,
            client_id=token.client_id,
            scope=tuple(token.scope.split()),
            audience=tuple(token.audience),
            issued_at=token.created_at // 1000,
            expires_at=token.good_until // 1000,
            jkt=token.jkt,
            act=token.act,
        )
        if not is_for(
            said,
            token.organization,
            client_id=caller.client_id,
            organization=caller.organization,
            resources=caller.resources,
        ):
            return INACTIVE
        who = SignedIn(
            token.session_id, token.user, tuple(token.amr), token.acr, token.authenticated_at
        )
        return described(said, who, self._engine.settings.issuer)

    def _open(self) -> Reader[_Token]:
        if self._tokens is None:
            self._tokens = open_reader(self._engine.database, _TOKENS)
            self._engine.closers.append(self._tokens.close)
        return self._tokens


def _credentials(headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, str] | None:
    """Client ID and secret, if they are all that says who calls and the body is a form."""
    found = [value for name, value in headers if name == b"authorization"]
    types = [value for name, value in headers if name == b"content-type"]
    basic = _BASIC.fullmatch(found[0]) if len(found) == 1 and types == [_FORM] else None
    if basic is None:
        return None
    try:
        pair = _CREDENTIALS.fullmatch(base64.b64decode(basic[1], validate=True))
    except ValueError:
        return None
    return (pair[1].decode(), pair[2].decode()) if pair is not None else None


def _again(messages: list[Message], receive: Receive) -> Receive:
    """What has been received, as if it had not been."""
    first = iter(messages)

    async def received() -> Message:
        return next(first, None) or await receive()

    return received
