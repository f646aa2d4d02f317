"""Entering an application: from a browser session to a session of that application."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam.db.prepared import together
from iam.directory.applications import application_among, asking_application
from iam.directory.names import ApplicationMissing, UserMissing
from iam.directory.users import User, asking_user, user_among
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Forbidden
from iam.kernel.events import NOWHERE, Actor, Origin, user_actor
from iam.kernel.secrets import Random
from iam.sessions import limits, raising, rules, store, touch
from iam.sessions.layers import asking_layers, effective_policy, policy_among
from iam.sessions.lifecycle import EntryLocked, NewSession, ParentEnded, Started
from iam.sessions.limits import Crowd
from iam.sessions.model import Session
from iam.sessions.policy import EffectivePolicy, end_reason, home_of
from iam.sessions.validate import Hold, refusal


class NotAdmitted(Forbidden):
    """This user cannot enter this application: one of the two is disabled, or of another tenant."""

    code = "not_admitted"
    title = "You cannot enter this application."


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What stands between a browser session and an application that its user may enter."""

    user: User
    authenticate_since: Instant | None
    """They have to have signed in at this instant or later, and have not."""
    crowd: Crowd | None
    """They are signed in there in as many places as the policy allows."""


def policy_of(connection: Connection, user: User, application: str) -> EffectivePolicy:
    """The policy of a session that this user starts at an application."""
    return effective_policy(
        connection, user.organization, application, user=user.name, roles=user.roles
    )


def approach(
    connection: Connection,
    *,
    browser_session: str,
    organization: str,
    application: str,
    instance: str | None,
    now: Instant,
) -> Threshold:
    """Look whether the person at this browser session can enter an application as they are.

    For doors that give a code first and start the session when it is redeemed. What the limits say
    then is what counts.

    Raises:
        ParentEnded: the browser session is over.
        NotAdmitted: its user may not enter this application.
    """
    rules.share_rules(connection, organization)
    browser = _browser(connection, browser_session, organization, now)
    user, policy = admit(connection, organization, browser.user, application)
    since = None
    if policy.reauthentication_age is not None:
        earliest = after(now, -policy.reauthentication_age)
        if browser.authenticated_at is None or browser.authenticated_at < earliest:
            since = earliest
    crowd = None
    if policy.limits and _existing(connection, browser, application, instance, now) is None:
        crowd = limits.crowd(
            connection, _entry(browser, user, application, instance, NOWHERE), policy, now
        )
    return Threshold(user=user, authenticate_since=since, crowd=crowd)


def admit(
    connection: Connection, organization: str, user: str, application: str
) -> tuple[User, EffectivePolicy]:
    """The user, if they may enter the application, and the policy of their session there. Shares the
    rules, and reads all that under them.

    Raises:
        NotAdmitted: either does not exist in that organization or is disabled.
    """
    *_, users, applications, layers = together(
        connection,
        *rules.sharing_rules(connection, organization),
        asking_user(organization, user),
        asking_application(home_of(application, organization), application),
        asking_layers(organization, application, user),
    )
    try:
        person, target = user_among(users), application_among(applications)
    except (UserMissing, ApplicationMissing) as error:
        raise NotAdmitted from error
    if not person.admitted or not target.enabled:
        raise NotAdmitted
    return person, policy_among(layers, person.roles)


def enter_application(
    connection: Connection,
    *,
    browser_session: str,
    organization: str,
    application: str,
    instance: str | None,
    origin: Origin,
    now: Instant,
    random: Random,
    apart: bool = False,
    device: str | None = None,
) -> tuple[Session, User, Started | None]:
    """The session of `application` that belongs to this browser session, started if need be.

    Entering again gives the same session (`sid` stays what it was); `instance` tells several places
    of one application apart. The third part is there when a session was started now, and carries
    the only copy of its token; `lifecycle.rotate` gives an existing one a new token.

    Args:
        organization: the application's, which must be the browser session's as well.
        apart: a new session without a parent, which does not end with the browser session.
        device: what it is entered with, if that is not the browser's device.

    Raises:
        ParentEnded: the browser session is over.
        EntryLocked: it is locked, or its session of this application is.
        NotAdmitted: its user may not enter this application.
        SessionLimit: they are signed in there in as many places as the policy allows.
    """
    rules.share_rules(connection, organization)
    browser = _browser(connection, browser_session, organization, now)
    user, policy = admit(connection, organization, browser.user, application)
    limits.hold(connection, policy, organization, user.name)
    # Locked first, and alone: two tabs that enter one application at once get one session, and none
    # waits for a row of the other's in a ring.
    locked = store.lock_live(connection, [browser.id])
    if not locked:
        raise ParentEnded
    _require_open(locked[0], now)
    existing = None if apart else _existing(connection, browser, application, instance, now)
    if existing is not None:
        _require_open(existing, now)
        touch.write_touches(connection, {existing.id: now, browser.id: now}, now)
        return raising.follow(connection, existing, browser), user, None
    if apart:
        touch.write_touches(connection, {browser.id: now}, now)
    started = limits.start_within(
        connection,
        _entry(browser, user, application, instance, origin, apart=apart, device=device),
        policy,
        actor=user_actor(organization, browser.user),
        now=now,
        random=random,
    )
    return started.session, user, started


def _browser(
    connection: Connection, browser_session: str, organization: str, now: Instant
) -> Session:
    browser = store.read_session(connection, browser_session)
    if browser is None or not browser.is_browser_session:
        raise ParentEnded
    _require_open(browser, now)
    if browser.organization != organization:
        raise NotAdmitted
    return browser


def _entry(
    browser: Session,
    user: User,
    application: str,
    instance: str | None,
    origin: Origin,
    *,
    apart: bool = False,
    device: str | None = None,
) -> NewSession:
    return NewSession(
        organization=user.organization,
        user=user.name,
        application=application,
        identity=user.identity,
        parent=None if apart else browser.id,
        authenticated_at=browser.authenticated_at,
        amr=browser.amr,
        origin=origin,
        device=device or browser.device,
        instance=instance,
    )


def _require_open(session: Session, now: Instant) -> None:
    reason = refusal(session, now)
    if reason is Hold.LOCKED:
        raise EntryLocked
    if reason is not None:
        raise ParentEnded


def _existing(
    connection: Connection, browser: Session, application: str, instance: str | None, now: Instant
) -> Session | None:
    entered = store.entered(connection, browser.id, application, instance)
    for session in store.lock_live(connection, entered):
        if end_reason(session, now) is None:
            return session
    return None


def start_for_user(
    connection: Connection,
    *,
    organization: str,
    user: str,
    application: str,
    actor: Actor,
    instance: str | None,
    metadata: dict[str, object],
    maximum_lifetime: int | None,
    origin: Origin,
    device: str | None,
    now: Instant,
    random: Random,
) -> Started:
    """A session that an application starts for one of its users, or an operator for a script.

    No person has authenticated: `amr` is empty and `authenticated_at` is not set.

    Raises:
        NotAdmitted: no such user or application, or one is disabled.
        SessionLimit: they have as many sessions as the policy allows.
    """
    person, policy = admit(connection, organization, user, application)
    limits.hold(connection, policy, organization, user)
    return limits.start_within(
        connection,
        NewSession(
            organization=organization,
            user=user,
            application=application,
            identity=person.identity,
            origin=origin,
            device=device,
            instance=instance,
            metadata=metadata,
            maximum_lifetime=maximum_lifetime,
        ),
        policy,
        actor=actor,
        now=now,
        random=random,
    )
