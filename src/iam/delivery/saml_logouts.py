"""Which SAML providers know of which sessions: whom to tell when one ends, and by what name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from iam.db.saml_tables import saml_provider, saml_session


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlParticipant:
    """A session that a provider was given as SessionIndex. `name_id_format` is a key of SAML's own words
    for it (`persistent` …), `provider` the provider's ID."""

    session: str
    provider: str
    entity_id: str
    name_id: str
    name_id_format: str


def note_participant(
    connection: Connection, session_id: str, provider: str, name_id: str, name_id_format: str
) -> None:
    """Remember by what name a provider knows the user of this session."""
    values = {"provider": provider, "name_id": name_id, "name_id_format": name_id_format}
    changed = connection.execute(
        update(saml_session).where(saml_session.c.session_id == session_id).values(values)
    )
    if not changed.rowcount:
        connection.execute(insert(saml_session), {"session_id": session_id, **values})


def read_participants(
    connection: Connection, session_ids: Sequence[str]
) -> dict[str, SamlParticipant]:
    """Those of these sessions that a provider knows of."""
    query = _joined().where(saml_session.c.session_id.in_(session_ids))
    return {row.session_id: _participant(row) for row in connection.execute(query)}


def participants_named(
    connection: Connection, provider: str, name_id: str
) -> tuple[SamlParticipant, ...]:
    """The sessions of the user that this provider knows by this name, live or ended."""
    query = _joined().where(saml_session.c.provider == provider, saml_session.c.name_id == name_id)
    return tuple(_participant(row) for row in connection.execute(query))


def _joined() -> Select[Any]:
    return select(saml_session, saml_provider.c.entity_id).join(
        saml_provider, saml_provider.c.id == saml_session.c.provider
    )


def _participant(row: Row[Any]) -> SamlParticipant:
    return SamlParticipant(
        session=row.session_id,
        provider=row.provider,
        entity_id=row.entity_id,
        name_id=row.name_id,
        name_id_format=row.name_id_format,
    )
