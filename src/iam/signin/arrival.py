"""From knowing who somebody is to their session: the last step of every way of signing in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Any, Self

from sqlalchemy import Connection

from iam import audit
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing, UserMissing
from iam.directory.providers import Link, Provider, find_link, find_provider_by_id
from iam.directory.users import (
    User,
    find_user,
    find_user_by_id,
    read_password_hash,
    set_password_hash,
)
from iam.kernel.authn import PASSWORD
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random, hash_secret
from iam.languages import N_
from iam.sessions import lifecycle, limits, rules, store
from iam.sessions.lifecycle import Ended, NewSession, Started
from iam.sessions.limits import Crowd, SessionLimit
from iam.sessions.model import EndReason, Session
from iam.sessions.policy import EffectivePolicy, home_of
from iam.sessions.raising import raise_session
from iam.signin import known_devices, throttle
from iam.signin.devices import device_label
from iam.signin.enter import policy_of
from iam.signin.factors import FactorRequired, find_factor
from iam.signin.federated_sessions import Federated, note_federated
from iam.signin.known_devices import SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Where and with what somebody signs in. `replaces` is the browser's former session, which the caller
    has proven to hold: the new one takes its place, or, if it is the same user's, it is raised. `beside` are
    sessions that it has proven to hold as well and may keep: that of the same user is raised or gives way,
    those of others stay."""

    application: str
    origin: Origin = NOWHERE
    replaces: str | None = None
    beside: tuple[str, ...] = ()
    remember: bool = False
    """The person asks to be kept signed in."""
    give_up: tuple[str, ...] = ()
    """Sessions of theirs that may end to make room, where the policy lets them choose."""
    device: str | None = None
    """What a browser is told again by; None of a program."""
    mails: bool = False
    """Whether the user can be told of a new device by mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Who somebody has shown to be, and how. `seal` stands for what they showed: it is good for as long
    as that has not changed, however many pages lie between the proof and the session."""

    organization: str
    username: str
    amr: tuple[str, ...]
    seal: bytes
    factor: str | None = None
    """The ID of the second factor that they have shown as well."""
    federated: Federated | None = None
    """The provider that vouched for them; None: they have shown their password."""
    authenticated_at: Instant | None = None
    """When they showed it, if that was not just now: a provider may have known them for hours."""
    until: Instant | None = None
    """When their session there ends: the one here must not outlive it."""

    def to_payload(self) -> dict[str, Any]:
        """As it lies in a ticket (`signin.codes`) while its person is asked something else."""
        return {
            "organization": self.organization,
            "username": self.username,
            "amr": list(self.amr),
            "seal": self.seal.hex(),
            "factor": self.factor,
            "federated": self.federated.to_payload() if self.federated is not None else None,
            "authenticated_at": self.authenticated_at,
            "until": self.until,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """What `to_payload` has written."""
        federated, at = payload["federated"], payload["authenticated_at"]
        until = payload.get("until")
        return cls(
            organization=payload["organization"],
            username=payload["username"],
            amr=tuple(payload["amr"]),
            seal=bytes.fromhex(payload["seal"]),
            factor=payload.get("factor"),
            federated=Federated.from_payload(federated) if federated is not None else None,
            authenticated_at=Instant(at) if at is not None else None,
            until=Instant(until) if until is not None else None,
        )


class NoRoom(SessionLimit):
    """They are who they say, and there is no room; `proven` is what to go on with where they may choose
    what to end."""

    def __init__(self, crowd: Crowd, proven: Proven) -> None:
        super().__init__(crowd)
        self.proven = proven


class FactorNeeded(FactorRequired):
    """The password is right and not enough; `proven` is what to go on with once a code was shown."""

    def __init__(self, proven: Proven) -> None:
        super().__init__()
        self.proven = proven


def password_seal(stored: str) -> bytes:
    """The seal of having shown the password whose hash this is."""
    return hash_secret(stored)


def link_seal(provider: Provider, link: Link) -> bytes:
    """The seal of a provider's having vouched by this link: both as they are now."""
    return hash_secret(
        "\0".join(map(str, (provider.id, provider.updated_at, link.user_id, link.created_at)))
    )


def _still_good(connection: Connection, proven: Proven) -> bool:
    """Whether what they showed is what it was: a password that was not changed since, or a provider that
    is enabled and means them by its subject."""
    if proven.federated is None:
        stored = read_password_hash(connection, proven.organization, proven.username)
        return stored is not None and compare_digest(password_seal(stored), proven.seal)
    provider = find_provider_by_id(connection, proven.federated.provider)
    link = find_link(connection, proven.federated.provider, proven.federated.subject)
    if provider is None or link is None or not provider.enabled:
        return False
    user = find_user_by_id(connection, link.user_id)
    if user is None or (user.organization, user.name) != (proven.organization, proven.username):
        return False
    return compare_digest(link_seal(provider, link), proven.seal)


def arrive(
    connection: Connection,
    proven: Proven,
    arrival: Arrival,
    now: Instant,
    random: Random,
    *,
    renewed: str | None = None,
) -> Started | None:
    """Start a session for somebody who has shown who they are, or raise the one that is there; None if
    what they showed is good no more, or they or the application are not to be entered.

    Args:
        renewed: a hash of the same password under the settings of today, to be kept.

    Raises:
        FactorNeeded: they have a second factor, and have shown a password alone.
        NoRoom: the user has as many sessions as the policy allows.
    """
    rules.share_rules(connection, proven.organization)
    # Under the lock, once more: a password changed, a provider switched off or a user disabled
    # meanwhile must not let in who had shown the old one.
    if not _still_good(connection, proven):
        return None
    user = _admitted(connection, proven, arrival)
    if user is None or not _factor_shown(connection, proven, user):
        return None
    policy = policy_of(connection, user, arrival.application)
    limits.hold(connection, policy, user.organization, user.name)
    if renewed is not None:
        set_password_hash(connection, user.organization, user.name, renewed)
    if proven.federated is None:
        throttle.forgive(connection, throttle.account_key(user.organization, user.name))
    started = _raise(connection, proven, arrival, user, policy, now, random)
    if started is None:
        try:
            started = _start(connection, proven, arrival, user, policy, now, random)
        except SessionLimit as full:
            raise NoRoom(full.crowd, proven) from full
    if proven.federated is not None:
        note_federated(connection, started.session.id, proven.federated)
    _tell(connection, proven, arrival, user, started, now, random)
    return started


def _factor_shown(connection: Connection, proven: Proven, user: User) -> bool:
    """Whether the second factor is as it was when a code of it was shown. It goes with the password:
    whoever comes through a provider was asked there for what that one thinks enough.

    Raises:
        FactorNeeded: none was shown, and there is one.
    """
    factor = find_factor(connection, user.id)
    if proven.factor is not None:
        return factor is not None and factor.id == proven.factor
    if factor is not None and PASSWORD in proven.amr:
        # Nothing is forgiven yet: who knows the password alone must not reset the throttle with it.
        raise FactorNeeded(proven)
    return True


def _tell(
    connection: Connection,
    proven: Proven,
    arrival: Arrival,
    user: User,
    started: Started,
    now: Instant,
    random: Random,
) -> None:
    actor = user_actor(user.organization, user.name)
    data: dict[str, object] = {"amr": list(proven.amr)}
    if proven.federated is not None:
        data["provider"] = proven.federated.name
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.succeeded",
        actor=actor,
        organization=user.organization,
        user=user.name,
        application=arrival.application,
        session=started.session.id,
        origin=arrival.origin,
        data=data,
    )
    audit.append(connection, [event])
    sign_in = SignIn(
        user=user,
        session=started.session,
        cookie=arrival.device,
        mails=arrival.mails,
        actor=actor,
        origin=arrival.origin,
    )
    known_devices.notice(connection, sign_in, now, random)


def _raise(
    connection: Connection,
    proven: Proven,
    arrival: Arrival,
    user: User,
    policy: EffectivePolicy,
    now: Instant,
    random: Random,
) -> Started | None:
    """Raise the session that is to be replaced, if it is this very user's; else None.

    A locked one is not (unlocking is a thing of its own), nor one that would have to be remembered.
    """
    former = _former(connection, arrival, user)
    if former is None or arrival.replaces not in (None, former.id):
        return None
    wants_more = arrival.remember and policy.may_remember and not former.remembered
    ends_sooner = proven.until is not None and proven.until < former.expires_at
    if wants_more or ends_sooner or former.locked_at is not None:
        return None
    at = proven.authenticated_at
    if proven.federated is not None and at is None:
        # It may not have asked them at all: what wants a fresh sign-in has none by it.
        at = former.authenticated_at
    return raise_session(
        connection,
        former.id,
        amr=proven.amr,
        authenticated_at=at,
        actor=user_actor(user.organization, user.name),
        now=now,
        random=random,
        origin=arrival.origin,
    )


def _former(connection: Connection, arrival: Arrival, user: User) -> Session | None:
    """The session of this very user that the browser holds already; None if there is none."""
    held = [*([arrival.replaces] if arrival.replaces else []), *arrival.beside]
    found = store.read_sessions(connection, held)
    wanted = (user.organization, user.name, arrival.application)
    own = (found[one] for one in held if one in found and found[one].record_key == wanted)
    return next((one for one in own if one.ended_at is None), None)


def _start(
    connection: Connection,
    proven: Proven,
    arrival: Arrival,
    user: User,
    policy: EffectivePolicy,
    now: Instant,
    random: Random,
) -> Started:
    actor = user_actor(user.organization, user.name)
    replaced: tuple[Ended, ...] = ()
    own = _former(connection, arrival, user)
    given_up = {*((arrival.replaces,) if arrival.replaces else ()), *((own.id,) if own else ())}
    if given_up:
        replaced = lifecycle.end(
            connection,
            given_up,
            reason=EndReason.SIGNED_OUT,
            actor=actor,
            now=now,
            random=random,
            origin=arrival.origin,
            note=N_("replaced by a new sign-in in the same browser"),
        )
    started = limits.start_within(
        connection,
        NewSession(
            organization=user.organization,
            user=user.name,
            application=arrival.application,
            identity=user.identity,
            authenticated_at=now if proven.authenticated_at is None else proven.authenticated_at,
            amr=proven.amr,
            origin=arrival.origin,
            device=device_label(arrival.origin.user_agent),
            remembered=arrival.remember,
            maximum_lifetime=(
                max(1, (proven.until - now) // 1000) if proven.until is not None else None
            ),
        ),
        policy,
        actor=actor,
        now=now,
        random=random,
        chosen=arrival.give_up,
    )
    return replace(started, ended=(*replaced, *started.ended))


def _admitted(connection: Connection, proven: Proven, arrival: Arrival) -> User | None:
    """The user, if both they and the application are there and enabled."""
    home = home_of(arrival.application, proven.organization)
    try:
        application = find_application(connection, home, arrival.application)
        user = find_user(connection, proven.organization, proven.username)
    except (ApplicationMissing, UserMissing):
        return None
    return user if application.enabled and user.admitted else None
