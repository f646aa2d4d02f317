"""Tokens by the verbs of Casdoor. `admin` owns all of them.

A row is a family of refresh tokens, or an opaque access token, that is good; its values are in no answer.
Beside them stand the rows that clients have added themselves, which open nothing.
"""

from dataclasses import replace
from typing import Any, cast, get_args

from sqlalchemy import Connection

from iam.directory.legacy import forget_members, keep_members, list_members
from iam.directory.organizations import find_organization
from iam.hanzo.asking import Asked, asked, choose, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept, is_kept
from iam.hanzo.kept_rows import check_room
from iam.hanzo.objects import OWNER
from iam.hanzo.reach import Reach, administers_installation, reach_of, require_administrator
from iam.hanzo.user_verbs import is_caller
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.clock import Instant, to_iso
from iam.kernel.errors import Forbidden
from iam.oidc.token_lists import (
    Field,
    TokenFilter,
    TokenRow,
    count_tokens,
    forget_access_token,
    list_tokens,
)
from iam.sessions import lifecycle, rules
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason

_LONGEST_NAME = 128
_SORTS = ("createdTime", "name", "application", "user")
_NOTE = "token deleted"


def get_tokens(call: Call) -> Reply:
    """`GET get-tokens?owner=admin&organization&p&pageSize&field&value&sortField&sortOrder`: those within the
    caller's reach."""
    mine = reach_of(call)
    organization = call.query("organization") or None
    if organization is not None and mine.organization not in (None, organization):
        raise Forbidden
    wanted = asked(call)
    narrow = _narrowed(mine, organization, wanted)

    def work(connection: Connection) -> tuple[list[dict[str, Any]], int | None]:
        added = _added(connection, mine, organization)
        if not added:
            return _page(connection, narrow, wanted, call.now)
        # Of both: what clients have added is little, and of ours no more is read than the answer shows.
        ours = replace(wanted, skip=0, limit=wanted.skip + wanted.limit)
        views, count = _page(connection, narrow, ours, call.now)
        found, together = choose([*views, *added], wanted)
        if count is None or together is None:
            return list(found), None
        return list(found), together + count - len(views)

    views, count = call.engine.database.read(work)
    return Reply(data=views, data2=count)


def _page(
    connection: Connection, narrow: TokenFilter, wanted: Asked, now: Instant
) -> tuple[list[dict[str, Any]], int | None]:
    rows = wanted.of(
        list_tokens(
            connection,
            narrow,
            now,
            skip=wanted.skip,
            limit=wanted.limit,
            sort=wanted.sort or "createdTime",  # type: ignore[arg-type]  # `_narrowed` has looked
            down=wanted.down,
        )
    )
    count = count_tokens(connection, narrow, now) if wanted.paged else None
    return [token_view(one) for one in rows], count


def _narrowed(mine: Reach, organization: str | None, wanted: Asked) -> TokenFilter:
    if wanted.field and wanted.field not in get_args(Field):
        raise Refused(f"Tokens can be looked for by {', '.join(get_args(Field))}.")
    if wanted.sort and wanted.sort not in _SORTS:
        raise Refused(f"Tokens can be sorted by {', '.join(_SORTS)}.")
    return TokenFilter(
        organization=organization or mine.organization,
        user=mine.user,
        application=mine.application,
        field=cast(Field, wanted.field) if wanted.field else None,
        value=wanted.value,
    )


def get_token(call: Call) -> Reply:
    """`GET get-token?id=admin/name`: null where there is none within the caller's reach."""
    _, name = split_id(call.query("id"), 2)
    mine = reach_of(call)

    def work(connection: Connection) -> dict[str, Any] | None:
        row = _find(connection, mine, name, call.now)
        if row is not None:
            return token_view(row)
        return next((one for one in _added(connection, mine, None) if one["name"] == name), None)

    return Reply(data=call.engine.database.read(work))


def add_token(call: Call) -> Reply:
    """`POST add-token`: a row of the client's own, without any secret. No token comes of it."""
    _, name = named(call)
    organization = call.text("organization") or call.home
    require_administrator(call, organization)
    if len(name) > _LONGEST_NAME:
        raise Refused(f"name has at most {_LONGEST_NAME} characters.")
    everywhere = Reach(organization=None)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        find_organization(connection, organization)
        taken = _find(connection, everywhere, name, call.now) is not None
        if taken or (organization, name) in list_members(connection, "token", organization):
            raise Refused("name is taken.")
        check_room(connection, "token", organization)
        members = {one: value for one, value in call.body.items() if is_kept("token", one, _OURS)}
        # A row has to have something, or nothing is kept.
        keep_members(connection, "token", organization, name, {"createdTime": "", **members})

    call.engine.database.write(work)
    return affected(True)


def update_token(call: Call) -> Reply:
    """`POST update-token?id&columns`: of a row of the client's own what the body mentions. Of a token of ours
    only that it be over can be said: with `expiresIn` 0 it is deleted."""
    _, name = named(call)
    mine = reach_of(call)
    given = given_members(call)
    expires = given.get("expiresIn")

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        row = _find(connection, mine, name, call.now)
        if row is not None:
            over = isinstance(expires, int) and not isinstance(expires, bool) and expires <= 0
            return over, _revoke(connection, call, row) if over else ()
        organization = _organization_of(connection, call, mine, name)
        if organization is None:
            return False, ()
        change_kept(connection, "token", organization, name, given, _OURS)
        return True, ()

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def delete_token(call: Call) -> Reply:
    """`POST delete-token`: as revocation does. A refresh token takes the application's session with it."""
    _, name = named(call)
    mine = reach_of(call)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        row = _find(connection, mine, name, call.now)
        if row is not None:
            return True, _revoke(connection, call, row)
        organization = _organization_of(connection, call, mine, name)
        if organization is None:
            return False, ()
        forget_members(connection, "token", organization, name)
        return True, ()

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def _find(connection: Connection, mine: Reach, name: str, now: Instant) -> TokenRow | None:
    wanted = TokenFilter(
        organization=mine.organization,
        user=mine.user,
        application=mine.application,
        name=name,
    )
    return next(iter(list_tokens(connection, wanted, now, limit=1)), None)


def _revoke(connection: Connection, call: Call, row: TokenRow) -> tuple[Ended, ...]:
    if row.kind == "access" or row.session_id is None:
        forget_access_token(connection, row.name)
        return ()
    mine = row.user is not None and is_caller(call, row.organization, row.user)
    return lifecycle.end(
        connection,
        [row.session_id],
        reason=EndReason.ENDED_BY_USER if mine else EndReason.ENDED_BY_ADMIN,
        origin=call.origin,
        note=_NOTE,
        **call.cause,
    )


def _organization_of(connection: Connection, call: Call, mine: Reach, name: str) -> str | None:
    """Whose a row is that a client has added; None if there is none of that name within reach."""
    if mine.user is not None or mine.application is not None:
        return None
    found = list_members(connection, "token", mine.organization)
    having = [organization for organization, one in found if one == name]
    named_ = call.text("organization")
    if administers_installation(call) and named_:
        having = [one for one in having if one == named_]
    if len(having) > 1:
        raise Refused("More than one organization has a row of this name: name it as well.")
    return having[0] if having else None


def _added(connection: Connection, mine: Reach, organization: str | None) -> list[dict[str, Any]]:
    """Rows that clients have added, for administrators alone: nobody checked whose they are."""
    if mine.user is not None or mine.application is not None:
        return []
    found = list_members(connection, "token", organization or mine.organization)
    return [
        {**_EMPTY, **members, "owner": OWNER, "name": name, "organization": owner}
        for (owner, name), members in found.items()
    ]


_OURS = {"owner": "", "name": "", "organization": ""}
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("createdTime", "application", "user", "code", "codeChallenge"), ""),
    **dict.fromkeys(("accessToken", "refreshToken", "idToken", "accessTokenHash"), ""),
    **dict.fromkeys(("refreshTokenHash", "idTokenHash", "scope", "tokenType", "grantType"), ""),
    **dict.fromkeys(("resource", "dPoPJkt", "sessionId"), ""),
    "expiresIn": 0,
    "codeIsUsed": True,
    "codeExpireIn": 0,
}


def token_view(row: TokenRow) -> dict[str, Any]:
    """A token as it is answered, without what would open anything."""
    return {
        **_EMPTY,
        "owner": OWNER,
        "name": row.name,
        "createdTime": to_iso(row.created_at),
        "application": row.application,
        "organization": row.organization,
        "user": row.user or "",
        "expiresIn": max(0, (row.expires_at - row.created_at) // 1000),
        "scope": " ".join(row.scope),
        "tokenType": "DPoP" if row.jkt else "Bearer",
        "grantType": "refresh_token" if row.kind == "refresh" else "",
        "dPoPJkt": row.jkt or "",
        "sessionId": row.session_id or "",
    }


VERBS: tuple[Verb, ...] = (
    get("get-tokens", get_tokens),
    get("get-token", get_token),
    post("add-token", add_token),
    post("update-token", update_token),
    post("delete-token", delete_token),
)
