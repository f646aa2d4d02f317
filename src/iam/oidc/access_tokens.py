"""Access tokens, of both forms: JWTs, of which nothing is kept, and opaque ones, of which a hash is."""

import re
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select

from iam.db.prepared import Prepared, values_of
from iam.db.token_tables import access_token as table
from iam.directory.applications import Application, find_client
from iam.kernel.clock import Instant
from iam.kernel.ids import ACCESS, make_id
from iam.kernel.secrets import Random, hash_secret, make_secret, proves
from iam.keys import SigningKey
from iam.oidc import spent
from iam.oidc.tokens import (
    AccessToken,
    Grant,
    TokenInvalid,
    access_token_until,
    read_jwt_access_token,
)
from iam.sessions import store
from iam.sessions.model import Session
from iam.sessions.validate import refusal

_FORM = re.compile(r"(oat_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{43})", re.ASCII)
_INSERT = Prepared(insert(table).values(values_of(table)))
_FIND = Prepared(select(table).where(table.c.id == bindparam("id")))


def issue_opaque(
    connection: Connection, grant: Grant, issuer: str, now: Instant, random: Random
) -> tuple[str, int]:
    """An opaque access token, and the seconds it is good for."""
    name, secret, until = (
        make_id(ACCESS, now, random),
        make_secret(random),
        access_token_until(grant, now),
    )
    _INSERT.run(
        connection,
        {
            "id": name,
            "secret_hash": hash_secret(secret),
            "session_id": grant.session.id if grant.session is not None else None,
            "client_id": grant.client_id,
            "subject": grant.subject,
            "scope": " ".join(grant.scope),
            "audience": list(grant.audience or (issuer,)),
            "jkt": grant.jkt,
            "act": dict(grant.act) if grant.act is not None else None,
            "claims": list(grant.userinfo_claims) or None,
            "created_at": now,
            "expires_at": until,
        },
    )
    return f"{name}.{secret}", max(0, until // 1000 - now // 1000)


def read_access_token(
    connection: Connection, text: str, keys: tuple[SigningKey, ...], issuer: str, now: Instant
) -> AccessToken:
    """What this access token says, unless it was revoked. Whether its session lives is `find_session`'s
    to say, and whom it is for (`audience`) the caller's to check.

    Raises:
        TokenInvalid: it is none of ours, too old, or revoked.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        token = read_jwt_access_token(text, keys, issuer, now)
        if spent.is_spent(connection, spent.REVOKED, token.client_id, token.jti):
            raise TokenInvalid("it was revoked")
        return token
    row = _FIND.one_or_none(connection, {"id": match[1]})
    if row is None or not proves(match[2], row.secret_hash):
        raise TokenInvalid("it is not known")
    if now >= row.expires_at:
        raise TokenInvalid("it has expired")
    return AccessToken(
        jti=row.id,
        subject=row.subject,
        session_id=row.session_id,
        client_id=row.client_id,
        scope=tuple(row.scope.split()),
        audience=tuple(row.audience),
        issued_at=row.created_at // 1000,
        expires_at=row.expires_at // 1000,
        jkt=row.jkt,
        act=row.act,
        userinfo_claims=tuple(row.claims or ()),
    )


def find_session(connection: Connection, session_id: str, now: Instant) -> Session | None:
    """The session, if it lives and is not locked."""
    session = store.read_session(connection, session_id)
    return session if session is not None and refusal(session, now) is None else None


def concerns(
    connection: Connection, token: AccessToken, session: Session | None, caller: Application
) -> bool:
    """Whether this token, with its session if that lives, is good and an application's to know about: it
    was issued to it, or is for it, in its organization."""
    if session is not None:
        home: str | None = session.organization
    else:
        # An application's own token is good while that is enabled.
        owner = find_client(connection, token.client_id) if token.session_id is None else None
        home = owner.organization if owner is not None and owner.enabled else None
    return home is not None and is_for(
        token,
        home,
        client_id=caller.client_id,
        organization=caller.organization,
        resources=caller.client.resources,
    )


def is_for(
    token: AccessToken,
    home: str,
    *,
    client_id: str,
    organization: str,
    resources: Iterable[str],
) -> bool:
    """Whether a token of the organization `home` is an application's to know about: it was issued to it,
    or is for it, in its organization."""
    mine = token.client_id == client_id or not set(token.audience).isdisjoint(resources)
    return home == organization and mine


def revoke(connection: Connection, token: AccessToken) -> None:
    """Have this token be good no more, on every node."""
    if connection.execute(delete(table).where(table.c.id == token.jti)).rowcount == 0:
        until = Instant(token.expires_at * 1000)
        spent.spend(connection, spent.REVOKED, token.client_id, token.jti, until)


def purge(connection: Connection, now: Instant) -> int:
    """Forget opaque tokens that have expired; answer how many."""
    return connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount
