"""Two nodes on one database: what has ended on the one has ended on the other."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.node_client import FAST, NodeClient, prepare
from tests.support.postgres import Cluster
from tests.support.processes import Server

ROUNDS = 1000


class Pair:
    """Two server processes and the credentials of an application."""

    def __init__(self, one: Server, two: Server, credentials: str) -> None:
        self.one, self.two, self.credentials = one, two, credentials

    @contextmanager
    def clients(self) -> Iterator[tuple[NodeClient, NodeClient]]:
        """A connection to each."""
        with (
            NodeClient(self.one, self.credentials) as one,
            NodeClient(self.two, self.credentials) as two,
        ):
            yield one, two


@pytest.fixture(scope="module")
def pair(postgres_cluster: Cluster) -> Iterator[Pair]:
    """Two nodes that the tests of this module share."""
    url = postgres_cluster.new_database()
    with (
        Server(database_url=url, env=FAST, name="one") as one,
        Server(database_url=url, env=FAST, name="two") as two,
    ):
        yield Pair(one, two, prepare(one))
    postgres_cluster.drop(url)


def test_as_soon_as_one_node_has_answered_an_end_the_other_refuses(pair: Pair) -> None:
    """A thousand times: four people at once, each in turn on both nodes."""

    def rounds(_number: int) -> list[bool]:
        accepted = []
        with pair.clients() as nodes:
            for turn in range(ROUNDS // 4):
                here, there = nodes[turn % 2], nodes[1 - turn % 2]
                session, token = here.start()
                assert there.accepts(token), "a session lives on all nodes from its first moment"
                here.end(session)
                accepted.append(there.accepts(token))
        return accepted

    with ThreadPoolExecutor(4) as pool:
        accepted = [one for some in pool.map(rounds, range(4)) for one in some]

    assert len(accepted) == ROUNDS
    assert sum(accepted) == 0


def test_however_many_ask_the_other_node_none_is_accepted_after_the_end(pair: Pair) -> None:
    """Validations that wait together share an answer there: never one from before they came."""

    def ask(token: str, over: threading.Event, asking: threading.Barrier) -> list[bool]:
        late: list[bool] = []
        with pair.clients() as (_, there):
            asking.wait()
            while len(late) < 5:
                was_over = over.is_set()
                accepted = there.accepts(token)
                if was_over:
                    late.append(accepted)
        return late

    with pair.clients() as (here, _), ThreadPoolExecutor(4) as pool:
        for _round in range(10):
            session, token = here.start()
            over, asking = threading.Event(), threading.Barrier(5)
            askers = [pool.submit(ask, token, over, asking) for _ in range(4)]
            asking.wait()
            here.end(session)
            over.set()

            late = [accepted for asker in askers for accepted in asker.result()]

            assert late == [False] * 20
