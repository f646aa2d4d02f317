"""A server is killed in the middle of a bulk end: it is taken up where it stood."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, func, select, text

from iam.db import Database, open_database
from iam.db.tables import session
from iam.kernel.clock import system_clock
from iam.kernel.events import NOWHERE, SYSTEM
from iam.kernel.ids import SESSION, make_id
from iam.kernel.secrets import system_random
from iam.signin.enter import start_for_user
from tests.support.heart import Heart
from tests.support.node_client import FAST, NodeClient, prepare
from tests.support.processes import Server

MANY = 50_000
EACH = 1_000
KILLED_AFTER = MANY // 3
WANTED = {"filter": {"application": "wiki"}}

# One session of each user is started as always, and then copied: what the server is killed in is the end.
_COPIED = [column.name for column in session.columns if column.name != "id"]
_IDS = {
    "sqlite": "(SELECT value FROM json_each(:ids)) AS made",
    "postgresql": "json_array_elements_text(CAST(:ids AS json)) AS made (value)",
}
_COPY = (
    "INSERT INTO session (id, {columns}) SELECT made.value, {columns} FROM session, {ids} "
    "WHERE session.id = :one"
)
_EVENTS = (
    "INSERT INTO event (id, at, type, actor, organization, user_name, application, session_id, data) "
    "SELECT 'evt_' || substr(s.id, 5), s.created_at, e.type, e.actor, s.organization, s.user_name, "
    "s.application, s.id, e.data FROM session AS s, event AS e "
    "WHERE e.session_id = :one AND s.user_name = e.user_name AND s.id <> :one"
)
_RECORD = (
    "UPDATE session_record SET session_ids = "
    "(SELECT {array}(id) FROM session WHERE session.user_name = session_record.user_name)"
)


def _start_many(connection: Connection) -> None:
    kind = connection.dialect.name
    copy = text(_COPY.format(columns=", ".join(_COPIED), ids=_IDS[kind]))
    connection.execute(
        text(
            "INSERT INTO user_account (id, organization, name, display_name, roles, enabled, created_at) "
            "SELECT 'usr_' || made.value, organization, 'u' || made.value, display_name, roles, "
            f"enabled, created_at FROM user_account, {_IDS[kind]} WHERE name = 'ana'"
        ),
        {"ids": str([str(number) for number in range(MANY // EACH)]).replace("'", '"')},
    )
    for number in range(MANY // EACH):
        one = start_for_user(
            connection,
            organization="acme",
            user=f"u{number}",
            application="wiki",
            actor=SYSTEM,
            instance=None,
            metadata={},
            maximum_lifetime=None,
            origin=NOWHERE,
            device=None,
            now=system_clock(),
            random=system_random,
        ).session.id
        ids = [make_id(SESSION, system_clock(), system_random) for _ in range(EACH - 1)]
        connection.execute(copy, {"ids": str(ids).replace("'", '"'), "one": one})
        connection.execute(text(_EVENTS), {"one": one})
    array = "json_group_array" if kind == "sqlite" else "array_agg"
    connection.execute(text(_RECORD.format(array=array)))


def _opened(url: str, work: Callable[[Database], None]) -> None:
    database = open_database(url)
    work(database)
    database.close()


def _ended(database: Database) -> int:
    query = select(func.count()).where(session.c.ended_at.is_not(None))
    return int(database.read(lambda c: c.execute(query).scalar_one()))


def test_a_bulk_end_is_taken_up_after_the_server_is_killed_in_the_middle(
    database_url: str,
) -> None:
    server = Server(database_url=database_url, env=FAST)
    credentials = prepare(server)
    _opened(database_url, lambda d: d.write(_start_many))
    with NodeClient(server, credentials) as client:
        status, dry = client.call("POST", "/v1/sessions/end", {**WANTED, "dry_run": True})
    assert (status, dry["count"]) == (200, MANY), dry
    confirmed = {**WANTED, "confirm": dry["confirm"]}
    told: list[str] = []

    def end() -> bool:
        """Call by call, as a program does; whether it came to an end."""
        body: dict[str, object] = confirmed
        with NodeClient(server, credentials) as client, contextlib.suppress(ConnectionError):
            while True:
                status, done = client.call("POST", "/v1/sessions/end", body)
                assert status == 200, done
                told.extend(done["ids"])
                if not done["more"]:
                    return True
                body = {"cursor": done["cursor"]}
        return False

    def kill_half_way(database: Database) -> None:
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(end)
            while _ended(database) < KILLED_AFTER:
                assert not ending.done(), ending.result()
                time.sleep(0.05)
            server.kill()
            assert not ending.result()
        assert KILLED_AFTER <= _ended(database) < MANY

    _opened(database_url, kill_half_way)
    server = Server(database_url=database_url, env=FAST, port=server.port)
    with server, NodeClient(server, credentials) as client:
        assert end(), "it goes on with the same confirmation"
        status, done = client.call("GET", f"/v1/sessions/end/{dry['confirm']}")
        assert (status, done["more"], done["processed"]) == (200, False, MANY), done
        status, page = client.call("GET", "/v1/sessions?state=active&application=wiki")
        assert (status, page["items"]) == (200, [])

    # What the killed one did not get to tell has ended all the same; nothing is told twice.
    assert len(told) == len(set(told)) <= MANY
    # Every end has one event, and no record is left behind.
    _opened(database_url, lambda d: Heart(d).check())
