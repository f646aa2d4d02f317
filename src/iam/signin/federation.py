"""From what a provider says of somebody to their session: the last steps of every way of signing in by
another's word, whatever protocol it came by.

Whom it means is told by (provider, subject) alone. An address makes a link only where the provider is
trusted for its domain and says that it is verified; a name never does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.providers import (
    Link,
    Provider,
    add_link,
    find_link,
    find_provider_by_id,
    list_links,
    note_use,
)
from iam.directory.users import (
    User,
    UserChange,
    find_user_by_id,
    update_user,
    users_with_email,
)
from iam.kernel.authn import FEDERATED
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden
from iam.kernel.events import Actor, Event, Origin, provider_actor, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.languages import _
from iam.sessions import rules, store
from iam.sessions.lifecycle import Ended, Started
from iam.signin.arrival import Arrival, NoRoom, Proven, arrive, link_seal
from iam.signin.federated_sessions import Federated
from iam.signin.federated_users import (
    Attributes,
    attributes_of,
    change_of,
    make_user,
)


class FederationRefused(Forbidden):
    """A provider has vouched for somebody, and they are not let in all the same; `detail` says why."""

    code = "federation_refused"
    title = "You cannot sign in this way."


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What a provider says of somebody: checked by whoever speaks its protocol, and not by this module.

    `claims` are by its own names: a text, a list of texts, or what else JSON has.
    """

    provider: Provider
    subject: str
    claims: Mapping[str, Any]
    defaults: Mapping[str, str]
    """Which claim fills what of ours (`name`, `display_name`, `email`), where the provider's own
    `attributes` say nothing: as is usual in its protocol."""
    email_verified: bool = False
    session: str | None = None
    """What it calls the session there."""
    amr: tuple[str, ...] = ()
    acr: str | None = None
    hint: str | None = None
    """What is shown to it when signing out, encrypted (`federated_sessions`)."""
    authenticated_at: Instant | None = None
    """When they signed in there, where it says."""
    name_id: str | None = None
    """What it calls them in a logout, where that is no part of `hint`."""
    until: Instant | None = None
    """When their session there ends, where it says: then the one here does too."""

    @property
    def attributes(self) -> Attributes:
        """What of it fills what of ours."""
        named = {str(ours): theirs for ours, theirs in self.provider.attributes.items()}
        return attributes_of(
            self.claims, {**self.defaults, **named}, email_verified=self.email_verified
        )


def sign_in_through(
    database: Database,
    vouched: Vouched,
    arrival: Arrival,
    now: Instant,
    random: Random,
    *,
    again: bool = False,
) -> Started:
    """Start a session for whom a provider vouches for, or raise the one that is there.

    Args:
        again: they were to show once more who they are. A provider that does not say when they did so
            raises no session: it may not have asked them at all.

    Raises:
        FederationRefused: nobody here is meant, or they may not sign in. Noted as a failed sign-in.
        NoRoom: the user has as many sessions as the policy allows.
    """
    result = database.write(lambda c: _sign_in(c, vouched, arrival, now, random, again))
    if isinstance(result, Started):
        return result
    raise result


def _sign_in(
    connection: Connection,
    vouched: Vouched,
    arrival: Arrival,
    now: Instant,
    random: Random,
    again: bool,
) -> Started | FederationRefused | NoRoom:
    # Refusals are answers here, not exceptions: the event that tells of them is committed.
    try:
        with connection.begin_nested():
            proven, ended = recognize(connection, vouched, arrival.origin, now, random)
            if again and vouched.authenticated_at is None:
                _require_another(connection, proven, arrival, vouched.provider)
    except FederationRefused as refused:
        audit.append(
            connection, [failed(vouched.provider, None, refused.code, arrival, now, random)]
        )
        return refused
    try:
        # Apart: whom the choice is put before which session is to end is linked already.
        with connection.begin_nested():
            started = arrive(connection, proven, arrival, now, random)
    except NoRoom as full:
        if not full.crowd.may_choose:
            name = proven.username
            audit.append(
                connection, [failed(vouched.provider, name, full.code, arrival, now, random)]
            )
        return full
    if started is None:
        event = failed(vouched.provider, proven.username, "not_admitted", arrival, now, random)
        audit.append(connection, [event])
        return FederationRefused(_("Your account here, or the application, is switched off."))
    return Started(
        session=started.session,
        token=started.token,
        ended=(*ended, *started.ended),
        raised=started.raised,
    )


def _require_another(
    connection: Connection, proven: Proven, arrival: Arrival, provider: Provider
) -> None:
    """Refuse somebody who is signed in here already, and of whom nobody says that they came back."""
    own = [*((arrival.replaces,) if arrival.replaces else ()), *arrival.beside]
    held = store.read_sessions(connection, own).values()
    who = (proven.organization, proven.username)
    if any((one.organization, one.user) == who for one in held):
        words = _(
            "%(provider)s does not say whether you have just signed in there. "
            "Show who you are in another way.",
            provider=provider.display_name,
        )
        raise FederationRefused(words)


def recognize(
    connection: Connection, vouched: Vouched, origin: Origin, now: Instant, random: Random
) -> tuple[Proven, tuple[Ended, ...]]:
    """Whom of ours a provider means: linked before, linked now, or made now. What it fills of them is
    filled; answer also which sessions that ended (other roles can mean another policy).

    Raises:
        FederationRefused: nobody, or somebody who may not sign in.
    """
    provider = find_provider_by_id(connection, vouched.provider.id)
    if provider is None or not provider.enabled:
        raise FederationRefused(_("Nobody signs in this way any more."))
    if provider.updated_at != vouched.provider.updated_at:
        # Checked against what it was then: a key or an issuer that nobody trusts any more, it may be.
        raise FederationRefused(_("This way of signing in has just been changed. Begin again."))
    link = find_link(connection, provider.id, vouched.subject)
    ended: tuple[Ended, ...] = ()
    if link is None:
        # Alone: of two that come for the first time at once the second finds what the first has made.
        rules.hold_rules(connection, provider.organization)
        link = find_link(connection, provider.id, vouched.subject)
    if link is None:
        link = _first_link(connection, provider, vouched, origin, now, random)
    user = find_user_by_id(connection, link.user_id)
    if user is None or user.organization != provider.organization:
        raise FederationRefused(_("Your account here is gone."))
    if not user.admitted:
        raise FederationRefused(_("Your account here is switched off."))
    change = change_of(connection, user, vouched.attributes, provider.attributes)
    if change is not None:
        # Once more, alone: a role that is just being taken from them here must not be given back, nor
        # an address that somebody else is just being given.
        rules.hold_rules(connection, provider.organization)
        user = find_user_by_id(connection, user.id)
        if user is None:
            raise FederationRefused(_("Your account here is gone."))
        change = change_of(connection, user, vouched.attributes, provider.attributes)
    if change is not None:
        ended = _fill(connection, provider, user, change, origin, now, random)
    note_use(connection, provider.id, vouched.subject, now)
    proven = Proven(
        organization=user.organization,
        username=user.name,
        amr=(FEDERATED,),
        seal=link_seal(provider, link),
        federated=Federated(
            provider=provider.id,
            name=provider.name,
            subject=vouched.subject,
            session=vouched.session,
            amr=vouched.amr,
            acr=vouched.acr,
            hint=vouched.hint,
            name_id=vouched.name_id,
        ),
        authenticated_at=vouched.authenticated_at,
        until=vouched.until,
    )
    return proven, ended


def link_person(
    connection: Connection,
    vouched: Vouched,
    user: User,
    origin: Origin,
    now: Instant,
    random: Random,
) -> Link:
    """Link a subject to somebody who is signed in here and has shown that they are it there.

    Raises:
        FederationRefused: the subject is somebody else's, or the provider is not for this user.
    """
    provider = find_provider_by_id(connection, vouched.provider.id)
    if provider is None or not provider.enabled or provider.organization != user.organization:
        raise FederationRefused(_("Nobody signs in this way any more."))
    rules.hold_rules(connection, user.organization)
    found = find_link(connection, provider.id, vouched.subject)
    name = provider.display_name
    if found is not None:
        if found.user_id != user.id:
            words = _("This account of %(provider)s is another user's way in here.", provider=name)
            raise FederationRefused(words)
        return found
    actor = user_actor(user.organization, user.name)
    return _link(connection, provider, vouched.subject, user, "person", actor, origin, now, random)


def _first_link(
    connection: Connection,
    provider: Provider,
    vouched: Vouched,
    origin: Origin,
    now: Instant,
    random: Random,
) -> Link:
    attributes, actor = vouched.attributes, provider_actor(provider.organization, provider.name)
    email = attributes.email
    same = users_with_email(connection, provider.organization, email) if email else ()
    if email and same:
        domain = email.rpartition("@")[2].lower()
        [user, *others] = same
        if (
            domain not in provider.trusted_domains
            or others
            or _is_known(connection, provider, user)
        ):
            # An address that was given to somebody else since must not give them the account as well.
            words = _(
                "There is an account with the address %(email)s here already. Sign in to it, "
                "and link %(provider)s on its page “Ways to sign in”.",
                email=email,
                provider=provider.display_name,
            )
            raise FederationRefused(words)
        how = "email"
    elif provider.creates_users:
        user = make_user(connection, provider, attributes, actor, origin, now, random)
        how = "created"
    else:
        words = _(
            "No account here belongs to this account of %(provider)s. "
            "Sign in another way, or ask your administrator.",
            provider=provider.display_name,
        )
        raise FederationRefused(words)
    return _link(connection, provider, vouched.subject, user, how, actor, origin, now, random)


def _is_known(connection: Connection, provider: Provider, user: User) -> bool:
    return any(one.provider == provider.id for one in list_links(connection, user.id))


def _link(
    connection: Connection,
    provider: Provider,
    subject: str,
    user: User,
    how: str,
    actor: Actor,
    origin: Origin,
    now: Instant,
    random: Random,
) -> Link:
    made = add_link(connection, provider.id, subject, user.id, now)
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="provider.linked",
        actor=actor,
        organization=user.organization,
        user=user.name,
        origin=origin,
        data={"provider": provider.name, "subject": subject, "by": how},
    )
    audit.append(connection, [event])
    return made


def _fill(
    connection: Connection,
    provider: Provider,
    user: User,
    change: UserChange,
    origin: Origin,
    now: Instant,
    random: Random,
) -> tuple[Ended, ...]:
    actor = provider_actor(provider.organization, provider.name)
    _user, ended = update_user(
        connection,
        user.organization,
        user.name,
        change,
        actor=actor,
        now=now,
        random=random,
    )
    changed = [
        name for name in ("display_name", "email", "roles") if getattr(change, name) is not None
    ]
    data: dict[str, object] = {"changed": changed, "provider": provider.name}
    if change.roles is not None:
        data["roles"] = list(change.roles)
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="user.updated",
        actor=actor,
        organization=user.organization,
        user=user.name,
        origin=origin,
        data=data,
    )
    audit.append(connection, [event])
    return ended


def failed(
    provider: Provider,
    user: str | None,
    reason: str,
    arrival: Arrival,
    now: Instant,
    random: Random,
) -> Event:
    """That a sign-in by a provider did not come to a session."""
    return Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.failed",
        actor=provider_actor(provider.organization, provider.name),
        organization=provider.organization,
        user=user,
        application=arrival.application,
        reason=reason,
        origin=arrival.origin,
        data={"provider": provider.name},
    )
