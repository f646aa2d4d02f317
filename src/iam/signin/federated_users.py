"""Users as a provider describes them: what of its words fills what of ours, and users made from them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.directory.names import ROLE_PATTERN, NameTaken
from iam.directory.patterns import EMAIL_PATTERN
from iam.directory.providers import Provider
from iam.directory.users import (
    FIRST_USER,
    OWN_ROLES,
    User,
    UserChange,
    create_user,
    users_with_email,
)
from iam.kernel.clock import Instant
from iam.kernel.events import Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions.model import BUILT_IN_ORGANIZATION

_LONGEST_DISPLAY_NAME, _LONGEST_EMAIL, _LONGEST_NAME = 128, 254, 100
_MOST_ROLES = 32
_MOST_NAMESAKES = 50
_ROLE = re.compile(ROLE_PATTERN, re.ASCII)
_EMAIL = re.compile(EMAIL_PATTERN)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@+-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a provider says of somebody, as far as it can be anybody's here; None where it says nothing.

    `email` is there only if it is verified: applications know people by their addresses, and who can
    say any address of themselves would be anybody there.
    """

    name: str | None
    display_name: str | None
    email: str | None
    roles: tuple[str, ...] | None


def attributes_of(
    claims: Mapping[str, Any], names: Mapping[str, str], *, email_verified: bool
) -> Attributes:
    """What these claims say, by these names (`Vouched.attributes`).

    The roles that allow something here are never taken from a claim: they are given here, by hand.
    """
    display_name = _text(claims, names.get("display_name"))
    email = _text(claims, names.get("email")) if email_verified else None
    if email is not None and (len(email) > _LONGEST_EMAIL or not _EMAIL.match(email)):
        email = None
    roles = None
    if "roles" in names:
        given = _texts(claims, names["roles"])
        fitting = [one for one in given if _ROLE.fullmatch(one) and one not in OWN_ROLES]
        roles = tuple(dict.fromkeys(fitting))[:_MOST_ROLES]
    return Attributes(
        name=_text(claims, names.get("name")),
        display_name=display_name[:_LONGEST_DISPLAY_NAME] if display_name else None,
        email=email,
        roles=roles,
    )


def change_of(
    connection: Connection,
    user: User,
    attributes: Attributes,
    filled: Mapping[Any, str],
) -> UserChange | None:
    """What is to be changed of a user who was there before; None if nothing is.

    Only what an administrator has said that this provider fills (`filled`), and an address only if nobody
    else has it.
    """
    display_name = email = None
    roles: Sequence[str] | None = None
    if "display_name" in filled and attributes.display_name not in (None, user.display_name):
        display_name = attributes.display_name
    if "email" in filled and attributes.email not in (None, user.email):
        others = users_with_email(connection, user.organization, attributes.email or "")
        if all(one.id == user.id for one in others):
            email = attributes.email
    if "roles" in filled and attributes.roles is not None and not _is_first(user):
        kept = tuple(one for one in user.roles if one in OWN_ROLES)
        wanted = (*kept, *attributes.roles)
        roles = wanted if set(wanted) != set(user.roles) else None
    if display_name is email is roles is None:
        return None
    return UserChange(display_name=display_name, email=email, roles=roles)


def make_user(
    connection: Connection,
    provider: Provider,
    attributes: Attributes,
    actor: Actor,
    origin: Origin,
    now: Instant,
    random: Random,
) -> User:
    """A user for somebody whom nobody knows yet, under a name that is free: never one that is there. They
    have no password."""
    user = _with_free_name(connection, provider.organization, attributes, now, random)
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="user.created",
        actor=actor,
        organization=user.organization,
        user=user.name,
        origin=origin,
        data={"roles": list(user.roles), "provider": provider.name},
    )
    audit.append(connection, [event])
    return user


def _with_free_name(
    connection: Connection,
    organization: str,
    attributes: Attributes,
    now: Instant,
    random: Random,
) -> User:
    wanted = _name(attributes.name) or _name(attributes.email) or "user"
    names = [wanted, *(f"{wanted}-{number}" for number in range(2, _MOST_NAMESAKES))]
    for name in [*names, f"{wanted}-{random(8).hex()}"]:
        try:
            return create_user(
                connection,
                organization=organization,
                name=name,
                password_hash=None,
                display_name=attributes.display_name,
                email=attributes.email,
                roles=attributes.roles or (),
                now=now,
                random=random,
            )
        except NameTaken:
            continue
    raise NameTaken


def _name(text: str | None) -> str:
    """A text as the name of a user; '' if nothing of it can stand in one."""
    return _NOT_IN_NAMES.sub("-", text or "").strip("._@+-")[:_LONGEST_NAME]


def _text(claims: Mapping[str, Any], name: str | None) -> str | None:
    found = _texts(claims, name) if name is not None else ()
    return found[0] if found else None


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What a claim says: one text or several, without what no database and no log should get."""
    value = claims.get(name)
    given = value if isinstance(value, list | tuple) else [value]
    texts = [str(one) for one in given if isinstance(one, str | int) and not isinstance(one, bool)]
    cleaned = (_CONTROL.sub(" ", one.encode("utf-8", "replace").decode()).strip() for one in texts)
    return tuple(one for one in cleaned if one)


def _is_first(user: User) -> bool:
    return user.organization == BUILT_IN_ORGANIZATION and user.name == FIRST_USER
