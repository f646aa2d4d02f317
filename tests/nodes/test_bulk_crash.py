"""A server is killed in the middle of a bulk end: it is taken up where it stood."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, func, select

from iam.db import Database, open_database
from iam.db.tables import session
from iam.kernel.clock import system_clock
from iam.kernel.events import NOWHERE, SYSTEM
from iam.kernel.secrets import system_random
from iam.signin.enter import start_for_user
from tests.support.heart import Heart
from tests.support.node_client import FAST, NodeClient, prepare
from tests.support.processes import Server

MANY = 3000
WANTED = {"filter": {"user": "ana"}}


def _start_many(connection: Connection) -> None:
    for _ in range(MANY):
        start_for_user(
            connection,
            organization="acme",
            user="ana",
            application="wiki",
            actor=SYSTEM,
            instance=None,
            metadata={},
            maximum_lifetime=None,
            origin=NOWHERE,
            device=None,
            now=system_clock(),
            random=system_random,
        )


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

    def end() -> None:
        with NodeClient(server, credentials) as client, contextlib.suppress(ConnectionError):
            client.call("POST", "/v1/sessions/end", confirmed)

    def kill_half_way(database: Database) -> None:
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(end)
            while _ended(database) < 500:
                assert not ending.done()
            server.kill()
            ending.result()
        before = _ended(database)
        assert 500 <= before < MANY

    _opened(database_url, kill_half_way)
    server = Server(database_url=database_url, env=FAST, port=server.port)
    with server, NodeClient(server, credentials) as client:
        status, done = client.call("POST", "/v1/sessions/end", confirmed)
        assert (status, done["more"], done["processed"]) == (200, False, MANY), done
        assert 0 < done["ended"] <= MANY - 500
        status, page = client.call("GET", "/v1/sessions?state=active&application=wiki")
        assert (status, page["items"]) == (200, [])

    # Every end has one event, and no record is left behind.
    _opened(database_url, lambda d: Heart(d).check())
