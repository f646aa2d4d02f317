"""Searching sessions: what each member of a filter finds, in which order, and by which index."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert

from iam.db import Database
from iam.db.tables import session as table
from iam.kernel.addresses import address_bytes
from iam.kernel.clock import Instant, after
from iam.kernel.ids import SESSION, make_id
from iam.kernel.secrets import system_random
from iam.sessions import counting, search
from iam.sessions.counting import count_sessions
from iam.sessions.search import SessionFilter, TooManyToSort, list_sessions

START = Instant(1_795_000_000_000)
NOW = after(START, 3600)
MANY = 3000


def _row(number: int, **members: Any) -> dict[str, Any]:
    """One session of many: started a second after the one before; every other one has ended."""
    at = after(START, number)
    ended = number % 2 == 1
    ip = f"10.{number % 7}.{number % 250}.{number % 50}" if number % 3 else f"2001:db8::{number:x}"
    row = {
        "id": make_id(SESSION, at, system_random),
        "secret_hash": bytes(32),
        "organization": "initech" if number % 150 == 149 else "acme" if number % 5 else "globex",
        "user_name": f"user-{number % 300}",
        "application": f"app-{number % 40}",
        "parent": None,
        "instance": f"worker-{number % 100}" if number % 4 else None,
        "created_at": at,
        "authenticated_at": at,
        "last_active_at": at,
        "idle_timeout": 100_000,
        "expires_at": after(at, 100_000),
        "check_at": after(at, 100_000),
        "ended_at": after(at, 10) if ended else None,
        "end_reason": "signed_out" if ended else None,
        "ended_by": "user:acme/ana" if ended else None,
        "display_name": "Ana",
        "email": None,
        "roles": "",
        "amr": ["pwd", "otp"] if number % 9 == 0 else ["pwd"],
        "acr": "urn:two" if number % 9 == 0 else None,
        "user_agent": None,
        "device": "Firefox on Linux" if number % 11 else "Chrome Mobile on Android",
        "metadata": {},
        "locked_at": at if number % 150 in (6, 7) else None,
        **members,
    }
    row.setdefault("ip", ip)
    row["address"] = address_bytes(row["ip"])
    return row


@pytest.fixture
def rows(database: Database) -> list[dict[str, Any]]:
    """Three thousand sessions, and what the database knows about them."""
    made = [_row(number) for number in range(MANY)]
    for number in range(40, MANY, 40):
        made[number]["parent"] = made[0]["id"]
    database.write(lambda c: c.execute(insert(table), made))
    database.write(lambda c: c.exec_driver_sql("ANALYZE"))
    return made


def _all(database: Database, wanted: SessionFilter, **options: Any) -> list[str]:
    """The IDs of all pages."""
    found: list[str] = []
    before: str | None = None
    while True:
        page = database.read(
            lambda c, b=before: list_sessions(c, wanted, NOW, before=b, limit=200, **options)  # type: ignore[misc] # mypy cannot infer defaults
        )
        found += [one.id for one in page.items]
        before = page.next
        if before is None:
            return found


def _acme(**members: Any) -> SessionFilter:
    return SessionFilter(**{"organization": "acme", **members})


FILTERS: dict[str, tuple[SessionFilter, Any]] = {
    "organization": (_acme(), lambda r: True),
    "user": (_acme(user="user-7"), lambda r: r["user_name"] == "user-7"),
    "application": (_acme(application="app-7"), lambda r: r["application"] == "app-7"),
    "instance": (_acme(instance="worker-7"), lambda r: r["instance"] == "worker-7"),
    "address": (_acme(ip="10.1.1.1"), lambda r: r["ip"] == "10.1.1.1"),
    "network": (_acme(ip="10.3.0.0/20"), lambda r: str(r["ip"]).startswith("10.3.") and int(r["ip"].split(".")[2]) < 16),  # noqa: E501 - a table
    "long network": (_acme(ip="2001:db8::/120"), lambda r: ":" in r["ip"] and int(r["ip"].rpartition(":")[2], 16) < 256),  # noqa: E501 - a table
    "device": (_acme(device="Firefox on Linux"), lambda r: r["device"] == "Firefox on Linux"),
    "browser": (_acme(browser="chrome mobile"), lambda r: "Chrome" in r["device"]),
    "amr": (_acme(amr="otp"), lambda r: "otp" in r["amr"]),
    "acr": (_acme(acr="urn:two"), lambda r: r["acr"] == "urn:two"),
    "started after": (_acme(started_after=after(START, 2500)), lambda r: r["created_at"] >= after(START, 2500)),  # noqa: E501 - a table
    "started before": (_acme(started_before=after(START, 70)), lambda r: r["created_at"] < after(START, 70)),
    "last active before": (_acme(last_active_before=after(START, 9)), lambda r: r["last_active_at"] < after(START, 9)),  # noqa: E501 - a table
    "active": (_acme(state="active"), lambda r: r["ended_at"] is None),
    "ended": (_acme(state="ended"), lambda r: r["ended_at"] is not None),
    "locked": (_acme(state="locked"), lambda r: r["ended_at"] is None and r["locked_at"] is not None),
    "both": (_acme(user="user-4", state="active"), lambda r: r["user_name"] == "user-4" and r["ended_at"] is None),  # noqa: E501 - a table
}  # fmt: skip  # reads as the table it is


def test_every_member_of_a_filter_finds_what_matches_and_nothing_else(
    database: Database, rows: list[dict[str, Any]]
) -> None:
    for name, (wanted, matches) in FILTERS.items():
        expected = [r["id"] for r in rows if r["organization"] == "acme" and matches(r)]
        assert expected, f"{name}: a test of nothing"
        assert _all(database, wanted) == expected[::-1], name
        counted = database.read(lambda c, w=wanted: count_sessions(c, w, NOW, exact=True))  # type: ignore[misc] # mypy cannot infer defaults
        assert (counted.number, counted.exact) == (len(expected), True), name
    children = _all(database, _acme(organization=None, parent=rows[0]["id"]))
    assert sorted(children) == sorted(r["id"] for r in rows if r["parent"])


def test_a_filter_without_an_index_looks_at_a_bounded_number_for_each_page(
    database: Database, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 100)
    wanted = _acme(last_active_before=after(START, 500))

    first = database.read(lambda c: list_sessions(c, wanted, NOW))

    assert (first.items, first.next is None) == ((), False)
    expected = [r["id"] for r in rows[:500] if r["organization"] == "acme"]
    assert _all(database, wanted) == expected[::-1]
    assert _all(database, wanted, sort="created_at") == expected


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("created_at", lambda r: r["created_at"]),
        ("last_active_at", lambda r: r["last_active_at"]),
        ("expires_at", lambda r: r["expires_at"]),
        ("ended_at", lambda r: r["ended_at"] or 0),
        ("user", lambda r: r["user_name"]),
        ("application", lambda r: r["application"]),
        ("device", lambda r: r["device"]),
        ("ip", lambda r: r["address"]),
    ],
)
def test_a_list_is_ordered_by_a_column_up_and_down(
    database: Database, rows: list[dict[str, Any]], sort: Any, key: Any
) -> None:
    mine = [r for r in rows if r["organization"] == "globex"]
    expected = [r["id"] for r in sorted(mine, key=lambda r: (key(r), r["id"]))]

    assert _all(database, _acme(organization="globex"), sort=sort) == expected
    assert _all(database, _acme(organization="globex"), sort=f"-{sort}") == expected[::-1]


def test_too_many_to_sort_is_said_and_narrowed_they_are_sorted(
    database: Database, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SORTED_AT_MOST", 50)
    with pytest.raises(TooManyToSort):
        database.read(lambda c: list_sessions(c, _acme(), NOW, sort="device"))
    assert len(_all(database, _acme(user="user-7"), sort="device")) == 10


def test_an_estimate_is_exact_as_long_as_they_are_few(
    database: Database, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = database.read(lambda c: count_sessions(c, _acme(user="user-7"), NOW, exact=False))
    monkeypatch.setattr(counting, "COUNTED_AT_MOST", 100)
    many = database.read(lambda c: count_sessions(c, _acme(), NOW, exact=False))

    assert (few.number, few.exact) == (10, True)
    assert many.exact is database.is_sqlite
    assert 1200 <= many.number <= 4800  # in truth 2400


INDEXES = {
    "organization": "listed",
    "user": "user",
    "application": "application",
    "instance": "instance",
    "address": "address",
    "network": "address",
    "device": "listed",
    "browser": "listed",
    "amr": "listed",
    "acr": "listed",
    "last active before": "listed",
    "active": "listed",
    "ended": "listed",
    "locked": "locked",
    "both": "user",
}


def test_the_plan_of_each_filter_is_by_its_index(
    database: Database, rows: list[dict[str, Any]]
) -> None:
    for name, index in INDEXES.items():
        wanted = FILTERS[name][0]
        if index == "listed":
            # Of an organization that has nearly all sessions the newest are found by the key alone.
            wanted = replace(wanted, organization="initech")
        plans = database.read(lambda c, w=wanted: list(_plans(c, w)))  # type: ignore[misc] # mypy cannot infer defaults
        assert plans, name
        for plan in plans:
            if "check_at" in plan:
                continue  # what is over and not noted yet: by the index of the sweep
            by = (f"ix_session_{index}", f"ix_session_ended_{index}")
            assert any(one in plan for one in by), f"{name}: {plan}"
            assert "Seq Scan" not in plan, f"{name}: {plan}"


def test_a_list_of_all_organizations_passes_none_of_the_other_side(
    database: Database, rows: list[dict[str, Any]]
) -> None:
    """By the key alone the newest ended ones would lie behind all that live."""
    for wanted in (SessionFilter(organization=None), FILTERS["started before"][0]):
        everybody = replace(wanted, organization=None)
        live, ended = database.read(lambda c, w=everybody: list(_plans(c, w)))  # type: ignore[misc] # mypy cannot infer defaults
        assert "ix_session_live_all" in live
        assert "ix_session_ended_all" in ended


def _plans(connection: Connection, wanted: SessionFilter) -> Iterator[str]:
    """How the database finds the IDs of a page."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT session.id \n", "SELECT looked_at.id \n")):
            asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    list_sessions(connection, wanted, NOW)
    event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    for statement, parameters in asked:
        found = connection.exec_driver_sql(f"{explain} {statement}", parameters)
        yield statement * ("check_at" in statement) + "\n".join(str(row) for row in found)
