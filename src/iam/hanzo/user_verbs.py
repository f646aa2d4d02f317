"""Users by the verbs of Casdoor, as they are read: `get-users`, `get-user` and their kin.

An administrator reads those of their organization, everybody else themselves.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from iam.directory.legacy import read_all_members, read_members
from iam.directory.names import UserMissing
from iam.directory.user_lists import UserFilter, count_users, list_page, users_with_member
from iam.directory.users import User, find_user, find_user_by_id, users_with_email
from iam.hanzo.asking import MOST_ROWS, Asked, asked
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import Refused
from iam.hanzo.objects import read_user_members, user_members
from iam.hanzo.reach import administers, administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get
from iam.kernel.errors import Forbidden
from iam.sessions.record_lists import count_users_with_sessions

_BATCH = 500
_NOBODY_MEANT = "id, email, phone or userId is needed."


def get_users(call: Call) -> Reply:
    """`GET get-users?owner&p&pageSize&field&value&sortField&sortOrder`: `data2` is how many match, where a
    page was asked for."""
    views, count = list_users(call, _owner(call))
    return Reply(data=views, data2=count)


def get_global_users(call: Call) -> Reply:
    """`GET get-global-users`: of every organization that the caller administers."""
    owner = None if administers_installation(call) else call.home
    require_administrator(call, owner)
    views, count = list_users(call, owner)
    return Reply(data=views, data2=count)


def get_sorted_users(call: Call) -> Reply:
    """`GET get-sorted-users?owner&sorter&limit`: the first of them in descending order, as with theirs."""
    owner, limit = _owner(call), call.query("limit")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:7]) <= MOST_ROWS):
        raise Refused(f"limit must be a number from 1 to {MOST_ROWS}.")
    columns = {"name": "name", "created_time": "createdTime", "createdTime": "createdTime"}
    columns |= {"display_name": "displayName", "displayName": "displayName", "email": "email"}
    sorter = call.query("sorter")
    if sorter not in columns:
        raise Refused(f"sorter must be one of {', '.join(columns)}.")
    wanted = Asked(limit=int(limit), paged=True, sort=columns[sorter])
    return Reply(data=list_users(call, owner, wanted)[0])


def get_user_count(call: Call) -> Reply:
    """`GET get-user-count?owner&isOnline`: all, those with a live session (`1`) or those without (`0`)."""
    owner, online = _owner(call), call.query("isOnline")

    def work(connection: Connection) -> int:
        everybody = count_users(connection, UserFilter(organization=owner))
        if online not in ("1", "0", "true", "false"):
            return everybody
        present = count_users_with_sessions(connection, owner, call.now)
        return present if online in ("1", "true") else everybody - present

    return Reply(data=call.engine.database.read(work))


def get_user(call: Call) -> Reply:
    """`GET get-user?id=owner/name`, or `owner` with `email`, `phone` or `userId`: null if there
    is none."""

    def work(connection: Connection) -> dict[str, Any] | None:
        user = meant_user(connection, call)
        return read_user_members(connection, user) if user is not None else None

    return Reply(data=call.engine.database.read(work))


def meant_user(connection: Connection, call: Call) -> User | None:
    """The user that a query means, if there is one.

    Raises:
        Unauthenticated, Forbidden: it is beyond the caller, who learns nothing of whether there is one.
        Refused: it means nobody.
    """
    if call.query("id"):
        owner, name = split_id(call.query("id"), 2)
        require_user(call, owner, name)
        try:
            return find_user(connection, owner, name)
        except UserMissing:
            return None
    owner = call.query("owner") or call.home
    if administers(call, owner):
        return _found(connection, call, owner)
    # Themselves or nobody: who else has this address is not looked for, and so not told.
    mine = _caller(connection, call)
    if mine is None or owner != mine.organization or not _is_meant(connection, call, mine):
        raise Forbidden
    return mine


def _caller(connection: Connection, call: Call) -> User | None:
    if call.person is None:
        return None
    session = call.person.session
    try:
        return find_user(connection, session.organization, session.user)
    except UserMissing:
        return None


def _is_meant(connection: Connection, call: Call, user: User) -> bool:
    if call.query("userId"):
        return user.id == call.query("userId")
    if call.query("email"):
        return (user.email or "").lower() == call.query("email").lower()
    if call.query("phone"):
        kept = read_members(connection, "user", user.organization, user.name)
        return kept.get("phone") == call.query("phone")
    raise Refused(_NOBODY_MEANT)


def _found(connection: Connection, call: Call, owner: str) -> User | None:
    if call.query("userId"):
        user = find_user_by_id(connection, call.query("userId"))
        return user if user is not None and user.organization == owner else None
    if call.query("email"):
        return _only(users_with_email(connection, owner, call.query("email")), "email")
    if call.query("phone"):
        return _only(users_with_member(connection, owner, "phone", call.query("phone")), "phone")
    raise Refused(_NOBODY_MEANT)


def _only(found: Sequence[User], member: str) -> User | None:
    if len(found) > 1:
        raise Refused(f"More than one user has this {member}: ask by name or ID.")
    return found[0] if found else None


def require_user(call: Call, owner: str, name: str) -> None:
    """Let only those pass for whom this user exists: administrators, and themselves.

    Raises:
        Unauthenticated, Forbidden: it does not.
    """
    if not administers(call, owner) and not is_caller(call, owner, name):
        raise Forbidden


def is_caller(call: Call, owner: str, name: str) -> bool:
    """Whether it is this user who calls."""
    person = call.person
    return person is not None and (person.session.organization, person.session.user) == (
        owner,
        name,
    )


def _owner(call: Call) -> str:
    owner = call.query("owner") or call.home
    require_administrator(call, owner)
    return owner


def list_users(
    call: Call, owner: str | None, wanted: Asked | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """Users as they are answered, and how many match, where a page was asked for."""
    wanted = wanted or asked(call)
    narrow = UserFilter(organization=owner, field=wanted.field, value=wanted.value)

    def work(connection: Connection) -> tuple[list[dict[str, Any]], int | None]:
        users = wanted.of(
            list_page(
                connection,
                narrow,
                skip=wanted.skip,
                limit=wanted.limit,
                sort=wanted.sort,
                down=wanted.down,
            )
        )
        count = count_users(connection, narrow) if wanted.paged else None
        return user_views(connection, users), count

    return call.engine.database.read(work)


def user_views(connection: Connection, users: Sequence[User]) -> list[dict[str, Any]]:
    """Users as they are answered."""
    views: list[dict[str, Any]] = []
    for first in range(0, len(users), _BATCH):
        some = users[first : first + _BATCH]
        kept = {
            owner: read_all_members(
                connection, "user", owner, [one.name for one in some if one.organization == owner]
            )
            for owner in {one.organization for one in some}
        }
        views += [user_members(one, kept[one.organization].get(one.name, {})) for one in some]
    return views


VERBS: tuple[Verb, ...] = (
    get("get-users", get_users),
    get("get-global-users", get_global_users),
    get("get-sorted-users", get_sorted_users),
    get("get-user-count", get_user_count),
    get("get-user", get_user),
)
