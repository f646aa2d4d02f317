"""The statements that write events and, for each, the notices that are to be delivered.

A session's end and the notices of it commit together or not at all; so the outbox is filled where events
are written, from the receivers as they are stored: webhooks, and applications that are told when sessions
end. Nothing about them is remembered in a process: a second node may have made one a moment ago.

What it costs where nobody wants notices: on PostgreSQL nothing but a look at empty tables and indexes, inside
the one statement that writes the event (no round trip); on SQLite a second statement, which has no round
trip to make and takes microseconds.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Connection, bindparam, text

from iam.db.prepared import Asked, Prepared
from iam.db.tables import event

_ENDED = "session.ended"
# Of the wildcards of LIKE one, the underscore, is in the names of events; `replace` has none, and both
# databases have it.
_TO_WEBHOOKS = """
SELECT 'dlv_' || substr(e.id, 5) || substr(w.id, 5), w.id, e.id, e.session_id, 'pending', 0, e.at, e.at
FROM added e JOIN webhook w
  ON w.enabled AND (w.organization IS NULL OR w.organization = e.organization)
 AND (w.event_types = ',*,' OR replace(w.event_types, ',' || e.type || ',', '') <> w.event_types)
"""
# That a deadline has passed is told where a layer of policy says so (`notify_on_expiry`): of this knob true
# is the strictest value, so one layer is enough.
_WORTH_TELLING = """(e.reason NOT IN ('idle', 'expired') OR EXISTS (
  SELECT 1 FROM policy p JOIN session l ON l.id = e.session_id
  WHERE p.notify_on_expiry AND (p.layer = 'installation' OR p.organization = e.organization AND (
    p.layer = 'organization'
    OR p.layer = 'application' AND p.name = e.application
    OR p.layer = 'user' AND p.name = e.user_name
    OR p.layer = 'role'
      AND replace(',' || l.roles || ',', ',' || p.name || ',', '') <> ',' || l.roles || ','))))"""
# Of an end is told the application that was given the session's ID (`delivery.logouts`). Where all that a
# user has ended together, once: the notices of it have one ID, of which the first is written. But an
# application that wants to be told the session is told of each.
# One that moved in has kept its client ID, which has no prefix of ours to leave out.
_TOGETHER = "e.data ->> 'everywhere'"
_TO_APPLICATIONS = f"""
SELECT 'dlv_' || substr(CASE WHEN a.backchannel_logout_session_required OR {_TOGETHER} IS NULL
    THEN e.id ELSE {_TOGETHER} END, 5) ||
    CASE substr(a.client_id, 1, 4) WHEN 'app_' THEN substr(a.client_id, 5) ELSE a.client_id END,
  a.client_id, e.id, e.session_id,
  'pending', 0, e.at, e.at
FROM added e
JOIN client_session s ON s.session_id = e.session_id
JOIN application a ON a.client_id = s.client_id AND a.backchannel_logout_uri IS NOT NULL
WHERE e.type = '{_ENDED}' AND {_WORTH_TELLING}
"""  # noqa: S608 - our own words
# Likewise the SAML provider that was given it, where it can be told without a browser
# (`delivery.saml_logouts`).
_TO_SAML = f"""
SELECT 'dlv_' || substr(e.id, 5) || substr(p.id, 5), p.id, e.id, e.session_id,
  'pending', 0, e.at, e.at
FROM added e
JOIN saml_session s ON s.session_id = e.session_id
JOIN saml_provider p ON p.id = s.provider AND p.soap_logout_url IS NOT NULL
WHERE e.type = '{_ENDED}' AND {_WORTH_TELLING}
"""  # noqa: S608 - our own words
_TO_WHOM = (
    "INSERT INTO delivery (id, webhook, event, session_id, state, attempts, next_at, created_at)"
)
_NOTICES = (
    f"{_TO_WHOM} {_TO_WEBHOOKS} UNION ALL {_TO_APPLICATIONS} UNION ALL {_TO_SAML} "
    "ON CONFLICT (id) DO NOTHING"
)
# Of anything but an end: every start comes here, and a plan has its price also where it finds nothing.
_FEW_NOTICES = f"{_TO_WHOM} {_TO_WEBHOOKS}"
_GIVEN_BACK = "id, at, type, organization, user_name, application, session_id, reason, data"
# PostgreSQL fills in the transaction's number by itself; SQLite has no use for it (`iam.audit.feed`).
_COLUMNS = [column.name for column in event.columns if column.name != "txid"]
_INSERT = (
    f"INSERT INTO event ({', '.join(_COLUMNS)}) "  # noqa: S608 - our own column names
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
)
_DATA = bindparam("data", type_=JSON)
_BOTH, _BOTH_OF_END = (
    Prepared(text(f"WITH added AS ({_INSERT} RETURNING {_GIVEN_BACK}) {notices}").bindparams(_DATA))
    for notices in (_FEW_NOTICES, _NOTICES)
)
_TYPED = ", ".join(
    f"{name} {'bigint' if name == 'at' else 'json' if name == 'data' else 'text'}"
    for name in _COLUMNS
)
# Many events are one parameter: one round trip, however many sessions a request has ended.
_MANY = Prepared(
    text(
        f"WITH added AS (INSERT INTO event ({', '.join(_COLUMNS)}) "  # noqa: S608 - our own column names
        f"SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given ({_TYPED}) "
        f"RETURNING {_GIVEN_BACK}) {_NOTICES}"
    )
)
_EVENT = Prepared(text(_INSERT).bindparams(_DATA))
_ITS_NOTICES, _NOTICES_OF_END = (
    Prepared(text(f"WITH added AS (SELECT * FROM event WHERE id = :id) {notices}"))  # noqa: S608 - our own words
    for notices in (_FEW_NOTICES, _NOTICES)
)


def writing(connection: Connection, rows: list[Mapping[str, Any]]) -> list[Asked]:
    """What writes these rows of `event`, in their order, and the notices of each."""
    if connection.dialect.name == "postgresql":
        # The order of one statement's notices is the database's; that of one session's is ours.
        if len(rows) > 1 and len({row["session_id"] for row in rows}) == len(rows):
            return [(_MANY, {"rows": json.dumps(rows)})]
        return [(_BOTH_OF_END if row["type"] == _ENDED else _BOTH, row) for row in rows]
    return [
        *((_EVENT, row) for row in rows),
        *(
            (_NOTICES_OF_END if row["type"] == _ENDED else _ITS_NOTICES, {"id": row["id"]})
            for row in rows
        ),
    ]
