"""The rules that give a session its deadlines, and the one predicate that judges them.

Layers, each optional: installation, organization, application. Among the layers that set a knob the
strictest (the shortest time) wins; a knob that no layer sets has its built-in default, which is a
default and no ceiling.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.prepared import Prepared
from iam.db.tables import policy as table
from iam.kernel.clock import Instant
from iam.sessions.model import (
    BUILT_IN_APPLICATION,
    BUILT_IN_ORGANIZATION,
    EndReason,
    Session,
)

DEFAULT_IDLE_TIMEOUT = 30 * 60
DEFAULT_MAXIMUM_LIFETIME = 12 * 60 * 60
LONGEST = 10 * 365 * 24 * 60 * 60
"""No knob can be set to more than ten years: beyond it a number is a mistake, not a policy."""

LayerName = Literal["installation", "organization", "application"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one layer says. Seconds; None leaves the knob to the other layers."""

    idle_timeout: int | None = None
    maximum_lifetime: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What a session gets, in seconds."""

    idle_timeout: int
    maximum_lifetime: int


@dataclass(frozen=True, slots=True)
class Layer:
    """Where a policy is set: an installation has one, and every organization and application."""

    name: LayerName
    organization: str = ""
    application: str = ""

    @property
    def reach(self) -> str | None:
        """The organization whose sessions it governs, None for all: what `apply_policy` is to go through.

        `app-built-in` is kept in one organization and entered by the users of every one.
        """
        if self.name == "application" and self.application == BUILT_IN_APPLICATION:
            return None
        return self.organization or None


INSTALLATION = Layer("installation")


class Deadlines(Protocol):
    """What the predicate looks at: any value that carries a session's deadlines."""

    @property
    def last_active_at(self) -> Instant: ...
    @property
    def idle_timeout(self) -> int: ...
    @property
    def expires_at(self) -> Instant: ...
    @property
    def end_reason(self) -> str | None: ...


def end_reason(session: Deadlines, now: Instant) -> EndReason | None:
    """Whether the session is over at `now`, and why; None while it lives.

    The only place where a deadline is compared. Bounds are exclusive: at the very instant of its
    deadline a session is over. Of two deadlines that have passed, the earlier one ended it.
    """
    if session.end_reason is not None:
        return EndReason(session.end_reason)
    idle_at = session.last_active_at + session.idle_timeout * 1000
    if now < idle_at and now < session.expires_at:
        return None
    return EndReason.IDLE if idle_at < session.expires_at else EndReason.EXPIRED


def strictest(layers: Iterable[Policy]) -> EffectivePolicy:
    """The effective policy of these layers."""
    idle = [layer.idle_timeout for layer in layers if layer.idle_timeout is not None]
    maximum = [layer.maximum_lifetime for layer in layers if layer.maximum_lifetime is not None]
    return EffectivePolicy(
        idle_timeout=min(idle, default=DEFAULT_IDLE_TIMEOUT),
        maximum_lifetime=min(maximum, default=DEFAULT_MAXIMUM_LIFETIME),
    )


def outlives(policy: EffectivePolicy, parent: Session) -> bool:
    """Whether this policy lets a session live longer than `parent` may from its own start.

    Such a session is started without a parent: as a child it would be cut down to the parent's
    deadlines and the policy would mean nothing.
    """
    return (
        policy.idle_timeout > parent.idle_timeout
        or policy.maximum_lifetime * 1000 > parent.expires_at - parent.created_at
    )


def home_of(application: str, organization: str) -> str:
    """The organization in which an application that `organization`'s users enter is kept."""
    return BUILT_IN_ORGANIZATION if application == BUILT_IN_APPLICATION else organization


def effective_policy(
    connection: Connection, organization: str, application: str
) -> EffectivePolicy:
    """The policy of a session that a user of `organization` starts at `application`."""
    names = {
        "organization": organization,
        "home": home_of(application, organization),
        "application": application,
    }
    return strictest([_policy(row) for row in _LAYERS.rows(connection, names)])


# Built once: putting a statement together costs more than running it.
_LAYERS = Prepared(
    select(table.c.idle_timeout, table.c.maximum_lifetime).where(
        or_(
            table.c.layer == "installation",
            and_(
                table.c.layer == "organization", table.c.organization == bindparam("organization")
            ),
            and_(
                table.c.layer == "application",
                table.c.organization == bindparam("home"),
                table.c.name == bindparam("application"),
            ),
        )
    )
)


def read_policy(connection: Connection, layer: Layer) -> Policy:
    """What this layer says; an empty policy where it says nothing."""
    query = select(table.c.idle_timeout, table.c.maximum_lifetime).where(_is(layer))
    row = connection.execute(query).one_or_none()
    return _policy(row) if row is not None else Policy()


def read_policies(connection: Connection, name: LayerName) -> dict[tuple[str, str], Policy]:
    """What every organization or application says, by (organization, application)."""
    query = select(table).where(table.c.layer == name)
    return {(row.organization, row.name): _policy(row) for row in connection.execute(query)}


def store_policy(connection: Connection, layer: Layer, policy: Policy) -> None:
    """Set what this layer says. Live sessions follow by `rules.apply_policy`."""
    if policy == Policy():
        connection.execute(delete(table).where(_is(layer)))
        return
    knobs = {
        "idle_timeout": policy.idle_timeout,
        "maximum_lifetime": policy.maximum_lifetime,
    }
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(table)
        .values(
            layer=layer.name,
            organization=layer.organization,
            name=layer.application,
            **knobs,
        )
        .on_conflict_do_update(index_elements=list(table.primary_key), set_=knobs)
    )


def _is(layer: Layer) -> ColumnElement[bool]:
    return and_(
        table.c.layer == layer.name,
        table.c.organization == layer.organization,
        table.c.name == layer.application,
    )


def _policy(row: Row[Any, Any]) -> Policy:
    return Policy(idle_timeout=row.idle_timeout, maximum_lifetime=row.maximum_lifetime)
