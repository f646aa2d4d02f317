"""The heart without any door: sessions on a database, at an instant that the test moves."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from iam import audit
from iam.db import Database
from iam.db.tables import session as session_table
from iam.db.tables import session_record
from iam.kernel.clock import Instant, after
from iam.kernel.events import Actor, Event
from iam.kernel.secrets import Random, system_random
from iam.sessions import lifecycle, limits, records, rules, store, sweep, touch
from iam.sessions.knobs import Value
from iam.sessions.layers import effective_policy
from iam.sessions.lifecycle import Ended, NewSession, Started
from iam.sessions.model import (
    BUILT_IN_APPLICATION,
    EndReason,
    Identity,
    RecordKey,
    Selection,
    Session,
)
from iam.sessions.policy import INSTALLATION, NAMES, Layer
from iam.sessions.policy_change import Changed, change_policy
from iam.sessions.touch import Touches
from iam.sessions.validate import Refusal, Verdict, validate

START = Instant(1_795_000_000_000)
ADMIN = Actor("user:built-in/admin")
ANA = Actor("user:acme/ana")


@dataclass
class Heart:
    """Sessions as the doors use them: a policy is read under the lock that a change of it takes."""

    database: Database
    now: Instant = START
    random: Random = system_random
    touches: Touches = field(default_factory=Touches)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Instant(self.now + round(seconds * 1000))

    def start(
        self,
        application: str = "wiki",
        *,
        organization: str = "acme",
        user: str = "ana",
        roles: tuple[str, ...] = (),
        parent: Started | None = None,
        chosen: Collection[str] = (),
        **members: Any,
    ) -> Started:
        """Start a session under the policies that are set."""
        new = NewSession(
            organization=organization,
            user=user,
            application=application,
            identity=Identity(display_name=user.capitalize(), roles=roles),
            parent=parent.session.id if parent is not None else None,
            **members,
        )

        def work(connection: Connection) -> Started:
            rules.share_rules(connection, organization)
            policy = effective_policy(
                connection, organization, application, user=user, roles=new.identity.roles
            )
            limits.hold(connection, policy, organization, user)
            return limits.start_within(
                connection,
                new,
                policy,
                actor=ANA,
                now=self.now,
                random=self.random,
                chosen=chosen,
            )

        return self.database.write(work)

    def start_many(self, number: int) -> list[Started]:
        """Start as many sessions in one transaction."""
        new = NewSession(
            organization="acme",
            user="ana",
            application="wiki",
            identity=Identity(display_name="Ana"),
        )

        def work(connection: Connection) -> list[Started]:
            policy = effective_policy(connection, "acme", "wiki")
            return [
                lifecycle.start(
                    connection, new, policy, actor=ANA, now=self.now, random=self.random
                )
                for _ in range(number)
            ]

        return self.database.write(work)

    def browser(self, user: str = "ana", organization: str = "acme", **members: Any) -> Started:
        """Start a browser session."""
        return self.start(BUILT_IN_APPLICATION, user=user, organization=organization, **members)

    def end(
        self,
        *started: Started,
        reason: EndReason = EndReason.ENDED_BY_ADMIN,
        note: str | None = None,
    ) -> tuple[Ended, ...]:
        """End these sessions."""
        ids = [one.session.id for one in started]
        return self.database.write(
            lambda c: lifecycle.end(
                c, ids, reason=reason, actor=ADMIN, now=self.now, random=self.random, note=note
            )
        )

    def end_selected(
        self, organization: str | None = "acme", *, limit: int | None = None, **members: Any
    ) -> tuple[Ended, ...]:
        """End all sessions that are meant."""
        selection = Selection(organization=organization, **members)
        return self.database.write(
            lambda c: lifecycle.end_selected(
                c,
                selection,
                reason=EndReason.ENDED_BY_ADMIN,
                actor=ADMIN,
                now=self.now,
                random=self.random,
                limit=limit,
            )
        )

    def rotate(self, started: Started) -> Started | None:
        """Give a session a new secret."""
        return self.database.write(
            lambda c: lifecycle.rotate(
                c, started.session.id, actor=ANA, now=self.now, random=self.random
            )
        )

    def set_policy(self, layer: Layer = INSTALLATION, **knobs: Value) -> tuple[Ended, ...]:
        """Set what a layer says and have live sessions follow, in one transaction."""
        return self.change(layer, knobs).impact.noted

    def change(self, layer: Layer, knobs: Mapping[str, Value], *, dry_run: bool = False) -> Changed:
        """`set_policy`, or a dry run of it, and all that it answers."""
        turned = {**dict.fromkeys(NAMES), **knobs}

        def work(connection: Connection) -> Changed:
            return change_policy(
                connection, layer, turned, actor=ADMIN, now=self.now, random=self.random
            )

        return (self.database.rehearse if dry_run else self.database.write)(work)

    def verdict(self, token: str | Started) -> Verdict:
        """The verdict on a token."""
        text = token if isinstance(token, str) else token.token
        return self.database.read(lambda c: validate(c, text, self.now))

    def over(self, started: Started) -> Refusal | None:
        """Why the session of this token is refused; None while it is accepted."""
        return self.verdict(started).reason

    def use(self, started: Started) -> None:
        """Do something in a session, as a door does: validate, note the touch, write it when due."""
        row = self.verdict(started).row
        assert row is not None
        self.touches.note(row, self.now)
        if self.touches.due_at is not None:
            self.write(self.touches.take())

    def write(self, touches: dict[str, Instant]) -> None:
        """Write touches."""
        self.database.write(lambda c: touch.write_touches(c, touches, self.now))

    def sweep(self, limit: int = sweep.BATCH) -> tuple[Ended, ...]:
        """Note the ends that deadlines brought about: one batch."""
        return self.database.write(lambda c: sweep.expire(c, self.now, self.random, limit)).ended

    def stored(self, started: Started) -> Session:
        """The session's row."""
        found = self.database.read(lambda c: store.read_session(c, started.session.id))
        assert found is not None
        return found

    def array(
        self, application: str = "wiki", *, user: str = "ana", organization: str = "acme"
    ) -> list[str]:
        """The IDs in a session record; none where there is no record."""
        key = RecordKey(organization, user, application)
        record = self.database.read(lambda c: records.read(c, key))
        return list(record.session_ids) if record is not None else []

    def events(self, type_: str | None = None) -> list[Event]:
        """All events, oldest first."""
        found: list[Event] = []
        before: str | None = None
        while page := self.database.read(
            lambda c, b=before: audit.list_events(  # type: ignore[misc] # mypy cannot infer defaults
                c, organization=None, type_=type_, before=b, limit=200
            )
        ):
            found += page
            before = page[-1].id
        return found[::-1]

    def check(self) -> None:
        """The invariant: what must be true whenever nobody is in the middle of a transaction."""
        rows, records = self.database.read(
            lambda c: (
                c.execute(select(session_table)).all(),
                c.execute(select(session_record)).all(),
            )
        )
        live: dict[tuple[str, str, str], list[str]] = {}
        for row in rows:
            if row.ended_at is None:
                key = (row.organization, row.user_name, row.application)
                live.setdefault(key, []).append(row.id)
        arrays = {(r.organization, r.user_name, r.application): r.session_ids for r in records}
        assert all(len(set(ids)) == len(ids) for ids in arrays.values()), "an ID is there twice"
        assert {key: sorted(ids) for key, ids in arrays.items()} == {
            key: sorted(ids) for key, ids in live.items()
        }, "the arrays of the records are not the sessions that live"
        by_id = {row.id: row for row in rows}
        for row in rows:
            assert (row.ended_at is None) == (row.end_reason is None) == (row.ended_by is None)
            if row.parent is None or row.ended_at is not None:
                continue
            parent = by_id[row.parent]
            assert parent.ended_at is None, f"{row.id} lives and its parent does not"
            assert row.expires_at <= parent.expires_at
            assert row.idle_timeout <= parent.idle_timeout
            assert row.last_active_at <= parent.last_active_at
        starts = [e.session for e in self.events("session.started")]
        ends = [e.session for e in self.events("session.ended")]
        assert sorted(map(str, starts)) == sorted(by_id), "every start has one event"
        assert sorted(map(str, ends)) == sorted(r.id for r in rows if r.ended_at is not None)


def ids(started: Iterable[Started]) -> list[str]:
    """Their session IDs."""
    return [one.session.id for one in started]


def ended_ids(ended: Iterable[Ended]) -> list[str]:
    """Their session IDs."""
    return [one.session.id for one in ended]


__all__ = ["ADMIN", "ANA", "START", "Heart", "after", "ended_ids", "ids"]
