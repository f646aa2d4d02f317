"""Back-channel logout: which application knows of which session, and what it is told of the end.

A notice is written with the event of the end (`iam.audit.outbox`) and goes out like every other one;
what it says is signed anew for each attempt, so that it is never too old to be believed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from joserfc import jwt
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.notice_tables import client_session as table
from iam.db.prepared import Prepared, values_of
from iam.db.tables import application
from iam.delivery.addresses import WebhookUrlRefused, check_webhook_url
from iam.kernel.clock import Instant
from iam.keys import SigningKey, signer

TOKEN_LIFETIME = 120
"""Seconds, the most that OpenID Connect Back-Channel Logout §4 recommends."""
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_UNPRINTABLE = re.compile(r"[^!-~]+", re.ASCII)


class LogoutUrlRefused(WebhookUrlRefused):
    """No notice of an end is sent to this address."""

    code = "logout_url_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutNotice:
    """That a session has ended, for the application that knows of it; or, where `session` is None, that all
    of its user have. `id` is the same at each attempt."""

    id: str
    client_id: str
    subject: str
    session: str | None
    algorithm: str
    """What it is signed by: as the client's ID tokens are (Back-Channel Logout §2.4)."""


def check_logout_url(url: str, *, allow_private: bool) -> str:
    """`url`, if an application may be told there (see `check_webhook_url`).

    Raises:
        LogoutUrlRefused: it is not https, or is an address of a private network.
    """
    try:
        return check_webhook_url(url, allow_private=allow_private)
    except WebhookUrlRefused as error:
        raise LogoutUrlRefused(error.detail) from error


def note_client_session(
    connection: Connection, session_id: str, *, client_id: str, subject: str
) -> None:
    """Note that a client is given the ID of this session as `sid`, with its user as `sub`.

    To be called wherever that happens: who is not noted is not told. Again is no mistake.
    """
    note = _NOTE_SQLITE if connection.dialect.name == "sqlite" else _NOTE_POSTGRESQL
    note.run(connection, {"session_id": session_id, "client_id": client_id, "subject": subject})


_NOTE_SQLITE, _NOTE_POSTGRESQL = (
    Prepared(dialect.insert(table).values(values_of(table)).on_conflict_do_nothing())
    for dialect in (sqlite, postgresql)
)


def read_subjects(connection: Connection, session_ids: Sequence[str]) -> dict[str, str]:
    """As whom the client of each of these sessions knows its user, by session ID."""
    query = select(table.c.session_id, table.c.subject).where(table.c.session_id.in_(session_ids))
    return {row.session_id: row.subject for row in connection.execute(query)}


def frames_of(connection: Connection, session_ids: Sequence[str], issuer: str) -> tuple[str, ...]:
    """What a browser is to load for the applications of these sessions that want it to
    (OpenID Connect Front-Channel Logout §2): always with both `iss` and `sid`."""
    wanted = application.c.frontchannel_logout_uri
    query = (
        select(wanted, table.c.session_id)
        .join(application, application.c.client_id == table.c.client_id)
        .where(table.c.session_id.in_(session_ids), wanted.is_not(None))
        .order_by(table.c.session_id)
    )
    return tuple(
        f"{uri}{'&' if '?' in uri else '?'}{urlencode({'iss': issuer, 'sid': sid})}"
        for uri, sid in connection.execute(query)
    )


def make_logout_token(
    notice: LogoutNotice, keys: Sequence[SigningKey], issuer: str, now: Instant
) -> str:
    """A logout token (OpenID Connect Back-Channel Logout §2.4): of one session, or of all of the subject
    where it names none (§2.6); and without a nonce, so that it can never be taken for an ID token."""
    key = signer(keys, notice.algorithm)
    issued = now // 1000
    claims = {
        "iss": issuer,
        "aud": notice.client_id,
        "sub": notice.subject,
        **({} if notice.session is None else {"sid": notice.session}),
        "iat": issued,
        "exp": issued + TOKEN_LIFETIME,
        "jti": notice.id,
        "events": {_EVENT: {}},
    }
    header = {"alg": key.algorithm, "kid": key.id, "typ": "logout+jwt"}
    return jwt.encode(header, claims, key.key, algorithms=[key.algorithm])


def refusal(body: bytes) -> str:
    """What an application that answered 400 says is wrong (§2.8), as one line that is safe to show."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return "refused"
    if not isinstance(told, dict):
        return "refused"
    words = [told.get(name) for name in ("error", "error_description")]
    said = ": ".join(
        " ".join(_UNPRINTABLE.sub(" ", word).split())[:100]
        for word in words
        if isinstance(word, str)
    )
    return f"refused: {said}" if said else "refused"
