"""Crashes: what was answered stays true, and nothing is left half done."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from iam.db import open_database
from tests.support.heart import Heart
from tests.support.node_client import FAST, NodeClient, prepare
from tests.support.postgres import Cluster
from tests.support.processes import Server


def _serve(url: str, port: int | None = None) -> Server:
    return Server(database_url=url, env=FAST, port=port)


def _check(url: str) -> None:
    database = open_database(url)
    Heart(database).check()
    database.close()


def test_what_ended_is_still_over_after_the_server_is_killed(database_url: str) -> None:
    server = _serve(database_url)
    credentials = prepare(server)
    for _ in range(2):
        with NodeClient(server, credentials) as client:
            ended, kept = client.start(), client.start()
            client.end(ended[0])
            server.kill()

        server = _serve(database_url, server.port)

        with NodeClient(server, credentials) as client:
            assert not client.accepts(ended[1])
            assert client.accepts(kept[1])
    server.kill()
    _check(database_url)


def test_what_ended_is_still_over_after_the_database_is_killed(durable_cluster: Cluster) -> None:
    url = durable_cluster.new_database()
    with _serve(url) as server, NodeClient(server, prepare(server)) as client:
        ended, kept = client.start(), client.start()
        client.end(ended[0])
        durable_cluster.crash()

        status, told = client.call("GET", "/v1/session", authorization=f"Bearer {kept[1]}")
        assert (status, told["code"]) == (503, "database_unavailable"), "it fails closed"

        durable_cluster.start()
        server.wait_ready(f"{server.url}/readyz")
        assert not client.accepts(ended[1])
        assert client.accepts(kept[1])


class Load:
    """Starts and ends from several threads, until the node is gone."""

    def __init__(self, server: Server, credentials: str) -> None:
        self._server, self._credentials = server, credentials
        self.started: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.busy = threading.Event()

    def __call__(self) -> None:
        with (
            NodeClient(self._server, self._credentials) as client,
            contextlib.suppress(ConnectionError),
        ):
            while True:
                session, token = client.start()
                self.started.append((session, token))
                if len(self.started) % 3:
                    client.end(session)
                    self.ended.append(token)
                if len(self.ended) > 30:
                    self.busy.set()


def _under_load(server: Server, credentials: str, crash: Callable[[], None]) -> Load:
    load = Load(server, credentials)
    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(load) for _ in range(4)]
        assert load.busy.wait(120)
        crash()
        for thread in threads:
            thread.result()
    return load


def test_killed_under_load_the_server_leaves_records_and_sessions_in_step(
    database_url: str,
) -> None:
    server = _serve(database_url)
    credentials = prepare(server)

    load = _under_load(server, credentials, server.kill)

    _check(database_url)
    with _serve(database_url, server.port) as server, NodeClient(server, credentials) as client:
        assert [token for token in load.ended if client.accepts(token)] == []
        unanswered = {token for _, token in load.started} - set(load.ended)
        assert sum(client.accepts(token) for token in unanswered) >= len(unanswered) - 4
    _check(database_url)
