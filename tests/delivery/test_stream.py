"""The live feed: nothing is passed over, nobody sees what is not theirs, and it ends with the session."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection

from iam import audit
from iam.audit import feed
from iam.db import Database
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random
from tests.support.processes import Server

_PATIENCE = 60
NOW = Instant(1_795_000_000_000)


def _event(at: int) -> Event:
    return Event(
        id=make_id(EVENT, Instant(at), system_random),
        at=Instant(at),
        type="user.created",
        actor=SYSTEM,
    )


def _next(database: Database, position: feed.Position) -> tuple[list[str], feed.Position]:
    events, position = database.look(lambda c: feed.read_after(c, position))
    return [one.id for one in events], position


def _arrived(
    database: Database, position: feed.Position, number: int
) -> tuple[list[str], feed.Position]:
    """The next events, when so many are there: a transaction in another database of the cluster (another
    test's) holds the feed back, too."""
    deadline = time.monotonic() + _PATIENCE
    found: list[str] = []
    while len(found) < number and time.monotonic() < deadline:
        more, position = _next(database, position)
        found += more
        time.sleep(0.01 if len(found) < number else 0)
    return found, position


def test_an_event_that_is_committed_late_is_not_passed_over(database: Database) -> None:
    """Its ID is older than that of the one which was shown meanwhile."""
    early, late = _event(NOW), _event(NOW + 500)
    position = database.look(lambda c: feed.newest(c, NOW))
    written, may_commit = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        audit.append(connection, [early])
        written.set()
        may_commit.wait(_PATIENCE)

    writer = threading.Thread(target=lambda: database.write(slow))
    writer.start()
    assert written.wait(_PATIENCE)
    # On SQLite there is one writer, so the other one comes after it.
    quick = threading.Thread(target=lambda: database.write(lambda c: audit.append(c, [late])))
    quick.start()
    if not database.is_sqlite:
        quick.join()
    shown, position = _next(database, position)
    may_commit.set()
    writer.join()
    quick.join()
    more, position = _arrived(database, position, 2 - len(shown))

    assert sorted(shown + more) == sorted([early.id, late.id])
    assert _next(database, position) == ([], position)


def test_an_event_with_an_older_id_than_the_last_one_shown_is_shown(database: Database) -> None:
    older, newer = _event(NOW), _event(NOW + 500)
    position = database.look(lambda c: feed.newest(c, NOW))
    database.write(lambda c: audit.append(c, [newer]))
    shown, _ = _arrived(database, position, 1)
    assert shown == [newer.id]
    database.write(lambda c: audit.append(c, [older]))

    resumed = database.read(lambda c: feed.position_of(c, newer.id, None))
    assert resumed is not None
    assert _arrived(database, resumed, 1)[0] == [older.id]


def test_the_feed_goes_on_after_any_event_in_pages(database: Database) -> None:
    made = [_event(NOW + number) for number in range(feed.PAGE + 20)]
    begin = database.look(lambda c: feed.newest(c, NOW))
    for first in range(0, len(made), 100):
        database.write(lambda c, i=first: audit.append(c, made[i : i + 100]))  # type: ignore[misc] # mypy cannot infer defaults
    assert _arrived(database, begin, len(made))[0] == [one.id for one in made]
    after = database.read(lambda c: feed.position_of(c, made[9].id, None))
    assert after is not None
    first_page, position = _arrived(database, after, feed.PAGE)
    second_page, _ = _arrived(database, position, 10)

    assert first_page + second_page == [one.id for one in made[10:]]
    assert database.read(lambda c: feed.position_of(c, "evt_" + "0" * 26, None)) is None
    assert database.read(lambda c: feed.position_of(c, made[0].id, "acme")) is None


class Listener:
    """An open stream."""

    def __init__(
        self, server: Server, token: str, query: str = "", last: str | None = None
    ) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
        headers = {"authorization": f"Bearer {token}"}
        if last is not None:
            headers["last-event-id"] = last
        self.connection.request("GET", f"/v1/events/stream{query}", headers=headers)
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[dict[str, Any]]:
        """Each event as it comes; ends when the server ends the stream."""
        while line := self.answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    settings = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_ADMIN_PASSWORD": "correct horse"}
    with Server(database_url=database_url, env=settings) as running:
        yield running


def _sign_in(server: Server, organization: str, user: str, password: str) -> str:
    body = {"organization": organization, "username": user, "password": password}
    answer = httpx2.post(f"{server.url}/v1/sign-in", json=body)
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


def test_a_stream_shows_what_happens_in_its_organization_and_resumes_and_ends_with_the_session(
    server: Server,
) -> None:
    admin = _sign_in(server, "built-in", "admin", "correct horse")
    api = httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {admin}"})
    for name in ("acme", "rival"):
        assert api.post("/v1/organizations", json={"name": name}).status_code == 201
    boss = {"name": "boss", "password": "open sesame", "roles": ["administrator"]}
    assert api.post("/v1/users", json={"organization": "acme", **boss}).status_code == 201
    token = _sign_in(server, "acme", "boss", "open sesame")

    listener = Listener(server, token)
    assert listener.answer.status == 200
    assert listener.answer.headers["content-type"].startswith("text/event-stream")
    for organization, name in (("rival", "eve"), ("acme", "ann"), ("acme", "bob")):
        body = {"organization": organization, "name": name}
        assert api.post("/v1/users", json=body).status_code == 201
    coming = listener.events()
    seen: list[dict[str, Any]] = []
    for one in coming:
        assert one["organization"] == "acme"
        if one["type"] == "user.created" and one["user"] in ("ann", "bob"):
            seen.append(one)
        if len(seen) == 2:
            break
    assert [one["user"] for one in seen] == ["ann", "bob"]
    listener.close()

    again = Listener(server, token, last=seen[0]["id"])
    assert next(again.events())["id"] == seen[1]["id"]
    session = token.split(".", maxsplit=1)[0]
    assert api.delete(f"/v1/sessions/{session}").status_code == 204
    assert [one for one in again.events() if one["session"] == session] == [], "it has ended"
    again.close()

    refused = Listener(server, token)
    assert refused.answer.status == 401
    refused.close()
    foreign = Listener(server, admin, "?organization=nowhere")
    assert foreign.answer.status == 404
    foreign.close()
    unknown = Listener(server, admin, last="evt_" + "0" * 26)
    assert (unknown.answer.status, json.load(unknown.answer)["code"]) == (404, "event_not_found")
    unknown.close()
    api.close()
