"""Entering an application: from a browser session to a session of that application."""

from sqlalchemy import Connection, select

from iam.db.tables import session as session_table
from iam.directory.applications import Application, find_application
from iam.directory.names import ApplicationMissing, UserMissing
from iam.directory.users import User, find_user
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden
from iam.kernel.events import Actor, Origin, user_actor
from iam.kernel.secrets import Random
from iam.sessions import lifecycle, raising, rules, store, touch
from iam.sessions.lifecycle import NewSession, ParentEnded, Started
from iam.sessions.model import Session
from iam.sessions.policy import effective_policy, end_reason, home_of


class NotAdmitted(Forbidden):
    """This user cannot enter this application: one of the two is disabled, or of another tenant."""

    code = "not_admitted"
    title = "You cannot enter this application."


def admit(
    connection: Connection, organization: str, user: str, application: str
) -> tuple[User, Application]:
    """The user and the application, if the one may enter the other. Call `share_rules` before.

    Raises:
        NotAdmitted: either does not exist in that organization or is disabled.
    """
    try:
        person = find_user(connection, organization, user)
        target = find_application(connection, home_of(application, organization), application)
    except (UserMissing, ApplicationMissing) as error:
        raise NotAdmitted from error
    if not person.enabled or not target.enabled:
        raise NotAdmitted
    return person, target


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
) -> tuple[Session, User, Started | None]:
    """The session of `application` that belongs to this browser session, started if need be.

    Entering again gives the same session (`sid` stays what it was); `instance` tells several places
    of one application apart. The third part is there when a session was started now, and carries
    the only copy of its token; `lifecycle.rotate` gives an existing one a new token.

    Args:
        organization: the application's, which must be the browser session's as well.

    Raises:
        ParentEnded: the browser session is over.
        NotAdmitted: its user may not enter this application.
    """
    browser = store.read_session(connection, browser_session)
    if browser is None or not browser.is_browser_session or end_reason(browser, now) is not None:
        raise ParentEnded
    if browser.organization != organization:
        raise NotAdmitted
    rules.share_rules(connection, organization)
    # Locked first, and alone: two tabs that enter one application at once get one session, and none
    # waits for a row of the other's in a ring.
    locked = store.lock_live(connection, [browser.id])
    if not locked or end_reason(locked[0], now) is not None:
        raise ParentEnded
    user, _ = admit(connection, organization, browser.user, application)
    existing = _existing(connection, browser, application, instance, now)
    if existing is not None:
        touch.write_touches(connection, {existing.id: now, browser.id: now}, now)
        return raising.follow(connection, existing, browser), user, None
    started = lifecycle.start(
        connection,
        NewSession(
            organization=organization,
            user=browser.user,
            application=application,
            identity=user.identity,
            parent=browser.id,
            authenticated_at=browser.authenticated_at,
            amr=browser.amr,
            origin=origin,
            device=browser.device,
            instance=instance,
        ),
        effective_policy(connection, organization, application),
        actor=user_actor(organization, browser.user),
        now=now,
        random=random,
    )
    return started.session, user, started


def _existing(
    connection: Connection, browser: Session, application: str, instance: str | None, now: Instant
) -> Session | None:
    table = session_table
    query = (
        select(table.c.id)
        .where(
            table.c.parent == browser.id,
            table.c.ended_at.is_(None),
            table.c.application == application,
            table.c.instance.is_(None) if instance is None else table.c.instance == instance,
        )
        .order_by(table.c.id)
    )
    for session in store.lock_live(connection, connection.execute(query).scalars()):
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
    """
    rules.share_rules(connection, organization)
    person, _ = admit(connection, organization, user, application)
    return lifecycle.start(
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
        effective_policy(connection, organization, application),
        actor=actor,
        now=now,
        random=random,
    )
