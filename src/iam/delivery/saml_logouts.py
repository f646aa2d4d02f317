"""Which SAML providers know of which sessions: whom to tell when one ends, and by what name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from iam.db.saml_tables import saml_provider, saml_session
from iam.kernel.xml import LONGEST, XmlRefused, only_child, parse_xml

LONGEST_ANSWER = LONGEST
"""Bytes of an answer that are read."""
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlParticipant:
    """A session that a provider was given as SessionIndex. `name_id_format` is a key of SAML's own words
    for it (`persistent` …), `provider` the provider's ID."""

    session: str
    provider: str
    entity_id: str
    name_id: str
    name_id_format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlLogoutNotice:
    """That a session has ended, for the provider that knows of it. `id` is the same at each attempt."""

    id: str
    url: str
    participant: SamlParticipant


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


def forget_participants(connection: Connection, session_ids: Sequence[str]) -> None:
    """A provider that ends a session itself need not be told of it."""
    connection.execute(delete(saml_session).where(saml_session.c.session_id.in_(session_ids)))


def soap_notices(
    connection: Connection, provider: str, sessions: Mapping[str, str]
) -> dict[str, SamlLogoutNotice]:
    """The notices to this provider by their IDs, of which each is about a session; those are left out
    about which it knows nothing any more."""
    query = select(saml_provider.c.soap_logout_url).where(saml_provider.c.id == provider)
    url = connection.execute(query).scalar_one_or_none()
    known = read_participants(connection, list(sessions.values())) if url is not None else {}
    return {
        id_: SamlLogoutNotice(id=id_, url=str(url), participant=known[session])
        for id_, session in sessions.items()
        if session in known
    }


def told_by_soap(connection: Connection, participants: Iterable[SamlParticipant]) -> set[str]:
    """The sessions of those that the outbox tells."""
    found = list(participants)
    query = select(saml_provider.c.id).where(
        saml_provider.c.id.in_({one.provider for one in found}),
        saml_provider.c.soap_logout_url.is_not(None),
    )
    providers = set(connection.execute(query).scalars())
    return {one.session for one in found if one.provider in providers}


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


def soap_refusal(body: bytes) -> tuple[str | None, bool]:
    """What a provider answered to a LogoutRequest by SOAP (saml-bindings §3.2): (None, False) if the
    session is over there; else the word for what went wrong, and whether another attempt is in vain.

    The answer's signature is not looked at: the certificate of the connection says who answers.
    """
    try:
        root = parse_xml(body)
        inside = only_child(root, f"{_SOAP}Body") if root.tag == f"{_SOAP}Envelope" else None
        answer = only_child(inside, f"{_SAMLP}LogoutResponse") if inside is not None else None
        status = only_child(answer, f"{_SAMLP}Status") if answer is not None else None
        code = only_child(status, f"{_SAMLP}StatusCode") if status is not None else None
    except XmlRefused:
        return "answer_unreadable", False
    if code is None:
        return "answer_unreadable", False
    value = str(code.get("Value", "")).removeprefix(_STATUS)
    if value == "Success":
        return None, False
    known = value if value in ("Requester", "Responder", "VersionMismatch") else "other"
    return f"saml: {known}", known != "Responder"
