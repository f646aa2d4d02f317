"""One event and all its effects: it happens on one node, and the very next request on another shows it.

Each row is an event and what it means for the person's own browser and for their other one, at every
door there is: the browser session, the session behind the gate, and that of an OpenID client with its
access token and a code that was issued before the event.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.node_client import FAST
from tests.support.person_on_nodes import (
    IN,
    PASSWORD,
    Browser,
    Node,
    Place,
    administrator,
    make_place,
)
from tests.support.ports import free_port
from tests.support.postgres import Cluster
from tests.support.processes import Server

CHILDREN = ("application's session API", "gate", "validation")
"""Doors that ask about a session which was entered from the browser session."""


@dataclass(frozen=True)
class Means:
    """What an event means for a browser: at a door that is not named, `rest`.

    `out` is any refusal: a door that does not say why, or one that may say so in several ways.
    """

    rest: str = IN
    named: tuple[tuple[str, str], ...] = ()

    def at(self, door: str) -> str:
        return dict(self.named).get(door, self.rest)


def _over(reason: str, children: str = "parent_ended") -> Means:
    """Its browser session is over for this reason, its children for that one."""
    named = [("session API", reason), *((door, children) for door in CHILDREN)]
    return Means("out", tuple(named))


STAYS = Means()
ROTATED = Means("out", (*((door, IN) for door in (*CHILDREN, "userinfo", "code redemption")),))
"""The former token of the browser session is nobody's; what was entered from it goes on."""
APPLICATION_OVER = Means(
    IN, (*((door, "out") for door in (*CHILDREN, "userinfo", "code redemption")),)
)


@dataclass
class Case:
    """Where an event happens: the node, who is meant, and by whose hand."""

    node: Node
    admin: str
    place: Place
    own: Browser
    other: Browser

    def as_admin(self, method: str, path: str, body: object = None) -> Any:
        return self.node.ask(method, path, token=self.admin, body=body)

    def as_person(self, method: str, path: str, body: object = None) -> Any:
        return self.node.ask(method, path, token=self.own.token, body=body)

    @property
    def user(self) -> str:
        return f"/v1/users/{self.place.name}/ana"

    @property
    def organization(self) -> str:
        return f"/v1/organizations/{self.place.name}"

    @property
    def application(self) -> str:
        return f"/v1/applications/{self.place.name}/wiki"

    @property
    def session(self) -> str:
        return f"/v1/sessions/{self.own.session}"

    def child(self) -> str:
        return f"/v1/sessions/{self.own.gate.partition('.')[0]}"


def _nothing(_: Case) -> None:
    """The control: without an event every door lets both in."""


def _sign_out(case: Case) -> None:
    case.as_person("DELETE", "/v1/session")


def _sign_out_everywhere(case: Case) -> None:
    case.as_person("POST", "/v1/me/sessions/end-others")
    case.as_person("DELETE", "/v1/session")


def _end_others(case: Case) -> None:
    case.node.ask("POST", "/v1/me/sessions/end-others", token=case.other.token)


def _end_one_of_ones_own(case: Case) -> None:
    case.node.ask("DELETE", f"/v1/me/sessions/{case.own.session}", token=case.other.token)


def _sign_out_of_an_application(case: Case) -> None:
    answer = case.node(
        "POST",
        "/.iam/sign-out",
        cookies={"iam-app": case.own.gate},
        form={},
        host=case.place.host,
    )
    assert answer.status == 303, answer.text


def _idle(case: Case) -> None:
    case.as_admin("PATCH", case.organization, {"policy": {"idle_timeout": 3}})
    time.sleep(3.1)


def _expire(case: Case) -> None:
    case.as_admin("PATCH", case.organization, {"policy": {"maximum_lifetime": 4}})
    time.sleep(4.1)


def _tighten(case: Case) -> None:
    time.sleep(1.1)
    case.as_admin("PATCH", case.organization, {"policy": {"maximum_lifetime": 1}})


def _sign_in_again(case: Case) -> None:
    case.own.sign_in_again(case.node)


def _change_password(case: Case) -> None:
    body = {"current_password": PASSWORD, "new_password": "another one 1"}
    case.as_person("POST", "/v1/me/password", body)


def _reset_password(case: Case) -> None:
    case.as_admin("PATCH", case.user, {"password": "another one 1"})


def _admin_ends_session(case: Case) -> None:
    case.as_admin("DELETE", case.session)


def _admin_ends_child(case: Case) -> None:
    case.as_admin("DELETE", case.child())


def _admin_ends_user(case: Case) -> None:
    wanted = {"organization": case.place.name, "user": "ana"}
    case.as_admin("POST", "/v1/sessions/end", {"filter": wanted})


def _admin_ends_record(case: Case) -> None:
    case.as_admin("DELETE", f"/v1/session-records/{case.place.name}/ana/wiki")


def _everything_before_now(case: Case) -> None:
    case.as_admin("POST", "/v1/sessions/not-before", {"organization": case.place.name})


def _disable_user(case: Case) -> None:
    case.as_admin("PATCH", case.user, {"enabled": False})


def _delete_user(case: Case) -> None:
    case.as_admin("DELETE", case.user)


def _disable_application(case: Case) -> None:
    case.as_admin("PATCH", case.application, {"enabled": False})


def _delete_application(case: Case) -> None:
    case.as_admin("DELETE", case.application)


def _disable_organization(case: Case) -> None:
    case.as_admin("PATCH", case.organization, {"enabled": False})


def _delete_organization(case: Case) -> None:
    case.as_admin("DELETE", case.organization)


def _use_a_code_twice(case: Case) -> None:
    assert case.own.redeem(case.node, case.own.used).status == 400


def _lock(case: Case) -> None:
    case.as_admin("POST", f"{case.session}/lock")


def _lock_child(case: Case) -> None:
    case.as_admin("POST", f"{case.child()}/lock")


def _lock_and_unlock(case: Case) -> None:
    _lock(case)
    case.as_person("POST", "/v1/session/unlock", {"password": PASSWORD})


ADMIN, DISABLED = "ended_by_admin", "user_disabled"
NOBODYS_APPLICATION = Means(
    "out",
    (("session API", IN), ("page", IN), ("application's session API", "application_disabled")),
)
TABLE: tuple[tuple[Callable[[Case], None], Means, Means], ...] = (
    (_nothing, STAYS, STAYS),
    (_sign_out, _over("signed_out"), STAYS),
    (_sign_out_everywhere, _over("signed_out"), _over("ended_by_user", "out")),
    (_end_others, _over("ended_by_user", "out"), STAYS),
    (_end_one_of_ones_own, _over("ended_by_user"), STAYS),
    (
        _sign_out_of_an_application,
        Means(IN, tuple((door, "signed_out") for door in CHILDREN)),
        STAYS,
    ),
    (_idle, _over("idle", "idle"), _over("idle", "idle")),
    (_expire, _over("expired", "expired"), _over("expired", "expired")),
    (_tighten, _over("policy", "policy"), _over("policy", "policy")),
    (_sign_in_again, ROTATED, STAYS),
    (_change_password, ROTATED, _over("credentials_changed", "out")),
    (_reset_password, _over("credentials_changed", "out"), _over("credentials_changed", "out")),
    (_admin_ends_session, _over(ADMIN), STAYS),
    (_admin_ends_child, Means(IN, tuple((door, ADMIN) for door in CHILDREN)), STAYS),
    (_admin_ends_user, _over(ADMIN, "out"), _over(ADMIN, "out")),
    (
        _admin_ends_record,
        Means(IN, (*((door, ADMIN) for door in CHILDREN), ("userinfo", "out"))),
        Means(IN, (*((door, ADMIN) for door in CHILDREN), ("userinfo", "out"))),
    ),
    (_everything_before_now, _over(ADMIN, "out"), _over(ADMIN, "out")),
    (_disable_user, _over(DISABLED, "out"), _over(DISABLED, "out")),
    (_delete_user, _over(DISABLED, "out"), _over(DISABLED, "out")),
    (_disable_application, NOBODYS_APPLICATION, NOBODYS_APPLICATION),
    (_delete_application, NOBODYS_APPLICATION, NOBODYS_APPLICATION),
    (_disable_organization, _over(DISABLED, "out"), _over(DISABLED, "out")),
    (_delete_organization, _over(DISABLED, "out"), _over(DISABLED, "out")),
    (_use_a_code_twice, Means(IN, (("userinfo", "out"),)), STAYS),
    (_lock, _over("session_locked", "session_locked"), STAYS),
    (
        _lock_child,
        Means(
            IN,
            (
                *((door, "session_locked") for door in CHILDREN),
                ("entering through the gate", "out"),
                ("authorization", "out"),
            ),
        ),
        STAYS,
    ),
    (_lock_and_unlock, ROTATED, STAYS),
)


@dataclass(frozen=True)
class Pair:
    """Two server processes over one PostgreSQL, with one issuer."""

    here: Server
    there: Server


@pytest.fixture(scope="module")
def pair(postgres_cluster: Cluster) -> Iterator[Pair]:
    """Two nodes that the rows of the table share; each row has an organization of its own."""
    url, port = postgres_cluster.new_database(), free_port()
    env = {**FAST, "IAM_ISSUER": f"http://127.0.0.1:{port}"}
    with (
        Server(database_url=url, env=env, port=port, name="here") as here,
        Server(database_url=url, env=env, name="there") as there,
    ):
        yield Pair(here, there)
    postgres_cluster.drop(url)


def _words(event: Callable[[Case], None]) -> str:
    return event.__name__.strip("_").replace("_", " ")


@pytest.mark.parametrize(
    ("event", "own", "other"), TABLE, ids=[_words(event) for event, *_ in TABLE]
)
def test_what_happens_on_one_node_is_true_for_the_next_request_on_the_other(
    pair: Pair, event: Callable[[Case], None], own: Means, other: Means
) -> None:
    with Node(pair.here) as here, Node(pair.there) as there:
        admin = administrator(here)
        place = make_place(here, admin, _words(event).replace(" ", "-").replace("'", ""))
        case = Case(here, admin, place, Browser(here, place), Browser(here, place))

        event(case)

        for browser, means in ((case.own, own), (case.other, other)):
            found = browser.doors(there)
            expected = {door: means.at(door) for door in found}
            shown = {
                door: "out" if expected[door] == "out" and one != IN else one
                for door, one in found.items()
            }
            assert shown == expected
