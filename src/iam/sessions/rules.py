"""The rules that sessions start under, held still while somebody depends on them, and their change.

A start shares the rules of its organization; whoever changes one (a policy, a user who is disabled)
holds them alone, so that no start slips past the change.
"""

from typing import Any

from sqlalchemy import Connection, func, select, text, update

from iam import audit
from iam.db.prepared import Prepared
from iam.db.tables import DUE_AT
from iam.db.tables import session as table
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Actor
from iam.kernel.secrets import Random
from iam.sessions import store
from iam.sessions.lifecycle import BATCH, Ended, end_due, ended_event
from iam.sessions.model import EndReason
from iam.sessions.policy import effective_policy, end_reason


def share_rules(connection: Connection, organization: str) -> None:
    """Hold still what starts depend on (policies, users, applications) until the commit.

    Starts share this lock; whoever tightens a policy or disables somebody takes it alone with
    `hold_rules`. Without it a start could read the old rule, be overtaken by the change that goes
    through all live sessions, and then add one that the change never saw.
    """
    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time anyway
        _SHARE_RULES.run(connection, {"all": _ALL_RULES, "one": organization})


def hold_rules(connection: Connection, organization: str | None) -> None:
    """Take alone what `share_rules` shares; None stands for the whole installation."""
    if connection.dialect.name != "sqlite":
        if organization is None:
            connection.execute(_HOLD_ALL, {"all": _ALL_RULES})
        else:
            connection.execute(_HOLD_ONE, {"one": organization})


_ALL_RULES = 0x69616D_0002
_SHARE_RULES = Prepared(
    text(
        "SELECT pg_advisory_xact_lock_shared(:all),"
        " pg_advisory_xact_lock_shared(hashtextextended(:one, 0))"
    )
)
_HOLD_ALL = text("SELECT pg_advisory_xact_lock(:all)")
_HOLD_ONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:one, 0))")


def apply_policy(
    connection: Connection,
    organization: str | None,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[Ended, ...]:
    """Bring the deadlines of live sessions down to what the policies say now.

    Call it in the transaction that stored the change, after `hold_rules`, both with the layer's
    `reach`. Deadlines only move to
    earlier: a looser policy is for sessions that start from now on, because an existing one may have
    been given less on purpose. From the commit on, what is too old is refused everywhere, with the
    reason `policy`; the first thousand of those are also noted as ended here, the rest by the sweep.
    """
    # What a deadline had ended before the change keeps its own reason and instant.
    before: list[Ended] = []
    while True:
        due = end_due(connection, organization, now=now, random=random, limit=BATCH)
        before += due.ended
        if not due.more:
            break
    live = table.c.ended_at.is_(None)
    pairs = select(table.c.organization, table.c.application).where(live).distinct()
    if organization is not None:
        pairs = pairs.where(table.c.organization == organization)
    for pair in connection.execute(pairs).all():
        policy = effective_policy(connection, pair.organization, pair.application)
        latest = table.c.created_at + policy.maximum_lifetime * 1000
        here = (
            live,
            table.c.organization == pair.organization,
            table.c.application == pair.application,
        )
        connection.execute(
            update(table)
            .where(*here, table.c.idle_timeout > policy.idle_timeout)
            .values(idle_timeout=policy.idle_timeout)
        )
        connection.execute(
            update(table).where(*here, table.c.expires_at > latest).values(expires_at=latest)
        )
    _clamp_children(connection, organization)
    store.check_in_time(connection, organization)
    now_due = store.select_due(connection, organization, now, BATCH)
    locked = [s for s in store.lock_live(connection, now_due) if end_reason(s, now) is not None]
    ends = [Ended(session=s, at=now, reason=EndReason.POLICY, actor=actor) for s in locked]
    if ends:
        store.note_ends(connection, [(e.session, e.at, e.reason, e.actor) for e in ends])
        audit.append(connection, [ended_event(e, now, random, NOWHERE, None) for e in ends])
    _cut_rest(connection, organization, now, actor)
    return (*before, *ends)


def _cut_rest(connection: Connection, organization: str | None, now: Instant, actor: Actor) -> None:
    """What else is due now is due to the policy: the sweep is to note that, and no deadline."""
    statement = update(table).where(
        table.c.ended_at.is_(None),
        table.c.end_reason.is_(None),
        table.c.check_at <= now,
        text(f"{DUE_AT.text} <= :due").bindparams(due=now),
    )
    if organization is not None:
        statement = statement.where(table.c.organization == organization)
    reason = str(EndReason.POLICY)
    connection.execute(
        statement.values(expires_at=now, check_at=now, end_reason=reason, ended_by=actor)
    )


def _clamp_children(connection: Connection, organization: str | None) -> None:
    """A child's deadlines are never later than its parent's."""
    parent = table.alias("parent_session")
    for column in ("idle_timeout", "expires_at"):
        limit: Any = select(parent.c[column]).where(parent.c.id == table.c.parent).scalar_subquery()
        statement = update(table).where(
            table.c.ended_at.is_(None),
            table.c.parent.is_not(None),
            table.c[column] > func.coalesce(limit, table.c[column]),
        )
        if organization is not None:
            statement = statement.where(table.c.organization == organization)
        connection.execute(statement.values({column: limit}))
