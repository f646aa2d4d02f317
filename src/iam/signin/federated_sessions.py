"""Sessions that were born at a provider: who vouched, and what the session is called there.

Kept beside the session, from the transaction that starts it on, so that a sign-out there finds what it
has to end here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, Row, delete, insert, select

from iam.db.provider_tables import federated_session as table
from iam.db.provider_tables import provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Federated:
    """What a provider said when somebody signed in by it. `provider` is its ID."""

    provider: str
    name: str
    """The provider's, in its organization."""
    subject: str
    session: str | None = None
    """Its `sid`, or `SessionIndex`."""
    amr: tuple[str, ...] = ()
    """As given; the same of `acr`. Nothing here is decided by them."""
    acr: str | None = None
    hint: str | None = None
    """What of its answer is shown again when signing out there, encrypted."""
    name_id: str | None = None
    """What it calls the user in a logout (SAML): not always the subject."""

    def to_payload(self) -> dict[str, Any]:
        """As it lies in a ticket (`signin.codes`)."""
        return {
            "provider": self.provider,
            "name": self.name,
            "subject": self.subject,
            "session": self.session,
            "amr": list(self.amr),
            "acr": self.acr,
            "hint": self.hint,
            "name_id": self.name_id,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """What `to_payload` has written."""
        return cls(**{**payload, "amr": tuple(payload["amr"])})


def note_federated(connection: Connection, session_id: str, federated: Federated) -> None:
    """Note where a session was born; of one that is raised by a provider, where it was raised last."""
    connection.execute(delete(table).where(table.c.session_id == session_id))
    connection.execute(
        insert(table),
        {
            "session_id": session_id,
            "provider": federated.provider,
            "subject": federated.subject,
            "upstream_session": federated.session,
            "amr": list(federated.amr),
            "acr": federated.acr,
            "hint": federated.hint,
            "name_id": federated.name_id,
        },
    )


def read_federated(connection: Connection, session_ids: Iterable[str]) -> dict[str, Federated]:
    """Where those of these sessions were born that a provider vouched for, by session ID."""
    query = (
        select(table, provider.c.name)
        .join(provider, provider.c.id == table.c.provider)
        .where(table.c.session_id.in_(list(session_ids)))
    )
    return {row.session_id: _federated(row) for row in connection.execute(query)}


def born_at(
    connection: Connection,
    provider_id: str,
    *,
    session: str | None = None,
    subject: str | None = None,
) -> tuple[str, ...]:
    """The IDs of sessions that a provider means by its session, its subject, or both; at least one must
    be given. Ended ones may be among them."""
    if session is None and subject is None:
        raise ValueError("nobody is meant")
    query = select(table.c.session_id).where(table.c.provider == provider_id)
    if session is not None:
        query = query.where(table.c.upstream_session == session)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    return tuple(connection.execute(query.order_by(table.c.session_id)).scalars())


def called(connection: Connection, provider_id: str, name_id: str) -> tuple[str, ...]:
    """The IDs of the sessions of whom a provider calls so in its logouts. Ended ones may be among them."""
    here = (table.c.provider == provider_id, table.c.name_id == name_id)
    query = select(table.c.session_id).where(*here).order_by(table.c.session_id)
    return tuple(connection.execute(query).scalars())


def _federated(row: Row[Any]) -> Federated:
    return Federated(
        provider=row.provider,
        name=row.name,
        subject=row.subject,
        session=row.upstream_session,
        amr=tuple(row.amr),
        acr=row.acr,
        hint=row.hint,
        name_id=row.name_id,
    )
