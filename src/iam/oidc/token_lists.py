"""The tokens that are kept, in lists: families of refresh tokens and opaque access tokens, never a secret.

For whoever has to see what is out there and take it back. JWTs are not kept, so they are in no list.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from iam.db.tables import application, session
from iam.db.token_tables import access_token, refresh_token
from iam.kernel.clock import Instant
from iam.sessions.search import lives, plan_for_these_values

Kind = Literal["refresh", "access"]
Field = Literal["name", "organization", "user", "application", "scope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFilter:
    """Which tokens are meant: those that match every member that is set. None: of all."""

    organization: str | None
    user: str | None = None
    application: str | None = None
    name: str | None = None
    field: Field | None = None
    value: str = ""
    """Part of it, in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token that is good, or a family of which one is. `user` None: the application's own."""

    name: str
    kind: Kind
    organization: str
    user: str | None
    application: str
    session_id: str | None
    scope: tuple[str, ...]
    jkt: str | None
    created_at: Instant
    expires_at: Instant


def list_tokens(
    connection: Connection,
    wanted: TokenFilter,
    now: Instant,
    *,
    skip: int = 0,
    limit: int,
    sort: Literal["createdTime", "name", "application", "user"] = "createdTime",
    down: bool = True,
) -> tuple[TokenRow, ...]:
    """Tokens that match, newest first by default."""
    plan_for_these_values(connection)
    rows = _union(wanted, now)
    place = {
        "createdTime": rows.c.created_at,
        "name": rows.c.id,
        "application": rows.c.application,
        "user": rows.c.user_name,
    }[sort]
    order = [one.desc() if down else one.asc() for one in (place, rows.c.id)]
    query = select(rows).order_by(*order).offset(skip).limit(limit)
    return tuple(_row(row) for row in connection.execute(query))


def count_tokens(connection: Connection, wanted: TokenFilter, now: Instant) -> int:
    """How many tokens match."""
    plan_for_these_values(connection)
    query = select(func.count()).select_from(_union(wanted, now))
    return int(connection.execute(query).scalar_one())


def forget_access_token(connection: Connection, name: str) -> None:
    """Have an opaque access token be good no more."""
    connection.execute(access_token.delete().where(access_token.c.id == name))


def _union(wanted: TokenFilter, now: Instant) -> Any:
    columns = (session.c.id, session.c.organization, session.c.user_name, session.c.application)
    living = select(*columns, session.c.expires_at).where(lives(now)).subquery("living").c
    of_session = (living.organization, living.user_name, living.application)
    refresh = (
        select(
            refresh_token.c.id,
            literal("refresh").label("kind"),
            *of_session,
            living.id.label("session_id"),
            refresh_token.c.scope,
            refresh_token.c.jkt,
            refresh_token.c.created_at,
            living.expires_at,
        )
        .where(refresh_token.c.session_id == living.id)
        .where(*_narrowed(wanted, refresh_token.c.id, *of_session, refresh_token.c.scope))
    )
    access = (
        select(
            access_token.c.id,
            literal("access"),
            *of_session,
            living.id,
            access_token.c.scope,
            access_token.c.jkt,
            access_token.c.created_at,
            access_token.c.expires_at,
        )
        .where(access_token.c.session_id == living.id, access_token.c.expires_at > now)
        .where(*_narrowed(wanted, access_token.c.id, *of_session, access_token.c.scope))
    )
    nobody = cast(null(), Text)
    of_application = (application.c.organization, nobody, application.c.name)
    own = (
        select(
            access_token.c.id,
            literal("access"),
            *of_application,
            cast(null(), Text),
            access_token.c.scope,
            access_token.c.jkt,
            access_token.c.created_at,
            access_token.c.expires_at,
        )
        .join(application, application.c.client_id == access_token.c.client_id)
        .where(access_token.c.session_id.is_(None), access_token.c.expires_at > now)
        .where(*_narrowed(wanted, access_token.c.id, *of_application, access_token.c.scope))
    )
    return union_all(refresh, access, own).subquery()


def _narrowed(
    wanted: TokenFilter,
    name: ColumnElement[Any],
    organization: ColumnElement[Any],
    user: ColumnElement[Any],
    application_: ColumnElement[Any],
    scope: ColumnElement[Any],
) -> list[ColumnElement[bool]]:
    conditions = [
        column == value
        for column, value in (
            (name, wanted.name),
            (organization, wanted.organization),
            (user, wanted.user),
            (application_, wanted.application),
        )
        if value is not None
    ]
    if wanted.field is not None:
        columns = {
            "name": name,
            "organization": organization,
            "user": user,
            "application": application_,
            "scope": scope,
        }
        text = func.lower(func.coalesce(columns[wanted.field], ""))
        conditions.append(text.contains(wanted.value.lower(), autoescape=True))
    return conditions


def _row(row: Any) -> TokenRow:
    return TokenRow(
        name=row.id,
        kind=row.kind,
        organization=row.organization,
        user=row.user_name,
        application=row.application,
        session_id=row.session_id,
        scope=tuple(row.scope.split()),
        jkt=row.jkt,
        created_at=Instant(row.created_at),
        expires_at=Instant(row.expires_at),
    )
